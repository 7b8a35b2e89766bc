// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// TestOneClockIsWrong: each node judges by its own clock what has expired; what is used up is so for all of them, and what one node holds
// for dead is not removed under the others.
func TestOneClockIsWrong(t *testing.T) {
	t.Parallel()
	place, right, ahead := t.TempDir(), storagetest.NewClock(), storagetest.NewClock()
	ahead.Advance(time.Minute)
	use := func(clock *storagetest.Clock) *pgstore.DB {
		db, err := openWith(t, place, clock.Now, nil)
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	}
	here, there := use(right), use(ahead)
	issue := func(code string) {
		t.Helper()
		must(t, here.Update(t.Context(), func(tx storage.Tx) error {
			return tx.Insert(storage.Item{Key: code, Value: []byte("good"), ExpiresAt: right.Now().Add(30 * time.Second)})
		}))
	}
	redeem := func(db storage.DB, code string) error {
		return db.Update(t.Context(), func(tx storage.Tx) error {
			if _, err := tx.Get(code); err != nil {
				return err
			}
			return tx.Delete(code)
		})
	}
	mark := func(db storage.DB, now time.Time) error {
		return db.Update(t.Context(), func(tx storage.Tx) error {
			return tx.Insert(storage.Item{Key: "seen", ExpiresAt: now.Add(30 * time.Second)})
		})
	}
	gone := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}

	issue("code")
	gone("at the node that is ahead", redeem(there, "code"))
	must(t, redeem(here, "code"))
	gone("again", redeem(here, "code"))
	gone("again, at the other", redeem(there, "code"))

	issue("late")
	if removed, err := there.Sweep(t.Context()); err != nil || removed != 0 {
		t.Errorf("the node that is ahead has removed %d, %v", removed, err)
	}
	must(t, redeem(here, "late"))

	ahead.Set(right.Now().Add(-time.Minute)) // and now behind
	issue("old")
	right.Advance(45 * time.Second)
	gone("after its time", redeem(here, "old"))
	must(t, redeem(there, "old")) // once, for whom its time is not over
	gone("again", redeem(there, "old"))

	must(t, mark(here, right.Now()))
	if err := mark(there, ahead.Now()); !errors.Is(err, storage.ErrExists) {
		t.Errorf("a mark that holds, at the node that is behind: %v", err)
	}
	ahead.Set(right.Now().Add(time.Minute))
	must(t, mark(there, ahead.Now())) // for it the mark is over, and so is what was marked
	right.Advance(30 * time.Second)
	if err := mark(here, right.Now()); !errors.Is(err, storage.ErrExists) {
		t.Errorf("a mark that the node ahead has made: %v", err)
	}
}

// TestAClockThatIsFarAhead: a node that believes to live next year takes nothing away from the others.
func TestAClockThatIsFarAhead(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	here, err := openWith(t, place, time.Now, nil)
	must(t, err)
	defer here.Close()
	there, err := openWith(t, place, func() time.Time { return time.Now().AddDate(1, 0, 0) }, nil)
	must(t, err)
	defer there.Close()
	put := func(key string, expires time.Duration) {
		t.Helper()
		must(t, here.Update(t.Context(), func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: key, Value: []byte(key), ExpiresAt: time.Now().Add(expires)})
		}))
	}
	put("dead", -2*time.Hour)
	put("dying", -time.Minute)
	put("alive", time.Hour)
	if removed, err := there.Sweep(t.Context()); err != nil || removed != 1 {
		t.Errorf("the node that is ahead has removed %d, %v; one was dead", removed, err)
	}
	if got, err := read(t, here, "alive"); err != nil || got != "alive" {
		t.Errorf("what is alive: %q, %v", got, err)
	}
}
