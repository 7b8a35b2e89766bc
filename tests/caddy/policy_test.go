// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
)

// policySite has rules of every kind.
const policySite = `
SPARE {
	@health path /health
	protect @health {
		off
	}
	@payments {
		method POST
		path /payments*
	}
	protect @payments payments:write {
		max_age 5m
		assertion https://payments.internal
		forward_token
	}
	@partner header X-Partner yes
	protect @partner {
		any_scope accounts:read payments:write
		optional
		identity_headers {
			X-Remote-User sub
		}
	}
	handle_path /shop/* {
		protect /inner/* payments:write
		protect accounts:read
		respond shop
	}
	handle /free/* {
		respond free
	}
	handle /outer/* {
		protect accounts:read
		handle /outer/off/* {
			protect {
				off
			}
			respond off
		}
		handle /outer/more/* {
			protect payments:write {
				acr password
				session off
			}
			respond more
		}
		respond outer
	}
	respond end
}
`

func (h *house) explain(t *testing.T, q policy.Question) policy.Explanation {
	t.Helper()
	question, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	got := sendWith(t, h.admin(), http.MethodPost, "http://127.0.0.1/gatehouse/policy", func(r *http.Request) {
		setBody(r, "application/json", string(question))
	})
	var e policy.Explanation
	if err := json.Unmarshal([]byte(got.Body), &e); err != nil || got.Status != http.StatusOK {
		t.Fatalf("%d %s: %v", got.Status, got.Body, err)
	}
	return e
}

// TestPolicy: what is explained is what the gate then does, for matchers of every kind, handle blocks and rules that are off.
func TestPolicy(t *testing.T) {
	t.Parallel()
	h := start(t, "", policySite)
	origin := h.url(siteSpare)
	cases := []struct {
		name, method, path string
		headers            http.Header
		verdict            string
		scopes             [][]string // of the rules, from the outermost
		answers            string
		headersOut         int
		open               bool // that a request without a credential passes
	}{
		{name: "off", method: "GET", path: "/health", verdict: "nothing protects this: the rule that applies is off", scopes: [][]string{nil}, answers: "static_response", open: true},
		{name: "method and path", method: "POST", path: "/payments/1", verdict: "one rule applies", scopes: [][]string{{"payments:write"}}, answers: "static_response", headersOut: 8},
		{name: "another method", method: "GET", path: "/payments/1", verdict: "nothing protects this", answers: "static_response", open: true},
		{name: "header", method: "GET", path: "/", headers: http.Header{"X-Partner": {"yes"}}, verdict: "one rule applies", scopes: [][]string{nil}, answers: "static_response", headersOut: 1, open: true},
		{name: "narrow rule behind a rewrite", method: "GET", path: "/shop/inner/x", verdict: "one rule applies", scopes: [][]string{{"payments:write"}}, answers: "static_response", headersOut: 7},
		{name: "wide rule behind a rewrite", method: "GET", path: "/shop/x", verdict: "one rule applies", scopes: [][]string{{"accounts:read"}}, answers: "static_response", headersOut: 7},
		{name: "no rule in a handle", method: "GET", path: "/free/x", verdict: "nothing protects this", answers: "static_response", open: true},
		{name: "off further in", method: "GET", path: "/outer/off/x", verdict: "one rule applies", scopes: [][]string{{"accounts:read"}, nil}, answers: "static_response", headersOut: 7},
		{name: "two rules", method: "GET", path: "/outer/more/x", verdict: "2 rules apply, and each of them has to let it pass", scopes: [][]string{{"accounts:read"}, {"payments:write"}}, answers: "static_response", headersOut: 7},
		{name: "unusual path", method: "GET", path: "/outer/%2e%2e/x", verdict: "refused with 400, whoever asks"},
		{name: "kept path", method: "GET", path: "/.well-known/oauth-protected-resource", verdict: "the site answers this itself", answers: "protect", open: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := h.explain(t, policy.Question{Method: c.method, URL: origin + c.path, Headers: c.headers})
			if !strings.HasPrefix(e.Verdict, c.verdict) || c.verdict == "nothing protects this" && e.Verdict != c.verdict {
				t.Errorf("the verdict is %q, want %q", e.Verdict, c.verdict)
			}
			var scopes [][]string
			for _, r := range e.Rules {
				scopes = append(scopes, r.Scopes)
			}
			if diff := cmp.Diff(c.scopes, scopes); diff != "" {
				t.Errorf("the rules are not those that apply:\n%s", diff)
			}
			if e.Answers != c.answers || len(e.Headers) != c.headersOut {
				t.Errorf("%q answers and %v reach it", e.Answers, e.Headers)
			}
			got := send(t, c.method, origin+c.path, func(r *http.Request) {
				for name := range c.headers {
					r.Header.Set(name, c.headers.Get(name))
				}
			})
			if open := got.Status == http.StatusOK; open != c.open {
				t.Errorf("without a credential the answer is %d", got.Status)
			}
		})
	}
	t.Run("what a rule says", func(t *testing.T) {
		t.Parallel()
		e := h.explain(t, policy.Question{Method: "POST", URL: origin + "/payments/1"})
		r := e.Rules[0]
		if r.Matches != "method POST, path /payments*" || r.MaxAge != "5m0s" || !r.ForwardToken || r.Assertion != "https://payments.internal" || len(r.Audience) == 0 {
			t.Errorf("%+v", r)
		}
		if want := []policy.Realm{{Name: "password", Step: 1, MaxAge: r.Realms[0].MaxAge}}; !cmp.Equal(want, r.Realms) {
			t.Errorf("the realms are %+v", r.Realms)
		}
		e = h.explain(t, policy.Question{Method: "GET", URL: origin + "/", Headers: http.Header{"X-Partner": {"yes"}}})
		if r := e.Rules[0]; !r.Optional || len(r.Realms) != 2 || r.Realms[0].Scope == "" {
			t.Errorf("%+v", r)
		}
	})
}
