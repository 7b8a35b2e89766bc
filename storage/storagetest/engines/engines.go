// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// Engine is one that a test runs over.
type Engine struct {
	// Name is for the subtest.
	Name string
	open func(t testing.TB, now func() time.Time) (storage.DB, error)
}

// All are the engines, the quickest first.
var All = []Engine{
	{"memory", func(_ testing.TB, now func() time.Time) (storage.DB, error) {
		return memstore.Open(memstore.Config{Now: now})
	}},
	{"badger", func(t testing.TB, now func() time.Time) (storage.DB, error) {
		return badgerstore.Open(t.Context(), badgerstore.Config{
			Dir: t.TempDir(), Now: now, GCEvery: -1, SweepEvery: -1, Logger: slog.New(slog.DiscardHandler),
		})
	}},
}

// Open opens an empty store as [Engine.Plain] does. About half of its transaction closures run twice, which half depends on the
// name of the test alone; faults can be injected.
func (e Engine) Open(t testing.TB, now func() time.Time) *storagetest.FaultyDB {
	t.Helper()
	return storagetest.Faulty(storagetest.Twice(e.Plain(t, now), uint64(len(t.Name()))))
}

// Plain opens an empty store that is closed when the test is over.
func (e Engine) Plain(t testing.TB, now func() time.Time) storage.DB {
	t.Helper()
	db, err := e.open(t, now)
	if err != nil {
		t.Fatalf("opening a store: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the test is over
	return db
}
