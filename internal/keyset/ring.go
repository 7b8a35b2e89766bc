// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Defaults of [Config].
const (
	DefaultRotateEvery  = 30 * 24 * time.Hour
	DefaultLead         = 24 * time.Hour
	DefaultRetain       = 48 * time.Hour
	DefaultLongestToken = 24 * time.Hour
)

// settle is how long verifiers may go on with the key set they have: a key that was published for less has not been seen
// by all of them.
const settle = time.Hour

// maxKeys is how many keys are published at most. Verifiers limit the key sets they read, ours to 64.
const maxKeys = 32

// Errors that callers tell apart.
var (
	// ErrConfig is wrapped when a [Config] cannot work.
	ErrConfig = errors.New("key configuration refused")
	// ErrNotLoaded is wrapped when a signer is asked for before the first successful [Ring.Load]: the store
	// holds them.
	ErrNotLoaded = fmt.Errorf("signing keys are not loaded: %w", storage.ErrUnavailable)
	// ErrNoKey is wrapped when there is no key of that name, or none that signs with that algorithm.
	ErrNoKey = errors.New("no such signing key")
	// ErrTooEarly is wrapped when a rotation would sign with a key that verifiers may not have seen.
	ErrTooEarly = errors.New("next signing key was published too recently")
	// ErrTooMany is wrapped when a rotation would publish more keys than verifiers read.
	ErrTooMany = errors.New("too many signing keys are published")
)

// Config is what a [Ring] needs. DB, Sealer, Algs and Now are required; the zero of anything else is its default.
type Config struct {
	DB     storage.DB
	Sealer storage.Sealer
	// Algs are the algorithms to hold keys of. The first is what tokens are signed with where nobody asks for another.
	Algs []jose.Algorithm
	// RotateEvery is how long a key signs. Default: 30 days.
	RotateEvery time.Duration
	// Lead is how long a key is published before it signs by schedule, at least an hour. Default: 24 hours.
	Lead time.Duration
	// Retain is how long a key is published after the last token it signed ran out, at least an hour. Default: 48 hours.
	Retain time.Duration
	// LongestToken is the longest lifetime of anything that is signed. Default: 24 hours.
	LongestToken time.Duration
	// Now is the clock.
	Now func() time.Time
	// Logger is told about changes. Default: none.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.RotateEvery, DefaultRotateEvery},
		{&c.Lead, DefaultLead},
		{&c.Retain, DefaultRetain},
		{&c.LongestToken, DefaultLongestToken},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) check() error {
	switch {
	case c.DB == nil || c.Sealer == nil || c.Now == nil:
		return fmt.Errorf("store, sealer and clock are required: %w", ErrConfig)
	case len(c.Algs) == 0:
		return fmt.Errorf("at least one algorithm is required: %w", ErrConfig)
	case c.Lead < settle || c.Retain < settle:
		return fmt.Errorf("lead %s and retain %s must be at least %s, or verifiers fall behind: %w",
			c.Lead, c.Retain, settle, ErrConfig)
	case c.RotateEvery < c.Lead:
		return fmt.Errorf("rotating every %s leaves no lead of %s: %w", c.RotateEvery, c.Lead, ErrConfig)
	case c.LongestToken < 0:
		return fmt.Errorf("longest token of %s: %w", c.LongestToken, ErrConfig)
	}
	for i, alg := range c.Algs {
		if !alg.Supported() || slices.Contains(c.Algs[:i], alg) {
			return fmt.Errorf("algorithm %q is unknown or listed twice: %w", alg, ErrConfig)
		}
	}
	// One active, one next, and those that were active within the time they are retained.
	published := (2 + int((c.Retain+c.LongestToken)/c.RotateEvery) + 1) * len(c.Algs)
	if published > maxKeys {
		return fmt.Errorf("rotating every %s would publish %d keys, at most %d: %w", c.RotateEvery, published, maxKeys, ErrConfig)
	}
	return nil
}

// State is where a key stands in its life.
type State string

// The states of a key, in the order it passes through them. A removed key has none.
const (
	Next    State = "next"
	Active  State = "active"
	Retired State = "retired"
)

// Info describes a key to an operator. Times that have not come are zero.
type Info struct {
	KID         string         `json:"kid"`
	Alg         jose.Algorithm `json:"alg"`
	State       State          `json:"state"`
	CreatedAt   time.Time      `json:"created_at"`
	ActivatedAt time.Time      `json:"activated_at,omitzero"`
	RetiredAt   time.Time      `json:"retired_at,omitzero"`
}

// Ring holds the signing keys. It is safe for concurrent use.
type Ring struct {
	config   Config
	table    storage.Table[state]
	snapshot atomic.Pointer[snapshot]
	// turn is held while the store is read or written and the snapshot replaced, so that an older reading never replaces
	// a newer one. It is a channel because waiting for it must end with the context.
	turn chan struct{}
}

// Open returns a ring that holds no keys yet: [Ring.Load] reads them. It does no I/O.
func Open(config Config) (*Ring, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("opening the signing keys: %w", err)
	}
	return &Ring{config: config, table: newTable(config.Sealer), turn: make(chan struct{}, 1)}, nil
}

// Signer returns the key that signs where nobody asks for an algorithm. It fails with [ErrNotLoaded] or [ErrNoKey].
func (r *Ring) Signer() (jose.PrivateKey, error) {
	s := r.snapshot.Load()
	if s == nil {
		return jose.PrivateKey{}, fmt.Errorf("choosing a signing key: %w", ErrNotLoaded)
	}
	if len(s.algs) == 0 {
		return jose.PrivateKey{}, fmt.Errorf("choosing a signing key: %w", ErrNoKey)
	}
	return s.signers[s.algs[0]], nil
}

// SignerFor returns the key that signs with the algorithm. It fails with [ErrNotLoaded] or, for an algorithm that is not
// configured or whose first key was published less than an hour ago, with [ErrNoKey].
func (r *Ring) SignerFor(alg jose.Algorithm) (jose.PrivateKey, error) {
	s := r.snapshot.Load()
	if s == nil {
		return jose.PrivateKey{}, fmt.Errorf("choosing a signing key for %s: %w", alg, ErrNotLoaded)
	}
	if !slices.Contains(s.algs, alg) {
		return jose.PrivateKey{}, fmt.Errorf("choosing a signing key for %s: %w", alg, ErrNoKey)
	}
	return s.signers[alg], nil
}

// Key returns the published key with that name, whatever its state.
func (r *Ring) Key(_ context.Context, kid string) (jose.PublicKey, bool) {
	s := r.snapshot.Load()
	if s == nil {
		return jose.PublicKey{}, false
	}
	k, ok := s.keys[kid]
	return k, ok
}

// Publics returns the published keys in the order of the JWK set; none before the first successful [Ring.Load].
func (r *Ring) Publics() []jose.PublicKey {
	s := r.snapshot.Load()
	if s == nil {
		return nil
	}
	keys := make([]jose.PublicKey, len(s.infos))
	for i, info := range s.infos {
		keys[i] = s.keys[info.KID]
	}
	return keys
}

// JWKS returns the published keys as a JWK set, or nil before the first successful [Ring.Load]. The same keys are always
// the same bytes. The caller must not write to them.
func (r *Ring) JWKS() []byte {
	s := r.snapshot.Load()
	if s == nil {
		return nil
	}
	return s.jwks
}

// Algorithms returns the algorithms that [Ring.SignerFor] has a key for, beginning with that of [Ring.Signer].
func (r *Ring) Algorithms() []jose.Algorithm {
	s := r.snapshot.Load()
	if s == nil {
		return nil
	}
	return slices.Clone(s.algs)
}

// List returns what is known of each published key, in the order of the JWK set.
func (r *Ring) List() []Info {
	s := r.snapshot.Load()
	if s == nil {
		return nil
	}
	return slices.Clone(s.infos)
}
