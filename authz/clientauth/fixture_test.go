// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
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
	"github.com/gatehouse-id/gatehouse/internal/certtest"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	issuer = "https://auth.example.com"
	secret = `p%a:s+s wörd&"\`
)

type fixture struct {
	clock *storagetest.Clock
	db    *storagetest.FaultyDB
	auth  *clientauth.Authenticator
	keys  map[jose.Algorithm]jose.PrivateKey

	mu       sync.Mutex
	outcomes []string
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{clock: storagetest.NewClock(), keys: map[jose.Algorithm]jose.PrivateKey{}}
	db, err := memstore.Open(memstore.Config{Now: f.clock.Now})
	check(t, err)
	f.db = storagetest.Faulty(db)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	check(t, err)
	store, err := authz.NewStore(f.db, sealer, f.clock.Now)
	check(t, err)
	var public []jose.PublicKey
	keys, err := clientKeys()
	check(t, err)
	for _, key := range keys {
		f.keys[key.Alg] = key
		public = append(public, key.Public())
	}
	limiter, err := limit.New(limit.Config{Burst: 5, Every: time.Minute, Keys: 100, Now: f.clock.Now})
	check(t, err)
	clients, err := authz.NewClients(
		authz.Sites{Allowed: func(string) bool { return true }, Audience: []string{"x"}},
		newClient("basic", authz.AuthClientSecretBasic, secret, "the-next-one"),
		newClient("post", authz.AuthClientSecretPost, secret),
		newClient("c l:i%e+nt", authz.AuthClientSecretBasic, secret),
		newClient("public", authz.AuthNone),
		&authz.Client{
			ID: "signed", Auth: authz.AuthPrivateKeyJWT, Keys: public, Audience: []string{"x"}, AccessTTL: time.Minute,
		},
	)
	check(t, err)
	f.auth = &clientauth.Authenticator{
		Clients: clients, Store: store, Issuer: issuer, Now: f.clock.Now, Limiter: limiter,
		Observe: func(method authz.AuthMethod, outcome string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.outcomes = append(f.outcomes, string(method)+" "+outcome)
		},
	}
	return f
}

// clientKeys draws the keys of the client that signs, once for all tests: RSA takes its time.
var clientKeys = sync.OnceValues(func() (keys []jose.PrivateKey, err error) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256} {
		key, drawing := jose.GenerateKey(alg)
		keys, err = append(keys, key), errors.Join(err, drawing)
	}
	return keys, err
})

func newClient(id string, method authz.AuthMethod, secrets ...string) *authz.Client {
	c := &authz.Client{ID: id, Auth: method, Audience: []string{"x"}, AccessTTL: time.Minute}
	for _, s := range secrets {
		c.SecretHashes = append(c.SecretHashes, randid.Hash(s))
	}
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// attempt is one request.
type attempt struct {
	header []string // Authorization lines
	body   url.Values
	ip     string
	shown  *tls.Certificate // of the connection
	early  bool             // it came before the handshake was over
	more   http.Header
}

// basic returns an Authorization line as RFC 6749 2.3.1 wants it.
func basic(id, secret string) string {
	return rawBasic(url.QueryEscape(id) + ":" + url.QueryEscape(secret))
}

func rawBasic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

func (f *fixture) try(t testing.TB, a attempt) (*authz.Client, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token", strings.NewReader(a.body.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header["Authorization"] = a.header
	maps.Copy(r.Header, a.more)
	if a.ip == "" {
		a.ip = "192.0.2.1"
	}
	if a.shown != nil {
		r.TLS = &tls.ConnectionState{HandshakeComplete: !a.early, PeerCertificates: certtest.Chain(t, *a.shown)}
	}
	ctx := httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: a.ip})
	params, err := httpx.Form(r)
	check(t, err)
	return f.auth.Authenticate(ctx, r, params)
}

// want checks the outcome: an id, or an error code.
func (f *fixture) want(t testing.TB, a attempt, id string, code oauth.Code) {
	t.Helper()
	got, err := f.try(t, a)
	if code == "" {
		check(t, err)
		if got.ID != id {
			t.Fatalf("authenticated %q, want %q", got.ID, id)
		}
		return
	}
	var e *oauth.Error
	if got != nil || !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, %v; want %s", got, err, code)
	}
}

// claims are those of a good assertion.
func (f *fixture) claims() map[string]any {
	return map[string]any{
		"iss": "signed", "sub": "signed", "aud": issuer, "jti": randid.New("jti"), "iat": f.clock.Now().Unix(),
		"exp": f.clock.Now().Add(5 * time.Minute).Unix(),
	}
}

// with returns good claims with some changed; nil removes one.
func (f *fixture) with(changes map[string]any) map[string]any {
	claims := f.claims()
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func sign(t testing.TB, key jose.PrivateKey, typ string, claims map[string]any) string {
	t.Helper()
	data, err := json.Marshal(claims)
	check(t, err)
	raw, err := jose.Sign(key, typ, data)
	check(t, err)
	return raw
}

// asserted is a request with an assertion.
func asserted(raw string, more ...string) attempt {
	body := form(more...)
	body.Set("client_assertion_type", clientauth.AssertionType)
	body.Set("client_assertion", raw)
	return attempt{body: body}
}
