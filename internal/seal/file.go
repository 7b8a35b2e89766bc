// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// maxFile is well above the longest spelling of a key.
const maxFile = 1 << 10

// LoadOrCreateFile reads the key in the file at path, or draws one and writes it there with mode 0600 when there is no
// such file. The directory must exist. Processes that race all return the key of the one that won; a key was synced to
// disk before it is returned, since what is sealed with a lost key is lost. A file that anyone but its owner may read or
// write is refused with [ErrKey], and so is a file that holds no key.
func LoadOrCreateFile(path string) (Key, error) {
	k, err := loadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return Key{}, fmt.Errorf("creating key file %q: %w", path, err)
		}
		k, err = loadFile(path)
	}
	if err != nil {
		return Key{}, err
	}
	// Another process may have linked the file a moment ago and not synced the name yet. A directory that cannot be synced
	// is one that was mounted for reading, where nobody creates files.
	_ = syncDir(filepath.Dir(path))
	return k, nil
}

func loadFile(path string) (Key, error) {
	// Looked at before it is opened, since opening a pipe waits for a writer, and again afterwards, since the path may name
	// another file by then.
	info, err := os.Stat(path)
	if err != nil {
		return Key{}, fmt.Errorf("opening key file: %w", err)
	}
	if err := checkMode(info); err != nil {
		return Key{}, fmt.Errorf("opening key file %q: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return Key{}, fmt.Errorf("opening key file: %w", err)
	}
	defer f.Close()
	k, err := readKey(f)
	if err != nil {
		return Key{}, fmt.Errorf("reading key file %q: %w", path, err)
	}
	return k, nil
}

func readKey(f *os.File) (Key, error) {
	info, err := f.Stat()
	if err != nil {
		return Key{}, err
	}
	if err := checkMode(info); err != nil {
		return Key{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return Key{}, err
	}
	return ParseKey(string(text))
}

func checkMode(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("not a regular file: %w", ErrKey)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("mode %04o lets others at the key, want 0600: %w", mode, ErrKey)
	}
	return nil
}

// createFile makes the file appear at path with all of its content or not at all: it is written and synced under another
// name and then linked, which fails where path is taken.
func createFile(path string) error {
	temporary := path + "." + rand.Text()
	if err := writeFile(temporary, generate()); err != nil {
		return errors.Join(err, removeFile(temporary))
	}
	// The link is what counts: a name that could not be removed is a nuisance, not a failure.
	defer func() { _ = removeFile(temporary) }()
	if err := os.Link(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes the new name durable. Windows has no such call and does without.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
