// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// attempts bounds how often a closure runs. A closure that lost once waits for its turn, so only those that come fresh
// can still beat it and the bound is not reached in practice.
const attempts = 64

// Config says what a store needs.
type Config struct {
	// Now is the clock that judges expiry. Required.
	Now func() time.Time
}

// DB is a [storage.DB] in memory.
type DB struct {
	now  func() time.Time
	turn chan struct{} // held by the one update that runs again
	hub  storage.Hub

	mu     sync.Mutex // guards what follows
	root   *node
	closed bool
	open   sync.WaitGroup // transactions under way; no Add once closed
}

var (
	_ storage.DB      = (*DB)(nil)
	_ storage.Watcher = (*DB)(nil)
)

// Open returns an empty store.
func Open(config Config) (*DB, error) {
	if config.Now == nil {
		return nil, errors.New("opening a store in memory: no clock")
	}
	return &DB{now: config.Now, turn: make(chan struct{}, 1)}, nil
}

// View runs fn over one snapshot.
func (db *DB) View(ctx context.Context, fn func(storage.Tx) error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.open.Done()
	tx := db.begin(false)
	defer tx.end()
	return fn(tx)
}

// Update runs fn until it commits without having missed a write of another update.
func (db *DB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.open.Done()
	if done, err := db.attempt(ctx, fn); done {
		return err
	}
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for range attempts - 1 {
		if done, err := db.attempt(ctx, fn); done {
			return err
		}
	}
	return fmt.Errorf("updating after %d attempts: %w", attempts, storage.ErrConflict)
}

// Close waits for the transactions under way. What the store held is gone.
func (db *DB) Close() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	db.open.Wait()
	db.mu.Lock()
	defer db.mu.Unlock()
	db.root = nil
	return nil
}

func (db *DB) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return storage.ErrClosed
	}
	db.open.Add(1)
	return nil
}

func (db *DB) begin(writable bool) *tx {
	db.mu.Lock()
	defer db.mu.Unlock()
	return &tx{now: db.now(), base: db.root, root: db.root, writable: writable}
}

// attempt runs fn once. It is not done when the transaction has to run again.
func (db *DB) attempt(ctx context.Context, fn func(storage.Tx) error) (done bool, err error) {
	tx := db.begin(true)
	defer tx.end()
	if err := fn(tx); err != nil {
		return true, err
	}
	if err := ctx.Err(); err != nil {
		return true, err
	}
	if !db.commit(tx) {
		return false, nil
	}
	db.hub.Committed(maps.Keys(tx.writes))
	return true, nil
}

// Watch returns the notices of commits to tables.
func (db *DB) Watch(tables ...string) *storage.Notices { return db.hub.Watch(tables...) }

// commit applies what tx wrote, unless something tx read was written since.
func (db *DB) commit(tx *tx) bool {
	if len(tx.writes) == 0 {
		return true
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.root == tx.base {
		db.root = tx.root
		return true
	}
	for _, key := range tx.reads {
		if db.root.find(key) != tx.base.find(key) {
			return false
		}
	}
	for key, item := range tx.writes {
		if item == nil {
			db.root = db.root.without(key)
		} else {
			db.root = db.root.with(item)
		}
	}
	return true
}
