// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/pending"
)

// tx is one run of a closure. It has no connection before its first reading.
type tx struct {
	db       *DB
	ctx      context.Context
	now      time.Time // read once, so that one transaction sees one instant
	beginSQL string
	doubts   doubts
	over     bool

	conn     *pgxpool.Conn
	failed   error // what the database said; all that follows gets it as well
	known    map[string]*storage.Item
	writes   pending.Writes
	free     map[string]struct{} // keys that are inserted and taken to be free
	presumed map[string]bool     // keys that are taken to be absent, and whether the closure was told so
	together []string            // keys that are not, and are read together
}

// doubts are what a transaction does not take to be free or absent without looking, since that was wrong before.
type doubts struct{ inserts, presumptions bool }

func (db *DB) begin(ctx context.Context, writable bool, doubts doubts) *tx {
	t := &tx{db: db, ctx: ctx, now: db.config.Now(), beginSQL: beginView, doubts: doubts, known: map[string]*storage.Item{}}
	if writable {
		t.beginSQL, t.writes, t.free, t.presumed = beginUpdate, pending.Writes{}, map[string]struct{}{}, map[string]bool{}
	}
	return t
}

// end ends the closure's use of the transaction, and rolls back what is not committed. Nobody waits for that.
func (t *tx) end() {
	t.over = true
	conn := t.conn
	if conn == nil {
		return
	}
	t.conn = nil
	if status := conn.Conn().PgConn().TxStatus(); status == 'I' || conn.Conn().IsClosed() {
		conn.Release()
		return
	}
	t.db.entered.Add(1)
	go func() {
		defer t.db.entered.Done()
		defer conn.Release() // which closes a connection that is still in a transaction
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), t.db.config.Timeout)
		defer cancel()
		_, _ = conn.Exec(ctx, "ROLLBACK")
	}()
}

// usable returns why nothing can be done any more.
func (t *tx) usable() error {
	switch {
	case t.over:
		return pending.ErrOver
	case t.failed != nil:
		return t.failed
	}
	return t.ctx.Err()
}

// fail remembers what the database said, so that a closure that goes on all the same commits nothing.
func (t *tx) fail(err error) error {
	t.failed = err
	return err
}

// main returns the key by which losers queue.
func (t *tx) main() string {
	first := ""
	for key := range t.writes {
		if first == "" || key < first {
			first = key
		}
	}
	return first
}

// Get returns the live item at key.
func (t *tx) Get(key string) (storage.Item, error) {
	if err := t.usable(); err != nil {
		return storage.Item{}, err
	}
	item, told := t.told(key)
	if !told && !t.rely(key) {
		if err := t.find(key); err != nil {
			return storage.Item{}, err
		}
		item = t.known[key]
	}
	if item == nil || !item.Live(t.now) {
		return storage.Item{}, storage.ErrNotFound
	}
	return pending.Clone(item), nil
}

// Put writes an item whether or not the key is taken.
func (t *tx) Put(item storage.Item) error {
	if t.over {
		return pending.ErrOver
	}
	return t.writes.Put(item)
}

// Insert writes an item and refuses a live key. One of which nothing is known is taken to be free, and one that is presumed to be is
// relied on; where it is not, the closure runs again and is told.
func (t *tx) Insert(item storage.Item) error {
	if err := t.usable(); err != nil {
		return err
	}
	if _, told := t.told(item.Key); t.doubts.inserts || told || t.rely(item.Key) {
		return t.writes.Insert(item, t.Get)
	}
	if err := t.writes.Put(item); err != nil {
		return err
	}
	t.free[item.Key] = struct{}{}
	return nil
}

// Delete removes the item at key, if there is one.
func (t *tx) Delete(key string) error {
	if err := t.usable(); err != nil {
		return err
	}
	if _, free := t.free[key]; free {
		return t.fail(errTaken) // whether it was, only a look can tell
	}
	return t.writes.Delete(key)
}

// read sends a query, in a transaction, and returns the items that come of it. A view has no snapshot before its first reading, which is
// sent again when its connection is cut.
func (t *tx) read(sql string, args ...any) (items []storage.Item, err error) {
	for cuts := 1; ; cuts++ {
		begins := t.conn == nil
		if items, err = t.ask(sql, args...); err == nil {
			return items, nil
		}
		if t.writes != nil || !begins || cuts > maxCuts || !errors.Is(err, errCut) {
			return nil, t.fail(err)
		}
		t.conn.Release() // which closes it
		t.conn = nil
		t.db.renew(cuts)
	}
}

func (t *tx) ask(sql string, args ...any) (items []storage.Item, err error) {
	err = t.send(t.ctx, func(batch *pgx.Batch) { batch.Queue(sql, args...) }, func(results pgx.BatchResults) error {
		rows, err := results.Query()
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, toItem)
		return err
	})
	if err == nil || errors.Is(err, errNoConnection) {
		return items, err
	}
	return nil, fault(t.ctx, "reading", err)
}

func toItem(row pgx.CollectableRow) (storage.Item, error) {
	var key, value []byte
	var expires *int64
	if err := row.Scan(&key, &value, &expires); err != nil {
		return storage.Item{}, err
	}
	item := storage.Item{Key: string(key), Value: value}
	if expires != nil {
		item.ExpiresAt = time.UnixMilli(*expires).UTC()
	}
	return item, nil
}

// errNoConnection is what a transaction gets for which there was none.
var errNoConnection = fmt.Errorf("waiting for a connection to PostgreSQL: %w", storage.ErrUnavailable)

// send sends statements in one round trip, behind the beginning where the transaction has not begun, and has their results read.
func (t *tx) send(ctx context.Context, queue func(*pgx.Batch), read func(pgx.BatchResults) error) (err error) {
	batch := new(pgx.Batch)
	if t.conn == nil {
		if err := t.acquire(ctx); err != nil {
			return err
		}
		batch.Queue(t.beginSQL)
	}
	begins := batch.Len() > 0
	queue(batch)
	defer t.db.observe("trip", &err)()
	ctx, cancel := context.WithTimeout(ctx, t.db.config.Timeout)
	defer cancel()
	results := t.conn.SendBatch(ctx, batch)
	if begins {
		_, err = results.Exec()
	}
	if err == nil {
		err = read(results)
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	return err
}

func (t *tx) acquire(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, t.db.config.AcquireTimeout)
	defer cancel()
	conn, err := t.db.pool.Acquire(wait)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", errNoConnection, err)
	}
	t.conn = conn
	return nil
}
