// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backend"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	issuer   = "https://auth.example.com"
	secret   = "a secret of the portal"
	formType = "application/x-www-form-urlencoded"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}

// tokens are principals by their tokens.
type tokens map[string]*validation.Principal

func (k tokens) Validate(_ context.Context, c validation.Credential) (*validation.Principal, error) {
	switch p, ok := k[c.Token]; {
	case c.Token == "down":
		return nil, oauth.Unavailable(storage.ErrClosed)
	case ok:
		return p, nil
	}
	return nil, oauth.NewError(oauth.InvalidToken, "the token is not valid")
}

type world struct {
	*backend.Authenticator
	clock *storagetest.Clock
	key   jose.PrivateKey
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{clock: storagetest.NewClock()}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	must(t, err)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(t, err)
	store, err := authz.NewStore(db, sealer, w.clock.Now)
	must(t, err)
	limiter, err := limit.New(limit.Config{Burst: 5, Every: time.Minute, Keys: 100, Now: w.clock.Now})
	must(t, err)
	w.key, err = jose.GenerateKey(jose.ES256)
	must(t, err)
	client := func(id string, method authz.AuthMethod, change ...func(*authz.Client)) *authz.Client {
		c := &authz.Client{
			ID: id, Auth: method, Audience: []string{"x"}, AccessTTL: time.Minute,
			Scopes: oauth.Scopes{"openid", "gatehouse:users", "gatehouse:operations:read", "gatehousex"},
		}
		for _, fn := range change {
			fn(c)
		}
		return c
	}
	withSecret := func(c *authz.Client) { c.SecretHashes = []string{randid.Hash(secret)} }
	clients, err := authz.NewClients(
		authz.Sites{Allowed: func(string) bool { return true }, Audience: []string{"x"}},
		client("portal", authz.AuthClientSecretBasic, withSecret, func(c *authz.Client) { c.Networks = networks }),
		client("signed", authz.AuthPrivateKeyJWT, func(c *authz.Client) { c.Keys = []jose.PublicKey{w.key.Public()} }),
		client("app", authz.AuthNone, func(c *authz.Client) { c.RedirectURIs = []string{"https://app.example.com/cb"} }),
	)
	must(t, err)
	w.Authenticator = &backend.Authenticator{
		Clients: &clientauth.Authenticator{Clients: clients, Store: store, Issuer: issuer, Now: w.clock.Now, Limiter: limiter},
		Tokens: tokens{
			"own":     {ClientID: "portal", Subject: "portal", Scopes: oauth.Scopes{"gatehouse:devices", "openid"}},
			"person":  {ClientID: "portal", Subject: "usr_1", Scopes: oauth.Scopes{"gatehouse:users"}},
			"session": {ClientID: "portal", Subject: "portal", SessionID: "ses_1", Scopes: oauth.Scopes{"gatehouse:users"}},
			"nobody":  {Scopes: oauth.Scopes{"gatehouse:users"}},
			"gone":    {ClientID: "former", Subject: "former", Scopes: oauth.Scopes{"gatehouse:users"}},
			"public":  {ClientID: "app", Subject: "app", Scopes: oauth.Scopes{"gatehouse:users"}},
		},
	}
	return w
}

func request(t testing.TB, method, contentType, body string, authorization ...string) *http.Request {
	t.Helper()
	ctx := httpx.WithCaller(t.Context(), httpx.Caller{ClientIP: "192.0.2.1"})
	r := httptest.NewRequestWithContext(ctx, method, "/api/v1/users", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header["Authorization"] = authorization
	return r
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func (w *world) assertion(t testing.TB) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": "signed", "sub": "signed", "aud": issuer, "jti": randid.New("jti"), "exp": w.clock.Now().Add(time.Minute).Unix(),
	})
	must(t, err)
	raw, err := jose.Sign(w.key, "client-authentication+jwt", claims)
	must(t, err)
	return raw
}

var own = oauth.Scopes{"gatehouse:users", "gatehouse:operations:read"}

func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	assertion := w.assertion(t)
	for _, test := range []struct {
		name   string
		r      *http.Request
		client string
		scopes oauth.Scopes
		code   oauth.Code
	}{
		{name: "token", r: request(t, "GET", "", "", "Bearer own"), client: "portal", scopes: oauth.Scopes{"gatehouse:devices"}},
		{name: "no such token", r: request(t, "GET", "", "", "Bearer x"), code: oauth.InvalidToken},
		{name: "a person's token", r: request(t, "GET", "", "", "Bearer person"), code: oauth.InvalidToken},
		{name: "a session's token", r: request(t, "GET", "", "", "Bearer session"), code: oauth.InvalidToken},
		{name: "nobody's token", r: request(t, "GET", "", "", "Bearer nobody"), code: oauth.InvalidToken},
		{name: "token of a client that is gone", r: request(t, "GET", "", "", "Bearer gone"), code: oauth.InvalidToken},
		{name: "token of a public client", r: request(t, "GET", "", "", "Bearer public"), code: oauth.InvalidToken},
		{name: "store down", r: request(t, "GET", "", "", "Bearer down"), code: oauth.TemporarilyUnavailable},
		{name: "two headers", r: request(t, "GET", "", "", "Bearer own", "Bearer own"), code: oauth.InvalidRequest},
		{name: "token and secret", r: request(t, "GET", "", "", "Bearer own", basic("portal", secret)), code: oauth.InvalidRequest},
		{name: "nothing", r: request(t, "GET", "", ""), code: oauth.InvalidClient},
		{name: "basic", r: request(t, "GET", "", "", basic("portal", secret)), client: "portal", scopes: own},
		{name: "basic with JSON", r: request(t, "POST", "application/json", "{}", basic("portal", secret)), client: "portal", scopes: own},
		{name: "basic, wrong", r: request(t, "GET", "", "", basic("portal", "x")), code: oauth.InvalidClient},
		{name: "basic, unknown", r: request(t, "GET", "", "", basic("x", secret)), code: oauth.InvalidClient},
		{name: "form", r: request(t, "POST", formType, form("client_id", "portal", "client_secret", secret, "request", "{}")), client: "portal", scopes: own},
		{name: "form without request", r: request(t, "POST", formType, form("client_id", "portal", "client_secret", secret)), client: "portal", scopes: own},
		{name: "form, wrong", r: request(t, "POST", formType, form("client_id", "portal", "client_secret", "x")), code: oauth.InvalidClient},
		{name: "form and basic", r: request(t, "POST", formType, form("request", "{}"), basic("portal", secret)), code: oauth.InvalidRequest},
		{name: "form with more", r: request(t, "POST", formType, form("client_id", "portal", "client_secret", secret, "logins", "a")), code: oauth.InvalidRequest},
		{name: "form with one twice", r: request(t, "POST", formType, form("client_id", "portal", "client_secret", secret, "request", "{}", "request", "{}")), code: oauth.InvalidRequest},
		{name: "form by PATCH", r: request(t, "PATCH", formType, form("client_id", "portal", "client_secret", secret)), code: oauth.InvalidClient},
		{name: "assertion", r: request(t, "POST", formType, form("client_assertion_type", clientauth.AssertionType, "client_assertion", assertion, "request", "{}")), client: "signed", scopes: own},
		{name: "assertion again", r: request(t, "POST", formType, form("client_assertion_type", clientauth.AssertionType, "client_assertion", assertion)), code: oauth.InvalidClient},
		{name: "a public client", r: request(t, "POST", formType, form("client_id", "app")), code: oauth.InvalidClient},
		{name: "too large", r: request(t, "POST", formType, form("client_id", "portal", "request", strings.Repeat("x", 70<<10))), code: oauth.InvalidRequest},
	} {
		t.Run(test.name, func(t *testing.T) { // one after the other: an assertion is good once
			got, err := w.Authenticate(test.r)
			if test.code != "" {
				var e *oauth.Error
				if !errors.As(err, &e) || e.Code != test.code || got.ClientID != "" {
					t.Errorf("%+v, %v; want %s", got, err, test.code)
				}
				return
			}
			if fromHome := test.client == "portal"; got.MayCallFrom("192.0.2.1") == fromHome || !got.MayCallFrom("10.1.2.3") {
				t.Errorf("it may call from %v", got.Networks)
			}
			if err != nil || got.ClientID != test.client || !slices.Equal(got.Scopes, test.scopes) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestAFormBecomesItsRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := request(t, "POST", formType, form("client_id", "portal", "client_secret", secret, "request", `{"logins":["é"]}`))
	if _, err := w.Authenticate(r); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != `{"logins":["é"]}` || r.ContentLength != int64(len(body)) || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%q of %d bytes, %v, %v", body, r.ContentLength, r.Header, err)
	}
	r = request(t, "POST", formType, form("client_id", "portal", "client_secret", secret))
	if _, err := w.Authenticate(r); err != nil || r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
		t.Errorf("without a request: %d bytes, %v, %v", r.ContentLength, r.Header, err)
	}
}

// TestGuessingSecretsIsSlow as it is at the token endpoint: the two share their counters.
func TestGuessingSecretsIsSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		_, _ = w.Authenticate(request(t, "GET", "", "", basic("portal", "guess")))
	}
	_, err := w.Authenticate(request(t, "GET", "", "", basic("portal", secret)))
	var e *oauth.Error
	if !errors.As(err, &e) || e.HTTPStatus() != http.StatusTooManyRequests {
		t.Errorf("%v", err)
	}
}

// FuzzForm: whatever a form holds, nobody is let in who does not show the secret, and nothing but the request is left as body.
func FuzzForm(f *testing.F) {
	f.Add(form("client_id", "portal", "client_secret", "x", "request", "{}"))
	f.Add("client_id=portal&client_id=portal")
	f.Add("%zz")
	f.Add("client_assertion=a.b.c&client_assertion_type=x")
	f.Fuzz(func(t *testing.T, body string) {
		if values, err := url.ParseQuery(body); err != nil || values.Get("client_secret") == secret {
			return
		}
		w := newWorld(t)
		if got, err := w.Authenticate(request(t, "POST", formType, body)); err == nil {
			t.Fatalf("%+v was let in by %q", got, body)
		}
	})
}
