// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownLock says that this package locks the directory itself. Badger's lock is the same one, a flock on the directory and
// the holder's number in a file, but its error cannot be told from others.
const ownLock = true

const lockName = "LOCK"

// dirLock is the right to use a directory. It ends with the process at the latest.
type dirLock struct{ dir *os.File }

// acquire takes the lock, waiting for it as long as the configuration says. What was locked may have been set aside meanwhile, as when a
// backup is restored: then it is what stands in its place that is to be locked.
func acquire(ctx context.Context, config Config) (*dirLock, error) {
	for {
		dir, err := os.Open(config.Dir)
		if err != nil {
			return nil, fmt.Errorf("opening the directory: %w", err)
		}
		if err := flock(ctx, dir, config); err != nil {
			return nil, errors.Join(err, dir.Close())
		}
		switch stands, err := isAt(dir, config.Dir); {
		case err != nil:
			return nil, errors.Join(fmt.Errorf("looking at the directory: %w", err), dir.Close())
		case stands:
			return sign(dir, config.Dir)
		}
		if err := dir.Close(); err != nil {
			return nil, fmt.Errorf("leaving a directory that was set aside: %w", err)
		}
	}
}

// isAt reports whether an open directory is the one that a path leads to.
func isAt(dir *os.File, path string) (bool, error) {
	is, err := dir.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(is, there), err
}

// sign writes down who holds the directory.
func sign(dir *os.File, path string) (*dirLock, error) {
	number := []byte(strconv.Itoa(os.Getpid()) + "\n")
	if err := os.WriteFile(filepath.Join(path, lockName), number, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("writing down who holds the directory: %w", fullOr(err)), dir.Close())
	}
	return &dirLock{dir}, nil
}

// flock tries again after pauses that double, up to half a second.
func flock(ctx context.Context, dir *os.File, config Config) error {
	left := config.LockWait
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("locking the directory: %w", err)
		case left <= 0:
			return holder(config.Dir)
		case left == config.LockWait:
			config.Logger.InfoContext(ctx, "waiting for the store", "holder", holder(config.Dir).Error())
		}
		wait = min(wait, left)
		left -= wait
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), holder(config.Dir))
		}
	}
}

// holder reads who wrote itself down.
func holder(dir string) *LockedError {
	locked := &LockedError{Dir: dir}
	number, err := os.ReadFile(filepath.Join(dir, lockName))
	if err != nil {
		return locked
	}
	locked.PID, _ = strconv.Atoi(strings.TrimSpace(string(number)))
	if command, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", locked.PID)); err == nil {
		locked.Command = strings.TrimSpace(string(command))
	}
	return locked
}

// release gives the directory free. The note goes first, while nobody else can have written one.
func (l *dirLock) release() error {
	return errors.Join(os.Remove(filepath.Join(l.dir.Name(), lockName)), l.dir.Close())
}
