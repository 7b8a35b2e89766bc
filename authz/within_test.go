// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/storage"
)

// What is written beside a proof is written with it, whichever way it is stored, and neither stands without the other.
func TestWithin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		call func(s *stage, ctx context.Context, within authz.Within) error
	}{
		{"OpenSession", func(s *stage, ctx context.Context, within authz.Within) error {
			fresh, _ := s.draft(alice)
			return s.store.OpenSession(ctx, fresh, within)
		}},
		{"ReplaceSession", func(s *stage, ctx context.Context, within authz.Within) error {
			fresh, _ := s.draft(bob)
			return second(s.store.ReplaceSession(ctx, s.session.ID, fresh, within))
		}},
		{"RaiseSession", func(s *stage, ctx context.Context, within authz.Within) error {
			in := raise(s.session, alice, s.store.Now())
			in.Within = within
			return second(s.store.RaiseSession(ctx, in))
		}},
		{"ProveNative opens", func(s *stage, ctx context.Context, within authz.Within) error {
			in, _ := s.answer(s.native, "password", bob)
			in.Raise.Within = within
			_, _, err := s.store.ProveNative(ctx, in)
			return err
		}},
		{"ProveNative raises", func(s *stage, ctx context.Context, within authz.Within) error {
			in, _ := s.answer(s.native, "pin", "")
			in.Raise.Within = within
			_, _, err := s.store.ProveNative(ctx, in)
			return err
		}},
		{"ProveRequest", func(s *stage, ctx context.Context, within authz.Within) error {
			return second(s.store.ProveRequest(ctx, s.request.ID, realm.Proof{Realm: "app", Time: s.store.Now()}, within))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := solo(t)
			s := newStage(w)
			before := w.content()
			failed, runs := errors.New("the trail cannot be written"), 0
			w.wantError("with a trail that fails", tt.call(s, w.Context(), func(storage.Tx) error { return failed }), failed)
			equal(w, "content after that", w.content(), before)
			w.ok(tt.call(s, w.Context(), func(tx storage.Tx) error {
				runs++
				return tx.Put(storage.Item{Key: "trail/entry"})
			}))
			equal(w, "entries", runs, 1)
			w.ok(w.raw.View(w.Context(), func(tx storage.Tx) error {
				_, err := tx.Get("trail/entry")
				return err
			}))
		})
	}
}
