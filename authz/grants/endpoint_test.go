// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const machine = "machine:" + secret

func TestRFC6749TokenEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	for _, test := range []struct {
		name   string
		pairs  []string
		code   oauth.Code
		status int
	}{
		{"5.2 invalid_request: no grant_type", []string{":basic", machine}, oauth.InvalidRequest, 400},
		{"3.2 empty-param: grant_type", []string{":basic", machine, "grant_type", ""}, oauth.InvalidRequest, 400},
		{"3.2 dup-param: same value", []string{":basic", machine, "grant_type", "client_credentials", "scope", "jobs:run", "scope", "jobs:run"}, oauth.InvalidRequest, 400},
		{"5.2 invalid_client", []string{":basic", "machine:guess", "grant_type", "client_credentials"}, oauth.InvalidClient, 401},
		{"5.2 invalid_client comes before unsupported_grant_type", []string{":basic", "machine:guess", "grant_type", "x"}, oauth.InvalidClient, 401},
		{"5.2 unauthorized_client", []string{":basic", machine, "grant_type", "authorization_code", "code", "x"}, oauth.UnauthorizedClient, 400},
		{"5.2 unauthorized_client: refresh", []string{"client_id", "once", "grant_type", "refresh_token", "refresh_token", "x"}, oauth.UnauthorizedClient, 400},
		{"4.4 cc-confidential: public client", []string{"client_id", "app", "grant_type", "client_credentials"}, oauth.UnauthorizedClient, 400},
		{"5.2 unsupported_grant_type", []string{":basic", machine, "grant_type", "urn:ietf:params:oauth:grant-type:device_code"}, oauth.UnsupportedGrantType, 400},
		{"RFC 9700 2.4 ropc", []string{":basic", machine, "grant_type", "password", "username", "u", "password", "p"}, oauth.UnsupportedGrantType, 400},
		{"5.2 invalid_scope: not the client's", []string{":basic", machine, "grant_type", "client_credentials", "scope", "jobs:run admin"}, oauth.InvalidScope, 400},
		{"3.3 scope-grammar: quote", []string{":basic", machine, "grant_type", "client_credentials", "scope", `jobs"run`}, oauth.InvalidScope, 400},
		{"3.3 scope-grammar: backslash", []string{":basic", machine, "grant_type", "client_credentials", "scope", `jobs\run`}, oauth.InvalidScope, 400},
		{"3.3 scope-grammar: two spaces", []string{":basic", machine, "grant_type", "client_credentials", "scope", "jobs:run  jobs:list"}, oauth.InvalidScope, 400},
		{"3.3 scope-grammar: non-ASCII", []string{":basic", machine, "grant_type", "client_credentials", "scope", "jöbs"}, oauth.InvalidScope, 400},
		{"3.3 scope-grammar: case", []string{":basic", machine, "grant_type", "client_credentials", "scope", "Jobs:run"}, oauth.InvalidScope, 400},
		{"3.3 no default configured", []string{":basic", "bare:" + secret, "grant_type", "client_credentials"}, oauth.InvalidScope, 400},
		{"openid is about a user", []string{":basic", machine, "grant_type", "client_credentials", "scope", "openid jobs:run"}, oauth.InvalidScope, 400},
		{"App. A: NUL", []string{":basic", machine, "grant_type", "client_credentials", "scope", "a\x00"}, oauth.InvalidRequest, 400},
		{"App. A: line break", []string{":basic", machine, "grant_type", "client_credentials", "x", "a\r\nb"}, oauth.InvalidRequest, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ask(t, h, test.pairs...).refused(t, test.code, test.status)
		})
	}
	t.Run("5.2 invalid-client-401: the scheme that was used is named", func(t *testing.T) {
		t.Parallel()
		a := ask(t, h, ":basic", "machine:guess", "grant_type", "client_credentials")
		if got := a.header.Get("WWW-Authenticate"); got != `Basic realm="`+issuer+`"` {
			t.Errorf("WWW-Authenticate is %q", got)
		}
		a = ask(t, h, "client_id", "machine", "client_secret", "guess", "grant_type", "client_credentials")
		if got := a.header.Get("WWW-Authenticate"); got != "" || a.status != 401 {
			t.Errorf("%d, WWW-Authenticate is %q", a.status, got)
		}
	})
	t.Run("3.1 unknown-param", func(t *testing.T) {
		t.Parallel()
		ask(t, h, ":basic", machine, "grant_type", "client_credentials", "foo", "bar", "resource", "x").ok(t)
	})
}

func TestRFC6749Transport(t *testing.T) { // 3.2 post-only
	t.Parallel()
	h := newWorld(t, nil).node(t)
	for _, test := range []struct {
		name, method, target, contentType, body string
		status                                  int
	}{
		{"GET", "GET", "/token?grant_type=client_credentials", "", "", 405},
		{"PUT", "PUT", "/token", "application/x-www-form-urlencoded", "a=1", 405},
		{"DELETE", "DELETE", "/token", "", "", 405},
		{"JSON", "POST", "/token", "application/json", `{"grant_type":"client_credentials"}`, 415},
		{"no content type", "POST", "/token", "", "a=1", 415},
		{"query", "POST", "/token?grant_type=client_credentials", "application/x-www-form-urlencoded", "a=1", 400},
		{"too large", "POST", "/token", "application/x-www-form-urlencoded", "a=" + strings.Repeat("x", 64<<10), 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), test.method, test.target, strings.NewReader(test.body))
			r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(machine)))
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			a := send(t, h, r)
			a.refused(t, oauth.InvalidRequest, test.status)
			if test.status == 405 && a.header.Get("Allow") != "POST" {
				t.Errorf("Allow is %q", a.header.Get("Allow"))
			}
		})
	}
}

func TestScriptsMayRedeem(t *testing.T) { // OpenID Connect Discovery 3 cors
	t.Parallel()
	h := newWorld(t, nil).node(t)
	r := httptest.NewRequestWithContext(t.Context(), "OPTIONS", "/token", nil)
	r.Header.Set("Origin", "https://spa.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	if recorder.Code != 204 || recorder.Body.Len() > 0 || recorder.Header().Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight: %d %v", recorder.Code, recorder.Header())
	}
	a := ask(t, h, ":basic", machine, "grant_type", "client_credentials").ok(t)
	if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", a.header)
	}
}

func TestClientCredentials(t *testing.T) { // RFC 6749 4.4
	t.Parallel()
	for _, test := range []struct{ name, scope, want string }{
		{"named scope", "jobs:list", "jobs:list"},
		{"two scopes, in the order asked", "jobs:list jobs:run", "jobs:list jobs:run"},
		{"3.3 default scope, less what is about a user", "", "jobs:run"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			a := ask(t, w.node(t), ":basic", machine, "grant_type", "client_credentials", "scope", test.scope).ok(t)
			if a.Refresh+a.ID != "" || a.Type != "Bearer" || a.Expires != 300 || a.Scope != test.want {
				t.Errorf("%s", a.raw)
			}
			claims := w.claims(t, a.Access)
			if claims["sub"] != "machine" || claims["client_id"] != "machine" || claims["scope"] != test.want {
				t.Errorf("%v", claims)
			}
			for _, name := range []string{"gid", "sid", "acr", "amr", "auth_time", "realms"} {
				if claims[name] != nil {
					t.Errorf("%s is %v", name, claims[name])
				}
			}
			if len(w.events(t)) != 0 || !strings.Contains(w.lines.String(), `"name":"token.issued"`) {
				t.Error("a client's own token is one line in the log and nothing in the store")
			}
		})
	}
}

func TestClientCredentialsTouchNoStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate} {
		w.db.Inject(storagetest.Fault{Op: op, Err: errors.New("the store was used")})
	}
	ask(t, h, ":basic", machine, "grant_type", "client_credentials").ok(t)
}

func TestOutcomesAreObserved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	ask(t, h, ":basic", machine, "grant_type", "client_credentials").ok(t)
	ask(t, h, ":basic", machine, "grant_type", "client_credentials", "scope", "x")
	ask(t, h, ":basic", machine, "grant_type", strings.Repeat("x", 100))
	code, _ := w.code(t, allowance{})
	exchange(t, h, "app", code)
	exchange(t, h, "app", code)
	want := []string{
		"client_credentials issued", "client_credentials invalid_scope", " unsupported_grant_type", "authorization_code issued",
		"authorization_code invalid_grant",
	}
	if diff := cmp.Diff(want, w.outcomes); diff != "" {
		t.Error(diff)
	}
}

// mark stands for what an engine might say about itself. It must never reach a caller.
const mark = "MARK-7f3a-/var/lib/gatehouse"

// TestNoLeaks fails the store in every place it can, at every grant: the caller learns nothing of why, and never gets a
// credential that is not kept.
func TestNoLeaks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		err    error
		code   oauth.Code
		status int
	}{
		{"broken", errors.Join(errors.New(mark), storage.ErrTooLarge), oauth.ServerError, 500},
		{"down", errors.New(mark), oauth.TemporarilyUnavailable, 503},
		{"conflict", errors.Join(errors.New(mark), storage.ErrConflict), oauth.TemporarilyUnavailable, 503},
		{"closed", errors.Join(errors.New(mark), storage.ErrClosed), oauth.TemporarilyUnavailable, 503},
		{"full", errors.Join(errors.New(mark), storage.ErrFull), oauth.TemporarilyUnavailable, 503},
		{"unknown commit", errors.Join(errors.New(mark), storage.ErrUnknown), oauth.TemporarilyUnavailable, 503},
	} {
		for _, op := range []storagetest.Op{storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, nil)
				h := w.node(t)
				a, _ := w.first(t, h, allowance{})
				code, _ := w.code(t, allowance{})
				w.db.Inject(storagetest.Fault{Op: op, Err: test.err})
				for _, got := range []answer{exchange(t, h, "app", code), renew(t, h, "app", a.Refresh)} {
					got.refused(t, test.code, test.status)
					if strings.Contains(got.raw, mark) || headerHolds(got.header, mark) {
						t.Errorf("leaked: %s %v", got.raw, got.header)
					}
					if test.status == 503 && got.header.Get("Retry-After") == "" {
						t.Error("no Retry-After")
					}
					if !strings.Contains(got.raw, "req-1") {
						t.Errorf("no request id: %s", got.raw)
					}
				}
				if n := strings.Count(w.lines.String(), mark); n != 2 {
					t.Errorf("the cause was logged %d times, want once for each request", n)
				}
			})
		}
	}
}

func headerHolds(h http.Header, text string) bool {
	for name, values := range h {
		if strings.Contains(name+strings.Join(values, ""), text) {
			return true
		}
	}
	return false
}

// TestSecretsStayOutOfLogs looks for every secret of a whole life of tokens in the log.
func TestSecretsStayOutOfLogs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	code, _ := w.code(t, allowance{})
	a := exchange(t, h, "app", code).ok(t)
	b := renew(t, h, "app", a.Refresh).ok(t)
	w.clock.Advance(grace)
	renew(t, h, "app", a.Refresh)
	exchange(t, h, "app", code)
	ask(t, h, ":basic", "machine:guessed-secret", "grant_type", "client_credentials")
	for _, s := range []string{code, a.Access, a.Refresh, a.ID, b.Access, b.Refresh, verifier, "guessed-secret"} {
		if strings.Contains(w.lines.String(), s) {
			t.Errorf("the log holds %q", s)
		}
	}
}

func TestNoKeyNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t, func(c *grants.Config) { c.Tokens = keyless(t, w) })
	a := ask(t, h, ":basic", machine, "grant_type", "client_credentials")
	a.refused(t, oauth.TemporarilyUnavailable, 503)
	// A code is spent all the same: safety against replay comes before convenience.
	code, _ := w.code(t, allowance{})
	exchange(t, h, "app", code).refused(t, oauth.TemporarilyUnavailable, 503)
	exchange(t, w.node(t), "app", code).refused(t, oauth.InvalidGrant, 400)
}

type noKeys struct{}

func (noKeys) Signer() (jose.PrivateKey, error) { return jose.PrivateKey{}, errors.New(mark) }

func (noKeys) SignerFor(jose.Algorithm) (jose.PrivateKey, error) {
	return jose.PrivateKey{}, errors.New(mark)
}

func keyless(t testing.TB, w *world) *tokens.Issuer {
	t.Helper()
	i, err := tokens.New(tokens.Config{Issuer: issuer, Keys: noKeys{}, Now: w.clock.Now})
	check(t, err)
	return i
}

func TestSupportedIsWhatWorks(t *testing.T) {
	t.Parallel()
	want := []string{string(authz.GrantAuthorizationCode), string(authz.GrantRefreshToken), string(authz.GrantClientCredentials)}
	if got := new(grants.Handler).Supported(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func BenchmarkClientCredentials(b *testing.B) {
	w := newWorld(b, nil)
	h := w.node(b)
	const body = "grant_type=client_credentials&scope=jobs%3Arun"
	header := http.Header{
		"Content-Type":  {"application/x-www-form-urlencoded"},
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(machine))},
	}
	b.ReportAllocs()
	for b.Loop() {
		w.lines.Reset()
		w.outcomes = w.outcomes[:0]
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", strings.NewReader(body))
		r.Header = header
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, r)
		if recorder.Code != 200 {
			b.Fatal(recorder.Body)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b, nil)
	h := w.node(b)
	a, _ := w.first(b, h, allowance{offline: true})
	b.ReportAllocs()
	for b.Loop() {
		w.lines.Reset()
		w.outcomes = w.outcomes[:0]
		a = renew(b, h, "app", a.Refresh).ok(b)
	}
}
