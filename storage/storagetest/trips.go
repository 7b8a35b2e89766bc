// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Trips returns db, and counts how often those who use it would wait for a database that is a round trip away, such as that of pgstore,
// which is held to it: for each item that is read, unless the transaction knows it already; once for what is read ahead together, for a
// scan, and for a commit that writes.
func Trips(db storage.DB) *TripsDB { return &TripsDB{DB: db} }

// TripsDB is a store that counts. It is safe for concurrent use.
type TripsDB struct {
	storage.DB
	count atomic.Int64
}

// Count returns how many round trips there have been.
func (d *TripsDB) Count() int { return int(d.count.Load()) }

// Watch is that of the store underneath.
func (d *TripsDB) Watch(tables ...string) *storage.Notices { return storage.Watch(d.DB, tables...) }

// View is that of the store underneath.
func (d *TripsDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	return d.DB.View(ctx, func(tx storage.Tx) error { return fn(newTripsTx(tx, d)) })
}

// Update is that of the store underneath.
func (d *TripsDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return d.DB.Update(ctx, func(tx storage.Tx) error {
		counted := newTripsTx(tx, d)
		err := fn(counted)
		if err == nil && counted.writes {
			d.count.Add(1)
		}
		return err
	})
}

type tripsTx struct {
	storage.Tx
	db     *TripsDB
	known  map[string]bool // read or written
	writes bool
}

func newTripsTx(tx storage.Tx, db *TripsDB) *tripsTx {
	return &tripsTx{Tx: tx, db: db, known: map[string]bool{}}
}

// Follow reads what is not known, at once.
func (t *tripsTx) Follow(ways []storage.Way, keys ...string) error {
	for _, way := range ways {
		keys = append(keys, way.Key)
		switch item, err := t.Tx.Get(way.Key); {
		case err == nil:
			keys = append(keys, way.Prefix+string(item.Value))
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
	}
	t.read(keys...)
	return nil
}

func (t *tripsTx) read(keys ...string) {
	trips := int64(0)
	for _, key := range keys {
		if !t.known[key] {
			t.known[key], trips = true, 1
		}
	}
	t.db.count.Add(trips)
}

func (t *tripsTx) Get(key string) (storage.Item, error) {
	t.read(key)
	return t.Tx.Get(key)
}

func (t *tripsTx) write(key string) { t.known[key], t.writes = true, true }

func (t *tripsTx) Put(item storage.Item) error {
	t.write(item.Key)
	return t.Tx.Put(item)
}

func (t *tripsTx) Insert(item storage.Item) error {
	t.write(item.Key)
	return t.Tx.Insert(item)
}

func (t *tripsTx) Delete(key string) error {
	t.write(key)
	return t.Tx.Delete(key)
}

func (t *tripsTx) Scan(prefix, after string, limit int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		t.db.count.Add(1)
		t.Tx.Scan(prefix, after, limit)(yield)
	}
}
