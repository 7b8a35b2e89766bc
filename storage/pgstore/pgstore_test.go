// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/differential"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

var server postgres.Shared

func TestMain(m *testing.M) {
	if os.Getenv(nodeDSN) == "" {
		os.Exit(server.Run(m))
	}
	if err := playNode(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
	t.Helper()
	return openWith(t, place, now, nil)
}

func openWith(t testing.TB, place string, now func() time.Time, change func(*pgstore.Config)) (*pgstore.DB, error) {
	t.Helper()
	c := pgstore.Config{DSN: server.DSN(t), Schema: postgres.Schema(place), Now: now, MaxConns: 6, SweepEvery: -1, AcquireTimeout: time.Minute}
	if change != nil {
		change(&c)
	}
	return pgstore.Open(t.Context(), c)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T)  { storagetest.Run(t, open) }
func TestContention(t *testing.T)   { storagetest.RunContention(t, open) }
func TestDifferential(t *testing.T) { differential.Run(t, open) }

// TestOrders: two nodes.
func TestOrders(t *testing.T) {
	t.Parallel()
	place, nodes := t.TempDir(), make([]storage.DB, 2)
	for i := range nodes {
		db, err := open(t, place, time.Now)
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		nodes[i] = db
	}
	differential.Orders(t, 300, nodes...)
}
