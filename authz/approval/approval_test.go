// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/approval"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// marks remembers in memory.
type marks struct {
	used map[string]time.Time
	err  error
}

func (m *marks) SpendAssertion(_ context.Context, of, id string, until time.Time) (bool, error) {
	if m.err != nil {
		return false, m.err
	}
	_, twice := m.used[of+id]
	if m.used == nil {
		m.used = map[string]time.Time{}
	}
	m.used[of+id] = until
	return !twice, nil
}

func principal(t *testing.T, details, grant string) *validation.Principal {
	t.Helper()
	p, err := validation.ReadPrincipal([]byte(`{"iss":"https://a","sub":"u","jti":"t1","gid":"` + grant + `","iat":1795000000,"exp":1795000300,"authorization_details":` + details + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rule(t *testing.T, u approval.Rule) []*approval.Rule {
	t.Helper()
	if err := u.Build(); err != nil {
		t.Fatal(err)
	}
	return []*approval.Rule{&u}
}

func post(t *testing.T, contentType, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/pay", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

const approved = `[{"type":"payment","amount":"12.50","to":{"name":"Ann"}},{"type":"other","amount":"99.00"}]`

func TestRFC9396_9(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, contentType, body, details, says string
	}{
		{"what was approved", "application/json", `{"amount":"12.50","to":{"name":"Ann"}}`, approved, ""},
		{"with more that nobody compares", "application/json", `{"amount":"12.50","to":{"name":"Ann"},"note":"x"}`, approved, ""},
		{"another amount", "application/json", `{"amount":"12.51","to":{"name":"Ann"}}`, approved, "the request is not what was approved: amount"},
		{"an amount that is equal for some", "application/json", `{"amount":12.5,"to":{"name":"Ann"}}`, approved, "amount"},
		{"a number as it was approved", "application/json", `{"amount":12.50,"to":{"name":"Ann"}}`, approved, ""},
		{"an amount of more digits than a double keeps", "application/json", `{"amount":12345678901234567.50,"to":{"name":"Ann"}}`,
			`[{"type":"payment","amount":"12345678901234567.50","to":{"name":"Ann"}}]`, "no plain value for amount"},
		{"an amount with an exponent", "application/json", `{"amount":1e2,"to":{"name":"Ann"}}`,
			`[{"type":"payment","amount":"1e2","to":{"name":"Ann"}}]`, "no plain value for amount"},
		{"an approved amount that is none", "application/json", `{"amount":"12.50","to":{"name":"Ann"}}`, `[{"type":"payment","amount":["12.50"],"to":{"name":"Ann"}}]`, "amount"},
		{"a place of a template", "application/json", `{"amount":"{json.other}","other":"12.50","to":{"name":"Ann"}}`, approved, "not what was approved: amount"},
		{"an amount in another spelling as well", "application/json", `{"amount":"12.50","Amount":"99","to":{"name":"Ann"}}`, approved, "no plain value for amount"},
		{"a letter and its mark apart", "application/json", "{\"amount\":\"1\",\"to\":{\"name\":\"Zoe\u0308\"}}", "[{\"type\":\"payment\",\"amount\":\"1\",\"to\":{\"name\":\"Zo\u00eb\"}}]", ""},
		{"a mark apart was approved", "application/json", "{\"amount\":\"1\",\"to\":{\"name\":\"Zo\u00eb\"}}", "[{\"type\":\"payment\",\"amount\":\"1\",\"to\":{\"name\":\"Zoe\u0308\"}}]", ""},
		{"what reorders the text", "application/json", "{\"amount\":\"12.50\",\"to\":{\"name\":\"\u202eAnn\"}}", approved, "no plain value for to.name"},
		{"another creditor", "application/json", `{"amount":"12.50","to":{"name":"Bob"}}`, approved, "to.name"},
		{"an amount of another type", "application/json", `{"amount":"99.00","to":{"name":"Ann"}}`, approved, "amount"},
		{"both", "application/json", `{"amount":"1","to":{"name":"Bob"}}`, approved, "amount, to.name"},
		{"a member that stands twice", "application/json", `{"amount":"12.50","amount":"99","to":{"name":"Ann"}}`, approved, "no plain value for amount"},
		{"a member that is missing", "application/json", `{"amount":"12.50"}`, approved, "no plain value for to.name"},
		{"an object instead", "application/json", `{"amount":{"a":1},"to":{"name":"Ann"}}`, approved, "no plain value for amount"},
		{"no JSON", "application/json", `amount=12.50`, approved, "no plain value for amount"},
		{"a form", "application/x-www-form-urlencoded", `amount=12.50`, approved, "no plain value for amount"},
		{"no body", "application/json", ``, approved, "no plain value for amount"},
		{"nothing approved", "application/json", `{"amount":"12.50","to":{"name":"Ann"}}`, `[]`, "nothing of this type was approved"},
		{"something else approved", "application/json", `{"amount":"12.50","to":{"name":"Ann"}}`, `[{"type":"other","amount":"12.50","to":{"name":"Ann"}}]`, "nothing of this type was approved"},
		{"details that cannot be read", "application/json", `{"amount":"12.50","to":{"name":"Ann"}}`, `{}`, "cannot be read"},
		{"a body that is too large", "application/json", `{"amount":"12.50","note":"` + strings.Repeat("x", 65<<10) + `"}`, approved, "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules := rule(t, approval.Rule{Type: "payment", Match: map[string]string{"amount": "{json.amount}", "to.name": "{json.to.name}"}})
			r, m := post(t, tt.contentType, tt.body), new(marks)
			err := approval.Admit(r, rules, principal(t, tt.details, "g1"), m)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) || len(m.used) > 0 {
					t.Errorf("got %v, want it to say %q; used: %v", err, tt.says, m.used)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if sent, err := io.ReadAll(r.Body); err != nil || string(sent) != tt.body {
				t.Errorf("the upstream gets %q (%v)", sent, err)
			}
		})
	}
}

// RFC 9470 3 is the pattern of the challenge: it names what would be enough, and never a value.
func TestTheChallengeNamesTheTypeAndTheMembers(t *testing.T) {
	t.Parallel()
	rules := rule(t, approval.Rule{Type: "payment", Match: map[string]string{"amount": "{json.amount}"}})
	err := approval.Admit(post(t, "application/json", `{"amount":"MARK"}`), rules, principal(t, approved, "g1"), new(marks))
	want := `Bearer error="insufficient_authorization_details", error_description="the request is not what was approved: amount", ` +
		`authorization_details_types="payment"`
	if diff := cmp.Diff(want, validation.ChallengeFor(err).String()); diff != "" || oauth.AsError(err).HTTPStatus() != http.StatusForbidden {
		t.Errorf("status %d (-want +got):\n%s", oauth.AsError(err).HTTPStatus(), diff)
	}
}

// What is good once is used once by a grant, whatever token carries it, and another grant has its own.
func TestWhatWasApprovedIsUsedOnce(t *testing.T) {
	t.Parallel()
	m := new(marks)
	admit := func(typ, grant string) error {
		rules := rule(t, approval.Rule{Type: typ, Once: typ == "payment", Match: map[string]string{"amount": "{json.amount}"}})
		who := principal(t, `[{"type":"`+typ+`","amount":"1"}]`, grant)
		return approval.Admit(post(t, "application/json", `{"amount":"1"}`), rules, who, m)
	}
	for i, tt := range []struct {
		typ, grant string
		passes     bool
	}{
		{"payment", "g1", true}, {"payment", "g1", false}, {"payment", "g2", true}, {"payment", "", true}, {"payment", "", false},
		{"transfer", "g1", true}, {"transfer", "g1", true}, // it is not good once only
	} {
		err := admit(tt.typ, tt.grant)
		if (err == nil) != tt.passes {
			t.Errorf("request %d: %v", i, err)
		}
		if err != nil && oauth.AsError(err).Code != oauth.InsufficientDetails {
			t.Errorf("request %d: %v", i, err)
		}
	}
	for what, until := range m.used {
		// A token of the grant may be minted as long as its refresh tokens live.
		if least := time.Unix(1795000000, 0).Add(authz.MaxRefreshTTL); strings.Contains(what, "\ng") && until.Before(least) {
			t.Errorf("%q is forgotten at %v, and a token for it may come until %v", what, until, least)
		}
	}
	m.err = errors.New("the store is down")
	if err := admit("payment", "g3"); err == nil || oauth.AsError(err).HTTPStatus() != http.StatusServiceUnavailable {
		t.Errorf("without a store: %v", err)
	}
}

// TestNothingIsUsedUpByARefusal: of two rules the second refuses, and what the first lets pass is still there.
func TestNothingIsUsedUpByARefusal(t *testing.T) {
	t.Parallel()
	amount := map[string]string{"amount": "{json.amount}"}
	rules := append(rule(t, approval.Rule{Type: "payment", Match: amount, Once: true}), rule(t, approval.Rule{Type: "transfer", Match: amount})...)
	who, m := principal(t, `[{"type":"payment","amount":"1"},{"type":"transfer","amount":"2"}]`, "g1"), new(marks)
	err := approval.Admit(post(t, "application/json", `{"amount":"1"}`), rules, who, m)
	if err == nil || len(m.used) > 0 {
		t.Errorf("%v, used %v", err, m.used)
	}
}

// TestATokenWithoutAnID: nothing could tell that it was used.
func TestATokenWithoutAnID(t *testing.T) {
	t.Parallel()
	rules := rule(t, approval.Rule{Type: "payment", Match: map[string]string{"amount": "{json.amount}"}, Once: true})
	who := principal(t, `[{"type":"payment","amount":"1"}]`, "")
	who.TokenID = ""
	err := approval.Admit(post(t, "application/json", `{"amount":"1"}`), rules, who, new(marks))
	if err == nil || oauth.AsError(err).Code != oauth.InvalidToken {
		t.Errorf("it is let through: %v", err)
	}
}

// TestARequestPassesThatIsWhatWasApproved: and no other, whatever was approved besides.
func TestARequestPassesThatIsWhatWasApproved(t *testing.T) {
	t.Parallel()
	rules := rule(t, approval.Rule{Type: "payment", Match: map[string]string{"amount": "{json.amount}", "to": "{json.to}"}})
	amount, name := rapid.SampledFrom([]string{"1", "1.0", "10", "-1", ""}), rapid.SampledFrom([]string{"Ann", "Ann B", "ann", "A", "true"})
	type payment struct {
		Type   string `json:"type"`
		Amount string `json:"amount"`
		To     string `json:"to"`
	}
	pays := rapid.Custom(func(t *rapid.T) payment {
		return payment{rapid.SampledFrom([]string{"payment", "other"}).Draw(t, "type"), amount.Draw(t, "amount"), name.Draw(t, "to")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		granted, asked := rapid.SliceOfN(pays, 1, 3).Draw(rt, "granted"), pays.Draw(rt, "asked")
		asked.Type = "payment"
		details, err := json.Marshal(granted)
		if err != nil {
			rt.Fatal(err)
		}
		body, err := json.Marshal(asked)
		if err != nil {
			rt.Fatal(err)
		}
		err = approval.Admit(post(t, "application/json", string(body)), rules, principal(t, string(details), "g"), new(marks))
		if want := asked.Amount != "" && slices.Contains(granted, asked); (err == nil) != want {
			rt.Fatalf("%+v of %+v: %v", asked, granted, err)
		}
	})
}

func TestOtherPartsOfARequest(t *testing.T) {
	t.Parallel()
	rules := rule(t, approval.Rule{Type: "transfer", Match: map[string]string{"to": "{query.to}", "method": "{method}", "what": "{path.1}"}})
	r := post(t, "text/plain", "not looked at")
	r.URL.RawQuery = "to=Ann"
	if err := approval.Admit(r, rules, principal(t, `[{"type":"transfer","to":"Ann","method":"POST","what":"pay"}]`, "g"), new(marks)); err != nil {
		t.Error(err)
	}
}

// TestARequestThatBecomesAnother: what an upstream may read from elsewhere, or does not get at all, passes for nothing.
func TestARequestThatBecomesAnother(t *testing.T) {
	t.Parallel()
	const json, form = "application/json", "application/x-www-form-urlencoded"
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	query := func(text string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = text } }
	for _, tt := range []struct {
		name, match, contentType, body string
		change                         func(*http.Request)
		passes                         bool
	}{
		{"query alone", "{query.to}", "", "", query("to=Ann"), true},
		{"query, and a form says otherwise", "{query.to}", form, "to=Mallory", query("to=Ann"), false},
		{"query, and an object says otherwise", "{query.to}", json, `{"to":"Mallory"}`, query("to=Ann"), false},
		{"query, and a form in parts", "{query.to}", "multipart/form-data; boundary=x", "--x", query("to=Ann"), false},
		{"query, and a body without a type", "{query.to}", "", "to=Mallory", query("to=Ann"), false},
		{"object alone", "{json.to}", json, `{"to":"Ann"}`, query("a=b"), true},
		{"object, and the query says otherwise", "{json.to}", json, `{"to":"Ann"}`, query("to=Mallory"), false},
		{"object, and another method", "{json.to}", json, `{"to":"Ann"}`, query("_method=DELETE"), false},
		{"form, and another method", "{form.to}", form, `to=Ann&_method=DELETE`, query(""), false},
		{"another method in a header", "{json.to}", json, `{"to":"Ann"}`, header("X_Http_Method", "DELETE"), false},
		{"field alone", "{header.X-To}", json, `{}`, header("X-To", "Ann"), true},
		{"field that is dropped", "{header.X-To}", json, `{}`, func(r *http.Request) {
			r.Header.Set("X-To", "Ann")
			r.Header.Set("Connection", "X-To")
		}, false},
		{"type that is dropped", "{json.to}", json, `{"to":"Ann"}`, header("Connection", "close, content-type"), false},
		{"field in another spelling as well", "{header.X-To}", json, `{}`, func(r *http.Request) {
			r.Header.Set("X-To", "Ann")
			r.Header["X_To"] = []string{"Mallory"}
		}, false},
		{"type in another spelling as well", "{json.to}", json, `{"to":"Ann"}`, header("Content_Type", form), false},
		{"another protocol", "{json.to}", json, `{"to":"Ann"}`, header("Upgrade", "h2c"), false},
		{"trailers", "{json.to}", json, `{"to":"Ann"}`, func(r *http.Request) { r.Trailer = http.Header{"X-To": nil} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules := rule(t, approval.Rule{Type: "payment", Once: true, Match: map[string]string{"to": tt.match}})
			r, m := post(t, tt.contentType, tt.body), new(marks)
			if tt.contentType == "" {
				r.Header.Del("Content-Type")
			}
			tt.change(r)
			err := approval.Admit(r, rules, principal(t, `[{"type":"payment","to":"Ann"}]`, "g1"), m)
			if (err == nil) != tt.passes || len(m.used) > 0 != tt.passes {
				t.Errorf("%v, used %v", err, m.used)
			}
			if err != nil && strings.Contains(err.Error(), "Mallory") {
				t.Errorf("it tells a value: %v", err)
			}
		})
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, u := range map[string]approval.Rule{
		"nothing to compare": {Type: "payment"}, "an escaped brace": {Type: "payment", Match: map[string]string{"a": "{{json.a}"}},
		"a constant": {Type: "payment", Match: map[string]string{"a": "b"}}, "two fields": {Type: "payment", Match: map[string]string{"a": "{json.a}{json.b}"}},
		"an unknown field": {Type: "payment", Match: map[string]string{"a": "{env.A}"}}, "text around it": {Type: "payment", Match: map[string]string{"a": "{json.a} EUR"}},
	} {
		if err := u.Build(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
