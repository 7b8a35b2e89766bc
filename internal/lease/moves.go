// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Moves reports whether anybody takes or renews a lease while it is watched, which is for as long as whoever is there would need: not at all
// where nobody ever had it, a few seconds where it was given back, and longer than [Term] where its holder may have been killed.
func Moves(ctx context.Context, db storage.DB, name string) (bool, error) {
	first, err := look(ctx, db, name)
	if err != nil || first == (record{}) {
		return false, err
	}
	watch := Term + 2*Renewal
	if first.Holder == "" {
		watch = 3 * Renewal
	}
	end, again := time.NewTimer(watch), time.NewTicker(Renewal/2)
	defer end.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-end.C:
			return false, nil
		case <-again.C:
		}
		now, err := look(ctx, db, name)
		if err != nil || now != first {
			return err == nil, err
		}
	}
}

// look returns what stands there.
func look(ctx context.Context, db storage.DB, name string) (found record, err error) {
	table := newTable()
	err = db.View(ctx, func(tx storage.Tx) error {
		found, _, err = table.Find(tx, name)
		return err
	})
	if err != nil {
		return record{}, fmt.Errorf("looking at the lease %q: %w", name, err)
	}
	return found, nil
}
