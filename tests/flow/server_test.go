// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/validation"
)

func TestOperatorInspectsTokens(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, issued := w.tokens(t, "app")
		s := w.nodes[0].server
		p, err := s.AccessValidator().Inspect(t.Context(), issued.text("access_token"))
		must(t, err)
		assertion, err := s.Assertion(p, "https://upstream")
		must(t, err)
		cases := []struct {
			name, raw, kind, problem string
			active                   bool
		}{
			{"access token", issued.text("access_token"), "access token", "", true},
			{"refresh token", issued.text("refresh_token"), "refresh token", "", true},
			{"ID token", issued.text("id_token"), "ID token", "", false},
			{"assertion", assertion, "assertion", "", false},
			{"altered", issued.text("access_token")[:40] + "A" + issued.text("access_token")[41:], "", "", false},
			{"a guess", issued.text("refresh_token") + "x", "refresh token", "not the current one", false},
			{"nothing", "hello", "unknown", "neither", false},
		}
		for _, c := range cases {
			found := s.Inspect(t.Context(), c.raw)
			if found.Active != c.active || c.kind != "" && found.Kind != c.kind || !strings.Contains(found.Problem, c.problem) {
				t.Errorf("%s: %+v", c.name, found)
			}
		}
		w.clock.Advance(6 * time.Minute)
		if found := s.Inspect(t.Context(), issued.text("access_token")); found.Active || !strings.Contains(found.Problem, "expired") {
			t.Errorf("expired: %+v", found)
		}
		if found := s.Inspect(t.Context(), issued.text("refresh_token")); found.Claims["client_id"] != "app" || found.Claims["secret"] != nil {
			t.Errorf("the refresh token's claims are %v", found.Claims)
		}
	})
}

func TestUpstreamVerifiesAnAssertion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, issued := w.tokens(t, "app")
		s := w.nodes[0].server
		p, err := s.AccessValidator().Inspect(t.Context(), issued.text("access_token"))
		must(t, err)
		assertion, err := s.Assertion(p, "https://upstream")
		must(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/jwks", nil)
		must(t, err)
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, r)
		keys, err := validation.ParseKeySet(recorder.Body.Bytes())
		must(t, err)
		for audience, good := range map[string]bool{"https://upstream": true, "https://another": false} {
			v, err := validation.New(validation.Config{
				Issuer: issuer, Audience: []string{audience}, Keys: keys, Now: w.clock.Now, Typ: tokens.TypAssertion,
			})
			must(t, err)
			who, err := v.Inspect(t.Context(), assertion)
			if (err == nil) != good {
				t.Errorf("at %s: %v", audience, err)
			}
			if good && who.Subject != w.alice.ID {
				t.Errorf("the assertion says %+v", who)
			}
		}
	})
}

func TestServerKnowsItsPaths(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.nodes[0].server
		for path, want := range map[string]bool{
			"/authorize": true, "/token": true, "/jwks": true, "/login": true, "/account": true, "/logout": true,
			"/.well-known/openid-configuration": true, "/.well-known/oauth-authorization-server": true,
			"/": false, "/other": false, "/token/": false, "//token": false, "/Token": false,
		} {
			if got := s.Serves(path); got != want {
				t.Errorf("serves %s is %v, want %v", path, got, want)
			}
		}
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, issuer+"/other", nil))
		want(t, "an unknown path", recorder.Code, http.StatusNotFound)
	})
}

func TestRuleAsksWhatTheScopesMean(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.nodes[0].server
		rule, err := s.Rule(validation.Policy{AllScopes: validation.Scopes{"pay"}})
		must(t, err)
		want := []validation.Requirement{{Realm: "password", MaxAge: 8 * time.Hour}, {Realm: "word", MaxAge: 5 * time.Minute}}
		if diff := cmp.Diff(want, rule.Policy.Requirements); diff != "" {
			t.Error(diff)
		}
		if len(rule.Bare.Requirements) != 0 {
			t.Error("a client acting for itself has to prove a user's realms")
		}
		if _, err := s.Rule(validation.Policy{ACRValues: []string{"platinum"}}); err == nil || !strings.Contains(err.Error(), "platinum") {
			t.Errorf("an unknown level: %v", err)
		}
	})
}

func TestServerNeedsItsParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]server.Config{"nothing": {}, "an issuer alone": {Issuer: issuer}, "no issuer": {Issuer: "http://example.com"}} {
		if _, err := server.New(c); err == nil {
			t.Errorf("a server was assembled from %s", name)
		}
	}
}

// TestRFC8414AdvertisesExactlyWhatWorks compares the two documents with each other and with what answers.
func TestRFC8414AdvertisesExactlyWhatWorks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		read := func(path string) map[string]any {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+path, nil)
			must(t, err)
			return w.send(t, r).body
		}
		document := read("/.well-known/openid-configuration")
		if diff := cmp.Diff(document, read("/.well-known/oauth-authorization-server")); diff != "" {
			t.Errorf("the two documents differ: %s", diff)
		}
		for name, value := range document {
			if target, ok := value.(string); ok && (strings.HasSuffix(name, "_endpoint") || name == "jwks_uri") {
				if !w.nodes[0].server.Serves(strings.TrimPrefix(target, issuer)) {
					t.Errorf("%s is advertised at %s and not served", name, target)
				}
			}
		}
		grants, _ := document["grant_types_supported"].([]any)
		for _, unsupported := range []string{"password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"} {
			if slices.Contains(grants, any(unsupported)) {
				t.Errorf("%s is advertised", unsupported)
			}
			if a := w.form(t, "/token", "app", "grant_type", unsupported); a.text("error") != "unsupported_grant_type" {
				t.Errorf("%s answers %v", unsupported, a.body)
			}
		}
	})
}
