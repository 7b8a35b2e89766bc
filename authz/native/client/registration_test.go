// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
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

// registrar is a server at which installations register. It records what it was asked, in words.
type registrar struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	keys  map[string]*ecdsa.PublicKey // by client
	count int
	said  []string
	// strange has it refuse every assertion, though it knows the client.
	strange bool
	refresh string // what refreshing is answered, when it is an error
}

func newRegistrar(t *testing.T) *registrar {
	t.Helper()
	s := &registrar{t: t, keys: map[string]*ecdsa.PublicKey{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": s.URL, "authorization_challenge_endpoint": s.URL + "/challenge", "token_endpoint": s.URL + "/token",
			"revocation_endpoint": s.URL + "/revoke", "registration_endpoint": s.URL + "/register", "authorization_endpoint": s.URL + "/authorize",
			"pushed_authorization_request_endpoint": s.URL + "/par",
		})
	})
	mux.HandleFunc("POST /register", s.register)
	mux.HandleFunc("/register/{id}", s.manage)
	for path, body := range map[string]string{"/challenge": granted, "/token": "", "/revoke": "{}", "/par": `{"request_uri":"u","expires_in":60}`} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, body) })
	}
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *registrar) note(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

func (s *registrar) register(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var said struct {
		Method     string `json:"token_endpoint_auth_method"`
		SoftwareID string `json:"software_id"`
		JWKS       struct {
			Keys []struct{ Kty, Crv, X, Y string }
		} `json:"jwks"`
	}
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil || len(said.JWKS.Keys) != 1 {
		s.t.Errorf("registering %+v: %v", said, err)
	}
	s.note("register %s %s by %s", said.SoftwareID, said.Method, r.Header.Get("Authorization"))
	if r.Header.Get("Authorization") != "Bearer initial" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_token"}`))
		return
	}
	x, errX := base64.RawURLEncoding.DecodeString(said.JWKS.Keys[0].X)
	y, errY := base64.RawURLEncoding.DecodeString(said.JWKS.Keys[0].Y)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err := errors.Join(errX, errY, err); err != nil {
		s.t.Error(err)
	}
	s.count++
	id := fmt.Sprintf("ins_%d", s.count)
	s.keys[id] = key
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{
		"client_id": id, "registration_access_token": "rat_" + id, "registration_client_uri": s.URL + "/register/" + id,
	})
}

func (s *registrar) manage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	s.note("%s %s", strings.ToLower(r.Method), id)
	switch {
	case s.keys[id] == nil || r.Header.Get("Authorization") != "Bearer rat_"+id:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_token"}`))
	case r.Method == http.MethodDelete:
		delete(s.keys, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

// serve answers an installation that it knows.
func (s *registrar) serve(w http.ResponseWriter, r *http.Request, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PostFormValue("client_id")
	s.note("%s %s", strings.TrimPrefix(r.URL.Path, "/"), strings.TrimSpace(id+" "+r.PostForm.Get("grant_type")))
	if s.strange || !s.verifies(id, r.PostForm.Get("client_assertion")) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return
	}
	if r.PostForm.Get("grant_type") == "refresh_token" && s.refresh != "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"` + s.refresh + `"}`))
		return
	}
	if body == "" {
		body = fmt.Sprintf(`{"access_token":"of_%s","refresh_token":"r","token_type":"Bearer","expires_in":300}`, id)
	}
	_, _ = w.Write([]byte(body))
}

// verifies checks an assertion as a server would (RFC 7523 3).
func (s *registrar) verifies(id, assertion string) bool {
	key, parts := s.keys[id], strings.Split(assertion, ".")
	if key == nil || len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		s.t.Errorf("the signature is %q", parts[2])
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		s.t.Error(err)
	}
	var claims struct {
		Iss, Sub, Aud, Jti string
		Exp, Iat           int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		s.t.Error(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if claims.Iss != id || claims.Sub != id || claims.Aud != s.URL || claims.Jti == "" || claims.Exp != noon.Add(time.Minute).Unix() || claims.Iat != noon.Unix() {
		s.t.Errorf("the claims are %+v", claims)
	}
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// heard returns what it was asked since the last time.
func (s *registrar) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.said
	s.said = nil
	return said
}

func (s *registrar) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, id)
}

// installation is an app on a device, and what it keeps there.
type installation struct {
	*client.Client
	kept []client.Instance
}

func (s *registrar) install(change ...func(*client.Config)) *installation {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	a := new(installation)
	config := client.Config{
		Issuer: s.URL, Handlers: map[string]client.Handler{}, HTTP: s.Server.Client(), Now: func() time.Time { return noon },
		Registration: &client.Registration{
			Key: key, InitialToken: "initial", Metadata: map[string]any{"software_id": "bank"},
			Keep: func(_ context.Context, i client.Instance) error { a.kept = append(a.kept, i); return nil },
		},
	}
	for _, fn := range change {
		fn(&config)
	}
	if a.Client, err = client.New(config); err != nil {
		s.t.Fatal(err)
	}
	return a
}

func wantHeard(t *testing.T, s *registrar, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.heard()); diff != "" {
		t.Errorf("the server heard (-want +got):\n%s", diff)
	}
}

func TestAnInstallationRegistersOnce(t *testing.T) {
	t.Parallel()
	s := newRegistrar(t)
	a := s.install()
	for range 2 {
		tokens, err := a.Authorize(t.Context(), client.Request{})
		if err != nil || tokens.Access != "of_ins_1" {
			t.Fatalf("%+v, %v", tokens, err)
		}
	}
	wantHeard(t, s, "register bank private_key_jwt by Bearer initial", "challenge ins_1", "token ins_1 authorization_code", "challenge ins_1", "token ins_1 authorization_code")
	want := client.Instance{ClientID: "ins_1", Token: "rat_ins_1", URI: s.URL + "/register/ins_1"}
	if got, err := a.Instance(t.Context()); err != nil || got != want || len(a.kept) != 1 || a.kept[0] != want {
		t.Errorf("it is %+v, kept %+v (%v)", got, a.kept, err)
	}
	if err := a.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	wantHeard(t, s, "revoke ins_1")
	// The next start of the app goes on with what was kept.
	var key *ecdsa.PrivateKey
	b := s.install(func(c *client.Config) { key, c.Registration.Instance = c.Registration.Key, want })
	s.mu.Lock()
	s.keys["ins_1"] = &key.PublicKey
	s.mu.Unlock()
	if _, err := b.Authorize(t.Context(), client.Request{}); err != nil {
		t.Error(err)
	}
	wantHeard(t, s, "challenge ins_1", "token ins_1 authorization_code")
}

// An installation that the server has forgotten registers again, once, and goes on: what it had is not sent again.
func TestAnUnknownClientRegistersAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		again func(a *installation, t *testing.T) error
		heard []string
	}{
		{"authorizing", func(a *installation, t *testing.T) error {
			_, err := a.Authorize(t.Context(), client.Request{})
			return err
		}, []string{"challenge ins_1"}},
		{"refreshing", func(a *installation, t *testing.T) error {
			api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer of_ins_2" {
					t.Errorf("the resource sees %q", got)
				}
			}))
			defer api.Close()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL, http.NoBody)
			if err != nil {
				return err
			}
			response, err := (&http.Client{Transport: a.Transport(wire(t))}).Do(r)
			if err == nil {
				_ = response.Body.Close()
			}
			return err
		}, []string{"token ins_1 refresh_token"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newRegistrar(t)
			a := s.early()
			if _, err := a.Authorize(t.Context(), client.Request{}); err != nil {
				t.Fatal(err)
			}
			s.heard()
			s.forget("ins_1")
			if err := tt.again(a, t); err != nil {
				t.Fatal(err)
			}
			wantHeard(t, s, append(tt.heard, "get ins_1", "register bank private_key_jwt by Bearer initial", "challenge ins_2", "token ins_2 authorization_code")...)
			if len(a.kept) != 2 || a.kept[1].ClientID != "ins_2" {
				t.Errorf("kept is %+v", a.kept)
			}
		})
	}
}

// early returns an installation whose tokens expire at once.
func (s *registrar) early() *installation {
	a := s.install(func(c *client.Config) {
		base := c.HTTP.Transport
		c.HTTP = &http.Client{Transport: shortened{base}}
	})
	return a
}

// shortened has every token expire at once.
type shortened struct{ base http.RoundTripper }

func (s shortened) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.base.RoundTrip(r)
	if err == nil && r.URL.Path == "/token" && response.StatusCode == http.StatusOK {
		recorder := httptest.NewRecorder()
		var answer map[string]any
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			return nil, err
		}
		_ = response.Body.Close()
		answer["expires_in"] = 1
		_ = json.NewEncoder(recorder).Encode(answer)
		return recorder.Result(), nil
	}
	return response, err
}

// Nothing else leads to another registration: neither a server that refuses a client that it knows, nor any other error; and of a server
// that forgets whom it has just registered, nobody makes a loop.
func TestNothingElseRegistersAgain(t *testing.T) {
	t.Parallel()
	isCode := func(err error, code string) bool {
		var e *client.Error
		return errors.As(err, &e) && e.Code == code
	}
	t.Run("a client that is known", func(t *testing.T) {
		t.Parallel()
		s := newRegistrar(t)
		a := s.install()
		if _, err := a.Authorize(t.Context(), client.Request{}); err != nil {
			t.Fatal(err)
		}
		s.heard()
		s.mu.Lock()
		s.strange = true
		s.mu.Unlock()
		if _, err := a.Authorize(t.Context(), client.Request{}); !isCode(err, "invalid_client") {
			t.Errorf("Authorize = %v", err)
		}
		wantHeard(t, s, "challenge ins_1", "get ins_1")
	})
	t.Run("a server that forgets at once", func(t *testing.T) {
		t.Parallel()
		s := newRegistrar(t)
		a := s.install(func(c *client.Config) {
			keep := c.Registration.Keep
			c.Registration.Keep = func(ctx context.Context, i client.Instance) error { s.forget(i.ClientID); return keep(ctx, i) }
		})
		if _, err := a.Authorize(t.Context(), client.Request{}); !isCode(err, "invalid_client") {
			t.Errorf("Authorize = %v", err)
		}
		register := "register bank private_key_jwt by Bearer initial"
		wantHeard(t, s, register, "challenge ins_1", "get ins_1", register, "challenge ins_2")
	})
	t.Run("another error", func(t *testing.T) {
		t.Parallel()
		s := newRegistrar(t)
		a := s.early()
		if _, err := a.Authorize(t.Context(), client.Request{}); err != nil {
			t.Fatal(err)
		}
		s.heard()
		s.mu.Lock()
		s.refresh = "unauthorized_client"
		s.mu.Unlock()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := a.Transport(wire(t)).RoundTrip(r)
		if err == nil {
			_ = response.Body.Close()
		}
		if !isCode(err, "unauthorized_client") {
			t.Errorf("the request ended with %v", err)
		}
		wantHeard(t, s, "token ins_1 refresh_token")
	})
	t.Run("a registration that is refused", func(t *testing.T) {
		t.Parallel()
		s := newRegistrar(t)
		a := s.install(func(c *client.Config) { c.Registration.InitialToken = "wrong" })
		if _, err := a.Authorize(t.Context(), client.Request{}); !isCode(err, "invalid_token") {
			t.Errorf("Authorize = %v", err)
		}
		wantHeard(t, s, "register bank private_key_jwt by Bearer wrong")
	})
	t.Run("an instance that cannot be kept", func(t *testing.T) {
		t.Parallel()
		s := newRegistrar(t)
		full := errors.New("the device is full")
		a := s.install(func(c *client.Config) {
			c.Registration.Keep = func(context.Context, client.Instance) error { return full }
		})
		if _, err := a.Authorize(t.Context(), client.Request{}); !errors.Is(err, full) {
			t.Errorf("Authorize = %v", err)
		}
		if i, err := a.Instance(t.Context()); err != nil || i.ClientID != "" {
			t.Errorf("it is used all the same: %+v, %v", i, err)
		}
	})
}

func TestDeregister(t *testing.T) {
	t.Parallel()
	s := newRegistrar(t)
	a := s.install()
	if err := a.Deregister(t.Context()); err != nil || len(s.heard()) > 0 {
		t.Errorf("there was nothing to end: %v", err)
	}
	if _, err := a.Authorize(t.Context(), client.Request{}); err != nil {
		t.Fatal(err)
	}
	s.heard()
	if err := a.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHeard(t, s, "delete ins_1")
	if last := a.kept[len(a.kept)-1]; last != (client.Instance{}) || a.Tokens().Access != "" {
		t.Errorf("kept is %+v, and %+v", last, a.Tokens())
	}
	if tokens, err := a.Authorize(t.Context(), client.Request{}); err != nil || tokens.Access != "of_ins_2" {
		t.Errorf("it does not register again: %+v, %v", tokens, err)
	}
}

func TestHandOverOfAnInstallation(t *testing.T) {
	t.Parallel()
	s := newRegistrar(t)
	a := s.install()
	if _, err := a.Authorize(t.Context(), client.Request{}); err != nil {
		t.Fatal(err)
	}
	h, err := a.HandOver(t.Context(), client.Request{}, "com.example.bank:/cb")
	if err != nil || !strings.Contains(h.URL, "client_id=ins_1") {
		t.Errorf("HandOver = %+v, %v", h, err)
	}
	s.forget("ins_1")
	if _, err := a.HandOver(t.Context(), client.Request{}, "com.example.bank:/cb"); err == nil {
		t.Error("a client that is forgotten hands over")
	}
	if _, err := a.HandOver(t.Context(), client.Request{}, "com.example.bank:/cb"); !errors.Is(err, client.ErrNoSession) {
		t.Errorf("its session has survived: %v", err)
	}
}

func TestRegistrationsThatCannotBe(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(context.Context, client.Instance) error { return nil }
	for name, r := range map[string]*client.Registration{
		"no key": {Keep: keep}, "a key on another curve": {Key: other, Keep: keep}, "nowhere to keep it": {Key: key},
	} {
		_, err := client.New(client.Config{
			Issuer: "https://a", Handlers: map[string]client.Handler{}, HTTP: new(http.Client), Now: time.Now, Registration: r,
		})
		if err == nil {
			t.Errorf("New works with %s", name)
		}
	}
	_, err = client.New(client.Config{
		Issuer: "https://a", ClientID: "app", Handlers: map[string]client.Handler{}, HTTP: new(http.Client), Now: time.Now,
		Registration: &client.Registration{Key: key, Keep: keep},
	})
	if err == nil {
		t.Error("New works with a client id and a registration")
	}
}

// redirected has a server name the registration of an instance somewhere else.
type redirected struct {
	http.RoundTripper
	uri string
}

func (t redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/register") {
		return t.RoundTripper.RoundTrip(r)
	}
	body := `{"client_id":"ins_1","registration_access_token":"rat_ins_1","registration_client_uri":"` + t.uri + `"}`
	return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestATokenGoesToItsServer: what names a registration elsewhere would have the token sent there.
func TestATokenGoesToItsServer(t *testing.T) {
	t.Parallel()
	s := newRegistrar(t)
	for _, uri := range []string{"https://evil.example/register/ins_1", s.URL + ".evil.example/register/ins_1", "/register/ins_1"} {
		a := s.install(func(c *client.Config) { c.HTTP = &http.Client{Transport: redirected{s.Server.Client().Transport, uri}} })
		if _, err := a.Authorize(t.Context(), client.Request{}); err == nil || len(a.kept) != 0 {
			t.Errorf("%s: %v, kept %+v", uri, err, a.kept)
		}
	}
}
