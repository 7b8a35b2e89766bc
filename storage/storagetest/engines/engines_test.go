// SPDX-License-Identifier: Apache-2.0

package engines_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			clock := storagetest.NewClock()
			var db storage.DB
			t.Run("open", func(t *testing.T) {
				faulty := e.Open(t, clock.Now)
				db = faulty
				runs := 0
				for range 20 {
					if err := db.Update(t.Context(), func(tx storage.Tx) error {
						runs++
						return tx.Put(storage.Item{Key: "a", Value: []byte("b"), ExpiresAt: clock.Now().Add(time.Second)})
					}); err != nil {
						t.Fatal(err)
					}
				}
				if runs <= 20 {
					t.Errorf("20 closures ran %d times", runs)
				}
				faulty.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrConflict, Nth: 1})
				for _, want := range []error{storage.ErrConflict, nil} {
					if err := db.View(t.Context(), func(storage.Tx) error { return nil }); !errors.Is(err, want) {
						t.Errorf("a view errs with %v, want %v", err, want)
					}
				}
				clock.Advance(time.Second)
				if err := db.View(t.Context(), func(tx storage.Tx) error {
					_, err := tx.Get("a")
					return err
				}); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("after its moment the item is there by another clock: %v", err)
				}
			})
			if err := db.View(t.Context(), func(storage.Tx) error { return nil }); !errors.Is(err, storage.ErrClosed) {
				t.Errorf("after the test the store is open: %v", err)
			}
		})
	}
}
