// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ringID is the one record of the table.
const ringID = "ring"

func newTable(sealer storage.Sealer) storage.Table[state] {
	return storage.Table[state]{
		Name:    "keyset",
		Version: 1,
		ID:      func(*state) string { return ringID },
		Sealer:  sealer,
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	table := newTable(sealer)
	return []storage.Kind{&table}
}

// state is the record: every published key of every algorithm. Its methods change it in memory and decide by the time they
// are given, so that a transaction can run them as often as it likes.
type state struct {
	// Changes counts the writes of the record. An empty ring has none.
	Changes int64   `json:"changes"`
	Keys    []entry `json:"keys"`
}

// entry is one key.
type entry struct {
	KID         string         `json:"kid"`
	Alg         jose.Algorithm `json:"alg"`
	State       State          `json:"state"`
	CreatedAt   time.Time      `json:"created_at"`
	ActivatedAt time.Time      `json:"activated_at,omitzero"`
	RetiredAt   time.Time      `json:"retired_at,omitzero"`
	// Public is a JWK set of one.
	Public json.RawMessage `json:"public"`
	// Private is a JWK, and is dropped when the key retires: a key that does not sign cannot leak.
	Private json.RawMessage `json:"private,omitempty"`
}

// newEntry makes a key that was just drawn into a next key.
func newEntry(k jose.PrivateKey, now time.Time) (entry, error) {
	private, err := jose.MarshalPrivate(k)
	if err != nil {
		return entry{}, fmt.Errorf("storing a signing key: %w", err)
	}
	public, err := jose.MarshalSet([]jose.PublicKey{k.Public()})
	if err != nil {
		return entry{}, fmt.Errorf("storing a signing key: %w", err)
	}
	return entry{KID: k.KID, Alg: k.Alg, State: Next, CreatedAt: now, Public: public, Private: private}, nil
}

func (e entry) info() Info {
	return Info{
		KID: e.KID, Alg: e.Alg, State: e.State,
		CreatedAt: e.CreatedAt, ActivatedAt: e.ActivatedAt, RetiredAt: e.RetiredAt,
	}
}

// find returns the key of an algorithm in a state, or nil. The pointer is good until keys are added or removed.
func (s *state) find(alg jose.Algorithm, in State) *entry {
	for i := range s.Keys {
		if s.Keys[i].Alg == alg && s.Keys[i].State == in {
			return &s.Keys[i]
		}
	}
	return nil
}

// retire stops the active key of an algorithm, if there is one, from signing.
func (s *state) retire(alg jose.Algorithm, now time.Time) {
	if e := s.find(alg, Active); e != nil {
		e.State, e.RetiredAt, e.Private = Retired, now, nil
	}
}

// promote makes the next key of an algorithm sign and retires the one that did.
func (s *state) promote(alg jose.Algorithm, now time.Time) {
	e := s.find(alg, Next)
	if e == nil {
		return
	}
	s.retire(alg, now)
	e.State, e.ActivatedAt = Active, now
}

// remove drops the keys that gone reports.
func (s *state) remove(gone func(entry) bool) {
	s.Keys = slices.DeleteFunc(s.Keys, gone)
}

// turn is one change being made: what it may draw on, and when it happens.
type turn struct {
	config *Config
	now    time.Time
	supply supply
}

// create begins an empty ring. Nobody holds an older key set, so its first keys sign at once.
func (t *turn) create(s *state) error {
	if s.Changes > 0 {
		return nil
	}
	for _, alg := range t.config.Algs {
		if err := t.fill(s, alg); err != nil {
			return err
		}
		s.promote(alg, t.now)
		if err := t.fill(s, alg); err != nil {
			return err
		}
	}
	return nil
}

// advance does what is due: it promotes, fills and removes by schedule.
func (t *turn) advance(s *state) error {
	if s.Changes == 0 {
		return t.create(s)
	}
	s.remove(t.expired)
	for _, alg := range t.config.Algs {
		if t.due(s, alg) {
			s.promote(alg, t.now)
		}
		if err := t.fill(s, alg); err != nil {
			return err
		}
	}
	t.fade(s)
	return nil
}

// expired reports whether no token that the key signed can still be valid. Retain also covers a node that signed on
// before it saw that the key was retired.
func (t *turn) expired(e entry) bool {
	return e.State == Retired && !t.now.Before(e.RetiredAt.Add(t.config.LongestToken+t.config.Retain))
}

// due reports whether the next key should begin to sign. An algorithm that joined a ring in use has no active key: there
// is nothing to wait for but that verifiers have seen the first.
func (t *turn) due(s *state, alg jose.Algorithm) bool {
	next, active := s.find(alg, Next), s.find(alg, Active)
	switch {
	case next == nil:
		return false
	case active == nil:
		return !t.now.Before(next.CreatedAt.Add(settle))
	default:
		return !t.now.Before(active.ActivatedAt.Add(t.config.RotateEvery)) && !t.now.Before(next.CreatedAt.Add(t.config.Lead))
	}
}

// fill makes a next key where there is none.
func (t *turn) fill(s *state, alg jose.Algorithm) error {
	if s.find(alg, Next) != nil {
		return nil
	}
	k, ok := t.supply.draw(alg)
	if !ok {
		return nil
	}
	e, err := newEntry(k, t.now)
	if err != nil {
		return err
	}
	s.Keys = append(s.Keys, e)
	return nil
}

// fade lets algorithms that are no longer configured run out: they sign for whoever still asks until their rotation would
// be due, and have no successor. They are not dropped at once, since while nodes are reconfigured one by one some still
// want them.
func (t *turn) fade(s *state) {
	if !slices.ContainsFunc(t.config.Algs, func(alg jose.Algorithm) bool { return s.find(alg, Active) != nil }) {
		return // what is configured cannot sign yet
	}
	over := func(since time.Time) bool { return !t.now.Before(since.Add(t.config.RotateEvery)) }
	for _, alg := range s.algorithms() {
		if slices.Contains(t.config.Algs, alg) {
			continue
		}
		if active := s.find(alg, Active); active != nil && !over(active.ActivatedAt) {
			continue
		}
		s.retire(alg, t.now)
		s.remove(func(e entry) bool { return e.Alg == alg && e.State == Next && over(e.CreatedAt) })
	}
}

// algorithms returns the algorithms of all keys, each once, in the order of their first key.
func (s *state) algorithms() []jose.Algorithm {
	var algs []jose.Algorithm
	for _, e := range s.Keys {
		if !slices.Contains(algs, e.Alg) {
			algs = append(algs, e.Alg)
		}
	}
	return algs
}

// rotate promotes the next key of every configured algorithm. Without force it refuses where a next key is younger than
// the key sets that verifiers may hold.
func (t *turn) rotate(s *state, force bool) error {
	if s.Changes == 0 {
		return t.create(s)
	}
	s.remove(t.expired)
	if len(s.Keys)+len(t.config.Algs) > maxKeys {
		return fmt.Errorf("%d keys are published: %w", len(s.Keys), ErrTooMany)
	}
	for _, alg := range t.config.Algs {
		next := s.find(alg, Next)
		if next != nil && !force && t.now.Before(next.CreatedAt.Add(settle)) {
			return fmt.Errorf("%s key %q can sign from %s on: %w",
				alg, next.KID, next.CreatedAt.Add(settle).Format(time.RFC3339), ErrTooEarly)
		}
		s.promote(alg, t.now)
		if err := t.fill(s, alg); err != nil {
			return err
		}
	}
	return nil
}

// revoke removes a key, whatever its state. The next key takes the place of one that signed, however young it is: a
// verifier that asks again is the smaller harm.
func (t *turn) revoke(s *state, kid string) error {
	i := slices.IndexFunc(s.Keys, func(e entry) bool { return e.KID == kid })
	if i < 0 {
		return fmt.Errorf("key %q: %w", kid, ErrNoKey)
	}
	gone := s.Keys[i]
	s.Keys = slices.Delete(s.Keys, i, i+1)
	for _, alg := range t.config.Algs {
		if err := t.fill(s, alg); err != nil {
			return err
		}
		if gone.State != Active || s.find(alg, Active) != nil {
			continue
		}
		s.promote(alg, t.now)
		if err := t.fill(s, alg); err != nil {
			return err
		}
	}
	return nil
}

// stock is fresh keys by algorithm.
type stock map[jose.Algorithm][]jose.PrivateKey

// supply hands out a stock of fresh keys. They are drawn before a transaction begins, since its closure may run several
// times and must not draw randomness; what is missing is noted, and the transaction tried again with more.
type supply struct {
	stock stock
	used  map[jose.Algorithm]int
	short []jose.Algorithm
}

func newSupply(fresh stock) supply {
	return supply{stock: fresh, used: make(map[jose.Algorithm]int)}
}

func (s *supply) draw(alg jose.Algorithm) (jose.PrivateKey, bool) {
	n := s.used[alg]
	s.used[alg]++
	if n >= len(s.stock[alg]) {
		s.short = append(s.short, alg)
		return jose.PrivateKey{}, false
	}
	return s.stock[alg][n], true
}
