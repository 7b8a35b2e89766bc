// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The format covers everything below the contract: Badger's own files, the namespace of keys, the envelope of values.
const (
	formatName = "gatehouse.format"
	format     = 1
)

// checkFormat refuses a directory whose files this release does not understand, and marks a directory that holds no
// store yet. The mark is on disk before the first file of Badger's.
func checkFormat(dir string) error {
	path := filepath.Join(dir, formatName)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return markFormat(dir)
	}
	if err != nil {
		return fmt.Errorf("reading the format: %w", err)
	}
	switch number, err := strconv.Atoi(strings.TrimSpace(string(text))); {
	case err != nil || number < 1:
		return damaged("file %s holds no format number", formatName)
	case number > format:
		return fmt.Errorf("file %s says format %d, this release reads up to %d: %w", formatName, number, format, ErrNewer)
	}
	return nil
}

func markFormat(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	for _, entry := range entries {
		if name := entry.Name(); engineFile(name) {
			return fmt.Errorf("file %s is there but %s is not: %w", name, formatName, ErrForeign)
		}
	}
	if err := writeFile(dir, formatName, []byte(strconv.Itoa(format)+"\n")); err != nil {
		return fmt.Errorf("marking the format: %w", err)
	}
	return nil
}

// engineFile reports whether Badger keeps something under this name.
func engineFile(name string) bool {
	switch name {
	case "MANIFEST", "KEYREGISTRY", "DISCARD":
		return true
	}
	switch filepath.Ext(name) {
	case ".sst", ".vlog", ".mem":
		return true
	}
	return false
}

// writeFile replaces a file so that a crash leaves the old one or the new one.
func writeFile(dir, name string, data []byte) (err error) {
	path := filepath.Join(dir, name)
	file, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fullOr(err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fullOr(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fullOr(err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
