// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

// TestReplace puts a store in the place of none, of another one, and of one that is damaged; never of one in use, and not when it fails.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	config := badgerstore.Config{Dir: dir, Now: time.Now, GCEvery: -1, SweepEvery: -1}
	fill := func(value string) func(storage.DB) error {
		return func(db storage.DB) error {
			return db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: "a", Value: []byte(value)}) })
		}
	}
	holds := func(dir, want string) {
		t.Helper()
		c := config
		c.Dir = dir
		db, err := badgerstore.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(t.Context(), func(tx storage.Tx) error {
			item, err := tx.Get("a")
			if string(item.Value) != want {
				t.Errorf("it holds %q, want %q", item.Value, want)
			}
			return err
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	}
	if present, err := badgerstore.Present(dir); present || err != nil {
		t.Errorf("nothing is there: %v, %v", present, err)
	}
	if old, err := badgerstore.Replace(t.Context(), config, dir+".1", fill("1")); old != "" || err != nil {
		t.Fatalf("in the place of none: %q, %v", old, err)
	}
	holds(dir, "1")
	if err := os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if old, err := badgerstore.Replace(t.Context(), config, dir+".2", fill("2")); old != dir+".2" || err != nil {
		t.Fatalf("in the place of a damaged one: %q, %v", old, err)
	}
	holds(dir, "2")
	broken := errors.New("broken")
	if _, err := badgerstore.Replace(t.Context(), config, dir+".3", func(storage.DB) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("it says %v", err)
	}
	holds(dir, "2")
	if old, err := badgerstore.Replace(t.Context(), config, dir+".4", fill("4")); old != dir+".4" || err != nil {
		t.Fatalf("in the place of another: %q, %v", old, err)
	}
	holds(dir, "4")
	holds(dir+".4", "2")

	db, err := badgerstore.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it was only held
	locked, err := badgerstore.Replace(t.Context(), config, dir+".5", fill("5"))
	if _, ok := errors.AsType[*badgerstore.LockedError](err); !ok || locked != "" {
		t.Errorf("one in use: %v", err)
	}
}

// TestReplaceUnderWhoeverWaits: a server that waits for the store while it is replaced has the new one, and nobody else has it as well.
func TestReplaceUnderWhoeverWaits(t *testing.T) {
	t.Parallel()
	config := badgerstore.Config{Dir: filepath.Join(t.TempDir(), "data"), Now: time.Now, GCEvery: -1, SweepEvery: -1}
	type opened struct {
		db  *badgerstore.DB
		err error
	}
	waits, has := make(chan struct{}), make(chan opened, 1)
	_, err := badgerstore.Replace(t.Context(), config, config.Dir+".1", func(storage.DB) error {
		patient := config
		patient.LockWait = time.Minute
		patient.Logger = slog.New(slog.NewTextHandler(first{waits, new(sync.Once)}, nil))
		go func() {
			db, err := badgerstore.Open(t.Context(), patient)
			has <- opened{db, err}
		}()
		<-waits
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	waiter := <-has
	if waiter.err != nil {
		t.Fatal(waiter.err)
	}
	defer func() { _ = waiter.db.Close() }() // it was only held
	second, err := badgerstore.Open(t.Context(), config)
	if _, ok := errors.AsType[*badgerstore.LockedError](err); !ok {
		t.Errorf("somebody else opens the store too: %v", err)
	}
	if second != nil {
		_ = second.Close() // which is not to be
	}
}

// first closes a channel at the first writing.
type first struct {
	written chan struct{}
	once    *sync.Once
}

func (f first) Write(p []byte) (int, error) {
	f.once.Do(func() { close(f.written) })
	return len(p), nil
}
