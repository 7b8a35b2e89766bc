// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"strings"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Waking returns a store like db whose updates wake the loop after they have committed an item, so that it is delivered at once.
// Items of an update that went around it are found within a second.
func (o *Outbox) Waking(db storage.DB) storage.DB { return &waking{DB: db, outbox: o} }

type waking struct {
	storage.DB
	outbox *Outbox
}

// Update is that of the store underneath. A commit whose result is unknown wakes the loop as well: it may have happened.
func (w *waking) Update(ctx context.Context, fn func(storage.Tx) error) error {
	var due bool // by the last run of fn
	err := w.DB.Update(ctx, func(tx storage.Tx) error {
		watched := watchedTx{Tx: tx}
		err := fn(&watched)
		due = watched.due
		return err
	})
	if due && (err == nil || errors.Is(err, storage.ErrUnknown)) {
		w.outbox.Wake()
	}
	return err
}

// Health is that of the store underneath.
func (w *waking) Health() error { return storage.Health(w.DB) }

// Watch is that of the store underneath.
func (w *waking) Watch(tables ...string) *storage.Notices { return storage.Watch(w.DB, tables...) }

// watchedTx notices the entry that a new line makes.
type watchedTx struct {
	storage.Tx
	due bool
}

// Put notices due entries.
func (t *watchedTx) Put(item storage.Item) error {
	t.due = t.due || strings.HasPrefix(item.Key, duePrefix)
	return t.Tx.Put(item)
}

// Follow is that of the transaction underneath.
func (t *watchedTx) Follow(ways []storage.Way, keys ...string) error {
	return storage.Follow(t.Tx, ways, keys...)
}

// Presume is that of the transaction underneath.
func (t *watchedTx) Presume(keys ...string) { storage.Presume(t.Tx, keys...) }

var (
	_ storage.Reporter   = (*waking)(nil)
	_ storage.Watcher    = (*waking)(nil)
	_ storage.Prefetcher = (*watchedTx)(nil)
	_ storage.Presumer   = (*watchedTx)(nil)
)
