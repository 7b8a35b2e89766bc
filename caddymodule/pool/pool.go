// SPDX-License-Identifier: Apache-2.0

package pool

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
	"github.com/gatehouse-id/gatehouse/authz/site/stream"
	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/internal/lease"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
)

// Engine is the port of the namespace gatehouse.storage: a module that opens a store.
type Engine interface {
	// Key identifies the store: two configurations with equal keys share one. It depends on nothing but where the store is.
	Key() (string, error)
	// Open opens the store. It is called once for as long as the store stays open.
	Open(ctx context.Context, options Options) (storage.DB, error)
	// Sealer returns what seals secrets at rest when no key is configured.
	Sealer() (storage.Sealer, error)
}

// Options is what a store is opened with.
type Options struct {
	Now     func() time.Time
	Logger  *slog.Logger
	Observe func(op string, took time.Duration, err error)
	// Leads reports whether this process is the one of several to do what one does for all.
	Leads func() bool
}

// Shared is a second ability of an [Engine]: to say that several processes use its store at once.
type Shared interface{ Shared() bool }

// errNotOpen is what a handler sees before App.Start has opened the store. It counts as a closed store, so that every face
// answers 503 with Retry-After.
var errNotOpen = fmt.Errorf("the store is not open yet: %w", storage.ErrClosed)

// nodes are those in use, by the key of their store.
var nodes = caddy.NewUsagePool()

// Node is what one process shares between the configurations that use one store. Until it is started it answers
// everything with [storage.ErrClosed].
type Node struct {
	logs    *relay
	logger  *slog.Logger // writes where the newest configuration logs
	opening sync.Mutex
	db      atomic.Pointer[storage.DB]
	sealer  atomic.Pointer[storage.Sealer]
	store   *authz.Store
	view    *revocation.View
	outbox  *outbox.Outbox
	streams *stream.Table
	shared  atomic.Bool                 // several processes use the store
	lease   atomic.Pointer[lease.Lease] // of a store that is shared
	running sync.WaitGroup
	stop    context.CancelFunc // of the loops, once the store is open
}

// Store returns the records of the authorization server.
func (n *Node) Store() *authz.Store { return n.store }

// Revoked returns the view of what is revoked. What the old configuration revokes the new one refuses.
func (n *Node) Revoked() *revocation.View { return n.view }

// Streams returns the requests under way at protected sites. They outlive the configuration that let them through, so whoever
// watches them does too.
func (n *Node) Streams() *stream.Table { return n.streams }

// Outbox returns what is to happen outside the store. It is delivered from the opening of the store to its closing, whatever
// configurations come and go; each brings its handlers.
func (n *Node) Outbox() *outbox.Outbox { return n.outbox }

// Take returns the node of the store with a key. Whoever takes it gives it back with [Release], once.
func Take(key string) (*Node, error) {
	value, _, err := nodes.LoadOrNew(key, func() (caddy.Destructor, error) { return newNode() })
	if err != nil {
		return nil, err
	}
	return value.(*Node), nil
}

// Release gives a node back. The last one to do so closes the store.
func Release(key string) error {
	_, err := nodes.Delete(key)
	return err
}

// Holders returns how many have taken a node and not given it back.
func Holders(key string) int {
	n, _ := nodes.References(key)
	return n
}

func newNode() (*Node, error) {
	n := &Node{logs: newRelay()}
	n.logger = slog.New(n.logs)
	store, err := authz.NewStore(n, n, time.Now)
	if err != nil {
		return nil, err
	}
	n.store = store
	if n.streams, err = stream.New(time.Now, meter.StreamEnded); err != nil {
		return nil, err
	}
	view := revocation.Config{Log: store, Now: time.Now, Logger: n.logger, Notices: n, Changed: n.streams.Wake}
	if n.view, err = revocation.New(view); err != nil {
		return nil, err
	}
	n.outbox, err = outbox.New(outbox.Config{DB: n, Now: time.Now, Logger: n.logger, Sealer: n, Observe: meter.Delivery})
	return n, err
}

// ErrSealKey is returned for a configuration whose key does not open what the running one has sealed.
var ErrSealKey = errors.New("the key that seals the store is another than that of the running configuration: " +
	"give both, the new one first, and restart")

// Start opens the store once; later configurations find it open. From now on the node logs to their logger. Without a
// sealer the engine's own is used. A configuration that could not read the store after a restart is refused while there is
// still one that can.
func (n *Node) Start(ctx context.Context, engine Engine, sealer storage.Sealer, options Options) error {
	n.opening.Lock()
	defer n.opening.Unlock()
	if n.db.Load() != nil {
		if err := n.checkSealer(engine, sealer); err != nil {
			return err
		}
		n.logs.to(options.Logger)
		return nil
	}
	n.logs.to(options.Logger)
	options.Logger, options.Leads = n.logger, n.Leads
	n.shared.Store(IsShared(engine))
	if sealer == nil {
		var err error
		if sealer, err = engine.Sealer(); err != nil {
			return err
		}
	}
	db, err := engine.Open(ctx, options)
	if err != nil {
		return err
	}
	if err := transfer.Unfinished(ctx, db); err != nil {
		return errors.Join(fmt.Errorf("opening the store: %w", err), db.Close())
	}
	if err := n.share(engine, db); err != nil {
		return errors.Join(err, db.Close())
	}
	db = n.outbox.Waking(db)
	n.sealer.Store(&sealer)
	n.db.Store(&db)
	loops, stop := context.WithCancel(context.WithoutCancel(ctx)) // the configuration that opens the store may end first
	n.stop = stop
	n.running.Go(func() { n.outbox.Run(loops) })
	n.running.Go(func() { n.streams.Run(loops) })
	if l := n.lease.Load(); l != nil {
		n.running.Go(func() { l.Run(loops) })
	}
	return nil
}

// IsShared reports whether several processes use the store of an engine.
func IsShared(engine Engine) bool {
	s, ok := engine.(Shared)
	return ok && s.Shared()
}

// rounds is the lease of what one node does for all.
const rounds = "rounds"

// InUse reports whether a node somewhere uses a store that processes share. It takes some seconds to find out, unless there is one.
func InUse(ctx context.Context, engine Engine, db storage.DB) (bool, error) {
	if !IsShared(engine) {
		return false, nil
	}
	return lease.Moves(ctx, db, rounds)
}

// share prepares for a store that other processes use as well.
func (n *Node) share(engine Engine, db storage.DB) error {
	if !n.shared.Load() {
		return nil
	}
	l, err := lease.New(lease.Config{DB: db, Name: rounds, Now: time.Now, Logger: n.logger})
	n.lease.Store(l)
	return err
}

// Leads reports whether this process is the one that does what one does for all, such as sealing the audit trail. With a store of its
// own it always is.
func (n *Node) Leads() bool {
	l := n.lease.Load()
	return l != nil && l.Held() || !n.shared.Load()
}

// checkSealer has a configuration open what the running one seals.
func (n *Node) checkSealer(engine Engine, sealer storage.Sealer) (err error) {
	if sealer == nil {
		if sealer, err = engine.Sealer(); err != nil {
			return err
		}
	}
	const label = "pool/probe"
	sealed, err := n.Seal(label, []byte(label))
	if err != nil {
		return err
	}
	if _, err := sealer.Open(label, sealed); err != nil {
		return ErrSealKey
	}
	return nil
}

// Destruct closes the store after the last configuration has given it back. It waits for transactions under way.
func (n *Node) Destruct() error { return n.Close() }

// Close ends the loops and closes the store if it is open.
func (n *Node) Close() error {
	n.opening.Lock()
	defer n.opening.Unlock()
	if db := n.db.Load(); db != nil {
		n.stop()
		n.running.Wait()
		return (*db).Close()
	}
	return nil
}

// View runs a read-only transaction once the store is open.
func (n *Node) View(ctx context.Context, fn func(storage.Tx) error) error {
	if db := n.db.Load(); db != nil {
		return (*db).View(ctx, fn)
	}
	return errNotOpen
}

// Update runs a transaction once the store is open.
func (n *Node) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if db := n.db.Load(); db != nil {
		return (*db).Update(ctx, fn)
	}
	return errNotOpen
}

// Health tells how the store is once it is open.
func (n *Node) Health() error {
	if db := n.db.Load(); db != nil {
		return storage.Health(*db)
	}
	return errNotOpen
}

// Watch returns the notices of commits to tables. Those of a store that is not open yet never come.
func (n *Node) Watch(tables ...string) *storage.Notices {
	if db := n.db.Load(); db != nil {
		return storage.Watch(*db, tables...)
	}
	return new(storage.Notices)
}

// Seal encrypts a value once the store is open.
func (n *Node) Seal(label string, plain []byte) ([]byte, error) {
	if s := n.sealer.Load(); s != nil {
		return (*s).Seal(label, plain)
	}
	return nil, errNotOpen
}

// Open decrypts a value once the store is open.
func (n *Node) Open(label string, sealed []byte) ([]byte, error) {
	if s := n.sealer.Load(); s != nil {
		return (*s).Open(label, sealed)
	}
	return nil, errNotOpen
}

// Derive returns the secret for a label once the store is open.
func (n *Node) Derive(label string) ([]byte, error) {
	if s := n.sealer.Load(); s != nil {
		return (*s).Derive(label)
	}
	return nil, errNotOpen
}

var (
	_ storage.DB       = (*Node)(nil)
	_ storage.Reporter = (*Node)(nil)
	_ storage.Watcher  = (*Node)(nil)
	_ storage.Sealer   = (*Node)(nil)
	_ caddy.Destructor = (*Node)(nil)
)
