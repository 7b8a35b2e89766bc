// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// A code or a refresh token that is asked for more than was granted is refused and stays as good as it was.
func TestWhatDoesNotFitTheGrantIsUntouched(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		s := newStage(w)
		details, err := oauth.ParseDetails(`[{"type":"payment"}]`)
		w.ok(err)
		code, c := s.completion(s.session, func(c *authz.Completion) { c.Grant.Details = details })
		_, err = w.store.Complete(w.Context(), c)
		w.ok(err)
		var seen string
		no := func(g *authz.Grant) bool { seen = g.Details.String(); return false }

		in := s.redemption(code)
		in.Fits = no
		for range 10 { // nor does it count as a try
			w.redeem(in, authz.RedeemExceeds)
		}
		equal(w, "what was judged", seen, details.String())
		in.Fits = func(*authz.Grant) bool { return true }
		family := authz.NewFamily(w.store.Now(), familyTTL, familyIdle)
		in.Family = &family
		w.redeem(in, authz.Redeemed)

		w.refresh(family.Token(), authz.RefreshExceeds, func(r *authz.Renewal) { r.Fits = no })
		next := w.refresh(family.Token(), authz.Rotated)
		equal(w, "what the grant is for", next.Grant.Details.String(), details.String())
		in.Fits = no
		w.redeem(in, authz.RedeemReplayed) // a replay is one, whatever it asks for
	})
}
