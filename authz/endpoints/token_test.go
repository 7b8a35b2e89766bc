// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/validation"
)

func TestRFC7662(t *testing.T) {
	t.Parallel()
	t.Run("2.2 members of an access token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "app", s, "openid", "accounts:read")
		var body map[string]any
		check(t, json.Unmarshal([]byte(w.introspect(t, "api", got.Access)), &body))
		now := float64(w.clock.Now().Unix())
		want := map[string]any{
			"active": true, "scope": "openid accounts:read", "client_id": "app", "token_type": "Bearer", "token_use": "access_token",
			"exp": now + 300, "iat": now, "sub": "usr_1", "aud": []any{api}, "iss": issuer, "auth_time": now, "acr": "gold", "amr": []any{"pwd"},
			"gid": got.grant.ID, "sid": s.ID, "realms": map[string]any{"password": now},
		}
		if diff := cmp.Diff(want, body, cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "jti" })); diff != "" {
			t.Error(diff)
		}
		p, err := validation.ReadPrincipal([]byte(w.introspect(t, "api", got.Access)))
		check(t, err)
		if p.Subject != "usr_1" || p.GrantID != got.grant.ID || !p.Scopes.Has("accounts:read") || p.TokenID == "" {
			t.Errorf("a resource server elsewhere reads %+v", p)
		}
	})
	t.Run("2.2 members of a refresh token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "accounts:read")
		var body map[string]any
		check(t, json.Unmarshal([]byte(w.introspect(t, "web", got.Refresh)), &body))
		want := map[string]any{
			"active": true, "scope": "accounts:read", "client_id": "web", "token_use": "refresh_token", "sub": "usr_1", "iss": issuer,
			"exp": float64(w.clock.Now().Add(14 * 24 * time.Hour).Unix()), "iat": float64(w.clock.Now().Unix()), "gid": got.grant.ID,
		}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("2.1 wrong hint", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "accounts:read")
		for _, hint := range []string{"refresh_token", "access_token", "nonsense"} {
			for _, token := range []string{got.Access, got.Refresh} {
				r := post(t, authz.PathIntrospect, url.Values{"token": {token}, "token_type_hint": {hint}})
				r.Header.Set("Authorization", basic("web", secret))
				if body := w.send(t, r).Body.String(); body == dead {
					t.Errorf("with the hint %q the token is not found", hint)
				}
			}
		}
	})
	t.Run("2.2 per-rs: who may know", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		mine, other := w.issue(t, "web", s, "accounts:read"), w.issue(t, "elsewhere", s, "accounts:read")
		for _, test := range []struct {
			caller, token string
			want          bool
		}{
			{"web", mine.Access, true},    // its own
			{"web2", mine.Access, false},  // another client's
			{"api", mine.Access, true},    // for the resource
			{"api2", mine.Access, false},  // for another resource
			{"all", mine.Access, true},    // for every resource
			{"api", other.Access, false},  // another resource's
			{"api2", other.Access, true},  // its own resource's
			{"web", mine.Refresh, true},   // its own
			{"web2", mine.Refresh, false}, // another client's
			{"api", mine.Refresh, false},  // no business of a resource server
			{"all", mine.Refresh, false},
		} {
			if got := w.active(t, test.caller, test.token); got != test.want {
				t.Errorf("%s: active is %v, want %v", test.caller, got, test.want)
			}
		}
	})
	t.Run("2.2 active-false", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "openid", "accounts:read")
		site, err := w.tokens.Site("https://app.example.com", got.grant, time.Time{})
		check(t, err)
		assertion, err := w.tokens.Assertion(tokens.Assertion{Audience: api, Subject: "usr_1"})
		check(t, err)
		parts := strings.Split(got.Refresh, ".")
		for name, token := range map[string]string{
			"garbage": "garbage", "ID token": got.ID, "site session": site, "assertion": assertion,
			"cut access token": got.Access[:len(got.Access)-4], "access token without signature": got.Access[:strings.LastIndex(got.Access, ".")+1],
			"guessed refresh token": parts[0] + "." + parts[1] + "." + strings.Repeat("A", 43), "code": got.code,
			"unsigned": "eyJhbGciOiJub25lIn0.e30.",
		} {
			if body := w.introspect(t, "web", token); body != dead {
				t.Errorf("%s: %s", name, body)
			}
		}
	})
	t.Run("4 checks", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "accounts:read")
		w.clock.Advance(5*time.Minute - time.Millisecond)
		if !w.active(t, "web", got.Access) {
			t.Error("inactive before it expires")
		}
		w.clock.Advance(time.Millisecond)
		if w.active(t, "web", got.Access) {
			t.Error("active after it expired")
		}
		w.clock.Advance(14 * 24 * time.Hour)
		if w.active(t, "web", got.Refresh) {
			t.Error("a refresh token that was idle too long is active")
		}
	})
}

func TestRFC7662Callers(t *testing.T) { // 2.1 authorize
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		name, header string
		body         url.Values
		status       int
		code         string
	}{
		{"no credentials", "", url.Values{"token": {"x"}}, 401, "invalid_client"},
		{"public client", "", url.Values{"token": {"x"}, "client_id": {"app"}}, 401, "invalid_client"},
		{"bad secret", basic("web", "guess"), url.Values{"token": {"x"}}, 401, "invalid_client"},
		{"a token of nobody as the credential", "Bearer x", url.Values{"token": {"x"}}, 401, "invalid_token"},
		{"no token", basic("web", secret), url.Values{}, 400, "invalid_request"},
		{"empty token", basic("web", secret), url.Values{"token": {""}}, 400, "invalid_request"},
		{"two tokens", basic("web", secret), url.Values{"token": {"x", "y"}}, 400, "invalid_request"},
		{"secret in the body", "", url.Values{"token": {"x"}, "client_id": {"web"}, "client_secret": {secret}}, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := post(t, authz.PathIntrospect, test.body)
			if test.header != "" {
				r.Header.Set("Authorization", test.header)
			}
			a := w.send(t, r)
			var body struct{ Error string }
			check(t, json.Unmarshal(a.Body.Bytes(), &body))
			if a.Code != test.status || body.Error != test.code {
				t.Errorf("%d %s", a.Code, a.Body)
			}
			scheme, _, _ := strings.Cut(test.header, " ")
			if got, _, _ := strings.Cut(a.Header().Get("WWW-Authenticate"), " "); test.status == 401 && got != scheme || test.status != 401 && got != "" {
				t.Errorf("WWW-Authenticate is %q", a.Header().Get("WWW-Authenticate"))
			}
			if a.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("scripts may introspect")
			}
		})
	}
}

func TestRFC7009(t *testing.T) {
	t.Parallel()
	t.Run("2 support, 2.1 cascade: refresh token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got, other := w.issue(t, "web", s, "openid"), w.issue(t, "web", s, "openid")
		a := w.revokeAs(t, "web", got.Refresh)
		if a.Code != 200 || a.Body.Len() != 0 || a.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", a.Code, a.Header(), a.Body)
		}
		if w.active(t, "web", got.Refresh) || w.active(t, "api", got.Access) || w.userinfo(t, got.Access).Code != 401 {
			t.Error("the grant goes on")
		}
		if !w.active(t, "web", other.Refresh) || !w.active(t, "api", other.Access) {
			t.Error("another grant of the same client ended")
		}
		events, err := w.trail.List(t.Context(), time.Time{}, 0)
		check(t, err)
		last := events[len(events)-1]
		for _, e := range events {
			if e.Name == "grant.revoked" {
				last = e
			}
		}
		if last.Name != "grant.revoked" || last.GrantID != got.grant.ID || last.ClientID != "web" || last.Reason != "client" {
			t.Errorf("%+v", last)
		}
	})
	t.Run("2 support, 2.1 cascade: access token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "openid")
		if a := w.revokeAs(t, "web", got.Access); a.Code != 200 {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
		if w.active(t, "api", got.Access) || w.userinfo(t, got.Access).Code != 401 {
			t.Error("the token goes on")
		}
		if !w.active(t, "web", got.Refresh) {
			t.Error("the refresh token ended with it")
		}
		if diff := cmp.Diff(1, w.events(t)["token.revoked client"]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("2 support: public client", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "app", s, "openid")
		if a := w.revokeAs(t, "app", got.Refresh); a.Code != 200 || w.active(t, "api", got.Access) {
			t.Errorf("%d", a.Code)
		}
	})
	t.Run("2.1 owner: another client's token stays", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "openid")
		for _, client := range []string{"web2", "app", "all"} {
			for _, token := range []string{got.Access, got.Refresh} {
				if a := w.revokeAs(t, client, token); a.Code != 200 || a.Body.Len() != 0 {
					t.Errorf("%s: %d %s", client, a.Code, a.Body)
				}
			}
		}
		if !w.active(t, "web", got.Refresh) || !w.active(t, "api", got.Access) {
			t.Error("a stranger revoked a token")
		}
	})
	t.Run("2.1 request: hints", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		for _, hint := range []string{"access_token", "refresh_token", "nonsense", ""} {
			got := w.issue(t, "web", s, "openid")
			if a := w.revokeAs(t, "web", got.Refresh, "token_type_hint", hint); a.Code != 200 || w.active(t, "web", got.Refresh) {
				t.Errorf("hint %q: %d", hint, a.Code)
			}
		}
	})
	t.Run("2.2 always-200", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "openid")
		site, err := w.tokens.Site("https://app.example.com", got.grant, time.Time{})
		check(t, err)
		w.revokeAs(t, "web", got.Refresh)
		for name, token := range map[string]string{
			"random": "random", "revoked": got.Refresh, "revoked with its grant": got.Access, "ID token": got.ID, "site session": site,
		} {
			if a := w.revokeAs(t, "web", token); a.Code != 200 || a.Body.Len() != 0 {
				t.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
		}
		w.clock.Advance(time.Hour)
		if a := w.revokeAs(t, "web", got.Access); a.Code != 200 {
			t.Errorf("expired: %d", a.Code)
		}
		if n := w.events(t)["token.revoked client"]; n != 0 {
			t.Errorf("%d tokens were revoked that were not there", n)
		}
	})
	t.Run("2.2.1 errors", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, _ := w.login(t, "usr_1")
		got := w.issue(t, "web", s, "openid")
		for _, token := range []string{got.Access, got.Refresh} {
			for _, op := range []storagetest.Op{storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply} {
				w.db.Inject(storagetest.Fault{Op: op, Nth: 1, Err: errors.New("broken")})
				a := w.revokeAs(t, "web", token)
				if a.Code != 503 || a.Header().Get("Retry-After") == "" {
					t.Errorf("%v: %d %v", op, a.Code, a.Header())
				}
			}
		}
		if a := w.revokeAs(t, "web", ""); a.Code != 400 {
			t.Errorf("no token: %d", a.Code)
		}
		r := post(t, authz.PathRevoke, url.Values{"token": {got.Access}})
		r.Header.Set("Authorization", basic("web", "guess"))
		if a := w.send(t, r); a.Code != 401 || a.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("wrong secret: %d %v", a.Code, a.Header())
		}
	})
	t.Run("CORS", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, authz.PathRevoke, nil)
		r.Header.Set("Access-Control-Request-Method", "POST")
		if a := w.send(t, r); a.Code != 204 || a.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%d %v", a.Code, a.Header())
		}
	})
}

func TestTransport(t *testing.T) { // RFC 7662 2.1 post, RFC 7009 2.1
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{authz.PathIntrospect, authz.PathRevoke} {
		for _, test := range []struct {
			name, method, target, contentType, body string
			status                                  int
		}{
			{"GET", "GET", path + "?token=x", "", "", 405},
			{"DELETE", "DELETE", path, "", "", 405},
			{"JSON", "POST", path, "application/json", `{"token":"x"}`, 415},
			{"query", "POST", path + "?token=x", "application/x-www-form-urlencoded", "", 400},
			{"too large", "POST", path, "application/x-www-form-urlencoded", "token=" + strings.Repeat("x", 64<<10), 413},
		} {
			t.Run(path+" "+test.name, func(t *testing.T) {
				t.Parallel()
				r := httptest.NewRequestWithContext(t.Context(), test.method, test.target, strings.NewReader(test.body))
				r.Header.Set("Authorization", basic("web", secret))
				if test.contentType != "" {
					r.Header.Set("Content-Type", test.contentType)
				}
				a := w.send(t, r)
				if a.Code != test.status || a.Header().Get("Cache-Control") != "no-store" || test.status == 405 && a.Header().Get("Allow") != "POST" {
					t.Errorf("%d %v %s", a.Code, a.Header(), a.Body)
				}
			})
		}
	}
}

// TestReplayKillsWhatTheFirstUseGot plays RFC 6749 4.1.2 through the view of revocations: on the node that sees the replay at
// once, and on another when it has read the log.
func TestReplayKillsWhatTheFirstUseGot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	got := w.issue(t, "app", s, "openid")
	elsewhere, err := revocation.New(revocation.Config{Log: w.store, Now: w.clock.Now, Logger: nopLogger()})
	check(t, err)
	check(t, elsewhere.Refresh(t.Context()))
	p, err := validation.ReadPrincipal([]byte(w.introspect(t, "api", got.Access)))
	check(t, err)
	if w.redeem(t, "app", got.code).Code != 400 {
		t.Fatal("a code was redeemed twice")
	}
	if w.active(t, "api", got.Access) || w.userinfo(t, got.Access).Code != 401 {
		t.Error("the access token of the first use lives")
	}
	if elsewhere.Revoked(p) {
		t.Error("another node knows before it has read")
	}
	check(t, elsewhere.Refresh(t.Context()))
	if !elsewhere.Revoked(p) {
		t.Error("another node does not know after it has read")
	}
}

// unknowing is a validator that cannot know the keys.
type unknowing struct{}

func (unknowing) Validate(context.Context, validation.Credential) (*validation.Principal, error) {
	return nil, oauth.Unavailable(errors.New("no keys"))
}

func (unknowing) Inspect(context.Context, string) (*validation.Principal, error) {
	return nil, oauth.Unavailable(errors.New("no keys"))
}

func TestTokensThatCannotBeJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	got := w.issue(t, "web", s, "openid")
	config := w.handler.Config
	config.Tokens = unknowing{}
	h, err := endpoints.New(config)
	check(t, err)
	w.handler = h
	r := post(t, authz.PathIntrospect, url.Values{"token": {got.Access}})
	r.Header.Set("Authorization", basic("web", secret))
	for name, a := range map[string]*httptest.ResponseRecorder{
		"introspection": w.send(t, r), "revocation": w.revokeAs(t, "web", got.Access), "userinfo": w.userinfo(t, got.Access),
	} {
		if a.Code != 503 || a.Header().Get("Retry-After") == "" || a.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v", name, a.Code, a.Header())
		}
	}
}

func TestARevocationThatIsNotOnTheTrailIsNotConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	got := w.issue(t, "web", s, "openid")
	for _, token := range []string{got.Access, got.Refresh} {
		w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 2, Err: errors.New("broken")})
		if a := w.revokeAs(t, "web", token); a.Code != 503 {
			t.Errorf("%d", a.Code)
		}
		if a := w.revokeAs(t, "web", token); a.Code != 200 {
			t.Errorf("again: %d", a.Code)
		}
	}
	if w.active(t, "web", got.Access) || w.active(t, "web", got.Refresh) {
		t.Error("a token lives")
	}
}

// mark stands for what an engine might say about itself.
const mark = "MARK-7f3a-/var/lib/gatehouse"

func TestNoLeaks(t *testing.T) {
	t.Parallel()
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply} {
		for _, cause := range []error{errors.New(mark), errors.Join(errors.New(mark), storage.ErrClosed)} {
			w := newWorld(t)
			s, cookie := w.login(t, "usr_1")
			got := w.issue(t, "web", s, "openid")
			w.people.err = cause
			w.db.Inject(storagetest.Fault{Op: op, Err: cause})
			introspection := post(t, authz.PathIntrospect, url.Values{"token": {got.Refresh}})
			introspection.Header.Set("Authorization", basic("web", secret))
			leaving := get(t, authz.PathLogout+"?id_token_hint="+got.ID)
			leaving.AddCookie(cookie)
			answers := map[string]*httptest.ResponseRecorder{"userinfo": w.userinfo(t, got.Access), "introspection": w.send(t, introspection)}
			answers["revocation of an access token"] = w.revokeAs(t, "web", got.Access)
			answers["revocation"], answers["logout"] = w.revokeAs(t, "web", got.Refresh), w.send(t, leaving)
			for name, a := range answers {
				if strings.Contains(a.Body.String(), mark) || strings.Contains(string(mustJSON(t, a.Header())), mark) {
					t.Errorf("%s leaks: %v %s", name, a.Header(), a.Body)
				}
				reads := op == storagetest.OnView
				touched := name != "introspection" || reads
				if name == "logout" && !reads || name == "revocation" || name == "revocation of an access token" {
					touched = !reads
				}
				if touched && a.Code < 500 {
					t.Errorf("%s with a store that fails at %v: %d %s", name, op, a.Code, a.Body)
				}
				if a.Code == 503 && a.Header().Get("Retry-After") == "" && name != "logout" {
					t.Errorf("%s: no Retry-After", name)
				}
			}
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	check(t, err)
	return data
}

func BenchmarkIntrospect(b *testing.B) {
	w := newWorld(b)
	s, _ := w.login(b, "usr_1")
	got := w.issue(b, "app", s, "openid", "accounts:read")
	h := w.handler.Routes()[authz.PathIntrospect]
	body := url.Values{"token": {got.Access}}.Encode()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {basic("api", secret)}}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, authz.PathIntrospect, strings.NewReader(body))
		r.Header = header
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, r)
		if recorder.Code != 200 || recorder.Body.Len() < 100 {
			b.Fatal(recorder.Body)
		}
	}
}
