// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/storage"
)

// maxAttempts bounds how often a change is tried again because the ring asked for more fresh keys than it had before. The
// second attempt has them, unless another node changed the ring in between.
const maxAttempts = 5

// step is one way to change a ring.
type step func(*turn, *state) error

// errShort rolls a transaction back that ran out of fresh keys.
var errShort = errors.New("fresh keys are missing")

// Load reads the keys from the store and creates the first ones where there are none. When it fails, the ring goes on with
// the keys it has.
func (r *Ring) Load(ctx context.Context) error {
	if err := r.change(ctx, (*turn).create); err != nil {
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	return nil
}

// Tick does what is due by schedule and reads what other nodes did. It is cheap when nothing is due, so every node may call
// it as often as it likes. When it fails, the ring goes on with the keys it has.
func (r *Ring) Tick(ctx context.Context) error {
	if err := r.change(ctx, (*turn).advance); err != nil {
		return fmt.Errorf("keeping the signing keys: %w", err)
	}
	return nil
}

// Watch returns the notices of changes of the keys, by whichever node: then is the time for [Ring.Tick].
func (r *Ring) Watch() *storage.Notices { return storage.Watch(r.config.DB, r.table.Name) }

// Rotate makes the next key of each configured algorithm sign now. Where that key was published for less than an hour, it
// fails with [ErrTooEarly] unless forced: verifiers that hold an older key set would refuse tokens until they fetch it
// again. It fails with [ErrTooMany] when too many retired keys are still published.
func (r *Ring) Rotate(ctx context.Context, force bool) error {
	err := r.change(ctx, func(t *turn, s *state) error { return t.rotate(s, force) })
	if err != nil {
		return fmt.Errorf("rotating the signing keys: %w", err)
	}
	return nil
}

// Revoke removes a key from the key set at once, for a key that leaked: whatever it signed is refused by everyone who
// fetches the set again. If it was signing, the next key takes its place. It fails with [ErrNoKey] when there is no key of
// that name.
func (r *Ring) Revoke(ctx context.Context, kid string) error {
	err := r.change(ctx, func(t *turn, s *state) error { return t.revoke(s, kid) })
	if err != nil {
		return fmt.Errorf("revoking a signing key: %w", err)
	}
	return nil
}

// change runs one step over the stored ring and takes the outcome into use.
func (r *Ring) change(ctx context.Context, do step) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	fresh := make(stock)
	for range maxAttempts {
		t := turn{config: &r.config, now: r.config.Now().UTC().Truncate(time.Millisecond)}
		short, err := r.attempt(ctx, t, fresh, do)
		if !errors.Is(err, errShort) {
			return err
		}
		for _, alg := range short {
			k, err := jose.GenerateKey(alg)
			if err != nil {
				return err
			}
			fresh[alg] = append(fresh[alg], k)
		}
	}
	return fmt.Errorf("drawing fresh keys: %w", storage.ErrConflict)
}

// attempt looks at the ring without a write transaction first: most steps find nothing to do. With errShort it returns the
// algorithms of the keys that were missing.
func (r *Ring) attempt(ctx context.Context, t turn, stock stock, do step) (short []jose.Algorithm, err error) {
	var after state
	var changed bool
	run := func(tx storage.Tx, commit bool) error {
		s, _, err := r.table.Find(tx, ringID)
		if err != nil {
			return err
		}
		before := s.fingerprint()
		t := t
		t.supply = newSupply(stock)
		err = do(&t, &s)
		short, after, changed = t.supply.short, s, s.fingerprint() != before
		switch {
		case err != nil:
			return err
		case len(short) > 0:
			return errShort
		case !changed || !commit:
			return nil
		}
		after.Changes++
		return r.table.Put(tx, after)
	}
	err = r.config.DB.View(ctx, func(tx storage.Tx) error { return run(tx, false) })
	if err == nil && changed {
		err = r.config.DB.Update(ctx, func(tx storage.Tx) error { return run(tx, true) })
	}
	if err != nil {
		return short, err
	}
	return nil, r.use(after, changed)
}

// use takes the stored keys into use and reports a change of this node's.
func (r *Ring) use(s state, changed bool) error {
	if old := r.snapshot.Load(); old != nil && old.fingerprint == s.fingerprint() {
		return nil
	}
	fresh, err := newSnapshot(&s, r.config.Algs)
	if err != nil {
		return err
	}
	r.snapshot.Store(fresh)
	if changed {
		r.config.Logger.Info("signing keys changed", "keys", fresh.describe())
	}
	return nil
}
