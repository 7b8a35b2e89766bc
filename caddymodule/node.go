// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Engine is the port of the namespace gatehouse.storage: a module that opens a store.
type Engine interface {
	// Key identifies the store: two configurations with equal keys share one. It depends on nothing but where the store is.
	Key() (string, error)
	// Open opens the store. It is called once for as long as the store stays open.
	Open(ctx context.Context, options EngineOptions) (storage.DB, error)
	// Sealer returns what seals secrets at rest when no key is configured.
	Sealer() (storage.Sealer, error)
}

// EngineOptions is what a store is opened with.
type EngineOptions struct {
	Now     func() time.Time
	Logger  *slog.Logger
	Observe func(op string, took time.Duration, err error)
}

// errNotOpen is what a handler sees before App.Start has opened the store. It counts as a closed store, so that every face
// answers 503 with Retry-After.
var errNotOpen = fmt.Errorf("the store is not open yet: %w", storage.ErrClosed)

// nodes keeps what outlives a reload, by the key of its store. A configuration takes its node in Provision, where nothing is
// opened, and gives it back in Cleanup, so a reload that fails never closes the store under the configuration that runs.
var nodes = caddy.NewUsagePool()

// node is what one process shares between the configurations that use one store: the store itself and the view of
// revocations, so that what the old configuration revokes the new one refuses.
type node struct {
	opening sync.Mutex
	db      atomic.Pointer[storage.DB]
	sealer  atomic.Pointer[storage.Sealer]
	store   *authz.Store
	view    *revocation.View
}

func takeNode(key string, logger *slog.Logger) (*node, error) {
	value, _, err := nodes.LoadOrNew(key, func() (caddy.Destructor, error) { return newNode(logger) })
	if err != nil {
		return nil, err
	}
	return value.(*node), nil
}

func newNode(logger *slog.Logger) (*node, error) {
	n := new(node)
	store, err := authz.NewStore(n, n, time.Now)
	if err != nil {
		return nil, err
	}
	n.store = store
	n.view, err = revocation.New(revocation.Config{Log: store, Now: time.Now, Logger: logger})
	return n, err
}

// open opens the store once; later configurations find it open.
func (n *node) open(ctx context.Context, engine Engine, sealer storage.Sealer, options EngineOptions) error {
	n.opening.Lock()
	defer n.opening.Unlock()
	if n.db.Load() != nil {
		return nil
	}
	db, err := engine.Open(ctx, options)
	if err != nil {
		return err
	}
	if sealer == nil {
		if sealer, err = engine.Sealer(); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	n.sealer.Store(&sealer)
	n.db.Store(&db)
	return nil
}

// Destruct closes the store after the last configuration has given it back. It waits for transactions under way.
func (n *node) Destruct() error { return n.Close() }

// Close closes the store if it is open.
func (n *node) Close() error {
	n.opening.Lock()
	defer n.opening.Unlock()
	if db := n.db.Load(); db != nil {
		return (*db).Close()
	}
	return nil
}

// View runs a read-only transaction once the store is open.
func (n *node) View(ctx context.Context, fn func(storage.Tx) error) error {
	if db := n.db.Load(); db != nil {
		return (*db).View(ctx, fn)
	}
	return errNotOpen
}

// Update runs a transaction once the store is open.
func (n *node) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if db := n.db.Load(); db != nil {
		return (*db).Update(ctx, fn)
	}
	return errNotOpen
}

// Seal encrypts a value once the store is open.
func (n *node) Seal(label string, plain []byte) ([]byte, error) {
	if s := n.sealer.Load(); s != nil {
		return (*s).Seal(label, plain)
	}
	return nil, errNotOpen
}

// Open decrypts a value once the store is open.
func (n *node) Open(label string, sealed []byte) ([]byte, error) {
	if s := n.sealer.Load(); s != nil {
		return (*s).Open(label, sealed)
	}
	return nil, errNotOpen
}

var (
	_ storage.DB       = (*node)(nil)
	_ storage.Sealer   = (*node)(nil)
	_ caddy.Destructor = (*node)(nil)
)
