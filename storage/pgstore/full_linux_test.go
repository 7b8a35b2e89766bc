// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/postgres/wire"
)

// TestDiskFull: on a disk that is full nothing is lost and all is read, and once there is room again writes are taken.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	owned := postgres.Start(t)
	small, err := os.MkdirTemp(owned.Dir(), "small")
	must(t, err)
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		t.Skipf("making a small disk takes rights: %v", err)
	}
	t.Cleanup(func() {
		owned.Stop(t)
		must(t, syscall.Unmount(small, 0))
	})
	owner, err := os.Stat(owned.Dir())
	must(t, err)
	must(t, os.Chown(small, int(owner.Sys().(*syscall.Stat_t).Uid), -1))
	owned.Exec(t, "postgres", fmt.Sprintf("CREATE TABLESPACE small LOCATION '%s'", small))
	w := wire.New(t, owned.DSN("postgres", postgres.User))
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) { c.DSN = w.DSN("sslmode=disable default_tablespace=small") })
	must(t, err)
	defer db.Close()
	ballast := small + "/ballast"
	must(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	value, random := make([]byte, storage.MaxValue), rand.NewChaCha8([32]byte{})
	written := 0
	for err == nil {
		_, _ = random.Read(value) // which nothing makes smaller
		if err = write(t, db, fmt.Sprint(written), string(value)); err == nil {
			written++
		}
	}
	if !errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrUnknown) || written == 0 {
		t.Fatalf("after %d writes: %v", written, err)
	}
	for i := range written {
		if got, err := read(t, db, fmt.Sprint(i)); err != nil || len(got) != storage.MaxValue {
			t.Fatalf("%d of %d: %d bytes, %v", i, written, len(got), err)
		}
	}
	var looked atomic.Int64
	w.Set(func(m *wire.Message) bool {
		if strings.Contains(m.SQL, "generate_series") {
			looked.Add(1)
		}
		return true
	})
	until(t, "it has looked several times", func() bool {
		if looked.Load() > 0 && !full(db) {
			t.Fatal("it is taken to have room")
		}
		return looked.Load() > 2
	})
	must(t, os.Remove(ballast))
	until(t, "there is room", func() bool { return db.Health() == nil })
	must(t, write(t, db, "after", "1"))
	for i := range written {
		if got, err := read(t, db, fmt.Sprint(i)); err != nil || len(got) != storage.MaxValue {
			t.Fatalf("later %d of %d: %d bytes, %v", i, written, len(got), err)
		}
	}
}
