// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// known is a program whose realms know people without asking them, or know nobody.
var known struct {
	once  sync.Once
	house *house
	err   error
}

// unasked are its realms, and a proxy that it trusts: it connects from 127.0.0.2.
const unasked = `
		development on
		scope door
		client backend {
			secret ` + portalSecret + `
			grants client_credentials
			scopes gatehouse:users
			allowed_networks 10.1.0.0/16 127.0.0.3
		}
		mobile {
			open 5
		}
		user_identity password entrance scripts websphere visitor demo
		realm entrance {
			authenticator header X-Remote-User {
				also X-Remote-Name
			}
			login_module header {
				name X-Remote-Name
			}
			users staff
		}
		realm scripts {
			authenticator basic
			login_module identity_store
		}
		realm websphere {
			authenticator ltpa
			login_module ltpa {
				key_file KEYS
				password WebAS
				realms defaultRealm
				user_pattern CN=([a-z]+),O=example
				id uid
				max_lifetime 30000d
			}
			users staff
		}
		realm visitor {
			authenticator anonymous
		}
		realm demo {
			authenticator form
			login_module single_identity demo {
				name "Demo User"
			}
		}
		realm closed {
			authenticator form
			login_module reject_all
		}
	}
	servers {
		trusted_proxies static 127.0.0.2/32
`

// doors are sites' rules, one for each realm.
const doors = `
SPARE {
	protect /entrance* door {
		session on
		acr entrance
	}
	protect /scripts* door {
		session on
		acr scripts
	}
	protect /websphere* door {
		session on
		acr websphere
	}
	protect /visitor* door {
		session on
		acr visitor
	}
	protect /demo* door {
		session on
		acr demo
	}
	protect /closed* door {
		session on
		acr closed
	}
	reverse_proxy UPSTREAM
}
`

// vectors are where openssl's keys and tokens are.
const vectors = "../../authz/realm/ltpa/testdata/"

func ltpaTokens(t *testing.T) (tokens map[string]string) {
	t.Helper()
	content, err := os.ReadFile(vectors + "tokens.json")
	if err == nil {
		err = json.Unmarshal(content, &tokens)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// knowing returns the program, which the tests of this file share.
func knowing(t *testing.T) *house {
	t.Helper()
	known.once.Do(func() {
		keys, err := filepath.Abs(vectors + "ltpa.keys")
		if known.err = err; err == nil {
			known.house, known.err = open(strings.ReplaceAll(unasked, "KEYS", keys), doors)
		}
	})
	if known.err != nil {
		t.Fatal(known.err)
	}
	return known.house
}

// through has a browser connect from an address, and send header fields with everything.
func (b *browser) through(from string, fields ...string) *browser {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp4", address)
	}}
	b.t.Cleanup(transport.CloseIdleConnections)
	b.client.Transport = sender{transport, fields}
	return b
}

// sender sends header fields with everything.
type sender struct {
	*http.Transport
	fields []string
}

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for i := 0; i+1 < len(s.fields); i += 2 {
		r.Header.Add(s.fields[i], s.fields[i+1])
	}
	return s.Transport.RoundTrip(r)
}

// verifier is the code verifier of every request of the app.
var verifier = strings.Repeat("verifier", 6)

// authorize returns where the app asks for a scope and a level.
func (h *house) authorize(scope, acr string) string {
	sum := sha256.Sum256([]byte(verifier))
	return h.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "scope": {scope}, "acr_values": {acr},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

const proxy, stranger = "127.0.0.2", "127.0.0.1"

// asked fails the test unless a browser is at a login page without fields that says something.
func asked(t *testing.T, h *house, page *answer, status int, says string) {
	t.Helper()
	if page.Status != status || !strings.HasPrefix(page.URL.String(), h.issuer+"/login") || !strings.Contains(page.Body, says) {
		t.Fatalf("the browser is at %s with %d, want %d and %q: %s", page.URL, page.Status, status, says, page.Body)
	}
	if _, fields := formOf(t, page); fields.Has("username") || fields.Has("password") {
		t.Errorf("the page asks for %v", fields)
	}
}

func TestHeaderOfATrustedProxy(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	page := h.url(siteSpare) + "/entrance"
	first := newBrowser(t).through(proxy, "X-Remote-User", "räksmörgås", "X-Remote-Name", "Räk").get(page)
	if !first.reached() {
		t.Fatalf("the browser is at %s with %d: %s", first.URL, first.Status, first.Body)
	}
	subject := first.heard(t).Header.Get("Gatehouse-Subject")
	if name := first.heard(t).Header.Get("Gatehouse-Name"); !strings.HasPrefix(subject, "usr_") || !strings.Contains(name, "R") {
		t.Errorf("the upstream hears %q, %q", subject, name)
	}
	for user, same := range map[string]bool{"räksmörgås": true, "other": false} {
		again := newBrowser(t).through(proxy, "X-Remote-User", user).get(page)
		if got := again.heard(t).Header.Get("Gatehouse-Subject"); (got == subject) != same {
			t.Errorf("%s is %q, and the first was %q", user, got, subject)
		}
	}
}

// TestTrap1HeadersOfAnybodyElse: what anybody can send says nothing about who it is.
func TestTrap1HeadersOfAnybodyElse(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	page := h.url(siteSpare) + "/entrance"
	entrance := "own entrance"
	asked(t, h, newBrowser(t).through(stranger, "X-Remote-User", "alice", "X-Forwarded-For", proxy, "Forwarded", "for="+proxy).get(page), 200, entrance)
	asked(t, h, newBrowser(t).through(proxy).get(page), 200, entrance)
	asked(t, h, newBrowser(t).through(proxy, "X-Remote-User", "alice", "X-Remote-User", "bob").get(page), 200, entrance)
	asked(t, h, newBrowser(t).through(proxy, "X-Remote-User", strings.Repeat("a", 1025)).get(page), 200, entrance)
	if !strings.Contains(h.Log(), "came from no trusted proxy") || strings.Contains(h.Log(), `"alice"`) {
		t.Error("the log does not say it, or says more")
	}
	b := newBrowser(t).through(stranger, "X-Remote-User", "alice")
	asked(t, h, b.submit(b.get(page), "X-Remote-User", "alice", "username", "alice"), 200, entrance)
}

// TestTrap11HeadersOfAnotherUser: whoever is known to the context stays who he is.
func TestTrap11HeadersOfAnotherUser(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	b := newBrowser(t).through(proxy, "X-Remote-User", "alice")
	page := b.get(h.authorize("openid accounts:read", "entrance"))
	// The proxy's alice is a user of the directory behind it; the alice with the password is one of ours.
	for range 2 {
		if page.Status == http.StatusOK {
			page = b.login(page, "alice")
		}
	}
	if page.Status != http.StatusForbidden || !strings.Contains(page.Body, "belong to another user") {
		t.Errorf("the browser is at %s with %d: %s", page.URL, page.Status, page.Body)
	}
}

func TestBasicOfAClientWithoutForms(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	page := h.url(siteSpare) + "/scripts"
	form := newBrowser(t).get(page)
	if _, fields := formOf(t, form); !fields.Has("username") || !fields.Has("password") {
		t.Fatalf("who sends nothing is not asked: %s", form.Body)
	}
	for _, tt := range []struct {
		name, user, password string
		status               int
	}{
		{"right", "alice", password, 200}, {"wrong", "alice", "wrong", 403}, {"nobody", "nobody", password, 403},
	} {
		b := newBrowser(t)
		b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			navigate(r)
			if r.Header.Del("Authorization"); strings.HasPrefix(r.URL.String(), h.issuer) {
				r.SetBasicAuth(tt.user, tt.password)
			}
			return nil
		}
		got := b.get(page)
		if got.Status != tt.status || got.reached() != (tt.status == 200) {
			t.Errorf("%s: the client is at %s with %d: %s", tt.name, got.URL, got.Status, got.Body)
		}
	}
}

func TestLTPAOfAServer(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	tokens := ltpaTokens(t)
	page := h.url(siteSpare) + "/websphere"
	issuer, err := url.Parse(h.issuer)
	if err != nil {
		t.Fatal(err)
	}
	with := func(values ...string) *answer {
		b := newBrowser(t)
		for i, value := range values {
			b.client.Jar.SetCookies(issuer, []*http.Cookie{{Name: "LtpaToken2", Value: value, Path: strings.Repeat("/", i+1)}})
		}
		return b.get(page)
	}
	good := with(tokens["alice"])
	if !good.reached() || !strings.HasPrefix(good.heard(t).Header.Get("Gatehouse-Subject"), "usr_") {
		t.Fatalf("the browser is at %s with %d: %s", good.URL, good.Status, good.Body)
	}
	// The same population: the proxy's alice is this one.
	proxied := newBrowser(t).through(proxy, "X-Remote-User", "alice").get(h.url(siteSpare) + "/entrance")
	if one, other := good.heard(t).Header.Get("Gatehouse-Subject"), proxied.heard(t).Header.Get("Gatehouse-Subject"); one != other {
		t.Errorf("alice is %q by her token and %q by the proxy", one, other)
	}
	asked(t, h, with(), 200, "portal first")
	// Trap 9: people learn that it did not work, and nothing else.
	var pages []string
	for _, name := range []string{"hashed once", "signed by another key", "long expired", "no inner expiry", "bob of another realm", "no token in it"} {
		got := with(tokens[name])
		asked(t, h, got, 403, "could not sign you in")
		_, fields := formOf(t, got)
		text := got.Body
		for _, list := range fields {
			text = strings.ReplaceAll(text, list[0], "")
		}
		pages = append(pages, text)
	}
	for _, text := range pages[1:] {
		if text != pages[0] {
			t.Errorf("two tokens that do not hold lead to two pages:\n%s\n%s", pages[0], text)
		}
	}
}

// TestAnonymousIsNobody: a session, and tokens, of a subject behind whom no user stands.
func TestAnonymousIsNobody(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	page := h.url(siteSpare) + "/visitor"
	b := newBrowser(t)
	first, again, other := b.get(page), b.get(page+"/again"), newBrowser(t).get(page)
	one, same, another := first.heard(t).Header, again.heard(t).Header.Get("Gatehouse-Subject"), other.heard(t).Header.Get("Gatehouse-Subject")
	if subject := one.Get("Gatehouse-Subject"); !strings.HasPrefix(subject, "anon_") || subject != same || subject == another {
		t.Errorf("the subjects are %q, %q and %q", subject, same, another)
	}
	if one.Get("Gatehouse-Name") != "" || one.Get("Gatehouse-Amr") != "" || one.Get("Gatehouse-Acr") != "visitor" {
		t.Errorf("the upstream hears %v", one)
	}
	to, err := url.Parse(newBrowser(t).get(h.authorize("openid", "visitor")).Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	token := h.redeem(t, to.Query().Get("code"), verifier)
	var info map[string]any
	got := send(t, http.MethodGet, h.issuer+"/userinfo", bearer(token.Access))
	if err := json.Unmarshal([]byte(got.Body), &info); err != nil || got.Status != http.StatusOK || len(info) != 1 {
		t.Fatalf("userinfo answers %d %s", got.Status, got.Body)
	}
	if sub, _ := info["sub"].(string); !strings.HasPrefix(sub, "anon_") {
		t.Errorf("userinfo tells %v", info)
	}
	if got := newBrowser(t).get(h.api + "/private"); got.reached() {
		t.Error("who is nobody reaches what asks for a user")
	}
}

// TestTrap4DevelopmentIsSaid: at each start the log names the realms that prove nothing, and config check does.
func TestTrap4DevelopmentIsSaid(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	said := func(text string) bool {
		return strings.Contains(text, "this realm proves nothing") && strings.Contains(text, "demo") && strings.Contains(text, "single_identity")
	}
	if !said(h.Log()) {
		t.Error("the log does not name the realm")
	}
	b := newBrowser(t)
	page := b.submit(b.get(h.url(siteSpare)+"/demo"), "username", "anybody", "password", "x")
	if !page.reached() || page.heard(t).Header.Get("Gatehouse-Name") != "Demo User" {
		t.Errorf("the browser is at %s with %d", page.URL, page.Status)
	}
	closed := newBrowser(t)
	if page := closed.login(closed.login(closed.get(h.url(siteSpare)+"/closed"), "alice"), "alice"); page.Status != http.StatusForbidden {
		t.Errorf("the closed realm leads to %s with %d", page.URL, page.Status)
	}
	off := strings.Replace(h.current(), "development on", "development off", 1)
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{{"on", h.current(), true}, {"off", off, false}} {
		file := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := h.Command(t.Context(), "config", "check", file).CombinedOutput()
		if (err == nil) != tt.ok || !tt.ok && !strings.Contains(string(out), "development on") || tt.ok && !said(string(out)) {
			t.Errorf("%s: config check says %v\n%s", tt.name, err, out)
		}
	}
	if got := h.load(t, "text/caddyfile", off); got.Status == http.StatusOK {
		t.Error("the program takes a configuration that is not for development")
	}
}
