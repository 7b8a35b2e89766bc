// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	issuer   = "https://auth.example.com"
	redirect = "https://app.example.com/cb"
	secret   = "s3cret"
	grace    = 10 * time.Second
)

// ring is a key ring of two fixed keys, drawn once: RSA takes its time.
type ring struct{ ec, rsa jose.PrivateKey }

var newRing = sync.OnceValues(func() (r *ring, err error) {
	r = &ring{}
	if r.ec, err = jose.GenerateKey(jose.ES256); err != nil {
		return nil, err
	}
	r.rsa, err = jose.GenerateKey(jose.RS256)
	return r, err
})

func (r *ring) Signer() (jose.PrivateKey, error) { return r.ec, nil }

func (r *ring) SignerFor(alg jose.Algorithm) (jose.PrivateKey, error) {
	switch alg {
	case jose.RS256:
		return r.rsa, nil
	case jose.ES256:
		return r.ec, nil
	}
	return jose.PrivateKey{}, errors.New("no key for the algorithm")
}

// world is one issuer: records, clock and what was observed.
type world struct {
	clock *storagetest.Clock
	db    *storagetest.FaultyDB
	store *authz.Store
	trail *audit.Trail
	ring  *ring
	lines *bytes.Buffer

	mu       sync.Mutex
	revoked  []authz.Revocation
	outcomes []string
}

// newWorld returns a world whose store is wrapped, if wrap is set.
func newWorld(t testing.TB, wrap func(storage.DB) storage.DB) *world {
	t.Helper()
	w := &world{clock: storagetest.NewClock(), lines: &bytes.Buffer{}}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	check(t, err)
	w.db = storagetest.Faulty(db)
	var top storage.DB = w.db
	if wrap != nil {
		top = wrap(w.db)
	}
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	check(t, err)
	w.store, err = authz.NewStore(top, sealer, w.clock.Now)
	check(t, err)
	w.trail, err = audit.New(audit.Config{DB: top, Logger: slog.New(slog.NewJSONHandler(locked{w}, nil)), Now: w.clock.Now})
	check(t, err)
	w.ring, err = newRing()
	check(t, err)
	return w
}

// locked lets handlers log in parallel.
type locked struct{ w *world }

func (l locked) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.lines.Write(p)
}

func clients() []*authz.Client {
	user := func(id string, method authz.AuthMethod, more ...authz.GrantType) *authz.Client {
		c := &authz.Client{
			ID: id, Auth: method, RedirectURIs: []string{redirect}, Grants: append(more, authz.GrantAuthorizationCode),
			Scopes: oauth.Scopes{"openid", "profile", "offline_access", "accounts:read", "payments:write"}, Audience: []string{"https://api.example.com"},
			DetailTypes: []string{"payment", "accounts"},
			AccessTTL:   5 * time.Minute, RefreshTTL: 30 * 24 * time.Hour, RefreshIdleTTL: 14 * 24 * time.Hour,
		}
		if method != authz.AuthNone {
			c.SecretHashes = []string{randid.Hash(secret)}
		}
		return c
	}
	rs := user("rs256", authz.AuthNone)
	rs.IDTokenAlg = jose.RS256
	keyless := user("keyless", authz.AuthNone)
	keyless.IDTokenAlg = jose.EdDSA
	machine := user("machine", authz.AuthClientSecretBasic)
	machine.Grants = []authz.GrantType{authz.GrantClientCredentials}
	machine.Scopes, machine.DefaultScopes = oauth.Scopes{"jobs:run", "jobs:list", "openid"}, oauth.Scopes{"jobs:run", "openid"}
	bare := user("bare", authz.AuthClientSecretBasic)
	bare.Grants = []authz.GrantType{authz.GrantClientCredentials}
	return []*authz.Client{
		user("app", authz.AuthNone, authz.GrantRefreshToken), user("other", authz.AuthNone, authz.GrantRefreshToken),
		user("web", authz.AuthClientSecretBasic, authz.GrantRefreshToken), user("once", authz.AuthNone), rs, keyless, machine, bare,
	}
}

// node returns a token endpoint over the world's records: another one each time, as another process would be.
func (w *world) node(t testing.TB, change ...func(*grants.Config)) http.Handler {
	t.Helper()
	registry, err := authz.NewClients(authz.Sites{}, clients()...)
	check(t, err)
	issuing, err := tokens.New(tokens.Config{Issuer: issuer, Keys: w.ring, Now: w.clock.Now})
	check(t, err)
	config := grants.Config{
		Clients: &clientauth.Authenticator{Clients: registry, Store: w.store, Issuer: issuer, Now: w.clock.Now},
		Store:   w.store, Tokens: issuing, Trail: w.trail, Grace: grace, Now: w.clock.Now,
		Logger: slog.New(slog.NewJSONHandler(locked{w}, nil)),
		Revoke: func(r ...authz.Revocation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.revoked = append(w.revoked, r...)
		},
		Observe: func(grant, outcome string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.outcomes = append(w.outcomes, grant+" "+outcome)
		},
	}
	for _, f := range change {
		f(&config)
	}
	h, err := grants.New(config)
	check(t, err)
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// allowance is what a user has allowed, as the authorization endpoint leaves it.
type allowance struct {
	client  string
	scopes  oauth.Scopes
	nonce   string
	offline bool
	subject string
	details string
	key     string // that the code is bound to
}

// verifier belongs to the challenge of every code of the tests.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// code lets a user log in and allow something, and returns the code and the grant it stands for.
func (w *world) code(t testing.TB, a allowance) (string, authz.Grant) {
	t.Helper()
	now := w.store.Now()
	if a.client == "" {
		a.client = "app"
	}
	if a.scopes == nil {
		a.scopes = oauth.Scopes{"openid", "accounts:read"}
	}
	if a.subject == "" {
		a.subject = "usr_1"
	}
	session := authz.Session{
		ID: randid.New("ses"), Subject: a.subject, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(7 * 24 * time.Hour), IdleTTL: 7 * 24 * 3600,
		Proofs: realm.Proofs{"password": {Realm: "password", Subject: "usr_1", Time: now}},
	}
	check(t, w.store.OpenSession(t.Context(), session, nil))
	grant := authz.Grant{
		ID: randid.New("gra"), ClientID: a.client, Subject: a.subject, SessionID: session.ID, Offline: a.offline, Scopes: a.scopes,
		Authn:     realm.Authentication{Subject: "usr_1", ACR: "password", AMR: []string{"pwd"}, AuthTime: now, Realms: map[string]time.Time{"password": now}},
		CreatedAt: now, ExpiresAt: now.Add(40 * 24 * time.Hour),
	}
	if a.details != "" {
		granted, err := oauth.ParseDetails(a.details)
		check(t, err)
		grant.Details = granted
	}
	code, record := authz.NewCode(now)
	record.ClientID, record.RedirectURI, record.GrantID, record.Nonce = a.client, redirect, grant.ID, a.nonce
	record.Challenge, record.Key = oauth.Challenge(verifier), a.key
	_, err := w.store.Complete(t.Context(), authz.Completion{Grant: grant, Code: record})
	check(t, err)
	return code, grant
}

// answer is a token response or an error.
type answer struct {
	status  int
	header  http.Header
	raw     string
	Access  string          `json:"access_token"`
	Type    string          `json:"token_type"`
	Expires int             `json:"expires_in"`
	Refresh string          `json:"refresh_token"`
	ID      string          `json:"id_token"`
	Scope   string          `json:"scope"`
	Error   string          `json:"error"`
	Details json.RawMessage `json:"authorization_details"`
}

// ask sends a form. Parameters come in pairs; one named ":basic" holds "id:secret" for the Authorization header.
func ask(t testing.TB, h http.Handler, pairs ...string) answer {
	t.Helper()
	return send(t, h, form(t, pairs...))
}

func form(t testing.TB, pairs ...string) *http.Request {
	t.Helper()
	form := url.Values{}
	header := ""
	for i := 0; i < len(pairs); i += 2 {
		switch pairs[i] {
		case ":basic":
			header = "Basic " + base64.StdEncoding.EncodeToString([]byte(pairs[i+1]))
		default:
			form.Add(pairs[i], pairs[i+1])
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.1", RequestID: "req-1"}))
}

func send(t testing.TB, h http.Handler, r *http.Request) answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	a := answer{status: recorder.Code, header: recorder.Header(), raw: recorder.Body.String()}
	if err := json.Unmarshal(recorder.Body.Bytes(), &a); err != nil {
		t.Fatalf("%d, not JSON: %q", a.status, a.raw)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers: %v", a.header)
	}
	return a
}

// exchange redeems a code as the given client; more pairs replace.
func exchange(t testing.TB, h http.Handler, client, code string, more ...string) answer {
	t.Helper()
	params := map[string]string{
		"grant_type": "authorization_code", "client_id": client, "code": code, "redirect_uri": redirect, "code_verifier": verifier,
	}
	for i := 0; i < len(more); i += 2 {
		params[more[i]] = more[i+1]
	}
	var pairs []string
	for name, value := range params {
		pairs = append(pairs, name, value)
	}
	return ask(t, h, pairs...)
}

func renew(t testing.TB, h http.Handler, client, token string, more ...string) answer {
	t.Helper()
	return ask(t, h, append([]string{"grant_type", "refresh_token", "client_id", client, "refresh_token", token}, more...)...)
}

func (a answer) ok(t testing.TB) answer {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	return a
}

func (a answer) refused(t testing.TB, code oauth.Code, status int) {
	t.Helper()
	if a.status != status || a.Error != string(code) || a.Access+a.Refresh+a.ID != "" {
		t.Fatalf("got %d %s, want %d %s", a.status, a.raw, status, code)
	}
}

// claims verifies a token of ours and returns its claims.
func (w *world) claims(t testing.TB, raw string) map[string]any {
	t.Helper()
	token, err := jose.Parse(raw)
	check(t, err)
	key := w.ring.ec
	if token.Header.Alg == jose.RS256 {
		key = w.ring.rsa
	}
	check(t, token.Verify(key.Public()))
	claims := map[string]any{}
	check(t, token.Claims(&claims))
	return claims
}

// revocations returns kind and target of everything that was revoked at the handlers.
func (w *world) revocations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, r := range w.revoked {
		all = append(all, string(r.Kind)+" "+r.Target)
	}
	return all
}

// events returns the names and reasons of the stored audit events, in the order of the alphabet.
func (w *world) events(t testing.TB) []string {
	t.Helper()
	stored, err := w.trail.List(t.Context(), time.Time{}, 0)
	check(t, err)
	var all []string
	for _, e := range stored {
		all = append(all, e.Name+" "+e.Reason)
	}
	slices.Sort(all)
	return all
}
