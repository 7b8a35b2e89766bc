// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Open opens the store at a place, with now as its clock. A place is a directory that belongs to the test; an engine that
// lives elsewhere takes it as a name. The same place is the same store. An engine that only one handle may hold refuses to
// open a place that is open, and is spared clause 10.
type Open func(t testing.TB, place string, now func() time.Time) (storage.DB, error)

// Run proves that an engine keeps the contract, clause by clause.
func Run(t *testing.T, open Open) {
	clauses := []struct {
		name  string
		tests []test
	}{
		{"1 one snapshot, all or nothing", atomicity},
		{"2 no update is lost", isolation},
		{"3 scan", scans},
		{"4 closures run again, within bounds", retries},
		{"5 insert", inserts},
		{"6 expiry at the injected clock", expiries},
		{"7 values and limits", limits},
		{"8 cancellation", cancellations},
		{"9 close", closings},
		{"10 two handles on one store", handles},
		{"notices", notices},
		{"reading ahead", readingAhead},
		{"presuming", presuming},
	}
	for _, clause := range clauses {
		t.Run(clause.name, func(t *testing.T) {
			t.Parallel()
			for _, test := range clause.tests {
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					test.run(newFixture(t, open))
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(*fixture)
}

// fixture is one store and the words in which the tests speak of it. Its helpers end the test when the store errs.
type fixture struct {
	*testing.T
	open  Open
	place string
	clock *Clock
	db    storage.DB
}

func newFixture(t *testing.T, open Open) *fixture {
	t.Helper()
	f := &fixture{T: t, open: open, place: t.TempDir(), clock: NewClock()}
	db, err := open(t, f.place, f.clock.Now)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	f.db = db
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return f
}

func (f *fixture) update(fn func(storage.Tx) error) {
	f.Helper()
	if err := f.db.Update(f.Context(), fn); err != nil {
		f.Fatalf("updating: %v", err)
	}
}

func (f *fixture) view(fn func(storage.Tx) error) {
	f.Helper()
	if err := f.db.View(f.Context(), fn); err != nil {
		f.Fatalf("viewing: %v", err)
	}
}

// put writes pairs of key and value in one update.
func (f *fixture) put(pairs ...string) {
	f.Helper()
	f.update(func(tx storage.Tx) error { return put(tx, pairs...) })
}

// wantValue checks what a fresh View sees at key; "" is nothing.
func (f *fixture) wantValue(key, want string) {
	f.Helper()
	f.view(func(tx storage.Tx) error {
		f.Helper()
		if got := value(f, tx, key); got != want {
			f.Errorf("value of %q is %q, want %q", key, got, want)
		}
		return nil
	})
}

// wantError checks an error by identity.
func (f *fixture) wantError(what string, got, want error) {
	f.Helper()
	if !errors.Is(got, want) {
		f.Errorf("%s: error is %v, want %v", what, got, want)
	}
}

func put(tx storage.Tx, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := tx.Put(storage.Item{Key: pairs[i], Value: []byte(pairs[i+1])}); err != nil {
			return err
		}
	}
	return nil
}

// value returns the value at key, or "" when there is none.
func value(t interface{ Errorf(string, ...any) }, tx storage.Tx, key string) string {
	item, err := tx.Get(key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return ""
	case err != nil:
		t.Errorf("getting %q: %v", key, err)
		return "?"
	case item.Key != key:
		t.Errorf("getting %q: the item's key is %q", key, item.Key)
	}
	return string(item.Value)
}

// keys returns the keys of a scan.
func keys(t interface{ Errorf(string, ...any) }, tx storage.Tx, prefix, after string, limit int) []string {
	found := []string{}
	for item, err := range tx.Scan(prefix, after, limit) {
		if err != nil {
			t.Errorf("scanning %q after %q: %v", prefix, after, err)
			break
		}
		found = append(found, item.Key)
	}
	return found
}

// bump adds one to the decimal number at key; an absent number is zero.
func bump(tx storage.Tx, key string) error {
	count := 0
	item, err := tx.Get(key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return err
	default:
		if _, err := fmt.Sscan(string(item.Value), &count); err != nil {
			return fmt.Errorf("reading the counter %q: %w", key, err)
		}
	}
	return put(tx, key, fmt.Sprint(count+1))
}

// beside runs an update of one pair to its end, for use inside the closure of another.
func beside(ctx context.Context, db storage.DB, pairs ...string) error {
	return db.Update(ctx, func(tx storage.Tx) error { return put(tx, pairs...) })
}
