// SPDX-License-Identifier: Apache-2.0

package trips

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Count returns db, and counts how often those who use it would wait for a database that is a round trip away, such as that of pgstore,
// which is held to it: for each item that is read, unless the transaction knows it already; once for what is read ahead together, for a
// scan, and for a commit that writes. What is presumed to be absent counts where that is wrong, in a view, or where nothing else is
// committed.
func Count(db storage.DB) *DB { return &DB{DB: db} }

// DB is a store that counts. It is safe for concurrent use.
type DB struct {
	storage.DB
	count atomic.Int64
}

// Trips returns how many there have been.
func (d *DB) Trips() int { return int(d.count.Load()) }

// Watch is that of the store underneath.
func (d *DB) Watch(tables ...string) *storage.Notices { return storage.Watch(d.DB, tables...) }

// View is that of the store underneath.
func (d *DB) View(ctx context.Context, fn func(storage.Tx) error) error {
	return d.DB.View(ctx, func(tx storage.Tx) error { return fn(begin(tx, d)) })
}

// Update is that of the store underneath.
func (d *DB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return d.DB.Update(ctx, func(tx storage.Tx) error {
		counted := begin(tx, d)
		counted.presumed = map[string]bool{}
		err := fn(counted)
		if counted.relies || err == nil && counted.writes {
			d.count.Add(1)
		}
		return err
	})
}

type countedTx struct {
	storage.Tx
	db       *DB
	known    map[string]bool // read or written
	presumed map[string]bool // nil in a view
	together []string        // presumed in a view
	relies   bool            // on what was presumed
	writes   bool
}

func begin(tx storage.Tx, db *DB) *countedTx {
	return &countedTx{Tx: tx, db: db, known: map[string]bool{}}
}

func (t *countedTx) Presume(keys ...string) {
	if t.presumed == nil {
		t.together = append(t.together, keys...)
		return
	}
	for _, key := range keys {
		t.presumed[key] = true
	}
}

// Follow reads what is not known, at once.
func (t *countedTx) Follow(ways []storage.Way, keys ...string) error {
	for _, way := range ways {
		if t.presumed[way.Key] && !t.known[way.Key] {
			continue
		}
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

func (t *countedTx) read(keys ...string) {
	trips := int64(0)
	for _, key := range keys {
		if !t.known[key] {
			t.known[key], trips = true, 1
		}
	}
	t.db.count.Add(trips)
}

// Get reads an item. One that is presumed to be absent, and is not, costs the commit or the look that finds it, and the reading of all that
// are.
func (t *countedTx) Get(key string) (storage.Item, error) {
	item, err := t.Tx.Get(key)
	switch {
	case slices.Contains(t.together, key):
		t.read(append(t.together, key)...)
		t.together = nil
	case !t.presumed[key] || t.known[key]:
		t.read(key)
	case errors.Is(err, storage.ErrNotFound):
		t.relies = true
	default:
		t.db.count.Add(1)
		t.read(slices.Collect(maps.Keys(t.presumed))...)
	}
	return item, err
}

func (t *countedTx) write(key string) { t.known[key], t.writes = true, true }

func (t *countedTx) Put(item storage.Item) error {
	t.write(item.Key)
	return t.Tx.Put(item)
}

func (t *countedTx) Insert(item storage.Item) error {
	t.write(item.Key)
	return t.Tx.Insert(item)
}

func (t *countedTx) Delete(key string) error {
	t.write(key)
	return t.Tx.Delete(key)
}

func (t *countedTx) Scan(prefix, after string, limit int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		t.db.count.Add(1)
		t.Tx.Scan(prefix, after, limit)(yield)
	}
}
