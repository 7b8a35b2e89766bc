// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/trips"
)

// TestWakingPassesOn: what the transaction underneath can do, one of a store that wakes can do as well.
func TestWakingPassesOn(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		counted := trips.Count(w.db)
		err := w.box.Waking(counted).Update(w.t.Context(), func(tx storage.Tx) error {
			storage.Presume(tx, "absent")
			err := storage.Follow(tx, []storage.Way{{Key: "way", Prefix: "end/"}}, "other")
			for _, key := range []string{"absent", "way", "other"} {
				if _, missing := tx.Get(key); !errors.Is(missing, storage.ErrNotFound) {
					err = errors.Join(err, missing, errors.New("something is there"))
				}
			}
			return errors.Join(err, tx.Put(storage.Item{Key: "absent"}))
		})
		if err != nil || counted.Trips() != 2 {
			w.t.Errorf("%d round trips, want one reading and the commit; %v", counted.Trips(), err)
		}
	})
}
