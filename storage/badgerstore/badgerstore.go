// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/contend"
)

// Config says where a store is and how it behaves.
type Config struct {
	// Dir is the directory of the store; it is made when it is absent. Required.
	Dir string
	// Now is the clock that judges expiry and measures for Observe. Required.
	Now func() time.Time
	// Logger is told of what happens in the background. Default: none.
	Logger *slog.Logger
	// LockWait is how long Open waits for a directory that another process holds. Default: not at all.
	LockWait time.Duration
	// GCEvery is the time between two collections of the value log; negative is never. Default: 10 minutes.
	GCEvery time.Duration
	// SweepEvery is the time between two removals of expired items; negative is never. Default: 10 minutes.
	SweepEvery time.Duration
	// Reserve is how much space must be left on the file system for a write to be accepted, in bytes. Badger needs it
	// for what it has already accepted. Default: 128 MiB.
	Reserve int64
	// Observe, when set, learns of every finished operation: "view", "update", "commit" (a batch and its sync), "gc" and
	// "sweep". It is called on the caller's path and must be quick.
	Observe func(op string, d time.Duration, err error)
}

// Defaults of [Config].
const (
	defaultReserve = 128 << 20
	defaultEvery   = 10 * time.Minute
)

// DB is a [storage.DB] in a directory.
type DB struct {
	config  Config
	badger  *badger.DB
	lock    *dirLock
	commits *committer
	queues  *contend.Queues
	hub     storage.Hub

	stop  context.CancelFunc // ends the loops
	loops sync.WaitGroup

	mu      sync.RWMutex // guards closed, and that nothing enters once it is set
	closed  bool
	entered sync.WaitGroup
	close   func() error
}

var (
	_ storage.DB       = (*DB)(nil)
	_ storage.Reporter = (*DB)(nil)
	_ storage.Watcher  = (*DB)(nil)
)

// Open opens the store in a directory. The context bounds the opening only. The errors to tell apart are *[LockedError],
// [ErrDamaged], [ErrForeign], [ErrNewer] and [storage.ErrFull]; all name the directory.
func Open(ctx context.Context, config Config) (*DB, error) {
	if config.Dir == "" || config.Now == nil {
		return nil, errors.New("opening a store: a directory and a clock are required")
	}
	dir, err := CanonicalDir(config.Dir)
	if err != nil {
		return nil, err
	}
	config.Dir = dir
	config.setDefaults()
	db, err := open(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the store in %q: %w", dir, err)
	}
	return db, nil
}

// CanonicalDir returns the one name of a directory, absolute and without symbolic links, under which a process may keep a
// handle. Of a directory that does not exist yet, the part that does is resolved.
func CanonicalDir(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("resolving the store's directory %q: %w", path, err)
	}
	resolved, err := filepath.EvalSymlinks(abs)
	switch {
	case err == nil:
		return resolved, nil
	case !errors.Is(err, os.ErrNotExist) || filepath.Dir(abs) == abs:
		return "", fmt.Errorf("resolving the store's directory %q: %w", path, err)
	}
	if _, err := os.Lstat(abs); err == nil {
		return "", fmt.Errorf("resolving the store's directory %q: a symbolic link leads nowhere", path)
	}
	parent, err := CanonicalDir(filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	return filepath.Join(parent, filepath.Base(abs)), nil
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.GCEvery == 0 {
		c.GCEvery = defaultEvery
	}
	if c.SweepEvery == 0 {
		c.SweepEvery = defaultEvery
	}
	if c.Reserve == 0 {
		c.Reserve = defaultReserve
	}
	if c.Observe == nil {
		c.Observe = func(string, time.Duration, error) {}
	}
}

// open takes the lock before it looks at a single file, and looks at all of them before Badger may change one.
func open(ctx context.Context, config Config) (*DB, error) {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory: %w", fullOr(err))
	}
	warnOfMode(ctx, config)
	space := space{dir: config.Dir, reserve: config.Reserve}
	if err := space.checkOpen(); err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, config)
	if err != nil {
		return nil, err
	}
	engine, err := openEngine(config)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	db := &DB{config: config, badger: engine, lock: lock, queues: contend.New()}
	db.commits = newCommitter(engine, space, config)
	db.close = sync.OnceValue(db.shutDown)
	db.start(context.WithoutCancel(ctx))
	return db, nil
}

// warnOfMode tells of a directory that was made by somebody else and lets others in: Badger leaves its files to the umask, and
// not every record is sealed.
func warnOfMode(ctx context.Context, config Config) {
	info, err := os.Stat(config.Dir)
	if err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		config.Logger.WarnContext(ctx, "the store's directory lets others in, want 0700", "dir", config.Dir,
			"mode", info.Mode().Perm().String())
	}
}

// openEngine opens Badger on a directory that passed every check. A panic of Badger's is a damaged directory: it has no
// other way of saying so in places.
func openEngine(config Config) (engine *badger.DB, err error) {
	if err := checkFormat(config.Dir); err != nil {
		return nil, err
	}
	if err := inspect(config.Dir); err != nil {
		return nil, err
	}
	defer recoverDamage(&err)
	engine, err = badger.OpenManaged(engineOptions(config))
	if err != nil {
		return nil, refused(err)
	}
	return engine, nil
}

// engineOptions is tuned for records of about a kilobyte on a machine that has other work: the memory of an idle store is
// a few memtables and caches, and a write waits for one sync.
func engineOptions(config Config) badger.Options {
	return badger.DefaultOptions(config.Dir).
		WithLogger(engineLogger{config.Logger}).
		WithSyncWrites(true).
		WithDetectConflicts(false). // the committer does
		WithBypassLockGuard(ownLock).
		WithMetricsEnabled(false).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithCompression(options.Snappy).
		WithBlockCacheSize(16 << 20).
		WithValueThreshold(8 << 10). // so that the largest transaction fits a small memtable
		WithValueLogFileSize(32 << 20).
		WithVerifyValueChecksum(true).
		WithChecksumVerificationMode(options.OnBlockRead)
}

// View runs fn over one snapshot.
func (db *DB) View(ctx context.Context, fn func(storage.Tx) error) (err error) {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.entered.Done()
	defer db.observe("view", &err)()
	tx := db.begin(ctx, false)
	defer tx.end()
	return fn(tx)
}

// Update runs fn until it commits without having missed a write of another update, or too often.
func (db *DB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return db.update(ctx, func(tx *tx) error { return fn(tx) })
}

// Watch returns the notices of commits to tables.
func (db *DB) Watch(tables ...string) *storage.Notices { return db.hub.Watch(tables...) }

// Close waits for the transactions under way, writes what is in memory to its tables and gives the directory free. Every
// call returns what the first one did.
func (db *DB) Close() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	return db.close()
}

func (db *DB) shutDown() error {
	db.stop()
	db.loops.Wait()
	db.entered.Wait()
	db.commits.stop()
	err := db.badger.Close()
	if err == nil && db.commits.failure() == nil {
		err = writeInventory(db.config.Dir)
	}
	if err = errors.Join(err, db.lock.release()); err != nil {
		return fmt.Errorf("closing the store in %q: %w", db.config.Dir, err)
	}
	return nil
}

// Health returns nil while the store accepts writes, else the reason why it does not.
func (db *DB) Health() error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return storage.ErrClosed
	}
	return db.commits.ready()
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
