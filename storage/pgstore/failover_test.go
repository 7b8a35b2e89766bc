// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// well reports whether a store takes writes and says so.
func well(t testing.TB, db *pgstore.DB) func() bool {
	return func() bool { return write(t, db, "well", "yes") == nil && db.Health() == nil }
}

// ill reports whether a store says that it takes no writes.
func ill(db *pgstore.DB) func() bool {
	return func() bool { return errors.Is(db.Health(), storage.ErrUnavailable) }
}

// TestReadOnly: a database that takes no writes is seen without anybody writing, read all the same, and used again once it does.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	owned := postgres.Start(t)
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) { c.DSN = owned.DSN("postgres", postgres.User) })
	must(t, err)
	defer db.Close()
	must(t, write(t, db, "a", "1"))
	owned.ReadOnly(t, true)
	until(t, "its health is red", ill(db))
	if err := write(t, db, "a", "2"); !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
		t.Errorf("a write: %v", err)
	}
	if got, err := read(t, db, "a"); err != nil || got != "1" {
		t.Errorf("a view: %q, %v", got, err)
	}
	owned.ReadOnly(t, false)
	until(t, "its health is green", func() bool { return db.Health() == nil })
	must(t, write(t, db, "a", "2"))
}

// TestFailover: nodes use the one of two hosts that takes writes, whichever it is, and go over to the other when it does.
func TestFailover(t *testing.T) {
	t.Parallel()
	first := postgres.Start(t)
	other := first.Standby(t)
	place := t.TempDir()
	use := func(one, two *postgres.Server) *pgstore.DB {
		db, err := openWith(t, place, time.Now, func(c *pgstore.Config) {
			c.DSN = fmt.Sprintf("host=%s,%s dbname=postgres user=%s target_session_attrs=read-write", one.Dir(), two.Dir(), postgres.User)
		})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	}
	nodes := map[string]*pgstore.DB{"standby last": use(first, other), "standby first": use(other, first)}
	for name, db := range nodes {
		must(t, write(t, db, name, "before"))
	}
	has := func(name string) bool { // what a standby has not been sent is lost with the other
		direct, err := openWith(t, place, time.Now, func(c *pgstore.Config) { c.DSN = other.DSN("postgres", postgres.User) })
		if err != nil {
			return false
		}
		defer direct.Close()
		got, err := read(t, direct, name)
		return err == nil && got == "before"
	}
	for name := range nodes {
		until(t, "the standby has it all", func() bool { return has(name) })
	}
	first.ReadOnly(t, true)
	for _, db := range nodes {
		until(t, "its health is red", ill(db))
	}
	other.Promote(t)
	for name, db := range nodes {
		until(t, "it has gone over", well(t, db))
		if got, err := read(t, db, name); err != nil || got != "before" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		must(t, write(t, db, name, "after"))
	}
	first.Stop(t)
	third := use(first, other)
	for name := range nodes {
		if got, err := read(t, third, name); err != nil || got != "after" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	other.Stop(t)
	until(t, "its health is red", ill(third))
	other.Restart(t)
	for _, db := range nodes {
		until(t, "all is as before", well(t, db))
	}
}
