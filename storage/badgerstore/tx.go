// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/pending"
)

// space of names in Badger: its own keys begin with "!", ours with this.
const namespace = "d"

// tx is one run of a closure: a Badger snapshot, what was read of it and what is to be written.
type tx struct {
	txn       *badger.Txn
	snapshot  uint64
	leave     func(snapshot uint64)
	now       time.Time // read once, so that one transaction sees one instant
	cancelled func() error
	writable  bool
	over      bool

	reads     []string
	writes    pending.Writes
	iterators map[*badger.Iterator]struct{}
}

// begin takes a snapshot, which holds every update that was acknowledged before.
func (db *DB) begin(ctx context.Context, writable bool) *tx {
	history := db.commits.history
	snapshot := history.enter()
	t := &tx{
		txn: db.badger.NewTransactionAt(snapshot, false), snapshot: snapshot, leave: history.leave,
		now: db.config.Now(), cancelled: ctx.Err, writable: writable,
	}
	if writable {
		t.writes = pending.Writes{}
	}
	return t
}

// finish ends the closure's use of the transaction. Iterators that it left open are closed first, because Badger panics
// over them.
func (t *tx) finish() {
	if t.over {
		return
	}
	t.over = true
	for iterator := range t.iterators {
		iterator.Close()
	}
	t.txn.Discard()
}

// end gives the snapshot free. An update keeps it until the verdict, which is about what was written since.
func (t *tx) end() {
	t.finish()
	t.leave(t.snapshot)
}

// Get returns the live item at key.
func (t *tx) Get(key string) (storage.Item, error) {
	if t.over {
		return storage.Item{}, pending.ErrOver
	}
	item, found, err := t.load(key)
	switch {
	case err != nil:
		return storage.Item{}, err
	case !found || !item.Live(t.now):
		return storage.Item{}, storage.ErrNotFound
	}
	return item, nil
}

// load returns the item at key, live or not.
func (t *tx) load(key string) (item storage.Item, found bool, err error) {
	if own, ok := t.writes[key]; ok {
		if own == nil {
			return item, false, nil
		}
		return pending.Clone(own), true, nil
	}
	t.note(key)
	defer recoverDamage(&err)
	stored, err := t.txn.Get([]byte(namespace + key))
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return item, false, nil
	case err != nil:
		return item, false, unreadable(err)
	}
	item, err = decode(key, stored)
	return item, err == nil, err
}

// decode returns Badger's item as ours, with a value of its own.
func decode(key string, stored *badger.Item) (storage.Item, error) {
	item := storage.Item{Key: key}
	err := stored.Value(func(value []byte) error {
		expires, rest, err := openEnvelope(value)
		item.ExpiresAt, item.Value = expires, bytes.Clone(rest)
		return err
	})
	if err != nil {
		return storage.Item{}, unreadable(err)
	}
	return item, nil
}

// Put writes an item whether or not the key is taken.
func (t *tx) Put(item storage.Item) error {
	if t.over {
		return pending.ErrOver
	}
	return t.writes.Put(item)
}

// Insert writes an item and refuses a live key.
func (t *tx) Insert(item storage.Item) error {
	if t.over {
		return pending.ErrOver
	}
	return t.writes.Insert(item, t.Get)
}

// Delete removes the item at key, if there is one.
func (t *tx) Delete(key string) error {
	if t.over {
		return pending.ErrOver
	}
	return t.writes.Delete(key)
}

// note remembers what was read; the committer compares it.
func (t *tx) note(key string) {
	if t.writable {
		t.reads = append(t.reads, key)
	}
}
