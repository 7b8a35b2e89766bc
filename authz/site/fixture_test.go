// SPDX-License-Identifier: Apache-2.0

package site_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	issuer   = "https://auth.example.com"
	origin   = "https://app.example.com"
	audience = "https://api.example.com"
)

// keys is a ring of one key.
type keys struct {
	key jose.PrivateKey
	// signing, once set, runs whenever something is about to be signed.
	signing *func()
}

func (k keys) Signer() (jose.PrivateKey, error) {
	if run := *k.signing; run != nil {
		run()
	}
	return k.key, nil
}

func (k keys) SignerFor(jose.Algorithm) (jose.PrivateKey, error) { return k.key, nil }

func (k keys) find(_ context.Context, kid string) (validation.Key, bool) {
	return k.key.Public(), kid == k.key.KID
}

// fixture is a gate over a store in memory, whose failure can be switched on.
type fixture struct {
	clock  *storagetest.Clock
	faulty *storagetest.FaultyDB
	store  *authz.Store
	view   *revocation.View
	tokens *tokens.Issuer
	access *validation.Validator
	gate   *site.Gate
	seen   []string
	// signing, once set, runs whenever something is about to be signed.
	signing func()
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{clock: storagetest.NewClock()}
	db, err := memstore.Open(memstore.Config{Now: f.clock.Now})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	f.faulty = storagetest.Faulty(db)
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("0123456789abcdefghijklmnopqrstuv")})
	must(t, err)
	f.store, err = authz.NewStore(f.faulty, sealer, f.clock.Now)
	must(t, err)
	logger := slog.New(slog.DiscardHandler)
	f.view, err = revocation.New(revocation.Config{Log: f.store, Now: f.clock.Now, Logger: logger})
	must(t, err)
	key, err := jose.GenerateKey(jose.ES256)
	must(t, err)
	ring := keys{key, &f.signing}
	f.tokens, err = tokens.New(tokens.Config{Issuer: issuer, Keys: ring, Now: f.clock.Now})
	must(t, err)
	validator := func(typ, aud string) *validation.Validator {
		v, err := validation.New(validation.Config{
			Issuer: issuer, Audience: []string{aud}, Typ: typ, Keys: validation.KeyFunc(ring.find), Revocations: f.view, Now: f.clock.Now,
		})
		must(t, err)
		return v
	}
	f.access = validator("", audience)
	f.gate, err = site.New(site.Config{
		Issuer: issuer, Store: f.store, Tokens: f.tokens, Sessions: validator(tokens.TypSite, tokens.SiteAudience(issuer)),
		Revoke: f.view.Apply, Logger: logger, Observe: func(outcome string) { f.seen = append(f.seen, outcome) },
	})
	must(t, err)
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rule asks for accounts:read, proven by a password within an hour.
func (f *fixture) rule(change ...func(*site.Rule)) *site.Rule {
	r := &site.Rule{
		Tokens: f.access,
		Policy: &validation.Policy{
			AllScopes:    oauth.Scopes{"accounts:read"},
			Requirements: []validation.Requirement{{Realm: "password", MaxAge: time.Hour}},
		},
		Bare:     &validation.Policy{AllScopes: oauth.Scopes{"accounts:read"}},
		Metadata: func(*http.Request) string { return origin + validation.MetadataPath },
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func withSession(r *site.Rule) { r.Session = true }

func optional(r *site.Rule) { r.Optional = true }

// grant stores a session and a grant for a client, with a code, as the end of an authorization request does.
func (f *fixture) grant(t *testing.T, clientID, challenge string, scopes ...string) (authz.Grant, string) {
	t.Helper()
	now := f.store.Now()
	session := authz.Session{
		ID: randid.New("ses"), Subject: "usr_alice", CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(24 * time.Hour),
		IdleTTL: 8 * 3600, Proofs: realm.Proofs{"password": {Realm: "password", Subject: "usr_alice", Time: now}},
	}
	must(t, f.store.OpenSession(t.Context(), session, nil))
	grant := authz.NewGrant(now, 24*time.Hour)
	grant.ClientID, grant.Subject, grant.SessionID, grant.Scopes = clientID, "usr_alice", session.ID, scopes
	grant.Authn = realm.Authentication{
		Subject: "usr_alice", Name: "Alice", ACR: "password", AMR: []string{"pwd"}, AuthTime: now,
		Realms: map[string]time.Time{"password": now},
	}
	code, record := authz.NewCode(now)
	record.ClientID, record.GrantID, record.Challenge = clientID, grant.ID, challenge
	record.RedirectURI = origin + authz.PathSiteCallback
	_, err := f.store.Complete(t.Context(), authz.Completion{Grant: grant, Code: record})
	must(t, err)
	return grant, code
}

// bearer returns an access token of a user, or, without a grant, of a client acting for itself.
func (f *fixture) bearer(t testing.TB, grant *authz.Grant, scopes ...string) string {
	t.Helper()
	client := &authz.Client{ID: "app", Audience: []string{audience}, AccessTTL: 5 * time.Minute}
	minted, err := f.tokens.Access(tokens.Access{Client: client, Grant: grant, Scopes: scopes})
	must(t, err)
	return minted.Token
}

// request is a request of a browser's navigation, or of an API client.
func request(method, target string, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, origin+target, nil)
	r.TLS = &tls.ConnectionState{}
	for _, c := range change {
		c(r)
	}
	return r
}

func navigate(r *http.Request) {
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Accept", "text/html")
}

func authorization(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add("Authorization", value) }
}

func cookies(all ...*http.Cookie) func(*http.Request) {
	return func(r *http.Request) {
		for _, c := range all {
			if c.MaxAge >= 0 {
				r.AddCookie(c)
			}
		}
	}
}

func (f *fixture) decide(r *http.Request, rule *site.Rule) (site.Decision, *http.Response) {
	w := httptest.NewRecorder()
	d := f.gate.Decide(w, r, origin, rule)
	return d, w.Result()
}

// own sends a request to the paths of the site itself.
func (f *fixture) own(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	err := f.gate.ServeOwn(w, r, origin)
	return w.Result(), err
}

// login walks a browser from a page through the issuer and back, and returns its cookies and its grant.
func (f *fixture) login(t *testing.T, path string) ([]*http.Cookie, authz.Grant) {
	t.Helper()
	away, query := f.begin(t, path)
	grant, code := f.grant(t, authz.SiteClientID(origin), query.Get("code_challenge"), "openid", "accounts:read")
	answer := url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {issuer}}
	back, err := f.own(request(http.MethodGet, authz.PathSiteCallback+"?"+answer.Encode(), cookies(away...)))
	must(t, err)
	if back.StatusCode != http.StatusSeeOther || back.Header.Get("Location") != path {
		t.Fatalf("the callback answers %d to %q", back.StatusCode, back.Header.Get("Location"))
	}
	return back.Cookies(), grant
}

// begin sends a browser to the issuer and returns its cookies and what it asks there.
func (f *fixture) begin(t *testing.T, path string, change ...func(*http.Request)) ([]*http.Cookie, url.Values) {
	t.Helper()
	d, answer := f.decide(request(http.MethodGet, path, append(change, navigate)...), f.rule(withSession))
	if !d.Done || answer.StatusCode != http.StatusFound {
		t.Fatalf("the browser is not sent to log in: %+v, %d", d, answer.StatusCode)
	}
	to, err := url.Parse(answer.Header.Get("Location"))
	must(t, err)
	return answer.Cookies(), to.Query()
}
