// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/contend"
)

// Config says where a store is and how it behaves.
type Config struct {
	// DSN is a connection string of libpq's, as words or as a URL, with TLS modes as libpq names them. Required.
	DSN string
	// Schema is where the tables are; it is made when it is absent. Default: "gatehouse".
	Schema string
	// MaxConns is how many connections this node opens at most. Default: what the DSN says as pool_max_conns, else 16.
	MaxConns int
	// Timeout bounds one round trip, and AcquireTimeout the wait for a connection. Defaults: 10 and 5 seconds.
	Timeout, AcquireTimeout time.Duration
	// Now is the clock that judges expiry and measures for Observe. Required.
	Now func() time.Time
	// Logger is told of what happens in the background. Default: none.
	Logger *slog.Logger
	// SweepEvery is the time between two removals of expired items; negative is never. Default: a minute.
	SweepEvery time.Duration
	// Leads reports whether this node is the one of several to sweep. All may. Nil is yes.
	Leads func() bool
	// NoNotices has the node neither hear what the others have committed nor tell them: all look for it from time to time.
	NoNotices bool
	// Observe, when set, learns of every finished operation: "view", "update", "trip" (a wait for the database) and "sweep". It is called
	// on the caller's path and must be quick.
	Observe func(op string, d time.Duration, err error)
}

// Defaults of [Config].
const (
	DefaultSchema  = "gatehouse"
	defaultConns   = 16
	defaultTimeout = 10 * time.Second
	defaultAcquire = 5 * time.Second
	defaultSweep   = time.Minute
)

const (
	// maxRuns bounds how often a closure runs.
	maxRuns = 48
	// maxPause is how long an update that lost waits at most before it comes again.
	maxPause = 64 * time.Millisecond
	// maxCuts is how often a closure runs again because its connection was cut before it had committed anything.
	maxCuts = 2
)

// DB is a [storage.DB] in a database that others may use as well.
type DB struct {
	config Config
	pool   *pgxpool.Pool
	sql    statements
	queues *contend.Queues
	met    met
	health health
	hub    storage.Hub
	news   *news

	stop  context.CancelFunc // ends the loops
	loops sync.WaitGroup

	mu      sync.RWMutex // guards closed, and that nothing enters once it is set
	closed  bool
	entered sync.WaitGroup
	close   func()
	hear    func() // begins to, once
}

var (
	_ storage.DB       = (*DB)(nil)
	_ storage.Reporter = (*DB)(nil)
	_ storage.Watcher  = (*DB)(nil)
)

// Open connects, brings the tables to what this release knows, and returns the store. The context bounds the opening only. An error
// names the server and never the password; of a database that a newer release has made it is [ErrNewer].
func Open(ctx context.Context, config Config) (*DB, error) {
	if config.DSN == "" || config.Now == nil {
		return nil, errors.New("opening a store in PostgreSQL: a DSN and a clock are required")
	}
	config.setDefaults()
	db := &DB{config: config, sql: statementsFor(namesIn(config.Schema)), queues: contend.New()}
	if err := db.connect(ctx); err != nil {
		return nil, fmt.Errorf("opening the store in PostgreSQL: %w", err)
	}
	db.close, db.hear = sync.OnceFunc(db.shutDown), func() {}
	db.start(context.WithoutCancel(ctx))
	return db, nil
}

func (c *Config) setDefaults() {
	if c.Schema == "" {
		c.Schema = DefaultSchema
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.AcquireTimeout == 0 {
		c.AcquireTimeout = defaultAcquire
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.SweepEvery == 0 {
		c.SweepEvery = defaultSweep
	}
	if c.Leads == nil {
		c.Leads = func() bool { return true }
	}
	if c.Observe == nil {
		c.Observe = func(string, time.Duration, error) {}
	}
}

// View runs fn over one snapshot, taken at its first reading.
func (db *DB) View(ctx context.Context, fn func(storage.Tx) error) (err error) {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.entered.Done()
	defer db.observe("view", &err)()
	t := db.begin(ctx, false, doubts{})
	defer t.end()
	if err := fn(t); t.failed == nil {
		return err
	}
	return t.failed
}

// Update runs fn until it commits without having collided with another update, or too often.
func (db *DB) Update(ctx context.Context, fn func(storage.Tx) error) (err error) {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.entered.Done()
	defer db.observe("update", &err)()
	leave := func() {}
	defer func() { leave() }()
	var doubts doubts
	cuts := 0
	for run := range maxRuns {
		lost, err := db.attempt(ctx, fn, doubts)
		switch {
		case errors.Is(err, errTaken):
			doubts.inserts = true
		case errors.Is(err, errPresent):
			doubts.presumptions = true
		case errors.Is(err, errCut) && cuts < maxCuts && ctx.Err() == nil:
			cuts++
			db.renew(cuts)
		case !errors.Is(err, errLost):
			return err
		default:
			leave()
			if leave, err = db.again(ctx, lost, run); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("updating after %d runs: %w", maxRuns, storage.ErrConflict)
}

// renew has the last attempt of what was cut go over a new connection: all that the node held may have been cut.
func (db *DB) renew(cuts int) {
	if cuts == maxCuts {
		db.pool.Reset()
	}
}

// again waits until an update that lost may come again: for those of this process that lost the same key, and a while for those of
// others.
func (db *DB) again(ctx context.Context, lost string, run int) (leave func(), err error) {
	leave, err = db.queues.Enter(ctx, lost)
	if err == nil && run > 0 {
		err = contend.Pause(ctx, run, maxPause)
	}
	return leave, err
}

// attempt runs fn once. When the error is errLost, lost is one of the keys that fn wrote or would have.
func (db *DB) attempt(ctx context.Context, fn func(storage.Tx) error, doubts doubts) (lost string, err error) {
	t := db.begin(ctx, true, doubts)
	defer t.end()
	err = fn(t)
	if t.failed == nil && (err != nil || len(t.writes) == 0) {
		t.look()
	}
	if t.failed != nil || err != nil {
		return t.main(), cmp.Or(t.failed, err)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	err = t.commit()
	db.health.note(err)
	if err == nil || errors.Is(err, storage.ErrUnknown) {
		db.news.tell(db.hub.Committed(maps.Keys(t.writes)))
	}
	return t.main(), err
}

// Watch returns the notices of commits to tables, by this node and the others. With the first watcher the node begins to hear those, over
// a connection of its own.
func (db *DB) Watch(tables ...string) *storage.Notices {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if !db.closed {
		db.hear()
	}
	return db.hub.Watch(tables...)
}

// Close waits for transactions under way and gives the connections back.
func (db *DB) Close() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	db.close()
	return nil
}

func (db *DB) shutDown() {
	db.stop()
	db.loops.Wait()
	db.entered.Wait()
	db.pool.Close()
}

// Health returns nil while the database takes writes, else the reason why it does not.
func (db *DB) Health() error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return storage.ErrClosed
	}
	return db.health.err()
}

func (db *DB) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return storage.ErrClosed
	}
	db.entered.Add(1)
	return nil
}

// observe reports an operation when the returned function runs.
func (db *DB) observe(op string, err *error) func() {
	start := db.config.Now()
	return func() { db.config.Observe(op, db.config.Now().Sub(start), *err) }
}
