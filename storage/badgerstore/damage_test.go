// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// closedStore makes a store of two tables and a value log, closed in order.
func closedStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for generation := range 2 {
		db := mustOpen(t, badgerstore.Config{Dir: dir})
		for batch := range 4 {
			err := db.Update(t.Context(), func(tx storage.Tx) error {
				for i := range 40 {
					size := 900
					if i == 0 {
						size = 20000
					}
					value := make([]byte, size)
					_, _ = rand.Read(value) // does not compress, so that a table has many blocks
					key := fmt.Sprintf("user/%d/%d/%d", generation, batch, i)
					if err := tx.Put(storage.Item{Key: key, Value: value}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// harm is something that happens to a file.
type harm struct {
	name string
	do   func(data []byte) []byte // nil removes the file
}

func overwrite(data []byte, from, to int) []byte {
	for i := max(from, 0); i < min(to, len(data)); i++ {
		data[i] ^= 0xa5
	}
	return data
}

var (
	removed = harm{"removed", nil}
	empty   = harm{"empty", func([]byte) []byte { return []byte{} }}
	half    = harm{"half", func(data []byte) []byte { return data[:len(data)/2] }}
	garbage = harm{"garbage", func(data []byte) []byte { return overwrite(data, 0, len(data)) }}
	begin   = harm{"garbage at the beginning", func(data []byte) []byte { return overwrite(data, 0, 64) }}
	middle  = harm{"garbage in the middle", func(data []byte) []byte { return overwrite(data, len(data)/2, len(data)/2+200) }}
	end     = harm{"garbage at the end", func(data []byte) []byte { return overwrite(data, len(data)-64, len(data)) }}
	longer  = harm{"longer", func(data []byte) []byte { return append(data, make([]byte, 100)...) }}
)

func TestADamagedDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file    string
		orderly bool // whether the inventory of an orderly end is there
		harms   []harm
	}{
		{"MANIFEST", true, []harm{removed, empty, half, garbage, begin, middle, end, longer}},
		{"MANIFEST", false, []harm{removed, empty, garbage, begin, middle}},
		{"000001.sst", true, []harm{removed, empty, half, garbage, begin, middle, end, longer}},
		{"000001.sst", false, []harm{removed, empty, half, garbage, begin, middle, end, longer}},
		{"000001.vlog", true, []harm{removed, empty, half, garbage, begin, longer}},
		{"000001.vlog", false, []harm{garbage, begin}},
		{"KEYREGISTRY", true, []harm{removed, empty, half, garbage, longer}},
		{"KEYREGISTRY", false, []harm{empty, half, garbage}},
		{badgerstore.InventoryName, true, []harm{empty, half, garbage, longer}},
		{badgerstore.FormatName, true, []harm{empty, garbage}},
	}
	store := closedStore(t)
	for _, test := range tests {
		for _, harm := range test.harms {
			t.Run(fmt.Sprintf("%s %s orderly=%v", test.file, harm.name, test.orderly), func(t *testing.T) {
				t.Parallel()
				dir := copyDir(t, store)
				if !test.orderly {
					hurt(t, dir, badgerstore.InventoryName, removed)
				}
				hurt(t, dir, test.file, harm)
				wantRefused(t, dir, badgerstore.ErrDamaged, "restore the directory from a backup")
			})
		}
	}
}

// Beyond a certain size a store is not read from end to end when it is opened, but the index of every table is checked.
func TestTablesBeyondTheBudget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		harm         harm
		index, whole bool // whether the check finds it
	}{
		{harm{"none", func(data []byte) []byte { return data }}, false, false},
		{middle, false, true},
		{begin, false, true},
		{half, true, true},
		{end, true, true},
		{empty, true, true},
		{removed, true, true},
	}
	store := closedStore(t)
	for _, test := range tests {
		t.Run(test.harm.name, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, store)
			hurt(t, dir, "000001.sst", test.harm)
			path := filepath.Join(dir, "000001.sst")
			for budget, want := range map[int64]bool{0: test.index, 1 << 20: test.whole} {
				err := badgerstore.CheckTable(path, budget)
				if errors.Is(err, badgerstore.ErrDamaged) != want || (err != nil) != want {
					t.Errorf("with a budget of %d: %v", budget, err)
				}
			}
		})
	}
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func hurt(t *testing.T, dir, name string, harm harm) {
	t.Helper()
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if harm.do == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, harm.do(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// wantRefused checks that the directory is not opened, and that no table was lost by trying.
func wantRefused(t *testing.T, dir string, want error, words string) {
	t.Helper()
	before := listing(t, dir)
	db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: dir, Now: storagetest.NewClock().Now})
	if err == nil {
		_ = db.Close()
		t.Fatal("the store was opened")
	}
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
	for _, part := range []string{dir, words} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not say %q", err, part)
		}
	}
	if after := listing(t, dir); before != after {
		t.Errorf("the tables were %q and are %q", before, after)
	}
}

// listing names the tables of a directory.
func listing(t *testing.T, dir string) string {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(tables, " ")
}

func TestALimitOfTheSystemIsNoDamage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cause error
		want  error
	}{
		{"damage", errors.New("manifest has bad magic"), badgerstore.ErrDamaged},
		{"too many files", fmt.Errorf("while opening memtables err: %+v", syscall.EMFILE), syscall.EMFILE},
		{"no right", fmt.Errorf("open x: %v", syscall.EACCES), os.ErrPermission},
		{"a full disk", fmt.Errorf("truncating err: %+v", syscall.ENOSPC), storage.ErrFull},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := badgerstore.Refused(test.cause)
			isDamage := errors.Is(test.want, badgerstore.ErrDamaged)
			if !errors.Is(err, test.want) || errors.Is(err, badgerstore.ErrDamaged) != isDamage {
				t.Errorf("error is %v", err)
			}
			if !strings.Contains(err.Error(), test.cause.Error()) {
				t.Errorf("the error %q does not say why", err)
			}
		})
	}
}

func TestDamageThatIsFoundLateIsAnError(t *testing.T) {
	t.Parallel()
	dir := copyDir(t, closedStore(t))
	hurt(t, dir, "000001.vlog", middle)
	db := mustOpen(t, badgerstore.Config{Dir: dir})
	broken := 0
	for batch := range 4 {
		key := fmt.Sprintf("user/0/%d/0", batch)
		err := db.View(t.Context(), func(tx storage.Tx) error {
			_, err := tx.Get(key)
			return err
		})
		switch {
		case errors.Is(err, badgerstore.ErrDamaged):
			broken++
		case err != nil:
			t.Errorf("reading %s: %v", key, err)
		}
	}
	if broken == 0 {
		t.Error("no damaged value was found")
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  error
		words string
	}{
		{"newer", func(t *testing.T, dir string) {
			write(t, dir, badgerstore.FormatName, "2\n")
		}, badgerstore.ErrNewer, "format 2, this release reads up to 1"},
		{"not a number", func(t *testing.T, dir string) {
			write(t, dir, badgerstore.FormatName, "one\n")
		}, badgerstore.ErrDamaged, badgerstore.FormatName},
		{"zero", func(t *testing.T, dir string) {
			write(t, dir, badgerstore.FormatName, "0\n")
		}, badgerstore.ErrDamaged, badgerstore.FormatName},
		{"a foreign Badger store", func(t *testing.T, dir string) {
			write(t, dir, "MANIFEST", "x")
		}, badgerstore.ErrForeign, "name an empty directory"},
		{"foreign tables", func(t *testing.T, dir string) {
			write(t, dir, "000001.sst", "x")
		}, badgerstore.ErrForeign, "000001.sst"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			test.spoil(t, dir)
			wantRefused(t, dir, test.want, test.words)
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryWithOtherFilesIsUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "README", "mounted here")
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, badgerstore.Config{Dir: dir})
	if err := errors.Join(put(t.Context(), db, "a", "1"), db.Close()); err != nil {
		t.Fatal(err)
	}
	if got := get(t, mustOpen(t, badgerstore.Config{Dir: dir}), "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
}

// A process that is killed at the right moment leaves logs without a byte, on which Badger alone would give up.
func TestEmptyLogsAreNoDamage(t *testing.T) {
	t.Parallel()
	dir := copyDir(t, closedStore(t))
	hurt(t, dir, badgerstore.InventoryName, removed)
	write(t, dir, "00099.mem", "")
	write(t, dir, "000099.vlog", "")
	db := mustOpen(t, badgerstore.Config{Dir: dir})
	if got := get(t, db, "user/0/1/1"); got == "" {
		t.Error("an item is gone")
	}
}

func TestAFileInPlaceOfTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "data", "")
	path := filepath.Join(dir, "data")
	_, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: path, Now: storagetest.NewClock().Now})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v", err)
	}
}
