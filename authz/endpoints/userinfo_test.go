// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

func TestOIDCCoreUserinfo(t *testing.T) {
	t.Parallel()
	t.Run("5.4 scopes→claims", func(t *testing.T) {
		t.Parallel()
		for _, test := range []struct {
			scopes string
			want   map[string]any
		}{
			{"openid", map[string]any{"sub": "usr_1"}},
			{"openid accounts:read", map[string]any{"sub": "usr_1"}},
			{"openid profile", map[string]any{"sub": "usr_1", "name": "Zoë", "updated_at": 1700000000.0}},
			{"openid email", map[string]any{"sub": "usr_1", "email": "zoe@example.com", "email_verified": false}},
			{"openid phone", map[string]any{"sub": "usr_1", "phone_number": "+31"}},
			{"openid address", map[string]any{"sub": "usr_1", "address": map[string]any{"country": "NL"}}},
			{"openid email profile", map[string]any{
				"sub": "usr_1", "name": "Zoë", "updated_at": 1700000000.0, "email": "zoe@example.com", "email_verified": false,
			}},
		} {
			w := newWorld(t)
			s, _ := w.login(t, "usr_1")
			a := w.userinfo(t, w.issue(t, "app", s, strings.Fields(test.scopes)...).Access)
			if a.Code != 200 || a.Header().Get("Content-Type") != "application/json" || a.Header().Get("Cache-Control") != "no-store" {
				t.Fatalf("%s: %d %v", test.scopes, a.Code, a.Header())
			}
			var got map[string]any
			check(t, json.Unmarshal(a.Body.Bytes(), &got))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s: %s", test.scopes, diff)
			}
		}
	})
	t.Run("5.4 the ID token is not bloated", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		id := w.issue(t, "app", s, "openid", "profile", "email").ID
		payload := strings.Split(id, ".")[1]
		if decoded := decode(t, payload); strings.Contains(decoded, "zoe@") || strings.Contains(decoded, `"name"`) {
			t.Errorf("%s", decoded)
		}
	})
	t.Run("5.3 userinfo: POST", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		r := post(t, authz.PathUserinfo, url.Values{})
		r.Header.Set("Authorization", "bearer "+w.issue(t, "app", s, "openid").Access)
		if a := w.send(t, r); a.Code != 200 || a.Body.String() != `{"sub":"usr_1"}` {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	})
	t.Run("5.3 userinfo: CORS", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, authz.PathUserinfo, nil)
		r.Header.Set("Access-Control-Request-Method", "GET")
		a := w.send(t, r)
		if a.Code != 204 || a.Header().Get("Access-Control-Allow-Methods") != "GET, POST" {
			t.Errorf("preflight: %d %v", a.Code, a.Header())
		}
		if a := w.userinfo(t, "x"); a.Header().Get("Access-Control-Allow-Origin") != "*" || a.Header().Get("Access-Control-Expose-Headers") == "" {
			t.Errorf("a script cannot read the refusal: %v", a.Header())
		}
	})
}

func TestOIDCCoreUserinfoErrors(t *testing.T) { // 5.3.3, RFC 6750 3
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	ended, _ := w.login(t, "usr_1")
	stranger, _ := w.login(t, "usr_2")
	good := w.issue(t, "app", s, "openid")
	plain := w.issue(t, "app", s, "accounts:read")
	revoked := w.issue(t, "app", ended, "openid")
	nobody := w.issue(t, "app", stranger, "openid")
	w.clock.Advance(time.Second)
	revocations, err := w.store.EndSession(t.Context(), ended.ID)
	check(t, err)
	w.view.Apply(revocations...)
	site, err := w.tokens.Site("https://app.example.com", good.grant, time.Time{})
	check(t, err)
	machine, err := w.tokens.Access(tokens.Access{Client: clients()[1], Scopes: oauth.Scopes{"accounts:read"}})
	check(t, err)
	for _, test := range []struct {
		name, method, target string
		header               []string
		status               int
		challenge            string
	}{
		{"no token", "GET", "", nil, 401, `Bearer realm="` + issuer + `"`},
		{"token in the query", "GET", "?access_token=" + good.Access, nil, 401, `Bearer realm="` + issuer + `"`},
		{"another scheme", "GET", "", []string{basic("web", secret)}, 401, `Bearer realm="` + issuer + `"`},
		{"two headers", "GET", "", []string{"Bearer " + good.Access, "Bearer " + good.Access}, 400, `Bearer realm="` + issuer + `", error="invalid_request"`},
		{"header and query", "GET", "?access_token=x", []string{"Bearer " + good.Access}, 400, `Bearer realm="` + issuer + `", error="invalid_request"`},
		{"empty token", "GET", "", []string{"Bearer "}, 400, `Bearer realm="` + issuer + `", error="invalid_request"`},
		{"garbage", "GET", "", []string{"Bearer x"}, 401, `Bearer realm="` + issuer + `", error="invalid_token"`},
		{"ID token", "GET", "", []string{"Bearer " + good.ID}, 401, `Bearer realm="` + issuer + `", error="invalid_token"`},
		{"refresh token", "GET", "", []string{"Bearer " + good.Refresh}, 401, `Bearer realm="` + issuer + `", error="invalid_token"`},
		{"site session", "GET", "", []string{"Bearer " + site}, 401, `Bearer realm="` + issuer + `", error="invalid_token"`},
		{"revoked", "GET", "", []string{"Bearer " + revoked.Access}, 401, `Bearer realm="` + issuer + `", error="invalid_token"`},
		{"user who is gone", "GET", "", []string{"Bearer " + nobody.Access}, 401, `Bearer realm="` + issuer + `", error="invalid_token"`},
		{"without openid", "GET", "", []string{"Bearer " + plain.Access}, 403, `Bearer realm="` + issuer + `", error="insufficient_scope"`},
		{"client's own token", "GET", "", []string{"Bearer " + machine.Token}, 403, `Bearer realm="` + issuer + `", error="insufficient_scope"`},
		{"PUT", "PUT", "", []string{"Bearer " + good.Access}, 405, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), test.method, authz.PathUserinfo+test.target, nil)
			r.Header["Authorization"] = test.header
			a := w.send(t, r)
			got := a.Header().Get("WWW-Authenticate")
			if a.Code != test.status || !strings.HasPrefix(got, test.challenge) || (test.challenge == "") != (got == "") {
				t.Errorf("%d %q %s", a.Code, got, a.Body)
			}
			if a.Header().Get("Cache-Control") != "no-store" {
				t.Error("the refusal may be kept")
			}
			if test.challenge == `Bearer realm="`+issuer+`"` && (strings.Contains(got, "error") || a.Body.Len() > 0) {
				t.Errorf("a request without credentials is told more than where to get them: %q %s", got, a.Body)
			}
			if test.status == 403 && !strings.Contains(got, `scope="openid"`) {
				t.Errorf("the scope is not named: %q", got)
			}
		})
	}
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		token := w.issue(t, "app", s, "openid").Access
		w.clock.Advance(5 * time.Minute)
		if a := w.userinfo(t, token); a.Code != 401 || !strings.Contains(a.Header().Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%d %v", a.Code, a.Header())
		}
	})
	t.Run("profiles out of reach", func(t *testing.T) {
		t.Parallel()
		for err, status := range map[error]int{storage.ErrClosed: 503, errors.New("broken"): 500} {
			w := newWorld(t)
			s, _ := w.login(t, "usr_1")
			token := w.issue(t, "app", s, "openid").Access
			w.people.err = err
			a := w.userinfo(t, token)
			if a.Code != status || a.Header().Get("WWW-Authenticate") != "" || (status == 503) != (a.Header().Get("Retry-After") != "") {
				t.Errorf("%d %v", a.Code, a.Header())
			}
		}
	})
}
