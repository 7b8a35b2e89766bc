// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"context"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

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
				db := storagetest.Frail(w.db)
				w.store = w.over(db)
				db.Break(nth)
				got, err := tt.call(s, w.Context())
				if !db.Broken() { // it is over before its nth operation
					w.ok(err)
					if nth == 1 {
						w.Error("the transition does nothing")
					}
					return
				}
				w.wantError("failing", err, storagetest.ErrFrail)
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
