// SPDX-License-Identifier: Apache-2.0

package roots

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Errors that callers tell apart.
var (
	// ErrNotLoaded is wrapped when the key is asked for before the first successful [Store.Load]: the store
	// holds it.
	ErrNotLoaded = fmt.Errorf("the root key is not loaded: %w", storage.ErrUnavailable)
	// ErrTooMany is wrapped when the key was replaced as often as can be remembered.
	ErrTooMany = errors.New("too many root keys")
)

// maxRoots is how many keys are remembered: nobody replaces a root twice in good order.
const maxRoots = 16

// Config is what a [Store] needs. DB, Sealer and Now are required.
type Config struct {
	DB     storage.DB
	Sealer storage.Sealer
	Now    func() time.Time
	// Logger is told about a new key. Default: none.
	Logger *slog.Logger
}

// Store holds the root key. It is safe for concurrent use.
type Store struct {
	config  Config
	table   storage.Table[state]
	current atomic.Pointer[snapshot]
}

// Root is the public half of one root key.
type Root struct {
	Key jose.PublicKey
	// Thumbprint (RFC 7638) is what is pinned.
	Thumbprint string
	CreatedAt  time.Time
	// ReplacedAt is zero for the key in use.
	ReplacedAt time.Time
}

const stateID = "roots"

// state is the one record: every root there was, the one in use first.
type state struct {
	Keys []entry `json:"keys"`
}

type entry struct {
	KID        string    `json:"kid"`
	CreatedAt  time.Time `json:"created_at"`
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	// Public is a JWK set of one, Private a JWK that is gone once the key is replaced.
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private,omitempty"`
}

type snapshot struct {
	key   jose.PrivateKey
	roots []Root
}

// Open returns a store that holds no key yet: [Store.Load] reads it. It does no I/O.
func Open(c Config) (*Store, error) {
	if c.DB == nil || c.Sealer == nil || c.Now == nil {
		return nil, errors.New("opening the root key: a store, a sealer and a clock are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Store{config: c, table: newTable(c.Sealer)}, nil
}

func newTable(sealer storage.Sealer) storage.Table[state] {
	return storage.Table[state]{Name: "root", Version: 1, ID: func(*state) string { return stateID }, Sealer: sealer}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	table := newTable(sealer)
	return []storage.Kind{&table}
}

// Load reads the key and draws it where there is none; nodes that do so at the same time end with the same. When it fails,
// the store goes on with what it has. It is called again now and then to see what another node has replaced.
func (s *Store) Load(ctx context.Context) error {
	if err := s.change(ctx, func(st *state) bool { return len(st.Keys) == 0 }); err != nil {
		return fmt.Errorf("loading the root key: %w", err)
	}
	return nil
}

// Replace destroys the key in use and draws another. See the package for what that costs.
func (s *Store) Replace(ctx context.Context) error {
	if err := s.change(ctx, func(*state) bool { return true }); err != nil {
		return fmt.Errorf("replacing the root key: %w", err)
	}
	return nil
}

// Root returns the key in use, ES256, named by its thumbprint. It fails with [ErrNotLoaded].
func (s *Store) Root() (jose.PrivateKey, error) {
	now := s.current.Load()
	if now == nil {
		return jose.PrivateKey{}, fmt.Errorf("asking for the root key: %w", ErrNotLoaded)
	}
	return now.key, nil
}

// Thumbprint returns what is pinned of the key in use, empty before the first successful [Store.Load].
func (s *Store) Thumbprint() string {
	now := s.current.Load()
	if now == nil {
		return ""
	}
	return now.key.KID
}

// List returns every root there was, the one in use first; none before the first successful [Store.Load].
func (s *Store) List() []Root {
	now := s.current.Load()
	if now == nil {
		return nil
	}
	return slices.Clone(now.roots)
}

// JWKS returns the public halves of [Store.List] as a JWK set: what is given to whoever verifies receipts.
func (s *Store) JWKS() ([]byte, error) {
	now := s.current.Load()
	if now == nil {
		return nil, fmt.Errorf("exporting the root keys: %w", ErrNotLoaded)
	}
	keys := make([]jose.PublicKey, len(now.roots))
	for i := range now.roots {
		keys[i] = now.roots[i].Key
	}
	return jose.MarshalSet(keys)
}

// change stores a fresh key where the stored state calls for one, and takes the outcome into use. The key is drawn before the
// transaction, which may run several times.
func (s *Store) change(ctx context.Context, due func(*state) bool) error {
	read := state{}
	err := s.config.DB.View(ctx, func(tx storage.Tx) (err error) {
		read, _, err = s.table.Find(tx, stateID)
		return err
	})
	if err != nil {
		return err
	}
	if due(&read) {
		if read, err = s.draw(ctx, due); err != nil {
			return err
		}
	}
	return s.use(&read)
}

func (s *Store) draw(ctx context.Context, due func(*state) bool) (after state, err error) {
	fresh, err := newEntry(s.config.Now().UTC().Truncate(time.Millisecond))
	if err != nil {
		return state{}, err
	}
	err = s.config.DB.Update(ctx, func(tx storage.Tx) error {
		if after, _, err = s.table.Find(tx, stateID); err != nil || !due(&after) {
			return err
		}
		if len(after.Keys) >= maxRoots {
			return ErrTooMany
		}
		if len(after.Keys) > 0 {
			after.Keys[0].ReplacedAt, after.Keys[0].Private = fresh.CreatedAt, nil
		}
		after.Keys = slices.Insert(after.Keys, 0, fresh)
		return s.table.Put(tx, after)
	})
	return after, err
}

func newEntry(now time.Time) (entry, error) {
	k, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		return entry{}, err
	}
	private, err := jose.MarshalPrivate(k)
	if err != nil {
		return entry{}, fmt.Errorf("storing a root key: %w", err)
	}
	public, err := jose.MarshalSet([]jose.PublicKey{k.Public()})
	if err != nil {
		return entry{}, fmt.Errorf("storing a root key: %w", err)
	}
	return entry{KID: k.KID, CreatedAt: now, Public: public, Private: private}, nil
}

// use takes what was read into use.
func (s *Store) use(st *state) error {
	if len(st.Keys) == 0 {
		return ErrNotLoaded
	}
	if now := s.current.Load(); now != nil && now.key.KID == st.Keys[0].KID {
		return nil
	}
	key, err := jose.ParsePrivate(st.Keys[0].Private)
	if err != nil {
		return fmt.Errorf("reading root key %q: %w", st.Keys[0].KID, err)
	}
	fresh := &snapshot{key: key}
	for _, e := range st.Keys {
		set, err := jose.ParseSet(e.Public)
		if err != nil || len(set) != 1 || jose.Thumbprint(set[0]) != e.KID {
			return fmt.Errorf("reading root key %q: stored under another name: %w", e.KID, jose.ErrKey)
		}
		fresh.roots = append(fresh.roots, Root{Key: set[0], Thumbprint: e.KID, CreatedAt: e.CreatedAt, ReplacedAt: e.ReplacedAt})
	}
	if key.KID != fresh.roots[0].Thumbprint || jose.Thumbprint(key.Public()) != key.KID {
		return fmt.Errorf("reading root key %q: its halves do not match: %w", key.KID, jose.ErrKey)
	}
	for {
		now := s.current.Load()
		if now != nil && len(now.roots) >= len(fresh.roots) {
			return nil // an older reading that ends later must not win
		}
		if s.current.CompareAndSwap(now, fresh) {
			s.config.Logger.Info("root key in use", "thumbprint", key.KID, "roots", len(fresh.roots))
			return nil
		}
	}
}
