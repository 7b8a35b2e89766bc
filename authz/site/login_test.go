// SPDX-License-Identifier: Apache-2.0

package site_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestLoginAsksForACodeAndReturns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, query := f.begin(t, "/deep/link?a=1&b=%2F#x")
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "site:" + origin, "redirect_uri": origin + "/_gatehouse/callback",
		"scope": "openid accounts:read", "code_challenge_method": "S256",
	} {
		if query.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, query.Get(name), want)
		}
	}
	if len(query.Get("state")) < 43 || len(query.Get("code_challenge")) != 43 {
		t.Errorf("state or challenge is short: %v", query)
	}
	if len(jar) != 1 || !jar[0].HttpOnly || !jar[0].Secure || jar[0].MaxAge != 600 {
		t.Errorf("the cookies are %v", jar)
	}
	again, _ := f.login(t, "/deep/link?a=1&b=%2F")
	if again[0].MaxAge >= 0 {
		t.Error("the login's cookie outlives the login")
	}
}

// TestLoginReturnsToWhatWasAskedFor: a rewritten request does not tell any more what the browser asked for.
func TestLoginReturnsToWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rule := f.rule(withSession)
	rule.Page = func(*http.Request) string { return "/app/deep?a=1" }
	_, answer := f.decide(request(http.MethodGet, "/deep?a=1", navigate), rule)
	to, err := url.Parse(answer.Header.Get("Location"))
	must(t, err)
	_, code := f.grant(t, authz.SiteClientID(origin), to.Query().Get("code_challenge"), "openid", "accounts:read")
	query := url.Values{"code": {code}, "state": {to.Query().Get("state")}, "iss": {issuer}}
	back, err := f.own(request(http.MethodGet, authz.PathSiteCallback+"?"+query.Encode(), cookies(answer.Cookies()...)))
	must(t, err)
	if got := back.Header.Get("Location"); got != "/app/deep?a=1" {
		t.Errorf("the browser comes back to %q", got)
	}
}

func TestLoginReturnsToThisSiteOnly(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"//evil.example.com/", "/\\evil.example.com", "/" + strings.Repeat("a", 3000)} {
		f := newFixture(t)
		jar, query := f.begin(t, "/", func(r *http.Request) {
			r.RequestURI, r.URL.Opaque = path, ""
			r.URL.Path, r.URL.RawPath = path, path
		})
		grant, code := f.grant(t, authz.SiteClientID(origin), query.Get("code_challenge"), "openid")
		_ = grant
		answer := url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {issuer}}
		back, err := f.own(request(http.MethodGet, authz.PathSiteCallback+"?"+answer.Encode(), cookies(jar...)))
		must(t, err)
		to := back.Header.Get("Location")
		if strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`) || len(to) > 2048 {
			t.Errorf("the browser is sent to %.80q", to)
		}
	}
}

func TestCallbackRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(answer url.Values, jar []*http.Cookie) []*http.Cookie
		status int
	}{
		{name: "a login begun elsewhere", status: 400, change: func(url.Values, []*http.Cookie) []*http.Cookie { return nil }},
		{name: "no state", status: 400, change: func(a url.Values, jar []*http.Cookie) []*http.Cookie { a.Del("state"); return jar }},
		{name: "another state", status: 400, change: func(a url.Values, jar []*http.Cookie) []*http.Cookie { a.Set("state", "x"); return jar }},
		{name: "a damaged cookie", status: 400, change: func(_ url.Values, jar []*http.Cookie) []*http.Cookie { jar[0].Value = "e30"; return jar }},
		{name: "RFC9207 2.4 another issuer", status: 400,
			change: func(a url.Values, jar []*http.Cookie) []*http.Cookie { a.Set("iss", issuer+"/"); return jar }},
		{name: "RFC9207 2.4 no issuer", status: 400, change: func(a url.Values, jar []*http.Cookie) []*http.Cookie { a.Del("iss"); return jar }},
		{name: "cancelled", status: 403,
			change: func(a url.Values, jar []*http.Cookie) []*http.Cookie { a.Set("error", "access_denied"); return jar }},
		{name: "another code", status: 400, change: func(a url.Values, jar []*http.Cookie) []*http.Cookie { a.Set("code", "x"); return jar }},
		{name: "a repeated parameter", status: 400, change: func(a url.Values, jar []*http.Cookie) []*http.Cookie { a.Add("code", "x"); return jar }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			jar, query := f.begin(t, "/")
			_, code := f.grant(t, authz.SiteClientID(origin), query.Get("code_challenge"), "openid")
			answer := url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {issuer}}
			jar = c.change(answer, jar)
			back, err := f.own(request(http.MethodGet, authz.PathSiteCallback+"?"+answer.Encode(), cookies(jar...)))
			if status := oauth.AsError(err).HTTPStatus(); err == nil || status != c.status {
				t.Errorf("refused with %v, want status %d", err, c.status)
			}
			for _, set := range back.Cookies() {
				if set.MaxAge >= 0 {
					t.Errorf("a refused login sets %s", set.Name)
				}
			}
		})
	}
}

func TestCodeOfALoginIsUsedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, query := f.begin(t, "/")
	grant, code := f.grant(t, authz.SiteClientID(origin), query.Get("code_challenge"), "openid", "accounts:read")
	target := authz.PathSiteCallback + "?" + url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {issuer}}.Encode()
	back, err := f.own(request(http.MethodGet, target, cookies(jar...)))
	must(t, err)
	if _, err := f.own(request(http.MethodGet, target, cookies(jar...))); err == nil {
		t.Error("a code was redeemed twice")
	}
	d, _ := f.decide(request(http.MethodGet, "/", cookies(back.Cookies()...)), f.rule(withSession))
	check(t, d, http.StatusUnauthorized, "")
	if _, err := f.store.Grant(t.Context(), grant.ID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the grant of a replayed code lives: %v", err)
	}
}

func TestLoginsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var all []*http.Cookie
	for range 4 {
		jar, _ := f.begin(t, "/", cookies(all...))
		all = append(all, jar...)
	}
	jar, _ := f.begin(t, "/", cookies(all...))
	var cleared int
	for _, c := range jar {
		if c.MaxAge < 0 {
			cleared++
		}
	}
	if cleared != 4 || len(jar) != 5 {
		t.Errorf("%d of %d cookies are cleared", cleared, len(jar))
	}
}

func TestParallelLoginsOfOneBrowser(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, query := f.begin(t, "/first")
	second, _ := f.begin(t, "/second", cookies(first...))
	if first[0].Name == second[0].Name {
		t.Error("two tabs share a cookie")
	}
	_, code := f.grant(t, authz.SiteClientID(origin), query.Get("code_challenge"), "openid")
	answer := url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {issuer}}
	back, err := f.own(request(http.MethodGet, authz.PathSiteCallback+"?"+answer.Encode(), cookies(append(second, first...)...)))
	must(t, err)
	if back.Header.Get("Location") != "/first" {
		t.Errorf("sent to %q", back.Header.Get("Location"))
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		method string
		change func(*http.Request)
		ended  bool
		status int
	}{
		{name: "own page", method: http.MethodPost, change: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, ended: true},
		{name: "a link is asked about at the issuer", method: http.MethodGet, change: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		{name: "a form of another site", method: http.MethodPost, change: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, status: 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			jar, grant := f.login(t, "/")
			answer, err := f.own(request(c.method, authz.PathSiteLogout, cookies(jar...), c.change))
			if c.status != 0 {
				if oauth.AsError(err).HTTPStatus() != c.status {
					t.Errorf("refused with %v", err)
				}
			} else if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, issuer+"/logout?client_id=site") {
				t.Errorf("answered %d to %q (%v)", answer.StatusCode, to, err)
			}
			_, err = f.store.Session(t.Context(), grant.SessionID)
			if ended := errors.Is(err, storage.ErrNotFound); ended != c.ended {
				t.Errorf("the session has ended is %v, want %v", ended, c.ended)
			}
			d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession))
			if (d.Err != nil) != c.ended {
				t.Errorf("the next request is refused with %v", d.Err)
			}
		})
	}
}

func TestLogoutThatCouldNotBeStoredIsNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	f.faulty.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: errors.New("disk on fire")})
	answer, err := f.own(request(http.MethodPost, authz.PathSiteLogout, cookies(jar...)))
	if oauth.AsError(err).HTTPStatus() != http.StatusServiceUnavailable || len(answer.Cookies()) != 0 {
		t.Errorf("answered %v with cookies %v", err, answer.Cookies())
	}
}

func TestNothingElseIsThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"/_gatehouse/", "/_gatehouse/other", "/_gatehouse/callback/x"} {
		if _, err := f.own(request(http.MethodGet, target)); oauth.AsError(err).HTTPStatus() != http.StatusNotFound {
			t.Errorf("%s answers %v", target, err)
		}
	}
	if _, err := f.own(request(http.MethodPost, authz.PathSiteCallback)); oauth.AsError(err).HTTPStatus() != http.StatusNotFound {
		t.Errorf("a posted callback answers %v", err)
	}
}

func TestGrantOfALoginCarriesOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, grant := f.login(t, "/")
	f.clock.Advance(30 * time.Minute)
	d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession))
	check(t, d, 0, "usr_alice")
	if diff := cmp.Diff(grant.Authn.AuthTime.Unix(), d.Principal.AuthTime.Unix()); diff != "" {
		t.Errorf("renewing a cookie moved the time of the login: %s", diff)
	}
}
