// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
	"github.com/gatehouse-id/gatehouse/validation/remote"
)

// house is a key source with its issuer and clock.
type house struct {
	*remote.Keys
	server *server
	clock  *clock
}

func newHouse(tb testing.TB, with ...func(*remote.KeysConfig)) *house {
	tb.Helper()
	h := &house{server: newServer(tb), clock: newClock()}
	h.server.on("/.well-known/openid-configuration", object(tb, map[string]any{"issuer": issuer, "jwks_uri": issuer + "/jwks", "scopes_supported": []string{"a"}}))
	h.server.on("/jwks", body(jwks(tb, testKey(tb, "first")), "Cache-Control", "public, max-age=600"))
	c := remote.KeysConfig{Issuer: issuer, Client: h.server.client(), Now: h.clock.Now}
	for _, change := range with {
		change(&c)
	}
	keys, err := remote.NewKeys(c)
	if err != nil {
		tb.Fatal(err)
	}
	h.Keys = keys
	return h
}

// direct takes the address of the key set from the configuration.
func direct(c *remote.KeysConfig) { c.JWKSURI = issuer + "/jwks" }

func (h *house) wantKey(t *testing.T, name string) {
	t.Helper()
	k := testKey(t, name)
	got, err := h.Key(t.Context(), k.KID)
	if err != nil || got.KID != k.KID {
		t.Errorf("key %q: got %q, %v", name, got.KID, err)
	}
}

func (h *house) wantError(t *testing.T, kid string, want error) {
	t.Helper()
	if got, err := h.Key(t.Context(), kid); !errors.Is(err, want) || got.Key != nil {
		t.Errorf("key %q: got %q, %v, want %v", kid, got.KID, err, want)
	}
}

func (h *house) wantRequests(t *testing.T, want int) {
	t.Helper()
	if got := h.server.requests(); got != want {
		t.Errorf("%d requests to the issuer, want %d", got, want)
	}
}

func TestKeysAreFetchedOnceAndKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.wantRequests(t, 0)
	for range 100 {
		h.wantKey(t, "first")
	}
	h.wantRequests(t, 2) // metadata and keys
	h.clock.advance(599 * time.Second)
	h.wantKey(t, "first")
	h.wantRequests(t, 0)
	h.clock.advance(time.Second)
	h.wantKey(t, "first")
	h.wantRequests(t, 2)
}

func TestKeysFreshness(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		header []string
		want   time.Duration
	}{
		{"not said", nil, remote.DefaultFresh},
		{"max-age", []string{"Cache-Control", "max-age=120"}, 2 * time.Minute},
		{"among others", []string{"Cache-Control", "public, Max-Age=120, must-revalidate"}, 2 * time.Minute},
		{"quoted", []string{"Cache-Control", `max-age="120"`}, 2 * time.Minute},
		{"below the bounds", []string{"Cache-Control", "max-age=1"}, remote.MinFresh},
		{"zero", []string{"Cache-Control", "max-age=0"}, remote.MinFresh},
		{"above the bounds", []string{"Cache-Control", "max-age=31536000"}, remote.MaxFresh},
		{"beyond numbers", []string{"Cache-Control", "max-age=99999999999999999999"}, remote.MaxFresh},
		{"negative", []string{"Cache-Control", "max-age=-5"}, remote.MinFresh},
		{"not a number", []string{"Cache-Control", "max-age=soon"}, remote.MinFresh},
		{"no-store", []string{"Cache-Control", "max-age=600, no-store"}, remote.MinFresh},
		{"no-cache", []string{"Cache-Control", "no-cache"}, remote.MinFresh},
		{"age", []string{"Cache-Control", "max-age=600", "Age", "300"}, 5 * time.Minute},
		{"older than its age", []string{"Cache-Control", "max-age=600", "Age", "6000"}, remote.MinFresh},
		{"age not a number", []string{"Cache-Control", "max-age=120", "Age", "x"}, 2 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, direct)
			h.server.on("/jwks", body(jwks(t, testKey(t, "first")), test.header...))
			h.wantKey(t, "first")
			h.clock.advance(test.want - 1)
			h.wantKey(t, "first")
			h.wantRequests(t, 1)
			h.clock.advance(1)
			h.wantKey(t, "first")
			h.wantRequests(t, 1)
		})
	}
}

// An issuer that rotates: the first token of a new key makes the set fetched again, and a key that is gone from the set is
// gone.
func TestKeysRotation(t *testing.T) {
	t.Parallel()
	h := newHouse(t, direct)
	h.wantKey(t, "first")
	h.server.on("/jwks", body(jwks(t, testKey(t, "first"), testKey(t, "second"))))
	h.clock.advance(remote.DefaultFloor)
	h.wantKey(t, "second")
	h.wantKey(t, "first")
	h.wantRequests(t, 2)
	h.server.on("/jwks", body(jwks(t, testKey(t, "second"), testKey(t, "third"))))
	h.clock.advance(remote.DefaultFloor)
	h.wantKey(t, "third")
	h.wantError(t, testKey(t, "first").KID, validation.ErrUnknownKey)
	h.wantRequests(t, 1)
}

// A flood of tokens with made-up keys costs the issuer one fetch per floor, and each request no more than a look.
func TestKeysFloodOfUnknownKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t, direct)
	h.wantKey(t, "first")
	h.server.requests()
	for round := range 5 {
		h.clock.advance(remote.DefaultFloor)
		for i := range 1000 {
			h.wantError(t, fmt.Sprintf("made-up-%d-%d", round, i), validation.ErrUnknownKey)
		}
		h.wantKey(t, "first")
		h.wantRequests(t, 1)
	}
	for i := range 100 {
		h.clock.advance(remote.DefaultFloor / 100)
		h.wantError(t, fmt.Sprintf("late-%d", i), validation.ErrUnknownKey)
	}
	h.wantRequests(t, 1)
}

func TestKeysFloodFromManySides(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range 200 {
				if i%2 == 0 {
					h.wantKey(t, "first")
				} else {
					h.wantError(t, fmt.Sprintf("made-up-%d-%d", worker, i), validation.ErrUnknownKey)
				}
			}
		})
	}
	group.Wait()
	if got := h.server.requests(); got != 2 {
		t.Errorf("%d requests to the issuer", got)
	}
}

// An outage: the old set serves until it is too old, then nothing does, and when the issuer is back everything does.
func TestKeysOutage(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := newHouse(t, func(c *remote.KeysConfig) {
		c.StaleFor, c.Logger = time.Hour, slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil))
	})
	h.wantKey(t, "first")
	for name, outage := range map[string]http.HandlerFunc{
		"/jwks": status(http.StatusServiceUnavailable), "/.well-known/openid-configuration": status(http.StatusServiceUnavailable),
	} {
		h.server.on(name, outage)
	}
	h.clock.advance(10*time.Minute + time.Hour - 1)
	h.wantKey(t, "first")
	h.wantError(t, "made-up", validation.ErrUnknownKey)
	h.clock.advance(1)
	h.wantError(t, testKey(t, "first").KID, remote.ErrUnavailable)
	h.wantError(t, "made-up", remote.ErrUnavailable)
	h.clock.advance(remote.DefaultFloor)
	h.wantError(t, testKey(t, "first").KID, remote.ErrUnavailable)
	h.server.on("/.well-known/openid-configuration", object(t, map[string]any{"issuer": issuer, "jwks_uri": issuer + "/jwks"}))
	h.server.on("/jwks", body(jwks(t, testKey(t, "first"))))
	h.wantError(t, testKey(t, "first").KID, remote.ErrUnavailable) // the floor holds for it as well
	h.clock.advance(remote.DefaultFloor)
	h.wantKey(t, "first")
}

// lockedWriter lets a test log from where it does not look.
type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// While the issuer hangs, requests that the old set can serve do not hang with it, but for those that find out.
func TestKeysHangingIssuer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, direct)
	h.wantKey(t, "first")
	h.server.on("/jwks", status(500))
	h.clock.advance(10 * time.Minute)
	h.wantKey(t, "first") // finds out
	hanging, release := make(chan struct{}), make(chan struct{})
	h.server.on("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		close(hanging)
		<-release
		_, _ = w.Write(jwks(t, testKey(t, "second")))
	})
	h.clock.advance(remote.DefaultFloor)
	for range 10 {
		h.wantKey(t, "first") // asks, and does not wait
	}
	<-hanging
	waited := make(chan error)
	go func() {
		_, err := h.Key(context.WithoutCancel(t.Context()), testKey(t, "second").KID) // needs the answer
		waited <- err
	}()
	close(release)
	if err := <-waited; err != nil {
		t.Errorf("after the issuer answered: %v", err)
	}
	h.wantKey(t, "second")
}

// A request that is given up does not take the fetch with it.
func TestKeysRequestGivenUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, direct)
	arrived, release := make(chan struct{}), make(chan struct{})
	h.server.on("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = w.Write(jwks(t, testKey(t, "first")))
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := h.Key(ctx, testKey(t, "first").KID)
		gone <- err
	}()
	<-arrived
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) || !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	close(release)
	h.wantKey(t, "first")
	h.wantRequests(t, 1)
}

func TestKeysClockSetBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, direct)
	h.server.on("/jwks", status(500))
	h.wantError(t, "x", remote.ErrUnavailable)
	h.server.on("/jwks", body(jwks(t, testKey(t, "first"))))
	h.clock.advance(-24 * time.Hour)
	h.wantKey(t, "first")
}

// What an issuer may answer wrongly. Each leaves nothing to believe, and none of it reaches the caller.
func TestKeysBadAnswers(t *testing.T) {
	t.Parallel()
	good := map[string]any{"issuer": issuer, "jwks_uri": issuer + "/jwks"}
	with := func(name string, value any) map[string]any {
		all := map[string]any{}
		for k, v := range good {
			all[k] = v
		}
		all[name] = value
		return all
	}
	const config = "/.well-known/openid-configuration"
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	keys := body(jwks(t, testKey(t, "first")))
	tests := []struct {
		name, path string
		answer     http.HandlerFunc
	}{
		{"RFC8414/3.3 another issuer", config, object(t, with("issuer", "https://evil.example.com"))},
		{"RFC8414/3.3 issuer with a slash", config, object(t, with("issuer", issuer+"/"))},
		{"RFC8414/3.3 issuer in another case", config, object(t, with("issuer", "https://AUTH.example.com"))},
		{"RFC8414/3.3 no issuer", config, object(t, with("issuer", ""))},
		{"no jwks_uri", config, object(t, with("jwks_uri", ""))},
		{"jwks_uri without TLS", config, object(t, with("jwks_uri", "http://auth.example.com/jwks"))},
		{"jwks_uri on this host", config, object(t, with("jwks_uri", "https://127.0.0.1/jwks"))},
		{"jwks_uri on this host without TLS", config, object(t, with("jwks_uri", "http://localhost:2019/config"))},
		{"jwks_uri on this host by IPv6", config, object(t, with("jwks_uri", "https://[::1]/jwks"))},
		{"jwks_uri of another scheme", config, object(t, with("jwks_uri", "file:///etc/passwd"))},
		{"jwks_uri with user information", config, object(t, with("jwks_uri", "https://u:p@auth.example.com/jwks"))},
		{"jwks_uri relative", config, object(t, with("jwks_uri", "/jwks"))},
		{"metadata with a duplicate", config, body([]byte(`{"issuer":"https://evil.example.com","issuer":"` + issuer + `","jwks_uri":"` + issuer + `/jwks"}`))},
		{"metadata not JSON", config, body([]byte(`<html>`))},
		{"metadata empty", config, body(nil)},
		{"metadata too long", config, body(append([]byte(`{"issuer":"`+issuer+`","jwks_uri":"`+issuer+`/jwks"}`), bytes.Repeat([]byte(" "), 1<<20)...))},
		{"metadata redirected to another origin", config, redirect("https://other.example.com" + config)},
		{"metadata status 500", config, status(500)},
		{"keys redirected to another origin", "/jwks", redirect("https://other.example.com/keys")},
		{"keys redirected to another port", "/jwks", redirect("https://auth.example.com:8443/keys")},
		{"keys redirected to no TLS", "/jwks", redirect("http://auth.example.com/keys")},
		{"keys redirected in circles", "/jwks", redirect("/jwks")},
		{"keys redirected with user information", "/jwks", redirect("https://u@auth.example.com/keys")},
		{"keys status 204", "/jwks", status(204)},
		{"keys status 203 with keys", "/jwks", answering(203, keys)},
		{"keys status 500 with keys", "/jwks", answering(500, keys)},
		{"keys status 404", "/jwks", status(404)},
		{"keys empty", "/jwks", body([]byte(`{"keys":[]}`))},
		{"keys not JSON", "/jwks", body([]byte(`x`))},
		{"keys with a secret", "/jwks", body([]byte(`{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`))},
		{"keys too long", "/jwks", body(append(jwks(t, testKey(t, "first")), bytes.Repeat([]byte(" "), jose.MaxSet)...))},
		{"keys cut", "/jwks", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10000")
			_, _ = w.Write([]byte(`{"keys":[`))
		}},
		{"connection closed", "/jwks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.server.on("/keys", keys)
			h.server.on(test.path, test.answer)
			h.wantError(t, testKey(t, "first").KID, remote.ErrUnavailable)
			addresses := h.server.addresses()
			for _, address := range addresses {
				if !strings.HasPrefix(address, issuer+"/") {
					t.Errorf("a request went to %s", address)
				}
			}
			if len(addresses) > 6 {
				t.Errorf("%d requests", len(addresses))
			}
			// A bad answer takes nothing away from what was good before.
			h = newHouse(t)
			h.wantKey(t, "first")
			h.server.on(test.path, test.answer)
			h.clock.advance(time.Hour)
			h.wantKey(t, "first")
		})
	}
}

func TestKeysRedirectWithinTheOrigin(t *testing.T) {
	t.Parallel()
	h := newHouse(t, direct)
	h.server.on("/jwks", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/v2/jwks", http.StatusMovedPermanently)
	})
	h.server.on("/v2/jwks", body(jwks(t, testKey(t, "first"))))
	h.wantKey(t, "first")
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, issuer, path, jwks string
	}{
		{"OIDC Discovery 4.1", issuer, "/.well-known/openid-configuration", issuer + "/jwks"},
		{"OIDC Discovery 4.1 with a path", issuer + "/tenant", "/tenant/.well-known/openid-configuration", issuer + "/jwks"},
		{"OIDC Discovery 4.1 with a slash", issuer + "/", "/.well-known/openid-configuration", issuer + "/jwks"},
		{"RFC8414/3.1", issuer, "/.well-known/oauth-authorization-server", issuer + "/jwks"},
		{"RFC8414/3.1 with a path", issuer + "/tenant", "/.well-known/oauth-authorization-server/tenant", issuer + "/jwks"},
		{"keys on another host", issuer, "/.well-known/openid-configuration", "https://keys.example.com/jwks"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, c := newServer(t), newClock()
			s.on(test.path, object(t, map[string]any{"issuer": test.issuer, "jwks_uri": test.jwks}))
			s.on("/jwks", body(jwks(t, testKey(t, "first"))))
			keys, err := remote.NewKeys(remote.KeysConfig{Issuer: test.issuer, Client: s.Client(), Now: c.Now})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Key(t.Context(), testKey(t, "first").KID); err != nil {
				t.Error(err)
			}
		})
	}
}

// Development: an issuer on this host may do without TLS, and so may its keys.
func TestKeysOnLoopback(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	plain := httptest.NewServer(mux)
	t.Cleanup(plain.Close)
	mux.Handle("/.well-known/openid-configuration", object(t, map[string]any{"issuer": plain.URL, "jwks_uri": plain.URL + "/jwks"}))
	mux.Handle("/jwks", body(jwks(t, testKey(t, "first"))))
	keys, err := remote.NewKeys(remote.KeysConfig{Issuer: plain.URL, Client: plain.Client(), Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Key(t.Context(), testKey(t, "first").KID); err != nil {
		t.Error(err)
	}
}

// RFC 8725 3.10: no cookies are sent, whatever the client of the application has.
func TestKeysSendNoCookies(t *testing.T) {
	t.Parallel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(u, []*http.Cookie{{Name: "session", Value: "secret"}})
	h := newHouse(t, direct, func(c *remote.KeysConfig) {
		own := *c.Client
		own.Jar = jar
		c.Client = &own
	})
	h.server.on("/jwks", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("got %v", r.Header)
		}
		_, _ = w.Write(jwks(t, testKey(t, "first")))
	})
	h.wantKey(t, "first")
}

// A transport that panics denies and harms nothing else.
func TestKeysTransportPanics(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *remote.KeysConfig) { c.Client = &http.Client{Transport: panicking{}} })
	h.wantError(t, "x", remote.ErrUnavailable)
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("broken") }

func TestNewKeysRefuses(t *testing.T) {
	t.Parallel()
	sound := remote.KeysConfig{Issuer: issuer, Client: &http.Client{}, Now: newClock().Now}
	if _, err := remote.NewKeys(sound); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*remote.KeysConfig)
	}{
		{"no issuer", func(c *remote.KeysConfig) { c.Issuer = "" }},
		{"an issuer without TLS", func(c *remote.KeysConfig) { c.Issuer = "http://auth.example.com" }},
		{"an issuer of another scheme", func(c *remote.KeysConfig) { c.Issuer = "ftp://auth.example.com" }},
		{"an issuer with user information", func(c *remote.KeysConfig) { c.Issuer = "https://u@auth.example.com" }},
		{"an issuer with a fragment", func(c *remote.KeysConfig) { c.Issuer = issuer + "#x" }},
		{"a malformed issuer", func(c *remote.KeysConfig) { c.Issuer = "https://[" }},
		{"keys without TLS", func(c *remote.KeysConfig) { c.JWKSURI = "http://auth.example.com/jwks" }},
		{"no client", func(c *remote.KeysConfig) { c.Client = nil }},
		{"no clock", func(c *remote.KeysConfig) { c.Now = nil }},
		{"a negative time", func(c *remote.KeysConfig) { c.StaleFor = -1 }},
		{"a negative floor", func(c *remote.KeysConfig) { c.Floor = -1 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := sound
			test.change(&c)
			if k, err := remote.NewKeys(c); err == nil || k != nil {
				t.Errorf("got %v, %v", k, err)
			}
		})
	}
}

// The whole way: a validator over the keys of an issuer that rotates, while a key is taken away.
func TestValidatorOverRemoteKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v, err := validation.New(validation.Config{Issuer: issuer, Audience: []string{"api"}, Keys: h.Keys, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	token := func(name string) string {
		now := h.clock.Now().Unix()
		raw, err := jose.Sign(testKey(t, name), "at+jwt", fmt.Appendf(nil,
			`{"iss":%q,"aud":"api","sub":"u","client_id":"c","jti":"t","iat":%d,"exp":%d}`, issuer, now, now+86400))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	want := func(raw string, code string) {
		t.Helper()
		_, err := v.Validate(t.Context(), validation.Bearer(raw))
		var e *validation.Error
		if errors.As(err, &e) != (code != "") || e != nil && string(e.Code) != code {
			t.Errorf("got %v, want %q", err, code)
		}
	}
	first, second := token("first"), token("second")
	want(first, "")
	want(second, "invalid_token")
	h.server.on("/jwks", body(jwks(t, testKey(t, "second")), "Cache-Control", "max-age=600"))
	want(first, "") // the set is fresh
	h.clock.advance(10 * time.Minute)
	want(second, "")
	want(first, "invalid_token") // the key is gone, and the token with it though it was known
	h.server.on("/jwks", status(500))
	h.server.on("/.well-known/openid-configuration", status(500))
	h.clock.advance(10*time.Minute + remote.DefaultStaleFor)
	want(second, "temporarily_unavailable")
}
