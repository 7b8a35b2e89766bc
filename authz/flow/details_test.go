// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// detailed returns a world in which payments are approved with the PIN, and access to accounts on the consent page.
func detailed(t testing.TB) *faces.World {
	t.Helper()
	registry, err := details.New(
		details.Type{
			Name: "payment_initiation", Realms: []string{"pin"}, Once: true,
			Schema:   []byte(`{"properties":{"amount":{"type":"string"},"to":{"type":"string"}},"required":["amount","to"]}`),
			Messages: map[string]string{"": "Pay {amount} to {to}", "nl": "Betaal {amount} aan {to}"},
		},
		details.Type{
			Name: "account_information", Schema: []byte(`{"properties":{"actions":{"type":"array"}},"required":["actions"]}`),
			Messages: map[string]string{"": "See your accounts: {actions}"},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	return faces.New(t, faces.Options{Details: registry})
}

const (
	payAnn   = `[{"type":"payment_initiation","amount":"12.50","to":"Ann"}]`
	payBob   = `[{"type":"payment_initiation","amount":"12.50","to":"Bob"}]`
	accounts = `[{"type":"account_information","actions":["list","<b>read</b>"]}]`
)

func wantPIN(t *testing.T, p *faces.Page) {
	t.Helper()
	if wantLogin(t, p); !strings.Contains(strings.Join(p.Fields(), " "), "pin") {
		t.Fatalf("the PIN is not asked for:\n%s", p.Body)
	}
}

func TestRFC9396_5_Authorize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text string }{
		{"malformed", "{"}, {"an unknown type", `[{"type":"other"}]`}, {"an unknown field", `[{"type":"payment_initiation","amount":"1","to":"A","x":1}]`},
		{"a missing field", `[{"type":"payment_initiation","amount":"1"}]`}, {"two payments", strings.Replace(payAnn, "]", ","+payBob[1:], 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := detailed(t)
			params := faces.Params("authorization_details", tt.text)
			wantError(t, w.Browser(t).Authorize(params), oauth.InvalidAuthorizationDetails, params["state"])
			got := push(t, w, "authorization_details", tt.text)
			if got.Code != http.StatusBadRequest || got.Error != oauth.InvalidAuthorizationDetails {
				t.Errorf("pushed: %d %s", got.Code, got.Body)
			}
		})
	}
	t.Run("where no type is registered", func(t *testing.T) {
		t.Parallel()
		params := faces.Params("authorization_details", payAnn)
		wantError(t, newWorld(t).Browser(t).Authorize(params), oauth.InvalidAuthorizationDetails, params["state"])
	})
}

// RFC 9396 3: what is asked for in detail is approved by the realm that the type names, and the grant has it.
func TestRFC9396_3_ApprovedByARealm(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	b := w.Browser(t)
	params := faces.Params("authorization_details", payAnn, "scope", "")
	page := b.Login(b.Authorize(params), faces.AliceLogin)
	wantPIN(t, page)
	// Whoever answers approves what the page says, after a mistake as well.
	for range 2 {
		if !strings.Contains(page.Body, "<p>Pay 12.50 to Ann</p>") {
			t.Errorf("the page does not say what is approved:\n%s", page.Body)
		}
		page = b.Submit(page, "pin", "wrong")
	}
	result := redeem(t, w, params, b.Submit(page, "pin", faces.PIN).Code())
	if got := result.Grant.Details.String(); got != `[{"amount":"12.50","to":"Ann","type":"payment_initiation"}]` {
		t.Errorf("the grant is for %s", got)
	}
	if len(result.Grant.Scopes) != 0 { // 3.1: no scope is added to what was asked for
		t.Errorf("the grant has the scopes %s", result.Grant.Scopes)
	}
}

// An approval is for one request: neither the same payment again, nor another one, nor one that was begun before passes with it.
func TestAnApprovalIsForOneRequest(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	ann, bob := faces.Params("authorization_details", payAnn), faces.Params("authorization_details", payBob)
	first, other := b.Authorize(ann), b.Authorize(bob)
	wantPIN(t, first)
	wantPIN(t, other)
	w.Clock.Advance(time.Second)
	redeem(t, w, ann, b.Submit(first, "pin", faces.PIN).Code())
	wantPIN(t, b.Get(other.At)) // begun before the approval, and not approved by it
	w.Clock.Advance(time.Second)
	wantPIN(t, b.Authorize(ann)) // the same once more
	params := faces.Params("authorization_details", payAnn, "prompt", "none")
	wantError(t, b.Authorize(params), oauth.InteractionRequired, params["state"])
	redeem(t, w, faces.Params("scope", "payments:write"), b.Authorize(faces.Params("scope", "payments:write")).Code()) // the PIN itself counts
	redeem(t, w, bob, b.Submit(b.Get(other.At), "pin", faces.PIN).Code())
}

// A PIN that was proven a moment ago, for a scope that wants one, approves nothing.
func TestAProofThatWasThereApprovesNothing(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	page := b.Authorize(faces.Params("scope", "payments:write"))
	if strings.Contains(page.Body, "Pay") {
		t.Errorf("the page approves something:\n%s", page.Body)
	}
	redeem(t, w, faces.Params(), b.Submit(page, "pin", faces.PIN).Code())
	wantPIN(t, b.Authorize(faces.Params("authorization_details", payAnn, "scope", "payments:write")))
}

// What no realm approves is asked on the consent page, each time and whoever the client is, and shown as text.
func TestRFC9396_12_ConsentIsNeverRemembered(t *testing.T) {
	t.Parallel()
	for name, params := range map[string]map[string]string{
		"the operator's own": faces.Params("authorization_details", accounts), "another's": third("authorization_details", accounts),
		"without a scope": third("authorization_details", accounts, "scope", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := detailed(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			for range 2 {
				page := b.Authorize(params)
				wantConsent(t, page)
				if !strings.Contains(page.Body, "See your accounts: list, &lt;b&gt;read&lt;/b&gt;") {
					t.Errorf("the page does not show the details:\n%s", page.Body)
				}
				redeem(t, w, params, b.Submit(page, "decision", "allow").Code())
			}
			silent := map[string]string{"prompt": "none"}
			for k, v := range params {
				silent[k] = v
			}
			wantError(t, b.Authorize(silent), oauth.ConsentRequired, params["state"])
			wantError(t, b.Submit(b.Authorize(params), "decision", "deny"), oauth.AccessDenied, params["state"])
		})
	}
}

// RFC 9396 3.1: scopes and details are shown together, and consent to the scopes may be remembered without that to the details.
func TestRFC9396_3_1_TogetherWithScopes(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	b := w.Browser(t)
	params := third("authorization_details", strings.Replace(payAnn, "[", "["+accounts[1:len(accounts)-1]+",", 1), "ui_locales", "nl")
	page := b.Submit(b.Login(b.Authorize(params), faces.AliceLogin), "pin", faces.PIN)
	wantConsent(t, page)
	for _, text := range []string{"Betaal 12.50 aan Ann", "See your accounts: list", "See your accounts<"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q:\n%s", text, page.Body)
		}
	}
	redeem(t, w, params, b.Submit(page, "decision", "allow").Code())
	events := w.Trail.Stored()
	if got := events[len(events)-1]; got.Name != "consent" || got.Outcome != audit.Accepted ||
		!strings.HasSuffix(got.Reason, " account_information payment_initiation") {
		t.Errorf("the trail says %+v", got)
	}
	redeem(t, w, third(), b.Authorize(third()).Code())
	wantPIN(t, b.Authorize(params))
}

// RFC 9396 4: a pushed request has its details judged when it is pushed; what stands beside it in the browser means nothing.
func TestRFC9396_4_Pushed(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	page := b.Get(at(push(t, w, "authorization_details", payAnn), "authorization_details", payBob))
	wantPIN(t, page)
	result := redeem(t, w, faces.Params(), b.Submit(page, "pin", faces.PIN).Code())
	if got := result.Grant.Details.String(); !strings.Contains(got, "Ann") || strings.Contains(got, "Bob") {
		t.Errorf("the grant is for %s", got)
	}
}

// What realms are shown is in the stored request, word for word.
func TestTheMessageIsKeptWithTheRequest(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	_, form := b.Authorize(faces.Params("authorization_details", payAnn, "ui_locales", "nl")).Form()
	request, err := w.Store.Request(t.Context(), form.Get("req"))
	if err != nil {
		t.Fatal(err)
	}
	approves := request.Transaction()
	if approves == nil || approves.Message != "Betaal 12.50 aan Ann" || approves.Request != request.ID || !strings.Contains(string(approves.Details), `"to":"Ann"`) {
		t.Errorf("it approves %+v", approves)
	}
	if plain := authz.NewRequest(w.Store.Now()); plain.Transaction() != nil {
		t.Error("a request without details approves something")
	}
}
