// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// verifier is a server that binds tokens to keys, and a resource of its own beside it. It judges proofs by RFC 9449 4.3, and records what
// it was asked and how it has answered, in words.
type verifier struct {
	issuer, api *httptest.Server
	t           *testing.T

	mu     sync.Mutex
	said   []string
	seen   map[string]bool // jti
	keys   map[string]bool // thumbprints
	issued int
	kind   string // token_type
	algs   []string
	wants  map[string]string // the nonce that a path demands, or a server for all of its paths
	spends bool              // each nonce is good once
	silent bool              // refuses without saying a nonce
	refuse map[string]string // what a path says to token t1
}

func newVerifier(t *testing.T) *verifier {
	t.Helper()
	s := &verifier{
		t: t, seen: map[string]bool{}, keys: map[string]bool{}, kind: "DPoP", algs: []string{"PS256", "ES256"}, wants: map[string]string{},
		refuse: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		at := s.issuer.URL
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": at, "authorization_challenge_endpoint": at + "/challenge",
			"token_endpoint": at + "/token", "revocation_endpoint": at + "/revoke",
			"authorization_endpoint": at + "/authorize", "pushed_authorization_request_endpoint": at + "/par",
			"dpop_signing_alg_values_supported": s.algs,
		})
	})
	for _, path := range []string{"/challenge", "/token", "/par", "/revoke"} {
		mux.HandleFunc("POST "+path, s.serve)
	}
	mux.HandleFunc("/api", s.resource)
	s.issuer, s.api = httptest.NewServer(mux), httptest.NewServer(http.HandlerFunc(s.resource))
	t.Cleanup(s.issuer.Close)
	t.Cleanup(s.api.Close)
	return s
}

func (s *verifier) client(change ...func(*client.Config)) *client.Client {
	s.t.Helper()
	config := client.Config{
		Issuer: s.issuer.URL, ClientID: "app", Handlers: map[string]client.Handler{"word": says("please", nil)}, DPoP: &client.DPoP{},
		HTTP: &http.Client{Transport: wire(s.t)}, Now: func() time.Time { return noon },
	}
	for _, fn := range change {
		fn(&config)
	}
	c, err := client.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// proven judges the proof of a request with a token, if any, and returns the key's thumbprint and the nonce. It is empty with the nonce
// alone where another nonce is needed.
func (s *verifier) proven(r *http.Request, token string) (thumbprint, nonce string) {
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 {
		s.t.Errorf("%s comes with %d proofs", r.URL.Path, len(proofs))
		return "", ""
	}
	parts := strings.Split(proofs[0], ".")
	if len(parts) != 3 {
		s.t.Fatalf("the proof is %q", proofs[0])
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			s.t.Error(err)
		}
	}
	var header struct {
		Typ, Alg string
		JWK      map[string]string
	}
	var claims map[string]any
	if err := errors.Join(json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &claims)); err != nil {
		s.t.Error(err)
	}
	x, _ := base64.RawURLEncoding.DecodeString(header.JWK["x"])
	y, _ := base64.RawURLEncoding.DecodeString(header.JWK["y"])
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil || len(header.JWK) != 4 || header.JWK["kty"] != "EC" || header.JWK["crv"] != "P-256" ||
		header.Typ != "dpop+jwt" || header.Alg != "ES256" {
		s.t.Fatalf("the header is %s: %v", decoded[0], err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(decoded[2]) != 64 || !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(decoded[2][:32]), new(big.Int).SetBytes(decoded[2][32:])) {
		s.t.Error("the proof is not signed by its key")
	}
	jti, _ := claims["jti"].(string)
	nonce, _ = claims["nonce"].(string)
	at, _ := claims["iat"].(float64)
	want := map[string]any{"jti": jti, "iat": at, "htm": r.Method, "htu": "http://" + r.Host + r.URL.EscapedPath()}
	if token != "" {
		want["ath"] = hashed(token)
	}
	if nonce != "" {
		want["nonce"] = nonce
	}
	if diff := cmp.Diff(want, claims); diff != "" || len(jti) < 22 || s.seen[jti] {
		s.t.Errorf("claims of a proof (-want +got):\n%s", diff)
	}
	s.seen[jti] = true
	if nonce == "" && int64(at) != noon.Unix() {
		return "", ""
	}
	return hashed(fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, header.JWK["x"], header.JWK["y"])), nonce
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// admits judges a request and notes it. It says a nonce with every answer that is not silent, where there is one.
func (s *verifier) admits(w http.ResponseWriter, r *http.Request, server, token string) bool {
	thumbprint, nonce := s.proven(r, token)
	wanted := s.wants[server]
	if thumbprint == "" && wanted == "" {
		wanted = "by-the-clock"
	}
	good := thumbprint != "" && (wanted == "" || nonce == wanted)
	if s.spends && (good || wanted != "") {
		wanted += "+"
	}
	if s.wants[server] != "" || !good {
		s.wants[server] = wanted
	}
	if wanted != "" && !s.silent {
		w.Header().Set("DPoP-Nonce", wanted)
	}
	if good {
		s.keys[thumbprint] = true
	}
	body, _ := io.ReadAll(r.Body)
	what := strings.TrimSpace(r.URL.Path + " " + token + " " + string(body))
	if server == "issuer" {
		what = r.URL.Path
	}
	if !good {
		what += " refused"
	}
	s.said = append(s.said, what)
	return good
}

func (s *verifier) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = r.ParseForm()
	if r.URL.Path == "/revoke" {
		s.said = append(s.said, strings.TrimSpace("/revoke "+r.Header.Get("DPoP")))
		return
	}
	if assertion := r.PostForm.Get("client_assertion"); assertion != "" {
		var claims struct{ JTI string }
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(assertion, ".")[1])
		if err := errors.Join(err, json.Unmarshal(text, &claims)); err != nil || claims.JTI == "" || s.seen[claims.JTI] {
			s.t.Errorf("the assertion says %s: %v", text, err)
		}
		s.seen[claims.JTI] = true
	}
	if !s.admits(w, r, "issuer", "") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"use_dpop_nonce"}`))
		return
	}
	if jkt := r.PostForm.Get("dpop_jkt"); r.PostForm.Get("response_type") != "" && !s.keys[jkt] {
		s.t.Errorf("%s is for the key %q", r.URL.Path, jkt)
	}
	switch {
	case r.URL.Path == "/token":
		s.issued++
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","refresh_token":"r%d","token_type":%q,"expires_in":300}`, s.issued, s.issued, s.kind)
	case r.URL.Path == "/par":
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"request_uri":"u","expires_in":60}`))
	case r.PostForm.Get("answers") == "":
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"error":"insufficient_authorization","auth_session":"s","challenges":{"word":{}}}`))
	default:
		_, _ = w.Write([]byte(granted))
	}
}

func (s *verifier) resource(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme != "DPoP" {
		s.t.Errorf("the token is presented as %s", scheme)
	}
	refusal := s.refuse[r.URL.Path]
	if !s.admits(w, r, "api", token) {
		refusal = `DPoP algs="ES256", error="use_dpop_nonce"`
	} else if token != "t1" {
		refusal = ""
	}
	if refusal != "" {
		w.Header().Add("WWW-Authenticate", `Bearer realm="x"`)
		w.Header().Add("WWW-Authenticate", refusal)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// send posts to a resource, and returns the status.
func send(t *testing.T, c *client.Client, address string, body io.Reader) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, body)
	if err != nil {
		t.Error(err)
		return 0
	}
	response, err := (&http.Client{Transport: c.Transport(wire(t))}).Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// once is a body that cannot be sent again.
func once(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }

// TestDPoP walks from the first message to the end: everything is bound to one key, and nothing else is said about it.
func TestDPoP(t *testing.T) {
	t.Parallel()
	s := newVerifier(t)
	now := noon
	c := s.client(func(c *client.Config) { c.Now = func() time.Time { return now } })
	tokens, err := c.Authorize(t.Context(), client.Request{})
	if err != nil || tokens.Type != "DPoP" {
		t.Fatalf("Authorize = %+v, %v", tokens, err)
	}
	if status := send(t, c, s.api.URL+"/a%2Fb/c?q=1#part", strings.NewReader("hello")); status != http.StatusOK {
		t.Errorf("the API answers %d", status)
	}
	if status := send(t, c, s.api.URL, once("hello")); status != http.StatusOK {
		t.Errorf("the API answers %d", status)
	}
	s.mu.Lock()
	s.wants["issuer"], s.wants["api"] = "n", "n" // whose clock judges no more
	s.mu.Unlock()
	now = now.Add(5 * time.Minute)
	if status := send(t, c, s.api.URL, http.NoBody); status != http.StatusOK {
		t.Errorf("the API answers %d after a refresh", status)
	}
	if _, err := c.HandOver(t.Context(), client.Request{}, callback); err != nil {
		t.Error(err)
	}
	if err := c.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{
		"/challenge", "/challenge", "/token", "/a/b/c t1 hello", "/ t1 hello", "/token refused", "/token", "/ t2 refused", "/ t2", "/par", "/revoke",
	}
	if diff := cmp.Diff(want, s.said); diff != "" || len(s.keys) != 1 {
		t.Errorf("%d keys, requests (-want +got):\n%s", len(s.keys), diff)
	}
}

// TestNonces: what a server demands it gets, once for each request; and what cannot be sent again is not.
func TestNonces(t *testing.T) {
	t.Parallel()
	login := []string{"/challenge", "/challenge", "/token"}
	for _, tt := range []struct {
		name   string
		server func(*verifier)
		off    time.Duration
		status int
		said   []string
		fails  bool // to log in
	}{
		{"RFC9449/8 the issuer", func(s *verifier) { s.wants["issuer"] = "n" }, 0, 200,
			slices.Concat([]string{"/challenge refused"}, login, []string{"/ t1 a", "/ t1 b", "/ t1 c"}), false},
		{"RFC9449/9 the resource", func(s *verifier) { s.wants["api"] = "n" }, 0, 200,
			slices.Concat(login, []string{"/ t1 a refused", "/ t1 a", "/ t1 b", "/ t1 c"}), false},
		{"RFC9449/8.2 a new one with each answer", func(s *verifier) { s.wants["issuer"], s.wants["api"], s.spends = "n", "n", true }, 0, 200,
			slices.Concat([]string{"/challenge refused"}, login, []string{"/ t1 a refused", "/ t1 a", "/ t1 b", "/ t1 c"}), false},
		{"a clock that is off", func(*verifier) {}, -24 * time.Hour, 200,
			slices.Concat([]string{"/challenge refused"}, login, []string{"/ t1 a refused", "/ t1 a", "/ t1 b", "/ t1 c"}), false},
		{"an issuer that is never content", func(s *verifier) { s.wants["issuer"] = "another than it says" }, 0, 0,
			[]string{"/challenge refused", "/challenge refused"}, true},
		{"an issuer that says none", func(s *verifier) { s.wants["issuer"], s.silent = "n", true }, 0, 0, []string{"/challenge refused"}, true},
		{"a resource that is never content", func(s *verifier) { s.wants["api"] = "another than it says" }, 0, 401,
			slices.Concat(login, []string{"/ t1 a refused", "/ t1 a refused", "/ t1 b refused", "/ t1 b refused", "/ t1 c refused"}), false},
		{"a resource that says too much", func(s *verifier) { s.wants["api"] = strings.Repeat("n", 2000) }, 0, 401,
			slices.Concat(login, []string{"/ t1 a refused", "/ t1 b refused", "/ t1 c refused"}), false},
		{"a resource that says none", func(s *verifier) { s.wants["api"], s.silent = "n", true }, 0, 401,
			slices.Concat(login, []string{"/ t1 a refused", "/ t1 b refused", "/ t1 c refused"}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newVerifier(t)
			tt.server(s)
			c := s.client(func(c *client.Config) {
				c.HTTP.Transport, c.Now = neverContent(s, wire(t)), func() time.Time { return noon.Add(tt.off) }
			})
			_, err := c.Authorize(t.Context(), client.Request{})
			if e := (*client.Error)(nil); tt.fails != (errors.As(err, &e) && e.Code == "use_dpop_nonce") || err != nil != tt.fails {
				t.Fatalf("Authorize = %v", err)
			}
			for i, text := range []string{"a", "b", "c"} {
				if tt.fails {
					break
				}
				var body io.Reader = strings.NewReader(text)
				if i == 2 {
					body = once(text)
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.api.URL, body)
				if err != nil {
					t.Fatal(err)
				}
				response, err := c.Transport(neverContent(s, wire(t))).RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if response.StatusCode != tt.status {
					t.Errorf("%s is answered %d", text, response.StatusCode)
				}
			}
			if diff := cmp.Diff(tt.said, s.said); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// neverContent changes each nonce on the way, where a server demands one that it does not say.
func neverContent(s *verifier, base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := base.RoundTrip(r)
		if err == nil && strings.Contains(response.Header.Get("DPoP-Nonce"), " ") {
			response.Header.Set("DPoP-Nonce", rand.Text())
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNoncesAreOfTheirServer: the issuer's is none at a resource with the same address, and the other way round (RFC 9449 9).
func TestNoncesAreOfTheirServer(t *testing.T) {
	t.Parallel()
	s := newVerifier(t)
	s.wants["issuer"], s.wants["api"] = "of-the-issuer", "of-the-api"
	c := s.client()
	for range 2 {
		if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
			t.Fatal(err)
		}
		if status := send(t, c, s.issuer.URL+"/api", strings.NewReader("x")); status != http.StatusOK {
			t.Errorf("the API answers %d", status)
		}
	}
	want := []string{
		"/challenge refused", "/challenge", "/challenge", "/token", "/api t1 x refused", "/api t1 x",
		"/challenge", "/challenge", "/token", "/api t2 x",
	}
	if diff := cmp.Diff(want, s.said); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestAssertionsGoOnce, also those of a request that is sent again with a nonce.
func TestAssertionsGoOnce(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newVerifier(t)
	s.wants["issuer"] = "n"
	c := s.client(func(c *client.Config) {
		c.ClientID, c.Registration = "", &client.Registration{
			Key: key, Instance: client.Instance{ClientID: "ins_1"}, Keep: func(context.Context, client.Instance) error { return nil },
		}
	})
	if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
		t.Error(err)
	}
	if want := []string{"/challenge refused", "/challenge", "/challenge", "/token"}; !slices.Equal(s.said, want) {
		t.Errorf("asked was %q", s.said)
	}
}

// TestMoreWithDPoP: what a resource wants is read from the challenge of the scheme that was used, wherever it stands.
func TestMoreWithDPoP(t *testing.T) {
	t.Parallel()
	for path, challenge := range map[string]string{
		"/alone": `DPoP error="invalid_token"`, "/beside": `Bearer realm="a=\"b\", c", Negotiate, DPoP algs="ES256", error=invalid_token`,
	} {
		s := newVerifier(t)
		s.refuse[path] = challenge
		if status := send(t, s.client(), s.api.URL+path, strings.NewReader("x")); status != http.StatusOK {
			t.Errorf("the API answers %d", status)
		}
		want := []string{path + " t1 x", path + " t2 x"}
		if got := slices.DeleteFunc(s.said, func(what string) bool { return !strings.HasPrefix(what, path) }); !slices.Equal(got, want) {
			t.Errorf("sent are %q", got)
		}
	}
}

// TestParallelProofs: requests at the same time, each with a proof of its own, while the nonce changes under them.
func TestParallelProofs(t *testing.T) {
	t.Parallel()
	s := newVerifier(t)
	s.wants["api"] = "n1"
	c := s.client()
	if status := send(t, c, s.api.URL, strings.NewReader("x")); status != http.StatusOK {
		t.Errorf("the API answers %d", status)
	}
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			if i == 8 {
				s.mu.Lock()
				s.wants["api"] = "n2"
				s.mu.Unlock()
			}
			if status := send(t, c, s.api.URL, strings.NewReader("x")); status != http.StatusOK {
				t.Errorf("the API answers %d", status)
			}
		})
	}
	group.Wait()
	if len(s.keys) != 1 || s.issued != 1 {
		t.Errorf("%d keys, %d tokens", len(s.keys), s.issued)
	}
}

// platform is a key that its owner never sees.
type platform struct {
	public crypto.PublicKey
	sign   func([]byte) ([]byte, error)
}

func (p platform) Public() crypto.PublicKey { return p.public }

func (p platform) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return p.sign(digest)
}

// TestThumbprint is the key's of RFC 9449 4.1 and 6.1.
func TestThumbprint(t *testing.T) {
	t.Parallel()
	x, _ := base64.RawURLEncoding.DecodeString("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs")
	y, _ := base64.RawURLEncoding.DecodeString("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA")
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newIssuer(t, step{http.StatusBadRequest, `{"error":"invalid_scope"}`})
	c := s.client(map[string]client.Handler{}, func(c *client.Config) {
		c.DPoP = &client.DPoP{Key: platform{key, func(digest []byte) ([]byte, error) { return other.Sign(rand.Reader, digest, crypto.SHA256) }}}
		c.HTTP = &http.Client{Transport: withProofs(t)}
	})
	if _, err := c.Authorize(t.Context(), client.Request{}); err == nil {
		t.Error("it is granted")
	}
	if got := s.asked()[0].Get("dpop_jkt"); got != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("the thumbprint is %q", got)
	}
}

// withProofs has metadata say that the server takes proofs.
func withProofs(t testing.TB) http.RoundTripper {
	base := wire(t)
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := base.RoundTrip(r)
		if err != nil || !strings.HasPrefix(r.URL.Path, "/.well-known/") {
			return response, err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		text := strings.Replace(string(body), "{", `{"dpop_signing_alg_values_supported":["ES256"],`, 1)
		response.Body, response.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		return response, err
	})
}

// TestDPoPFails: without a key of the kind, without a server that takes it, and with tokens of another type, nothing is sent as if it were
// bound.
func TestDPoPFails(t *testing.T) {
	t.Parallel()
	locked := errors.New("the key store is locked")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		server func(*verifier)
		config func(*client.Config)
		want   error
	}{
		{"a server without DPoP", func(s *verifier) { s.algs = nil }, func(*client.Config) {}, client.ErrUnbound},
		{"a server of other algorithms", func(s *verifier) { s.algs = []string{"EdDSA"} }, func(*client.Config) {}, client.ErrUnbound},
		{"a bearer token", func(s *verifier) { s.kind = "Bearer" }, func(*client.Config) {}, client.ErrTokenType},
		{"a token without type", func(s *verifier) { s.kind = "" }, func(*client.Config) {}, client.ErrTokenType},
		{"a key that does not sign", func(*verifier) {}, func(c *client.Config) {
			c.DPoP.Key = platform{key.Public(), func([]byte) ([]byte, error) { return nil, locked }}
		}, locked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newVerifier(t)
			tt.server(s)
			c := s.client(tt.config)
			if tokens, err := c.Authorize(t.Context(), client.Request{}); !errors.Is(err, tt.want) || tokens.Access != "" || c.Tokens().Access != "" {
				t.Errorf("Authorize = %+v, %v", tokens, err)
			}
		})
	}
	t.Run("a bound token that was not asked for", func(t *testing.T) {
		t.Parallel()
		s := newIssuer(t, step{http.StatusOK, granted})
		s.tokens = []step{{http.StatusOK, strings.Replace(s.tokens[0].body, "Bearer", "DPoP", 1)}}
		if _, err := s.client(map[string]client.Handler{}).Authorize(t.Context(), client.Request{}); !errors.Is(err, client.ErrTokenType) {
			t.Errorf("Authorize = %v", err)
		}
	})
	t.Run("a key on another curve", func(t *testing.T) {
		t.Parallel()
		key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.New(client.Config{
			Issuer: "https://a", ClientID: "c", Handlers: map[string]client.Handler{}, HTTP: new(http.Client), Now: time.Now,
			DPoP: &client.DPoP{Key: key},
		}); err == nil {
			t.Error("it is taken")
		}
	})
}

// body is one that tells whether it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

// TestUnsentBodiesAreClosed, as a round tripper has to whatever happens.
func TestUnsentBodiesAreClosed(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signs := 3 // as often as it takes to log in
	for _, login := range []bool{false, true} {
		s := newVerifier(t)
		c := s.client(func(c *client.Config) {
			c.DPoP.Key = platform{key.Public(), func(digest []byte) ([]byte, error) {
				if signs--; signs < 0 || !login {
					return nil, context.Canceled
				}
				return key.Sign(rand.Reader, digest, crypto.SHA256)
			}}
		})
		sent := &body{Reader: strings.NewReader("x")}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.api.URL, sent)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Transport(wire(t)).RoundTrip(r)
		if err == nil {
			_ = response.Body.Close()
		}
		if err == nil || !sent.closed {
			t.Errorf("with a login %t: %v, closed %t", login, err, sent.closed)
		}
		signs = 3
	}
}
