// SPDX-License-Identifier: Apache-2.0

package site_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const metadata = `resource_metadata="https://app.example.com/.well-known/oauth-protected-resource"`

func TestRFC6750(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	grant, _ := f.grant(t, "app", "", "accounts:read")
	good := f.bearer(t, &grant, "accounts:read")
	cases := []struct {
		name      string
		change    func(*http.Request)
		rule      *site.Rule
		subject   string
		status    int
		challenge string
	}{
		{name: "2.1 header", change: authorization("Bearer " + good), subject: "usr_alice"},
		{name: "2.1 scheme in any case", change: authorization("bEARER  " + good), subject: "usr_alice"},
		{name: "2 two credentials", change: func(r *http.Request) {
			authorization("Bearer " + good)(r)
			authorization("Bearer " + good)(r)
		}, status: 400, challenge: `error="invalid_request"`},
		{name: "3.1 no credentials", status: 401, challenge: "Bearer " + metadata},
		{name: "3.1 no credentials for a script of a site with sessions", rule: f.rule(withSession), status: 401, challenge: "Bearer " + metadata},
		{name: "3.1 invalid token", change: authorization("Bearer x.y.z"), status: 401, challenge: `error="invalid_token"`},
		{name: "3.1 another scheme", change: authorization("Basic YTpi"), status: 401, challenge: "Bearer " + metadata},
		{name: "3.1 insufficient scope", change: authorization("Bearer " + f.bearer(t, &grant, "openid")), status: 403,
			challenge: `error="insufficient_scope"`},
		{name: "2.3 query", change: func(r *http.Request) { r.URL.RawQuery = "access_token=" + good }, status: 401, challenge: "Bearer " + metadata},
		{name: "of a client acting for itself", change: authorization("Bearer " + f.bearer(t, nil, "accounts:read")), subject: "app"},
		{name: "of a client with too little scope", change: authorization("Bearer " + f.bearer(t, nil, "openid")), status: 403,
			challenge: `scope="accounts:read"`},
		{name: "a bad token is not anonymous", change: authorization("Bearer x.y.z"), rule: f.rule(optional), status: 401,
			challenge: `error="invalid_token"`},
		{name: "anonymous where that is allowed", rule: f.rule(optional)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rule := c.rule
			if rule == nil {
				rule = f.rule()
			}
			var change []func(*http.Request)
			if c.change != nil {
				change = append(change, c.change)
			}
			d, _ := f.decide(request(http.MethodGet, "/", change...), rule)
			check(t, d, c.status, c.subject)
			if !holds(d.Challenges, c.challenge) {
				t.Errorf("the challenges are %s, want one to hold %s", d.Challenges, c.challenge)
			}
		})
	}
}

// holds reports whether one of the challenges holds a text; all hold none.
func holds(challenges []string, text string) bool {
	return text == "" || slices.ContainsFunc(challenges, func(c string) bool { return strings.Contains(c, text) })
}

func check(t *testing.T, d site.Decision, status int, subject string) {
	t.Helper()
	switch {
	case status != 0 && (d.Err == nil || d.Err.HTTPStatus() != status):
		t.Errorf("refused with %v, want status %d", d.Err, status)
	case status == 0 && (d.Err != nil || d.Done):
		t.Errorf("refused with %v, done %v", d.Err, d.Done)
	case status != 0 && d.Principal != nil:
		t.Error("a refused request has a principal")
	case subject != "" && (d.Principal == nil || d.Principal.Subject != subject):
		t.Errorf("the principal is %+v, want %s", d.Principal, subject)
	}
}

func TestRFC9470(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	grant, _ := f.grant(t, "app", "", "accounts:read")
	grant.Authn.Realms = map[string]time.Time{"password": f.clock.Now().Add(-2 * time.Hour)}
	d, _ := f.decide(request(http.MethodGet, "/", authorization("Bearer "+f.bearer(t, &grant, "accounts:read"))), f.rule())
	check(t, d, http.StatusUnauthorized, "")
	for _, want := range []string{`error="insufficient_user_authentication"`, `acr_values="password"`, metadata} {
		if !holds(d.Challenges, want) {
			t.Errorf("the challenges are %s, want one to hold %s", d.Challenges, want)
		}
	}
}

func TestBearerTokenDecidesWhateverCookiesCome(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...), authorization("Bearer x.y.z")), f.rule(withSession))
	check(t, d, http.StatusUnauthorized, "")
}

func TestEachKindOfTokenHasItsPlace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	grant, _ := f.grant(t, "app", "", "accounts:read")
	cookie, err := f.tokens.Site(origin, grant, time.Time{})
	must(t, err)
	assertion, err := f.tokens.Assertion(tokens.Assertion{Audience: audience, Subject: "usr_alice", ClientID: "app"})
	must(t, err)
	for name, raw := range map[string]string{"the token of a cookie": cookie, "an assertion for an upstream": assertion} {
		d, _ := f.decide(request(http.MethodGet, "/", authorization("Bearer "+raw)), f.rule())
		if d.Err == nil {
			t.Errorf("%s passes as a bearer token", name)
		}
	}
	jar, _ := f.login(t, "/")
	jar[len(jar)-1].Value = f.bearer(t, &grant, "accounts:read")
	d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession))
	if d.Err == nil {
		t.Error("an access token passes as a cookie")
	}
}

// A user who is locked while a session token is being made must not keep it: it counts from before the store was asked, so
// that the revocation covers it, also when the clock's second turns in between.
func TestRevocationDuringMintingCoversTheToken(t *testing.T) {
	t.Parallel()
	lockNow := func(f *fixture) func() {
		return func() {
			f.signing = nil
			revocation, err := f.store.Revoke(t.Context(), authz.KindSubject, "usr_alice")
			must(t, err)
			f.view.Apply(revocation)
			f.clock.Advance(time.Second)
		}
	}
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		away, query := f.begin(t, "/")
		_, code := f.grant(t, authz.SiteClientID(origin), query.Get("code_challenge"), "openid", "accounts:read")
		f.clock.Advance(time.Minute / 2)
		f.signing = lockNow(f)
		answer := url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {issuer}}
		back, err := f.own(request(http.MethodGet, authz.PathSiteCallback+"?"+answer.Encode(), cookies(away...)))
		must(t, err)
		d, _ := f.decide(request(http.MethodGet, "/", cookies(back.Cookies()...)), f.rule(withSession))
		if d.Err == nil {
			t.Error("a locked user has a session")
		}
	})
	t.Run("renewal", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		jar, _ := f.login(t, "/")
		f.clock.Advance(2 * site.Checked)
		f.signing = lockNow(f)
		if d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession)); d.Err == nil {
			t.Error("a locked user's session was renewed")
		}
	})
}

func TestSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, grant := f.login(t, "/reports?year=2026&q=a%20b")
	rule := f.rule(withSession)
	d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), rule)
	check(t, d, 0, "usr_alice")
	if d.Principal.GrantID != grant.ID || site.ClaimText(d.Principal, "name") != "Alice" {
		t.Errorf("the principal is %+v", d.Principal)
	}
	if d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule()); d.Err == nil {
		t.Error("a cookie passes where sessions are off")
	}
	if d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...), cookies(&http.Cookie{Name: lastOf(jar).Name, Value: "planted"})), rule); d.Err == nil {
		t.Error("two cookies of one name pass")
	}
}

func lastOf(jar []*http.Cookie) *http.Cookie { return jar[len(jar)-1] }

func TestCookieOfAnotherSiteIsNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, grant := f.login(t, "/")
	foreign, err := f.tokens.Site("https://evil.example.com", grant, time.Time{})
	must(t, err)
	lastOf(jar).Value = foreign
	d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession))
	check(t, d, http.StatusUnauthorized, "")
}

func TestSessionCookieAttributes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	c := lastOf(jar)
	if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("the cookie is %+v", c)
	}
}

func TestEndedSessionIsRefusedOnTheNextRequest(t *testing.T) {
	t.Parallel()
	ends := []struct {
		name string
		end  func(t *testing.T, f *fixture, session, grant string)
	}{
		{name: "logout", end: func(t *testing.T, f *fixture, session, _ string) {
			r, err := f.store.EndSession(t.Context(), session)
			must(t, err)
			f.view.Apply(r...)
		}},
		{name: "withdrawn", end: func(t *testing.T, f *fixture, _, grant string) {
			r, err := f.store.RevokeGrant(t.Context(), grant, "")
			must(t, err)
			f.view.Apply(r...)
		}},
		{name: "seen only in the store", end: func(t *testing.T, f *fixture, session, _ string) {
			_, err := f.store.EndSession(t.Context(), session)
			must(t, err)
			f.clock.Advance(site.Checked)
		}},
		{name: "idle", end: func(_ *testing.T, f *fixture, _, _ string) { f.clock.Advance(8*time.Hour + time.Second) }},
	}
	for _, e := range ends {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			jar, grant := f.login(t, "/")
			if d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession)); d.Err != nil {
				t.Fatal(d.Err)
			}
			e.end(t, f, grant.SessionID, grant.ID)
			d, _ := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession))
			check(t, d, http.StatusUnauthorized, "")
			if d, answer := f.decide(request(http.MethodGet, "/", cookies(jar...), navigate), f.rule(withSession)); !d.Done || answer.StatusCode != http.StatusFound {
				t.Error("a browser is not sent to log in again")
			}
		})
	}
}

func TestCookieIsCheckedAgainAndReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	f.clock.Advance(site.Checked)
	d, answer := f.decide(request(http.MethodGet, "/", cookies(jar...)), f.rule(withSession))
	check(t, d, 0, "usr_alice")
	fresh := answer.Cookies()
	if len(fresh) != 1 || fresh[0].Name != lastOf(jar).Name || fresh[0].Value == lastOf(jar).Value {
		t.Fatalf("the new cookies are %v", fresh)
	}
	if d, answer := f.decide(request(http.MethodGet, "/", cookies(fresh...)), f.rule(withSession)); d.Err != nil || len(answer.Cookies()) != 0 {
		t.Errorf("the new cookie is refused with %v, or replaced again", d.Err)
	}
}

func TestStoreDownIsNeitherInNorOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	f.clock.Advance(site.Checked)
	f.faulty.Inject(storagetest.Fault{Op: storagetest.OnView, Err: errors.New("disk on fire")})
	d, answer := f.decide(request(http.MethodGet, "/", cookies(jar...), navigate), f.rule(withSession))
	check(t, d, http.StatusServiceUnavailable, "")
	if len(answer.Cookies()) != 0 || len(d.Challenges) != 0 || strings.Contains(d.Err.Description, "fire") {
		t.Errorf("the answer is %v %q %q", answer.Cookies(), d.Challenges, d.Err.Description)
	}
}

func TestCookieDoesNotActForOtherSites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	cases := []struct {
		name   string
		method string
		header map[string]string
		status int
	}{
		{name: "own page", method: http.MethodPost, header: map[string]string{"Sec-Fetch-Site": "same-origin"}},
		{name: "own page of an old browser", method: http.MethodPost, header: map[string]string{"Origin": origin}},
		{name: "another site", method: http.MethodPost, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		{name: "a neighbour", method: http.MethodPost, header: map[string]string{"Sec-Fetch-Site": "same-site"}, status: 403},
		{name: "a neighbour of an old browser", method: http.MethodDelete, header: map[string]string{"Origin": "https://evil.example.com"}, status: 403},
		{name: "a link from another site", method: http.MethodGet, header: map[string]string{"Sec-Fetch-Site": "cross-site"}},
		{name: "own WebSocket", method: http.MethodGet, header: map[string]string{"Upgrade": "websocket", "Origin": origin}},
		{name: "WebSocket of no browser", method: http.MethodGet, header: map[string]string{"Upgrade": "websocket"}},
		{name: "WebSocket of a neighbour", method: http.MethodGet,
			header: map[string]string{"Upgrade": "websocket", "Origin": "https://evil.example.com"}, status: 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d, _ := f.decide(request(c.method, "/", cookies(jar...), func(r *http.Request) {
				for name, value := range c.header {
					r.Header.Set(name, value)
				}
			}), f.rule(withSession))
			check(t, d, c.status, "")
		})
	}
}

func TestOnlyNavigationsAreRedirected(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cases := []struct {
		name   string
		method string
		header map[string]string
		want   bool
	}{
		{name: "navigation", method: http.MethodGet, header: map[string]string{"Sec-Fetch-Mode": "navigate"}, want: true},
		{name: "old browser", method: http.MethodGet, header: map[string]string{"Accept": "text/html,*/*"}, want: true},
		{name: "script that accepts pages", method: http.MethodGet, header: map[string]string{"Sec-Fetch-Mode": "cors", "Accept": "text/html"}},
		{name: "curl", method: http.MethodGet, header: map[string]string{"Accept": "*/*"}},
		{name: "form", method: http.MethodPost, header: map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}},
		{name: "WebSocket", method: http.MethodGet, header: map[string]string{"Upgrade": "websocket", "Accept": "text/html"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d, _ := f.decide(request(c.method, "/", func(r *http.Request) {
				for name, value := range c.header {
					r.Header.Set(name, value)
				}
			}), f.rule(withSession))
			if d.Done != c.want {
				t.Errorf("redirected is %v, want %v (%v)", d.Done, c.want, d.Err)
			}
		})
	}
}

func TestStepUpAsksForWhatIsMissingAndKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	age := time.Minute
	rule := f.rule(withSession, func(r *site.Rule) {
		r.Policy.AllScopes = oauth.Scopes{"payments:write"}
		r.Policy.MaxAge = &age
	})
	d, answer := f.decide(request(http.MethodGet, "/pay", cookies(jar...), navigate), rule)
	if !d.Done {
		t.Fatalf("not redirected: %v", d.Err)
	}
	to, err := answer.Location()
	must(t, err)
	if diff := cmp.Diff("openid payments:write accounts:read", to.Query().Get("scope")); diff != "" {
		t.Error(diff)
	}
	rule.Policy.AllScopes = oauth.Scopes{"accounts:read"}
	f.clock.Advance(2 * time.Minute)
	_, answer = f.decide(request(http.MethodGet, "/pay", cookies(jar...), navigate), rule)
	to, err = answer.Location()
	must(t, err)
	if to.Query().Get("max_age") != "60" {
		t.Errorf("the login asks for %v", to.Query())
	}
}

func TestOutcomesAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.decide(request(http.MethodGet, "/", authorization("Bearer "+f.bearer(t, nil, "accounts:read"))), f.rule())
	f.decide(request(http.MethodGet, "/"), f.rule(optional))
	f.decide(request(http.MethodGet, "/"), f.rule())
	f.decide(request(http.MethodGet, "/", navigate), f.rule(withSession))
	want := []string{site.Passed, site.Anonymous, site.Refused, site.Redirected}
	if diff := cmp.Diff(want, f.seen); diff != "" {
		t.Error(diff)
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := site.New(site.Config{}); err == nil {
		t.Error("a gate without a store was built")
	}
}

func BenchmarkDecideKnownToken(b *testing.B) {
	f := newFixture(b)
	r := request(http.MethodGet, "/", authorization("Bearer "+f.bearer(b, nil, "accounts:read")))
	rule := f.rule()
	f.gate.Observe = func(string) {}
	b.ReportAllocs()
	for b.Loop() {
		if d := f.gate.Decide(nil, r, origin, rule); d.Err != nil {
			b.Fatal(d.Err)
		}
	}
}
