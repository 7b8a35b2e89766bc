// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/approval"
	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	byphone "github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
)

// detailed registers a payment, which a realm approves and which is good once, and a look at accounts, which the consent page approves.
func detailed(approves string) func(*world, *realm.Config) {
	return func(w *world, _ *realm.Config) {
		registry, err := details.New(
			details.Type{
				Name: "payment", Realms: []string{approves}, Once: true,
				Schema: []byte(`{"properties":{"amount":{"type":"string","pattern":"^[0-9]{1,9}[.][0-9]{2}$"},"to":{"type":"string"},
					"items":{"type":"number"}},"required":["amount","to"]}`),
				Messages: map[string]string{"": "Pay {amount} EUR to {to}"},
			},
			details.Type{
				Name: "accounts", Schema: []byte(`{"properties":{"actions":{"type":"array","minItems":1}},"required":["actions"]}`),
				Messages: map[string]string{"": "See your accounts: {actions}"}, Lists: []string{"actions"},
			},
		)
		if err != nil {
			panic(err)
		}
		rule := &approval.Rule{Type: "payment", Once: true, Match: map[string]string{"amount": "{json.amount}", "to": "{json.to}"}}
		if err := rule.Build(); err != nil {
			panic(err)
		}
		w.details, w.bound = registry, []*approval.Rule{rule}
	}
}

const (
	payAnn   = `[{"type":"payment","amount":"12.50","to":"Ann"}]`
	paysAnn  = `[{"amount":"12.50","to":"Ann","type":"payment"}]` // as it is written from then on
	payBob   = `[{"type":"payment","amount":"12.50","to":"Bob"}]`
	lookAt   = `[{"type":"accounts","actions":["list","read"]}]`
	sendsAnn = `{"amount":"12.50","to":"Ann"}`
)

// wantDetails compares the authorization_details of an answer or of claims.
func wantDetails(t *testing.T, of string, body map[string]any, want string) {
	t.Helper()
	got, err := json.Marshal(body["authorization_details"])
	must(t, err)
	if string(got) != want {
		t.Errorf("%s has authorization_details %s, want %s", of, got, want)
	}
}

// transfer sends a request to the route that only lets pass what was approved.
func (w *world) transfer(t *testing.T, token, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/transfers", strings.NewReader(body))
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return w.send(t, r)
}

// wantNotApproved wants a refusal that names the type, and no value.
func wantNotApproved(t *testing.T, a answer, says string) {
	t.Helper()
	challenge := a.header.Get("WWW-Authenticate")
	if a.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_authorization_details"`) ||
		!strings.Contains(challenge, says) || !strings.Contains(challenge, `authorization_details_types="payment"`) || strings.Contains(challenge, "Ann") {
		t.Errorf("the gate answers %d %s, want it to say %q", a.status, challenge, says)
	}
}

// approvedReceipt verifies the receipt of an operation by the published roots alone.
func (w *world) approvedReceipt(t *testing.T, o *operation.Operation) receipt.Receipt {
	t.Helper()
	published, err := w.next().phones.Roots()
	must(t, err)
	roots, err := receipt.ParseRoots(published)
	must(t, err)
	verified, err := receipt.Verify([]byte(o.Receipt), roots)
	must(t, err)
	return verified
}

// TestAPaymentIsApprovedOnAPhone: the phone shows and signs it, the token says it, the gate lets it pass once, and the receipt proves it.
func TestAPaymentIsApprovedOnAPhone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		b := w.browser(t)
		waiting := b.login(b.get(authorize("app", "authorization_details", payAnn)))
		asked := question(t, phone)
		if asked.Content != "Pay 12.50 EUR to Ann" || asked.Kind != string(operation.Authorisation) || asked.Data != paysAnn {
			t.Fatalf("the phone shows %q (%s) and signs %s", asked.Content, asked.Kind, asked.Data)
		}
		approves(t, phone, waiting.number())
		w.clock.Advance(time.Second)
		tokens := w.redeem(t, "app", b.again(waiting))
		wantDetails(t, "the answer", tokens.body, paysAnn)
		access := tokens.text("access_token")
		wantDetails(t, "the token", claimsOf(t, access), paysAnn)
		seen := w.form(t, "/introspect", "machine", "token", access)
		wantDetails(t, "introspection", seen.body, paysAnn)

		proof := w.approvedReceipt(t, &w.asked(t, w.alice.ID)[0])
		if proof.Shown.Data != paysAnn || proof.Shown.Content != "Pay 12.50 EUR to Ann" || proof.UserID != w.alice.ID {
			t.Errorf("the receipt proves %q and %s by %s", proof.Shown.Content, proof.Shown.Data, proof.UserID)
		}

		wantNotApproved(t, w.transfer(t, access, `{"amount":"12.51","to":"Ann"}`), "not what was approved: amount")
		wantNotApproved(t, w.transfer(t, access, `{"amount":"12.50","to":"Bob"}`), "not what was approved: to")
		wantNotApproved(t, w.transfer(t, access, `{"amount":"12.50"}`), "no plain value for to")
		wantNotApproved(t, w.transfer(t, access, `{"amount":12345678901234567.50,"to":"Ann"}`), "no plain value for amount")
		if got := w.transfer(t, access, sendsAnn); got.status != http.StatusOK {
			t.Fatalf("what was approved gets %d %s", got.status, got.header.Get("WWW-Authenticate"))
		}
		wantNotApproved(t, w.transfer(t, access, sendsAnn), "has been used")
		later := w.refresh(t, "app", tokens.text("refresh_token"))
		wantDetails(t, "a refreshed token", claimsOf(t, later.text("access_token")), paysAnn)
		wantNotApproved(t, w.transfer(t, later.text("access_token"), sendsAnn), "has been used")
		if got := w.call(t, api, access); got.status != http.StatusOK {
			t.Errorf("a route that asks for no approval answers %d", got.status)
		}
	}, asks(byphone.Config{Type: "push_pin"}), detailed("phone"))
}

// TestAnApprovalOnAPhoneIsForOneRequest: the same payment is asked anew, with the login and the phone of a moment ago.
func TestAnApprovalOnAPhoneIsForOneRequest(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		b := w.browser(t)
		waiting := b.login(b.get(authorize("app", "authorization_details", payAnn)))
		approves(t, phone, waiting.number())
		w.clock.Advance(time.Second)
		first := w.redeem(t, "app", b.again(waiting))
		for _, next := range []string{payAnn, payBob} {
			waiting = b.get(authorize("app", "authorization_details", next))
			if waiting.number() == "" {
				t.Fatalf("for %s: %s %d\n%s", next, waiting.url, waiting.status, waiting.body)
			}
			if shown := question(t, phone); shown.Data == "" || strings.Contains(shown.Data, "Bob") != (next == payBob) {
				t.Errorf("the phone signs %s", shown.Data)
			}
			approves(t, phone, waiting.number())
			w.clock.Advance(time.Second)
			last := w.redeem(t, "app", b.again(waiting))
			if got := w.transfer(t, last.text("access_token"), sendsAnn); (got.status == http.StatusOK) != (next == payAnn) {
				t.Errorf("paying Ann after %s: %d", next, got.status)
			}
		}
		if got := w.transfer(t, first.text("access_token"), sendsAnn); got.status != http.StatusOK {
			t.Errorf("the first approval is good for a payment of its own, and gets %d", got.status)
		}
	}, asks(byphone.Config{Type: "push_pin"}), detailed("phone"))
}

// TestAPaymentThatIsDenied: no code comes of it, and nothing else that was approved.
func TestAPaymentThatIsDenied(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		b := w.browser(t)
		waiting := b.login(b.get(authorize("app", "authorization_details", payAnn)))
		must(t, phone.Deny(t.Context(), question(t, phone), envelope.Denied))
		after := b.again(waiting)
		if after.url.Query().Get("code") != "" || after.number() != "" {
			t.Errorf("after the denial: %s %d\n%s", after.url, after.status, after.body)
		}
	}, asks(byphone.Config{Type: "push_pin"}), detailed("phone"))
}

// TestAPaymentInAnApp: the app shows the number, and never learns more of the approval than that it came.
func TestAPaymentInAnApp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		app := w.phone(t)
		app.ask("read", "authorization_details", payAnn)
		told := challengeOf(t, app.send("answers", `{"password":{"username":"alice","password":"`+password+`"}}`), "phone")
		data, _ := told["data"].(map[string]any)
		number, _ := data["number"].(string)
		if shown := question(t, phone); shown.Data != paysAnn {
			t.Errorf("the phone signs %s", shown.Data)
		}
		approves(t, phone, number)
		w.clock.Advance(time.Second)
		end := app.send("answers", `{"phone":{}}`)
		tokens := app.redeem(end.text("authorization_code"))
		wantDetails(t, "the answer", tokens.body, paysAnn)
		if got := w.transfer(t, tokens.text("access_token"), sendsAnn); got.status != http.StatusOK {
			t.Errorf("what was approved gets %d", got.status)
		}
	}, asks(byphone.Config{Type: "push_pin"}), detailed("phone"))
}

// TestALookIsConsentedTo: on the page, each time; later the client may have less, and the whole again, and never more.
func TestALookIsConsentedTo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const all, less = `[{"actions":["list","read"],"type":"accounts"}]`, `[{"actions":["list"],"type":"accounts"}]`
		b := w.browser(t)
		page := b.login(b.get(authorize("app", "authorization_details", lookAt)))
		if !strings.Contains(page.body, "See your accounts: list, read") {
			t.Fatalf("the page is %s %d\n%s", page.url, page.status, page.body)
		}
		tokens := w.redeem(t, "app", b.submit(page, "decision", "allow"))
		wantDetails(t, "the answer", tokens.body, all)
		narrow := w.refresh(t, "app", tokens.text("refresh_token"), "authorization_details", less)
		wantDetails(t, "a narrower token", claimsOf(t, narrow.text("access_token")), less)
		more := w.refresh(t, "app", narrow.text("refresh_token"), "authorization_details", strings.Replace(all, `"read"`, `"read","pay"`, 1))
		if more.status != http.StatusBadRequest || more.text("error") != "invalid_authorization_details" {
			t.Errorf("more than was granted gets %d %v", more.status, more.body)
		}
		whole := w.refresh(t, "app", narrow.text("refresh_token"))
		wantDetails(t, "the next token", claimsOf(t, whole.text("access_token")), all)
		if again := b.get(authorize("app", "authorization_details", lookAt)); !strings.Contains(again.body, "See your accounts: list, read") {
			t.Errorf("the second time: %s %d", again.url, again.status)
		}
		if got := w.transfer(t, tokens.text("access_token"), sendsAnn); got.status != http.StatusForbidden {
			t.Errorf("a look pays: %d", got.status)
		}
	}, detailed("word"))
}

// TestRFC9396: what a client may send, by the sections of RFC 9396, on each way there is in.
func TestRFC9396(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		b.login(b.get(authorize("app")))
		for _, tt := range []struct{ name, client, text string }{
			{"2 an object instead of a list", "app", payAnn[1 : len(payAnn)-1]},
			{"2 an empty list", "app", "[]"},
			{"2 a list of texts", "app", `["payment"]`},
			{"2 no type", "app", `[{"amount":"12.50","to":"Ann"}]`},
			{"2 a type that is no text", "app", `[{"type":1}]`},
			{"2 a member that stands twice", "app", `[{"type":"payment","amount":"12.50","amount":"99.00","to":"Ann"}]`},
			{"2 more than ten", "app", "[" + strings.Repeat(`{"type":"accounts","actions":["list"]},`, 10) + lookAt[1:]},
			{"2 larger than a token can be", "app", `[{"type":"payment","amount":"12.50","to":"` + strings.Repeat("x", 5000) + `"}]`},
			{"5 malformed", "app", payAnn[:len(payAnn)-1]},
			{"5 an unknown type", "app", `[{"type":"other"}]`},
			{"5 an unknown field", "app", `[{"type":"payment","amount":"12.50","to":"Ann","x":1}]`},
			{"5 a field of the wrong type", "app", `[{"type":"payment","amount":12.50,"to":"Ann"}]`},
			{"5 an invalid value", "app", `[{"type":"payment","amount":"12","to":"Ann"}]`},
			{"5 a missing field", "app", `[{"type":"payment","amount":"12.50"}]`},
			{"5 a number of more than fifteen digits", "app", `[{"type":"payment","amount":"12.50","to":"Ann","items":12345678901234567}]`},
			{"5 a number with an exponent", "app", `[{"type":"payment","amount":"12.50","to":"Ann","items":1e3}]`},
			{"10 a type of other clients", "machine", payAnn},
			{"12 a text that reorders", "app", `[{"type":"payment","amount":"12.50","to":"A\u202ennA"}]`},
			{"12 a text of two lines", "app", `[{"type":"payment","amount":"12.50","to":"A\nPay 0.01 EUR"}]`},
			{"12 two payments by one approval", "app", payAnn[:len(payAnn)-1] + "," + payBob[1:]},
		} {
			// 8: at the pushed authorization request endpoint, and where browsers come, before anybody is asked.
			pushed := w.form(t, "/par", tt.client, "response_type", "code", "redirect_uri", callback, "scope", "openid",
				"code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method", "S256", "authorization_details", tt.text)
			if tt.client == "machine" { // it has no way to ask anybody
				if pushed.status == http.StatusCreated {
					t.Errorf("%s: pushed and taken", tt.name)
				}
				continue
			}
			if pushed.status != http.StatusBadRequest || pushed.text("error") != "invalid_authorization_details" {
				t.Errorf("%s: pushed and answered %d %v", tt.name, pushed.status, pushed.body)
			}
			if back := b.get(authorize(tt.client, "authorization_details", tt.text)); back.url.Query().Get("error") != "invalid_authorization_details" {
				t.Errorf("%s: the browser is at %s (%d)", tt.name, back.url, back.status)
			}
			if strings.Contains(pushed.text("error_description"), "Ann") {
				t.Errorf("%s: the refusal repeats what was sent: %v", tt.name, pushed.body)
			}
		}
		// Two of them can be read in two ways: nothing of such a request is believed, not even where to go back to.
		twice := b.get(authorize("app", "authorization_details", payAnn) + "&" + url.Values{"authorization_details": {payBob}}.Encode())
		if twice.status != http.StatusBadRequest || !strings.HasPrefix(twice.url.String(), issuer) {
			t.Errorf("two of them: the browser is at %s (%d)", twice.url, twice.status)
		}
		// 10: the metadata name the types.
		metadata := w.call(t, issuer+"/.well-known/oauth-authorization-server", "")
		types, err := json.Marshal(metadata.body["authorization_details_types_supported"])
		must(t, err)
		if string(types) != `["accounts","payment"]` {
			t.Errorf("10: the metadata have %s", types)
		}
		// 12: what looks like a place of a template, or markup, is text.
		page := b.get(authorize("app", "authorization_details", `[{"type":"accounts","actions":["{type}","<b>all</b>"]}]`))
		if !strings.Contains(page.body, "See your accounts: {type}, &lt;b&gt;all&lt;/b&gt;") {
			t.Errorf("12: the page shows\n%s", page.body)
		}
	}, detailed("word"))
}

// TestNoTypesAreNotAdvertised: an issuer without types says nothing of them, and knows none.
func TestNoTypesAreNotAdvertised(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		metadata := w.call(t, issuer+"/.well-known/oauth-authorization-server", "")
		if types, there := metadata.body["authorization_details_types_supported"]; there {
			t.Errorf("the metadata have %v", types)
		}
		b := w.browser(t)
		if back := b.get(authorize("app", "authorization_details", payAnn)); back.url.Query().Get("error") != "invalid_authorization_details" {
			t.Errorf("the browser is at %s", back.url)
		}
	})
}
