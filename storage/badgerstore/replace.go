// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Present reports whether a directory holds a store, whatever state it is in.
func Present(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, formatName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Replace makes a store beside the one in a directory, has fill fill it, and puts it in the place of the other, which is kept in the folder
// whose name it returns; empty where there was none. Until then the directory is held, so that it fails with a *[LockedError] where a process
// uses it, and when it fails nothing has changed. The store that is replaced is not opened: it may well be damaged.
func Replace(ctx context.Context, config Config, kept string, fill func(storage.DB) error) (old string, err error) {
	dir, err := CanonicalDir(config.Dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the directory: %w", fullOr(err))
	}
	config.Dir = dir
	config.setDefaults()
	lock, err := acquire(ctx, config)
	if err != nil {
		return "", err
	}
	defer func() {
		if released := lock.release(); !errors.Is(released, fs.ErrNotExist) { // its note has moved with the directory
			err = errors.Join(err, released)
		}
	}()
	fresh := config
	fresh.Dir = dir + ".restoring"
	if err := build(ctx, fresh, fill); err != nil {
		return "", errors.Join(err, os.RemoveAll(fresh.Dir))
	}
	return swap(dir, fresh.Dir, kept)
}

// build makes a store in a directory that may hold the remains of an attempt that broke off.
func build(ctx context.Context, config Config, fill func(storage.DB) error) error {
	if err := os.RemoveAll(config.Dir); err != nil {
		return fmt.Errorf("removing what an earlier attempt has left: %w", err)
	}
	db, err := Open(ctx, config)
	if err != nil {
		return err
	}
	return errors.Join(fill(db), db.Close())
}

// swap puts fresh in the place of dir. Whoever is killed between the two renames finds both folders.
func swap(dir, fresh, kept string) (old string, err error) {
	present, err := Present(dir)
	if err != nil {
		return "", fmt.Errorf("looking at the store that is replaced: %w", err)
	}
	if old = kept; !present {
		old = fresh + ".empty"
	}
	if err := os.Rename(dir, old); err != nil {
		return "", fmt.Errorf("setting the old store aside: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return "", errors.Join(fmt.Errorf("putting the new store in place: %w", err), os.Rename(old, dir))
	}
	if err := syncDir(filepath.Dir(dir)); err != nil || present {
		return old, err
	}
	return "", os.RemoveAll(old)
}
