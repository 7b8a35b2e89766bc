// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const (
	granted = `[{"type":"accounts","actions":["list","read"]},{"type":"payment","amount":"1.00"}]`
	wrote   = `[{"actions":["list","read"],"type":"accounts"},{"amount":"1.00","type":"payment"}]`
)

// detailed has the endpoint know two types.
func detailed(t testing.TB) func(*grants.Config) {
	t.Helper()
	registry, err := details.New(
		details.Type{Name: "payment", Schema: []byte(`{"properties":{"amount":{"type":"string"}},"required":["amount"]}`), Messages: map[string]string{"": "Pay {amount}"}},
		details.Type{Name: "accounts", Schema: []byte(`{"properties":{"actions":{"type":"array"}}}`), Messages: map[string]string{"": "See"}, Lists: []string{"actions"}},
	)
	check(t, err)
	return func(c *grants.Config) { c.Details = registry }
}

// wantDetails checks what the answer and the token say, which is the same (RFC 9396 7, 9.1).
func (w *world) wantDetails(t *testing.T, a answer, want string) {
	t.Helper()
	if string(a.Details) != want {
		t.Errorf("the answer has %s, want %s", a.Details, want)
	}
	claim, err := json.Marshal(w.claims(t, a.Access)["authorization_details"])
	check(t, err)
	if want == "" {
		want = "null"
	}
	if diff := cmp.Diff(want, string(claim)); diff != "" {
		t.Errorf("the token's claim (-want +got):\n%s", diff)
	}
}

func TestRFC9396_6_TokenRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, asked, want string }{
		{"6 as granted", "", wrote},
		{"6 the same", granted, wrote},
		{"6 one of them", `[{"type":"payment","amount":"1.00"}]`, `[{"amount":"1.00","type":"payment"}]`},
		{"6.1 fewer actions", `[{"type":"accounts","actions":["read"]}]`, `[{"actions":["read"],"type":"accounts"}]`},
		{"6.1 another amount", `[{"type":"payment","amount":"2.00"}]`, "refused"},
		{"6.1 more actions", `[{"type":"accounts","actions":["read","write"]}]`, "refused"},
		{"6.1 one payment twice", `[{"type":"payment","amount":"1.00"},{"type":"payment","amount":"1.00"}]`, "refused"},
		{"5 an unknown type", `[{"type":"other"}]`, "refused"},
		{"5 malformed", `{"type":"payment"}`, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			h := w.node(t, detailed(t))
			code, grant := w.code(t, allowance{details: granted})
			got := exchange(t, h, "app", code, "authorization_details", tt.asked)
			if tt.want == "refused" {
				got.refused(t, oauth.InvalidAuthorizationDetails, 400)
				got = exchange(t, h, "app", code).ok(t) // the code is untouched
				w.wantDetails(t, got, wrote)
			} else {
				w.wantDetails(t, got.ok(t), tt.want)
			}
			// At a refresh the same holds, and it is the grant that counts: what was narrowed once can be had again.
			again := renew(t, h, "app", got.Refresh, "authorization_details", tt.asked)
			if tt.want == "refused" {
				again.refused(t, oauth.InvalidAuthorizationDetails, 400)
				w.wantDetails(t, renew(t, h, "app", got.Refresh).ok(t), wrote) // the token is untouched
			} else {
				w.wantDetails(t, again.ok(t), tt.want)
				w.wantDetails(t, renew(t, h, "app", again.Refresh).ok(t), wrote)
			}
			if kept, err := w.store.Grant(t.Context(), grant.ID); err != nil || kept.Details.String() != wrote {
				t.Errorf("the grant is %s (%v)", kept.Details, err)
			}
		})
	}
}

func TestDetailsThatAreNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	code, _ := w.code(t, allowance{details: granted})
	bare := w.node(t) // a configuration without types, since
	exchange(t, bare, "app", code, "authorization_details", granted).refused(t, oauth.InvalidAuthorizationDetails, 400)
	w.wantDetails(t, exchange(t, bare, "app", code).ok(t), "")

	none, _ := w.code(t, allowance{})
	exchange(t, w.node(t, detailed(t)), "app", none, "authorization_details", granted).refused(t, oauth.InvalidAuthorizationDetails, 400)
	w.wantDetails(t, exchange(t, w.node(t, detailed(t)), "app", none).ok(t), "")
}

// A wrong scope is told as one, also where the details would be right.
func TestAScopeThatExceedsIsToldAsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t, detailed(t))
	code, _ := w.code(t, allowance{details: granted})
	first := exchange(t, h, "app", code).ok(t)
	renew(t, h, "app", first.Refresh, "scope", "payments:write").refused(t, oauth.InvalidScope, 400)
}

// Nobody approves what a client asks for itself.
func TestNoDetailsWithoutAUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ask(t, w.node(t, detailed(t)), ":basic", "machine:"+secret, "grant_type", "client_credentials", "authorization_details", granted).
		refused(t, oauth.InvalidAuthorizationDetails, 400)
}
