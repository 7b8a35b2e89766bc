// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Defaults of [Config].
const (
	DefaultRotateEvery = 90 * 24 * time.Hour
	DefaultRetain      = 365 * 24 * time.Hour
)

const (
	// shortest is how long a key is current and how long it is retained at least: phones are switched off at night.
	shortest = 24 * time.Hour
	// pause is how long the store is left alone after a key was looked for in vain.
	pause = time.Second
	// maxKeys is how many keys are published at most.
	maxKeys = 16
)

// Errors that callers tell apart.
var (
	// ErrConfig is wrapped when a [Config] cannot work.
	ErrConfig = errors.New("encryption key configuration refused")
	// ErrNotLoaded is wrapped when a key is asked for before the first successful [Ring.Load]: the store
	// holds them.
	ErrNotLoaded = fmt.Errorf("encryption keys are not loaded: %w", storage.ErrUnavailable)
	// ErrTooMany is wrapped when a rotation would publish more keys than phones read.
	ErrTooMany = errors.New("too many encryption keys are published")
)

// Config is what a [Ring] needs. DB, Sealer and Now are required; the zero of anything else is its default.
type Config struct {
	DB     storage.DB
	Sealer storage.Sealer
	// RotateEvery is how long a key is the current one. Default: 90 days.
	RotateEvery time.Duration
	// Retain is how long a retired key still opens messages, more than a day: a phone that is away for longer enrols again.
	// Default: a year.
	Retain time.Duration
	// Now is the clock.
	Now func() time.Time
	// Logger is told about changes. Default: none.
	Logger *slog.Logger
}

func (c Config) check() error {
	switch {
	case c.DB == nil || c.Sealer == nil || c.Now == nil:
		return fmt.Errorf("store, sealer and clock are required: %w", ErrConfig)
	case c.Retain <= shortest:
		return fmt.Errorf("retaining for %s: phones are away for longer than %s: %w", c.Retain, shortest, ErrConfig)
	case c.RotateEvery < shortest:
		return fmt.Errorf("rotating every %s: at least %s: %w", c.RotateEvery, shortest, ErrConfig)
	case 2+int(c.Retain/c.RotateEvery) > maxKeys:
		return fmt.Errorf("rotating every %s and retaining for %s would publish more than %d keys: %w",
			c.RotateEvery, c.Retain, maxKeys, ErrConfig)
	}
	return nil
}

// Ring holds the encryption keys. It is safe for concurrent use.
type Ring struct {
	config   Config
	table    storage.Table[state]
	snapshot atomic.Pointer[snapshot]

	// turn is held while the store is read and the snapshot replaced, so that an older reading never replaces a newer one.
	turn   sync.Mutex
	looked time.Time // when a key was last looked for in the store
}

// snapshot is what a ring answers from. It is never changed.
type snapshot struct {
	changes int64
	current jose.EncryptionKey
	keys    map[string]jose.DecryptionKey
	publics []jose.EncryptionKey
}

// Open returns a ring that holds no keys yet: [Ring.Load] reads them. It does no I/O.
func Open(config Config) (*Ring, error) {
	config.RotateEvery, config.Retain = cmp.Or(config.RotateEvery, DefaultRotateEvery), cmp.Or(config.Retain, DefaultRetain)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("opening the encryption keys: %w", err)
	}
	return &Ring{config: config, table: newTable(config.Sealer)}, nil
}

// Watch returns the notices of changes of the keys, by whichever node: then is the time for [Ring.Tick].
func (r *Ring) Watch() *storage.Notices { return storage.Watch(r.config.DB, r.table.Name) }

// Current returns the key that phones should encrypt to. It fails with [ErrNotLoaded].
func (r *Ring) Current() (jose.EncryptionKey, error) {
	s := r.snapshot.Load()
	if s == nil {
		return jose.EncryptionKey{}, ErrNotLoaded
	}
	return s.current, nil
}

// Publics returns the keys that are published: the current one first, then those it replaced, newest first. There are none
// before the first successful [Ring.Load].
func (r *Ring) Publics() []jose.EncryptionKey {
	s := r.snapshot.Load()
	if s == nil {
		return nil
	}
	return slices.Clone(s.publics)
}

// Find returns the key that a message names, if it still opens messages. A name that this node does not know is looked for
// in the store, where another node may have put it.
func (r *Ring) Find(ctx context.Context, kid string) (jose.DecryptionKey, bool, error) {
	s := r.snapshot.Load()
	if s == nil {
		return jose.DecryptionKey{}, false, ErrNotLoaded
	}
	if k, ok := s.keys[kid]; ok {
		return k, true, nil
	}
	s, err := r.refresh(ctx)
	if err != nil {
		return jose.DecryptionKey{}, false, fmt.Errorf("looking for an encryption key: %w", err)
	}
	k, ok := s.keys[kid]
	return k, ok, nil
}

// refresh reads the store once a pause; in between it returns what was read last.
func (r *Ring) refresh(ctx context.Context) (*snapshot, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	now := r.config.Now()
	if now.Before(r.looked.Add(pause)) {
		return r.snapshot.Load(), nil
	}
	r.looked = now
	var read state
	err := r.config.DB.View(ctx, func(tx storage.Tx) (err error) {
		read, err = r.table.Get(tx, ringID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.use(read)
}

// Load reads the keys from the store and creates the first one where there is none. When it fails, the ring goes on with
// the keys it has.
func (r *Ring) Load(ctx context.Context) error {
	if err := r.change(ctx, func(*state, time.Time) bool { return false }); err != nil {
		return fmt.Errorf("loading the encryption keys: %w", err)
	}
	return nil
}

// Tick does what is due by schedule and reads what other nodes did. It writes only where something is due. Where so many keys
// are published that there is room for no other, the current one stays until one of them goes.
func (r *Ring) Tick(ctx context.Context) error {
	due := func(s *state, now time.Time) bool {
		return len(s.Keys) < maxKeys && !now.Before(s.Keys[0].CreatedAt.Add(r.config.RotateEvery))
	}
	if err := r.change(ctx, due); err != nil {
		return fmt.Errorf("keeping the encryption keys: %w", err)
	}
	return nil
}

// Rotate makes a new key the current one now. Messages to the one before are opened for as long as phones may hold it. It
// fails with [ErrTooMany] when too many of those are still published.
func (r *Ring) Rotate(ctx context.Context) error {
	if err := r.change(ctx, func(*state, time.Time) bool { return true }); err != nil {
		return fmt.Errorf("rotating the encryption keys: %w", err)
	}
	return nil
}

// change keeps the stored ring and takes it into use. Most of the time there is nothing to do: it looks first. The key that
// may be needed is drawn outside the transaction, which may run several times.
func (r *Ring) change(ctx context.Context, due func(*state, time.Time) bool) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	now := r.config.Now().UTC().Truncate(time.Millisecond)
	var after state
	var changed bool
	keep := func(tx storage.Tx, fresh entry) (err error) {
		if after, _, err = r.table.Find(tx, ringID); err != nil {
			return err
		}
		if changed = after.keep(fresh, due, r.config.Retain, now); len(after.Keys) > maxKeys {
			return ErrTooMany
		}
		return nil
	}
	err := r.config.DB.View(ctx, func(tx storage.Tx) error { return keep(tx, entry{}) })
	if err == nil && changed {
		err = r.write(ctx, now, func(tx storage.Tx, fresh entry) error {
			if err := keep(tx, fresh); err != nil || !changed {
				return err
			}
			return r.table.Put(tx, after)
		})
	}
	if err != nil {
		return err
	}
	if changed {
		r.config.Logger.Info("encryption keys changed", "current", after.Keys[0].KID, "published", len(after.Keys))
	}
	_, err = r.use(after)
	return err
}

func (r *Ring) write(ctx context.Context, now time.Time, fn func(storage.Tx, entry) error) error {
	fresh, err := newEntry(now)
	if err != nil {
		return err
	}
	return r.config.DB.Update(ctx, func(tx storage.Tx) error { return fn(tx, fresh) })
}

// use takes a reading into use.
func (r *Ring) use(s state) (*snapshot, error) {
	if old := r.snapshot.Load(); old != nil && old.changes == s.Changes {
		return old, nil
	}
	fresh, err := s.snapshot()
	if err != nil {
		return nil, err
	}
	r.snapshot.Store(fresh)
	return fresh, nil
}
