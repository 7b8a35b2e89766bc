// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"iter"

	"github.com/gatehouse-id/gatehouse/storage"
)

// ErrFrail is what the operation gets that [FrailDB.Break] makes fail.
var ErrFrail = errors.New("the block cannot be read")

// Frail returns db of which one operation within a transaction can be made to fail. Until then it is db.
func Frail(db storage.DB) *FrailDB { return &FrailDB{DB: db} }

// FrailDB is a store that fails in the middle of a transaction. It is for one goroutine.
type FrailDB struct {
	storage.DB
	left   int // until the operation that fails; zero is none
	broken bool
}

// Break makes the nth operation from now on fail with [ErrFrail], once: a Get, Put, Insert or Delete, an item of a Scan, or a
// reading ahead.
func (f *FrailDB) Break(nth int) { f.left, f.broken = nth, false }

// Broken reports whether the operation that was to fail has been reached.
func (f *FrailDB) Broken() bool { return f.broken }

// View is that of the store underneath.
func (f *FrailDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	return f.DB.View(ctx, func(tx storage.Tx) error { return fn(&frailTx{tx, f}) })
}

// Update is that of the store underneath.
func (f *FrailDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return f.DB.Update(ctx, func(tx storage.Tx) error { return fn(&frailTx{tx, f}) })
}

// Watch is that of the store underneath.
func (f *FrailDB) Watch(tables ...string) *storage.Notices { return storage.Watch(f.DB, tables...) }

func (f *FrailDB) strike() error {
	if f.left == 0 {
		return nil
	}
	if f.left--; f.left > 0 {
		return nil
	}
	f.broken = true
	return ErrFrail
}

type frailTx struct {
	storage.Tx
	db *FrailDB
}

func (t *frailTx) Follow(ways []storage.Way, keys ...string) error {
	if err := t.db.strike(); err != nil {
		return err
	}
	return storage.Follow(t.Tx, ways, keys...)
}

func (t *frailTx) Presume(keys ...string) { storage.Presume(t.Tx, keys...) }

func (t *frailTx) Get(key string) (storage.Item, error) {
	if err := t.db.strike(); err != nil {
		return storage.Item{}, err
	}
	return t.Tx.Get(key)
}

func (t *frailTx) Put(item storage.Item) error {
	if err := t.db.strike(); err != nil {
		return err
	}
	return t.Tx.Put(item)
}

func (t *frailTx) Insert(item storage.Item) error {
	if err := t.db.strike(); err != nil {
		return err
	}
	return t.Tx.Insert(item)
}

func (t *frailTx) Delete(key string) error {
	if err := t.db.strike(); err != nil {
		return err
	}
	return t.Tx.Delete(key)
}

func (t *frailTx) Scan(prefix, after string, limit int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		for item, err := range t.Tx.Scan(prefix, after, limit) {
			if broken := t.db.strike(); broken != nil {
				yield(storage.Item{}, broken)
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
}
