// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	issuer    = "https://auth.example.com"
	secret    = "s3cret"
	api       = "https://api.example.com"
	signedOut = "https://app.example.com/out?from=us"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// ring is a key ring of fixed keys, drawn once.
type ring struct {
	keys []jose.PrivateKey
	jwks []byte
}

var allKeys = sync.OnceValues(func() (keys []jose.PrivateKey, err error) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.RS256} {
		key, err := jose.GenerateKey(alg)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
})

func newRing(t testing.TB, n int) *ring {
	t.Helper()
	keys, err := allKeys()
	check(t, err)
	r := &ring{keys: keys[:n]}
	var public []jose.PublicKey
	for _, key := range r.keys {
		public = append(public, key.Public())
	}
	if n > 0 {
		r.jwks, err = jose.MarshalSet(public)
		check(t, err)
	}
	return r
}

func (r *ring) Signer() (jose.PrivateKey, error) { return r.keys[0], nil }

func (r *ring) SignerFor(alg jose.Algorithm) (jose.PrivateKey, error) {
	for _, key := range r.keys {
		if key.Alg == alg {
			return key, nil
		}
	}
	return jose.PrivateKey{}, storage.ErrNotFound
}

func (r *ring) Key(_ context.Context, kid string) (jose.PublicKey, bool) {
	for _, key := range r.keys {
		if key.KID == kid {
			return key.Public(), true
		}
	}
	return jose.PublicKey{}, false
}

func (r *ring) JWKS() []byte { return r.jwks }

func (r *ring) Algorithms() (algs []jose.Algorithm) {
	for _, key := range r.keys {
		algs = append(algs, key.Alg)
	}
	return algs
}

// pages are rendered by one renderer for all tests: it parses and rehearses every page when it is built.
var pages = sync.OnceValues(func() (*web.Renderer, error) { return web.New(web.Config{}) })

// people are the users' claims.
type people struct {
	err    error
	claims map[string]any
}

func (p *people) Profile(_ context.Context, subject string) (map[string]any, error) {
	if p.err != nil {
		return nil, p.err
	}
	if subject != "usr_1" {
		return nil, storage.ErrNotFound
	}
	return p.claims, nil
}

// world is one issuer.
type world struct {
	clock    *storagetest.Clock
	db       *storagetest.FaultyDB
	store    *authz.Store
	view     *revocation.View
	trail    *audit.Trail
	ring     *ring
	tokens   *tokens.Issuer
	sessions *session.Manager
	clients  *authz.Clients
	people   *people
	handler  *endpoints.Handler
	grants   http.Handler

	mu    sync.Mutex
	lines bytes.Buffer
}

// Write keeps log lines; handlers log in parallel.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines.Write(p)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{clock: storagetest.NewClock(), ring: newRing(t, 2), people: &people{claims: map[string]any{
		"sub": "somebody else", "cnf": map[string]any{"jkt": "of somebody else"}, "name": "Zoë", "given_name": "", "family_name": nil, "email": "zoe@example.com", "email_verified": false,
		"phone_number": "+31", "address": map[string]any{"country": "NL"}, "updated_at": 1700000000, "bsn": "123",
	}}}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	check(t, err)
	w.db = storagetest.Faulty(db)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	check(t, err)
	logger := slog.New(slog.NewJSONHandler(w, nil))
	w.store, err = authz.NewStore(w.db, sealer, w.clock.Now)
	check(t, err)
	w.view, err = revocation.New(revocation.Config{Log: w.store, Now: w.clock.Now, Logger: logger})
	check(t, err)
	w.trail, err = audit.New(audit.Config{DB: w.db, Logger: logger, Now: w.clock.Now})
	check(t, err)
	w.clients, err = authz.NewClients(authz.Sites{Allowed: func(o string) bool { return o == "https://site.example.com" }, Audience: []string{issuer}}, clients()...)
	check(t, err)
	w.tokens, err = tokens.New(tokens.Config{Issuer: issuer, Keys: w.ring, Now: w.clock.Now})
	check(t, err)
	w.sessions, err = session.New(session.Config{Store: w.store, Issuer: issuer, Apply: w.view.Apply})
	check(t, err)
	auth := &clientauth.Authenticator{Clients: w.clients, Store: w.store, Issuer: issuer, Now: w.clock.Now}
	w.handler, err = endpoints.New(w.config(t, auth, logger))
	check(t, err)
	w.grants, err = grants.New(grants.Config{
		Clients: auth, Store: w.store, Tokens: w.tokens, Revoke: w.view.Apply, Trail: w.trail, Now: w.clock.Now, Logger: logger,
	})
	check(t, err)
	return w
}

func (w *world) config(t testing.TB, auth *clientauth.Authenticator, logger *slog.Logger) endpoints.Config {
	t.Helper()
	validator, err := validation.New(validation.Config{
		Issuer: issuer, Audience: []string{api, "https://other.example.com", issuer}, Keys: validation.KeyFunc(w.ring.Key), Revocations: w.view,
		Now: w.clock.Now,
	})
	check(t, err)
	renderer, err := pages()
	check(t, err)
	return endpoints.Config{
		Issuer: issuer, Store: w.store, Clients: auth, Tokens: validator, Keys: w.ring, Signer: w.tokens,
		Hints: &tokens.Hints{Issuer: issuer, Key: w.ring.Key}, Profiles: w.people, Sessions: w.sessions, Pages: renderer,
		Trail: w.trail, Apply: w.view.Apply, Logger: logger,
		Metadata: endpoints.Metadata{
			Scopes:     oauth.Scopes{"openid", "profile", "email", "accounts:read"},
			ACRValues:  []string{"gold", "password"},
			GrantTypes: new(grants.Handler).Supported(),
		},
	}
}

func clients() []*authz.Client {
	user := func(id string, method authz.AuthMethod) *authz.Client {
		c := &authz.Client{
			ID: id, Name: "The " + id, Auth: method, RedirectURIs: []string{"https://app.example.com/cb"}, PostLogoutRedirectURIs: []string{signedOut},
			Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken},
			Scopes: oauth.Scopes{"openid", "profile", "email", "phone", "address", "accounts:read"}, Audience: []string{api},
			AccessTTL: 5 * time.Minute, RefreshTTL: 30 * 24 * time.Hour, RefreshIdleTTL: 14 * 24 * time.Hour,
		}
		if method != authz.AuthNone {
			c.SecretHashes = []string{randid.Hash(secret)}
		}
		return c
	}
	resource := func(id string, resources ...string) *authz.Client {
		c := user(id, authz.AuthClientSecretBasic)
		c.Introspect, c.Resources = true, resources
		return c
	}
	nowhere := user("nowhere", authz.AuthNone)
	nowhere.PostLogoutRedirectURIs = nil
	elsewhere := user("elsewhere", authz.AuthClientSecretBasic)
	elsewhere.Audience = []string{"https://other.example.com"}
	machine := user("machine", authz.AuthClientSecretBasic)
	machine.Grants, machine.Scopes = append(machine.Grants, authz.GrantClientCredentials), append(machine.Scopes, "gatehouse:introspect")
	machine.Audience = []string{issuer}
	deaf := user("deaf", authz.AuthClientSecretBasic)
	deaf.Grants, deaf.Scopes = machine.Grants, machine.Scopes
	attested := user("attested", authz.AuthClientSecretBasic)
	attested.Attestation = "tee"
	signs := resource("signs")
	signs.IntrospectionAlg = jose.RS256
	return []*authz.Client{
		machine, deaf, signs, attested, user("app", authz.AuthNone), nowhere, user("web", authz.AuthClientSecretBasic), user("web2", authz.AuthClientSecretBasic), elsewhere,
		resource("api", api), resource("api2", "https://other.example.com"), resource("all"),
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// login opens a browser session and returns it with the cookie.
func (w *world) login(t testing.TB, subject string) (authz.Session, *http.Cookie) {
	t.Helper()
	recorder := httptest.NewRecorder()
	began, err := w.store.Moment(t.Context())
	check(t, err)
	s, err := w.sessions.Establish(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), session.Login{Proof: realm.Proof{
		Realm: "password", Subject: subject, Name: "Zoë", Time: w.store.Now(),
	}, Began: began})
	check(t, err)
	for _, c := range recorder.Result().Cookies() {
		if c.MaxAge >= 0 && c.Value != "" {
			return s, c
		}
	}
	t.Fatal("no cookie was set")
	return s, nil
}

// issued is what a client got for a code.
type issued struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	code    string
	grant   authz.Grant
}

// issue lets the user of a session allow a client something, and redeems the code.
func (w *world) issue(t testing.TB, client string, s authz.Session, scopes ...string) issued {
	t.Helper()
	now := w.store.Now()
	grant := authz.Grant{
		ID: randid.New("gra"), ClientID: client, Subject: s.Subject, SessionID: s.ID, Scopes: scopes, CreatedAt: now, ExpiresAt: now.Add(40 * 24 * time.Hour),
		Authn: realm.Authentication{
			Subject: s.Subject, Name: "Zoë", ACR: "gold", AMR: []string{"pwd"}, AuthTime: now, Realms: map[string]time.Time{"password": now},
		},
	}
	code, record := authz.NewCode(now)
	record.ClientID, record.RedirectURI, record.GrantID = client, "https://app.example.com/cb", grant.ID
	record.Challenge = oauth.Challenge(verifier)
	_, err := w.store.Complete(t.Context(), authz.Completion{Grant: grant, Code: record})
	check(t, err)
	got := issued{code: code, grant: grant}
	a := w.redeem(t, client, code)
	if a.Code != 200 {
		t.Fatalf("redeeming: %d %s", a.Code, a.Body)
	}
	check(t, json.Unmarshal(a.Body.Bytes(), &got))
	return got
}

func (w *world) redeem(t testing.TB, client, code string) *httptest.ResponseRecorder {
	t.Helper()
	values := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://app.example.com/cb"}, "code_verifier": {verifier},
	}
	r := post(t, authz.PathToken, values)
	if client == "app" {
		values.Set("client_id", client)
		r = post(t, authz.PathToken, values)
	} else {
		r.Header.Set("Authorization", basic(client, secret))
	}
	recorder := httptest.NewRecorder()
	w.grants.ServeHTTP(recorder, r)
	return recorder
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func post(t testing.TB, path string, values url.Values) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func get(t testing.TB, target string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
}

// send gives a request to the endpoint of its path.
func (w *world) send(t testing.TB, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	routes := w.handler.Routes()
	maps.Copy(routes, w.handler.WellKnown())
	h, ok := routes[r.URL.Path]
	if !ok {
		t.Fatalf("no endpoint at %q", r.URL.Path)
	}
	r = r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.1", RequestID: "req-1"}))
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder
}

// introspect asks about a token and returns the answer's body.
func (w *world) introspect(t testing.TB, caller, token string) string {
	t.Helper()
	r := post(t, authz.PathIntrospect, url.Values{"token": {token}})
	r.Header.Set("Authorization", basic(caller, secret))
	a := w.send(t, r)
	if a.Code != 200 || a.Header().Get("Cache-Control") != "no-store" || a.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("introspecting: %d %v %s", a.Code, a.Header(), a.Body)
	}
	return a.Body.String()
}

const dead = `{"active":false}`

func (w *world) active(t testing.TB, caller, token string) bool {
	t.Helper()
	return w.introspect(t, caller, token) != dead
}

func (w *world) userinfo(t testing.TB, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := get(t, authz.PathUserinfo)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(t, r)
}

// revokeAs asks for the revocation of a token.
func (w *world) revokeAs(t testing.TB, client, token string, more ...string) *httptest.ResponseRecorder {
	t.Helper()
	values := url.Values{"token": {token}}
	for i := 0; i < len(more); i += 2 {
		values.Set(more[i], more[i+1])
	}
	if client == "app" {
		values.Set("client_id", "app")
	}
	r := post(t, authz.PathRevoke, values)
	if client != "app" {
		r.Header.Set("Authorization", basic(client, secret))
	}
	return w.send(t, r)
}

// events returns names and reasons of stored audit events by their count.
func (w *world) events(t testing.TB) map[string]int {
	t.Helper()
	stored, err := w.trail.List(t.Context(), time.Time{}, 0)
	check(t, err)
	all := map[string]int{}
	for _, e := range stored {
		all[e.Name+" "+e.Reason]++
	}
	return all
}

func nopLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }
