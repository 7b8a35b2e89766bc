// SPDX-License-Identifier: Apache-2.0

//go:build linux

package badgerstore_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const diskSize = 256 << 20

// smallDisk is a file system of its own that the test can fill.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("gatehouse", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		t.Skipf("a full disk is not tried: mounting a small file system needs root (%v)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// fillDisk leaves so many bytes on the disk and returns what makes room again.
func fillDisk(t *testing.T, disk string, leave int64) (free func()) {
	t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(disk, &stat); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(stat.Bavail)*stat.Bsize - leave
	if err := errors.Join(syscall.Fallocate(int(file.Fd()), 0, 0, size), file.Close()); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
	}
}

func TestAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	dir := filepath.Join(disk, "data")
	db := mustOpen(t, badgerstore.Config{Dir: dir})
	if err := put(t.Context(), db, "a", "1"); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		free := fillDisk(t, disk, int64(round)*30<<20) // to the last byte, and to below the reserve
		err := put(t.Context(), db, "a", "2")
		if !errors.Is(err, storage.ErrFull) || !strings.Contains(err.Error(), dir) {
			t.Errorf("writing to a full disk: %v", err)
		}
		if err := db.Health(); !errors.Is(err, storage.ErrFull) {
			t.Errorf("health on a full disk: %v", err)
		}
		if _, err := db.Sweep(t.Context()); err != nil {
			t.Errorf("sweeping where nothing is dead: %v", err)
		}
		if got := get(t, db, "a"); got != "1" {
			t.Errorf("reading from a full disk: %q", got)
		}
		free()
		if err := put(t.Context(), db, "b", fmt.Sprint(round)); err != nil {
			t.Errorf("writing when there is room again: %v", err)
		}
	}
	if err := db.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	free := fillDisk(t, disk, 0)
	_, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: dir, Now: storagetest.NewClock().Now})
	if !errors.Is(err, storage.ErrFull) || !strings.Contains(err.Error(), dir) {
		t.Errorf("opening on a full disk: %v", err)
	}
	free()
	if got := get(t, mustOpen(t, badgerstore.Config{Dir: dir}), "b"); got != "2" {
		t.Errorf("b is %q after all", got)
	}
}

// Writers that do not stop bring the disk to the reserve and no further, and Badger finishes what it accepted.
func TestWritingUntilTheDiskIsFull(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes a quarter of a gigabyte")
	}
	disk := smallDisk(t)
	dir := filepath.Join(disk, "data")
	db := mustOpen(t, badgerstore.Config{Dir: dir})
	value := make([]byte, 4<<10)
	written := 0
	var err error
	for ; err == nil && written < 10000; written++ {
		err = db.Update(t.Context(), func(tx storage.Tx) error {
			for i := range storage.MaxWrites {
				for j := range value {
					value[j] = byte(j * (written + i) >> 4)
				}
				if err := tx.Put(storage.Item{Key: fmt.Sprintf("k/%d/%d", written, i), Value: value}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if !errors.Is(err, storage.ErrFull) {
		t.Fatalf("after %d updates: %v", written, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = mustOpen(t, badgerstore.Config{Dir: dir})
	for _, key := range []string{"k/0/0", fmt.Sprintf("k/%d/63", written-2)} {
		if len(get(t, db, key)) != len(value) {
			t.Errorf("item %s is gone", key)
		}
	}
}

func TestAReserveBeyondTheDisk(t *testing.T) {
	t.Parallel()
	config := badgerstore.Config{Dir: t.TempDir(), Now: storagetest.NewClock().Now, Reserve: math.MaxInt64}
	if _, err := badgerstore.Open(t.Context(), config); !errors.Is(err, storage.ErrFull) {
		t.Errorf("error is %v", err)
	}
}
