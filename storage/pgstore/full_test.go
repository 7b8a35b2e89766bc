// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/postgres/wire"
)

// full reports whether a store says that there is no room.
func full(db *pgstore.DB) bool { return errors.Is(db.Health(), storage.ErrFull) }

// TestNoRoom: what the database says of a full disk is told as that, and is over when a write finds room.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	var schema string
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) { schema = c.Schema })
	must(t, err)
	defer db.Close()
	must(t, write(t, db, "a", "1"))
	conn, err := pgx.Connect(t.Context(), server.DSN(t))
	must(t, err)
	defer func() { must(t, conn.Close(t.Context())) }()
	run := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), strings.ReplaceAll(sql, "SCHEMA", schema))
		must(t, err)
	}
	run("CREATE FUNCTION SCHEMA.refuse() RETURNS trigger LANGUAGE plpgsql AS " +
		"$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$")
	run("CREATE TRIGGER refuse BEFORE INSERT ON SCHEMA.items EXECUTE FUNCTION SCHEMA.refuse()")
	for what, err := range map[string]error{
		"put": write(t, db, "a", "2"), "insert": db.Update(t.Context(), func(tx storage.Tx) error { return tx.Insert(storage.Item{Key: "b"}) }),
	} {
		if !errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !full(db) {
		t.Errorf("its health is %v", db.Health())
	}
	if got, err := read(t, db, "a"); err != nil || got != "1" {
		t.Errorf("a view: %q, %v", got, err)
	}
	run("DROP TRIGGER refuse ON SCHEMA.items")
	until(t, "its health is green", func() bool { return db.Health() == nil })
	must(t, write(t, db, "a", "2"))
	var left int
	must(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM "+schema+".items").Scan(&left))
	if left != 1 {
		t.Errorf("there are %d items: looking for room leaves some", left)
	}
}

// TestTheServerHasNoConnections: a server whose connections are all taken by others is told as one that does not answer.
func TestTheServerHasNoConnections(t *testing.T) {
	t.Parallel()
	owned := postgres.Start(t)
	dsn := owned.DSN("postgres", postgres.User)
	w := wire.New(t, dsn)
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) { c.DSN = w.DSN("") })
	must(t, err)
	defer db.Close()
	must(t, write(t, db, "a", "1"))
	w.Cut()
	var others []*pgx.Conn
	leave := func() {
		for _, other := range others {
			must(t, other.Close(t.Context()))
		}
		others = nil
	}
	defer leave()
	until(t, "the server has none left, and its health is red", func() bool {
		other, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			others = append(others, other)
		} else {
			w.Cut() // what the node has taken meanwhile
		}
		return errors.Is(db.Health(), storage.ErrUnavailable) && strings.Contains(db.Health().Error(), "53300")
	})
	for what, err := range map[string]error{"a view": second(read(t, db, "a")), "an update": write(t, db, "a", "2")} {
		if !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
	leave()
	until(t, "all is as before", well(t, db))
	if got, err := read(t, db, "a"); err != nil || got != "1" {
		t.Errorf("at the end: %q, %v", got, err)
	}
}
