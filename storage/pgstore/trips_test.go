// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/trips"
)

func TestConformanceWhenClosuresRunTwice(t *testing.T) {
	storagetest.RunContention(t, func(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
		db, err := open(t, place, now)
		if err != nil {
			return nil, err
		}
		return storagetest.Twice(db, 1), nil
	})
}

// counted opens a store that counts how often somebody waits for the database.
func counted(t *testing.T) (*pgstore.DB, *atomic.Int64) {
	t.Helper()
	waits := new(atomic.Int64)
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) {
		c.Observe = func(op string, _ time.Duration, _ error) {
			if op == "trip" {
				waits.Add(1)
			}
		}
	})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db, waits
}

type tripsRecord struct{ ID, Login, Group string }

var (
	tripsTable = storage.Table[tripsRecord]{
		Name: "r", Version: 1, ID: func(r *tripsRecord) string { return r.ID },
		Indexes: []storage.Index[tripsRecord]{
			{Name: "login", Unique: true, Values: func(r *tripsRecord) []string { return []string{r.Login} }},
			{Name: "group", Values: func(r *tripsRecord) []string { return []string{r.Group} }},
		},
	}
	besideTable = storage.Table[tripsRecord]{Name: "s", Version: 1, ID: func(r *tripsRecord) string { return r.ID }}
)

// TestTrips: how often a transaction waits for the database, and that package trips counts the same.
func TestTrips(t *testing.T) {
	t.Parallel()
	db, waits := counted(t)
	memory, err := memstore.Open(memstore.Config{Now: time.Now})
	must(t, err)
	model := trips.Count(memory)
	get := func(tx storage.Tx, keys ...string) error {
		for _, key := range keys {
			if _, err := tx.Get(key); err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
		return nil
	}
	put := func(tx storage.Tx, keys ...string) error {
		for _, key := range keys {
			if err := tx.Put(storage.Item{Key: key}); err != nil {
				return err
			}
		}
		return nil
	}
	lookup := func(tx storage.Tx, login, id string) error {
		switch got, err := tripsTable.Lookup(tx, "login", login); {
		case id == "" && errors.Is(err, storage.ErrNotFound):
			return nil
		case err != nil || got.ID != id:
			return fmt.Errorf("%s is %q, %w", login, got.ID, err)
		}
		return nil
	}
	find := func(tx storage.Tx, id string) error {
		_, _, err := besideTable.Find(tx, id)
		return err
	}
	type do = func(storage.DB, context.Context, func(storage.Tx) error) error
	view, update := do(storage.DB.View), do(storage.DB.Update)
	for _, db := range []storage.DB{db, model} {
		must(t, db.Update(t.Context(), func(tx storage.Tx) error {
			ended := tx.Put(storage.Item{Key: "ended", ExpiresAt: time.Now().Add(-time.Minute)})
			return errors.Join(ended, put(tx, "a", "b", "c", "d", "e", "f"), tripsTable.Insert(tx, tripsRecord{ID: "1", Login: "ann"}),
				tripsTable.Insert(tx, tripsRecord{ID: "2", Login: "bob"}), besideTable.Insert(tx, tripsRecord{ID: "1"}))
		}))
	}
	for _, test := range []struct {
		name string
		want int64
		do   do
		fn   func(storage.Tx) error
	}{
		{"a view of one item", 1, view, func(tx storage.Tx) error { return get(tx, "a") }},
		{"the same item twice", 1, view, func(tx storage.Tx) error { return get(tx, "a", "a") }},
		{"three items", 3, view, func(tx storage.Tx) error { return get(tx, "a", "b", "x") }},
		{"three items, told before", 1, view, func(tx storage.Tx) error {
			return errors.Join(storage.Prefetch(tx, "a", "b", "x"), get(tx, "a", "b", "x"))
		}},
		{"a record by its unique index", 1, view, func(tx storage.Tx) error { return lookup(tx, "ann", "1") }},
		{"one that is not there", 1, view, func(tx storage.Tx) error { return lookup(tx, "nobody", "") }},
		{"two, and one of them again", 2, update, func(tx storage.Tx) error {
			return errors.Join(lookup(tx, "ann", "1"), lookup(tx, "bob", "2"), lookup(tx, "ann", "1"))
		}},
		{"two, told before, with what else is theirs", 1, view, func(tx storage.Tx) error {
			ann, bob := tripsTable.Way("login", "ann"), tripsTable.Way("login", "bob")
			return errors.Join(storage.Follow(tx, []storage.Way{ann, bob, besideTable.From(ann.Key), besideTable.From(bob.Key)}, "a", "x"),
				lookup(tx, "ann", "1"), lookup(tx, "bob", "2"), find(tx, "1"), find(tx, "2"), get(tx, "a", "x"))
		}},
		{"what an entry leads to that is known", 2, view, func(tx storage.Tx) error {
			return errors.Join(get(tx, tripsTable.UniqueKey("login", "ann")), lookup(tx, "ann", "1"))
		}},
		{"an entry of its own, which is looked for", 2, update, func(tx storage.Tx) error {
			return errors.Join(tripsTable.Replace(tx, nil, tripsRecord{ID: "3", Login: "cy"}), lookup(tx, "cy", "3"), tripsTable.Delete(tx, "3"))
		}},
		{"what is presumed and written", 1, update, func(tx storage.Tx) error {
			storage.Presume(tx, "p", "q", "ended", "never asked for")
			return errors.Join(get(tx, "p", "q", "ended"), put(tx, "p", "ended"), tx.Insert(storage.Item{Key: "q"}))
		}},
		{"what is presumed, among what is read", 2, update, func(tx storage.Tx) error {
			storage.Presume(tx, "u")
			return errors.Join(get(tx, "a", "u"), put(tx, "a"))
		}},
		{"a new record, presumed to be", 1, update, func(tx storage.Tx) error {
			storage.Presume(tx, tripsTable.Key("4"), tripsTable.UniqueKey("login", "dee"))
			return errors.Join(lookup(tx, "dee", ""), tripsTable.Put(tx, tripsRecord{ID: "4", Login: "dee"}))
		}},
		{"what is presumed, told before", 2, update, func(tx storage.Tx) error {
			storage.Presume(tx, "u")
			return errors.Join(storage.Prefetch(tx, "u", "a"), get(tx, "u", "a"), put(tx, "a"))
		}},
		{"what is presumed, and nothing else", 1, update, func(tx storage.Tx) error {
			storage.Presume(tx, "u", "v")
			return get(tx, "u", "v")
		}},
		{"what is presumed wrongly", 3, update, func(tx storage.Tx) error {
			storage.Presume(tx, "d")
			return errors.Join(get(tx, "d"), put(tx, "b"))
		}},
		{"what is presumed wrongly and known by then", 2, update, func(tx storage.Tx) error {
			return errors.Join(get(tx, "a"), func() error { storage.Presume(tx, "a"); return get(tx, "a") }(), put(tx, "b"))
		}},
		{"what is presumed in a view", 2, view, func(tx storage.Tx) error {
			storage.Presume(tx, "u", "v", "a")
			return get(tx, "u", "v", "a", "b")
		}},
		{"two that are presumed wrongly", 3, update, func(tx storage.Tx) error {
			storage.Presume(tx, "e", "f", "u")
			return errors.Join(get(tx, "e", "f", "u"), put(tx, "b"))
		}},
		{"writes alone", 1, update, func(tx storage.Tx) error { return put(tx, "a", "b", "c", "d") }},
		{"an insert", 1, update, func(tx storage.Tx) error { return tx.Insert(storage.Item{Key: "new"}) }},
		{"read and write", 2, update, func(tx storage.Tx) error { return errors.Join(get(tx, "a"), put(tx, "a", "b"), tx.Delete("c")) }},
		{"an update that writes nothing", 1, update, func(tx storage.Tx) error { return get(tx, "a") }},
		{"nothing", 0, update, func(storage.Tx) error { return nil }},
	} {
		before := waits.Load()
		must(t, test.do(db, t.Context(), test.fn))
		if got := waits.Load() - before; got != test.want {
			t.Errorf("%s: %d round trips, want %d", test.name, got, test.want)
		}
		before = int64(model.Trips())
		must(t, test.do(model, t.Context(), test.fn))
		if got := int64(model.Trips()) - before; got != test.want {
			t.Errorf("%s: %d round trips are counted in memory, want %d", test.name, got, test.want)
		}
	}
}

// TestAPresumptionIsWrongOnce: what was there is read at once the next time, as long as it is there; an insert beside it is not looked at.
func TestAPresumptionIsWrongOnce(t *testing.T) {
	t.Parallel()
	db, waits := counted(t)
	must(t, db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: "cut", Value: []byte("1")}) }))
	n := 0
	login := func(want int64, cut bool) {
		t.Helper()
		before := waits.Load()
		must(t, db.Update(t.Context(), func(tx storage.Tx) error {
			n++
			storage.Presume(tx, "cut", "other")
			_, err := tx.Get("cut")
			if (err == nil) != cut && n > 1 {
				return fmt.Errorf("run %d finds %w", n, err)
			}
			_, _ = tx.Get("other")
			return tx.Insert(storage.Item{Key: fmt.Sprint("session", n)})
		}))
		if got := waits.Load() - before; got != want {
			t.Errorf("%d round trips, want %d", got, want)
		}
	}
	login(3, true) // the commit that fails, the reading, and the commit
	login(2, true)
	must(t, db.Update(t.Context(), func(tx storage.Tx) error { return tx.Delete("cut") }))
	login(2, false)
	login(1, false)
	must(t, db.View(t.Context(), func(tx storage.Tx) error {
		storage.Presume(tx, "session2")
		_, err := tx.Get("session2")
		return err
	}))
	before := waits.Load()
	must(t, db.Update(t.Context(), func(tx storage.Tx) error {
		storage.Presume(tx, "session2")
		item, err := tx.Get("session2")
		return errors.Join(err, tx.Put(item))
	}))
	if got := waits.Load() - before; got != 2 {
		t.Errorf("what a view has met: %d round trips, want 2", got)
	}
}

// TestAListReadsTogether: records of an index come in pages and not one by one.
func TestAListReadsTogether(t *testing.T) {
	t.Parallel()
	db, waits := counted(t)
	for i := range 40 {
		must(t, db.Update(t.Context(), func(tx storage.Tx) error {
			return tripsTable.Insert(tx, tripsRecord{ID: fmt.Sprintf("%02d", i), Login: fmt.Sprint(i), Group: "g"})
		}))
	}
	waits.Store(0)
	n := 0
	must(t, db.View(t.Context(), func(tx storage.Tx) error {
		for r, err := range tripsTable.List(tx, "group", "g", "", 0) {
			if err != nil || r.Group != "g" {
				return errors.Join(err, errors.New("another record"))
			}
			n++
		}
		return nil
	}))
	if n != 40 || waits.Load() > 3 {
		t.Errorf("%d records in %d round trips", n, waits.Load())
	}
}

// TestMigrations: nodes that start together make the tables once; a database of a newer release is left as it is.
func TestMigrations(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			db, err := openWith(t, place, time.Now, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	var schema string
	db, err := openWith(t, place, time.Now, func(c *pgstore.Config) { schema = c.Schema })
	must(t, err)
	must(t, db.Close())
	conn, err := pgx.Connect(t.Context(), server.DSN(t))
	must(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	var versions []int32
	must(t, conn.QueryRow(t.Context(), "SELECT array_agg(version) FROM "+schema+".migrations").Scan(&versions))
	if len(versions) != 1 || versions[0] != 1 {
		t.Errorf("applied are %v", versions)
	}
	_, err = conn.Exec(t.Context(), "INSERT INTO "+schema+".migrations (version) VALUES (99)")
	must(t, err)
	if _, err := openWith(t, place, time.Now, nil); !errors.Is(err, pgstore.ErrNewer) {
		t.Errorf("a newer database: %v", err)
	}
}

// TestOpenRefuses: what cannot be is said without the password.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []pgstore.Config{
		{Now: time.Now}, {DSN: server.DSN(t)}, {DSN: "postgres://u:sesame@%zz/", Now: time.Now},
		{DSN: "host=/nowhere user=u password=sesame", Now: time.Now},
	} {
		db, err := pgstore.Open(t.Context(), c)
		if err == nil {
			_ = db.Close()
			t.Errorf("%+v was taken", c)
			continue
		}
		if msg := err.Error(); len(msg) == 0 || strings.Contains(msg, "sesame") {
			t.Errorf("it says %q", msg)
		}
	}
}

// TestSweep: what is dead for an hour goes, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db, err := openWith(t, t.TempDir(), clock.Now, nil)
	must(t, err)
	defer db.Close()
	for _, item := range []storage.Item{
		{Key: "never"}, {Key: "dead", ExpiresAt: clock.Now().Add(time.Second)}, {Key: "later", ExpiresAt: clock.Now().Add(2 * time.Hour)},
	} {
		must(t, db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(item) }))
	}
	for i := range 11 { // in batches
		must(t, db.Update(t.Context(), func(tx storage.Tx) error {
			for j := range storage.MaxWrites {
				if err := tx.Put(storage.Item{Key: fmt.Sprintf("many/%d/%d", i, j), ExpiresAt: clock.Now().Add(time.Second)}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for _, test := range []struct {
		after time.Duration
		want  int
	}{{time.Second, 0}, {time.Hour, 11*storage.MaxWrites + 1}, {0, 0}, {3 * time.Hour, 1}} {
		clock.Advance(test.after)
		removed, err := db.Sweep(t.Context())
		must(t, err)
		if removed != test.want {
			t.Errorf("after another %v %d are removed, want %d", test.after, removed, test.want)
		}
	}
}
