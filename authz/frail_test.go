// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/storage"
)

var errFrail = errors.New("the block cannot be read")

// frail is a store of which one operation within a transaction fails: the one that left reaches zero at. Negative is never.
type frail struct {
	storage.DB
	left int
}

func (f *frail) View(ctx context.Context, fn func(storage.Tx) error) error {
	return f.DB.View(ctx, func(tx storage.Tx) error { return fn(&frailTx{tx, f}) })
}

func (f *frail) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return f.DB.Update(ctx, func(tx storage.Tx) error { return fn(&frailTx{tx, f}) })
}

func (f *frail) strike() error {
	f.left--
	if f.left == 0 {
		return errFrail
	}
	return nil
}

type frailTx struct {
	storage.Tx
	db *frail
}

func (t *frailTx) Get(key string) (storage.Item, error) {
	if err := t.db.strike(); err != nil {
		return storage.Item{}, err
	}
	return t.Tx.Get(key)
}

func (t *frailTx) Put(item storage.Item) error {
	if err := t.db.strike(); err != nil {
		return err
	}
	return t.Tx.Put(item)
}

func (t *frailTx) Insert(item storage.Item) error {
	if err := t.db.strike(); err != nil {
		return err
	}
	return t.Tx.Insert(item)
}

func (t *frailTx) Delete(key string) error {
	if err := t.db.strike(); err != nil {
		return err
	}
	return t.Tx.Delete(key)
}

func (t *frailTx) Scan(prefix, after string, limit int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		for item, err := range t.Tx.Scan(prefix, after, limit) {
			if broken := t.db.strike(); broken != nil {
				yield(storage.Item{}, broken)
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// Each read and each write of each transition fails once: the transition errs with that cause, comes with nothing, and has
// written nothing. None of them takes a record that cannot be read for one that is not there.
func TestEveryOperationOfATransitionMayFail(t *testing.T) {
	t.Parallel()
	for _, tt := range append(transitions(), refusals()...) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for nth := 1; ; nth++ {
				w := solo(t)
				s := newStage(w)
				if tt.prepare != nil {
					tt.prepare(s)
				}
				before := w.content()
				db := &frail{DB: w.db}
				w.store = w.over(db)
				db.left = nth
				got, err := tt.call(s, w.Context())
				if db.left > 0 { // it is over before its nth operation
					w.ok(err)
					if nth == 1 {
						w.Error("the transition does nothing")
					}
					return
				}
				w.wantError("failing", err, errFrail)
				if !tt.parts {
					wantNothing(w, got)
					equal(w, "content after the failure", w.content(), before)
				}
			}
		})
	}
}

// refusals are transitions that end in a refusal, with what has to happen before.
func refusals() []transition {
	redeem := func(change func(*authz.Redemption)) func(s *stage, ctx context.Context) ([]any, error) {
		return func(s *stage, ctx context.Context) ([]any, error) {
			in := s.redemption(s.code)
			change(&in)
			r, err := s.store.Redeem(ctx, in)
			return results(r), err
		}
	}
	return []transition{
		{name: "Redeem a spent code", prepare: func(s *stage) { s.redeem(s.redemption(s.code), authz.Redeemed) },
			call: redeem(func(*authz.Redemption) {})},
		{name: "Redeem with another's code", call: redeem(func(r *authz.Redemption) { r.ClientID = other })},
		{name: "Redeem with a wrong verifier", call: redeem(func(r *authz.Redemption) { r.Verifier = "" })},
		{name: "Refresh with a used token", prepare: func(s *stage) { s.rotate(s.token) },
			call: func(s *stage, ctx context.Context) ([]any, error) {
				r, err := s.store.Refresh(ctx, authz.Renewal{Token: s.token, ClientID: app})
				return results(r), err
			}},
		{name: "Complete a request and remember", call: func(s *stage, ctx context.Context) ([]any, error) {
			_, c := s.completion(s.session, of(other), remembering("openid"), func(c *authz.Completion) { c.RequestID = s.request.ID })
			r, err := s.store.Complete(ctx, c)
			return results(r), err
		}},
		{name: "Complete by a remembered consent", call: func(s *stage, ctx context.Context) ([]any, error) {
			_, c := s.completion(s.session, remembered("openid"))
			r, err := s.store.Complete(ctx, c)
			return results(r), err
		}},
	}
}
