// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// TestRedeemBy: who knows more about an approval refuses it before it is spent, and the trail says why.
func TestRedeemBy(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		expect(t, p.approve(o), operation.Accepted, "")
		was := w.get(o.ID)
		redeem := func(refuses func(storage.Tx, *operation.Operation) (string, error)) (operation.Outcome, error) {
			return w.RedeemBy(t.Context(), o.ID, operation.Redeemer{ClientID: "portal", Refuses: refuses})
		}
		out, err := redeem(func(_ storage.Tx, seen *operation.Operation) (string, error) {
			if seen.ID != o.ID || seen.State != operation.Approved {
				t.Errorf("it is asked about %v", seen)
			}
			return "not_mine", nil
		})
		must(t, err)
		expect(t, out, operation.NotAllowed, "not_mine")
		if out.Operation.ID != "" {
			t.Error("a refusal tells of the operation")
		}
		if _, err := redeem(func(storage.Tx, *operation.Operation) (string, error) { return "", errDown }); !errors.Is(err, errDown) {
			t.Errorf("a fault is %v", err)
		}
		if diff := cmp.Diff(was, w.get(o.ID)); diff != "" {
			t.Errorf("a refused redemption changed it:\n%s", diff)
		}
		if said := w.reasons(o.ID); !slices.Contains(said, "redeem refused not_mine") {
			t.Errorf("audit: %q", said)
		}
		allowed := func(storage.Tx, *operation.Operation) (string, error) { return "", nil }
		for _, code := range []operation.Code{operation.Accepted, operation.Gone} {
			out, err := redeem(allowed)
			must(t, err)
			if out.Code != code {
				t.Errorf("allowed: %s %s", out.Code, out.Reason)
			}
		}
	})
}

// TestRedeemForItsUse: what was approved for one use is redeemed for no other, and above all not by the client for itself.
func TestRedeemForItsUse(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		used := w.ask("usr_1", func(s *operation.Start) { s.Use = "tokens" })
		plain := w.ask("usr_1")
		expect(t, p.approve(used), operation.Accepted, "")
		expect(t, p.approve(plain), operation.Accepted, "")
		for _, who := range []operation.Redeemer{{ClientID: "portal"}, {ClientID: "portal", Use: "requests"}} {
			was := w.get(used.ID)
			out, err := w.RedeemBy(t.Context(), used.ID, who)
			must(t, err)
			expect(t, out, operation.NotAllowed, "other_use")
			if diff := cmp.Diff(was, w.get(used.ID)); diff != "" {
				t.Errorf("a refused redemption changed it:\n%s", diff)
			}
		}
		out, err := w.RedeemBy(t.Context(), plain.ID, operation.Redeemer{ClientID: "portal", Use: "tokens"})
		must(t, err)
		expect(t, out, operation.NotAllowed, "other_use")
		out, err = w.RedeemBy(t.Context(), used.ID, operation.Redeemer{ClientID: "other", Use: "tokens"})
		must(t, err)
		expect(t, out, operation.NotAllowed, "other_client")
		out, err = w.RedeemBy(t.Context(), used.ID, operation.Redeemer{ClientID: "portal", Use: "tokens"})
		must(t, err)
		expect(t, out, operation.Accepted, "")
		if said := w.reasons(used.ID); !slices.Contains(said, "redeem refused other_use") {
			t.Errorf("audit: %q", said)
		}
	})
}
