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

// TestRedeemIf: who knows more about an approval refuses it before it is spent, and the trail says why.
func TestRedeemIf(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		expect(t, p.approve(o), operation.Accepted, "")
		was := w.get(o.ID)
		out, err := w.RedeemIf(t.Context(), o.ID, "portal", func(_ storage.Tx, seen *operation.Operation) (string, error) {
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
		if _, err := w.RedeemIf(t.Context(), o.ID, "portal", func(storage.Tx, *operation.Operation) (string, error) { return "", errDown }); !errors.Is(err, errDown) {
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
			out, err := w.RedeemIf(t.Context(), o.ID, "portal", allowed)
			must(t, err)
			if out.Code != code {
				t.Errorf("allowed: %s %s", out.Code, out.Reason)
			}
		}
	})
}
