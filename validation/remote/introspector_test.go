// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
	"github.com/gatehouse-id/gatehouse/validation/remote"
)

const (
	resource = "https://api.example.com"
	clientID = "api gateway"
	secret   = "s%e:c+r é"
)

// office is an introspector with its issuer and clock.
type office struct {
	*remote.Introspector
	server *server
	clock  *clock
	log    *bytes.Buffer
}

func newOffice(tb testing.TB, with ...func(*remote.IntrospectorConfig)) *office {
	tb.Helper()
	o := &office{server: newServer(tb), clock: newClock(), log: new(bytes.Buffer)}
	o.server.on("/introspect", object(tb, answer()))
	c := remote.IntrospectorConfig{
		Issuer: issuer, Endpoint: issuer + "/introspect", ClientID: clientID, ClientSecret: secret, Audience: []string{resource},
		Client: o.server.client(), Now: o.clock.Now, Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: o.log}, nil)),
	}
	for _, change := range with {
		change(&c)
	}
	i, err := remote.NewIntrospector(c)
	if err != nil {
		tb.Fatal(err)
	}
	o.Introspector = i
	return o
}

// answer is a good one, with some members changed; nil takes one out.
func answer(with ...any) map[string]any {
	all := map[string]any{
		"active": true, "iss": issuer, "sub": "usr_1", "client_id": "portal", "aud": []string{resource}, "scope": "accounts:read",
		"token_type": "Bearer", "exp": start.Unix() + 300, "iat": start.Unix(),
	}
	for i := 0; i+1 < len(with); i += 2 {
		if all[with[i].(string)] = with[i+1]; with[i+1] == nil {
			delete(all, with[i].(string))
		}
	}
	return all
}

func (o *office) want(t *testing.T, raw string, cause error) *validation.Principal {
	t.Helper()
	p, err := o.Validate(t.Context(), validation.Bearer(raw))
	if cause == nil {
		if err != nil || p == nil {
			t.Errorf("got %v, %v", p, err)
		}
		return p
	}
	var e *validation.Error
	if p != nil || !errors.As(err, &e) || e.Code != "invalid_token" || !errors.Is(err, cause) {
		t.Errorf("got %v, %v, want %v", p, err, cause)
	}
	return nil
}

func (o *office) wantUnavailable(t *testing.T, raw string) {
	t.Helper()
	p, err := o.Validate(t.Context(), validation.Bearer(raw))
	var e *validation.Error
	if p != nil || !errors.As(err, &e) || e.HTTPStatus() != http.StatusServiceUnavailable {
		t.Errorf("got %v, %v, want 503", p, err)
	}
}

func (o *office) wantQuestions(t *testing.T, want int) {
	t.Helper()
	if got := o.server.requests(); got != want {
		t.Errorf("%d questions, want %d", got, want)
	}
}

// RFC 7662 2.1, RFC 6749 2.3.1: what the question looks like.
func TestIntrospectionRequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	good := object(t, answer())
	o.server.on("/introspect", func(w http.ResponseWriter, r *http.Request) {
		id, password, ok := r.BasicAuth()
		if !ok || id != "api+gateway" || password != "s%25e%3Ac%2Br+%C3%A9" {
			t.Errorf("got the credentials %q, %q", id, password)
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.PostForm.Get("token") != "abc+/=" ||
			r.PostForm.Get("token_type_hint") != "access_token" || len(r.PostForm) != 2 {
			t.Errorf("got %s %s %v", r.Method, r.URL, r.PostForm)
		}
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("got %v", r.Header)
		}
		good(w, r)
	})
	p := o.want(t, "abc+/=", nil)
	if p != nil && (p.Subject != "usr_1" || p.Issuer != issuer || !p.Scopes.Has("accounts:read") || !p.ExpiresAt.Equal(start.Add(5*time.Minute))) {
		t.Errorf("got %+v", p)
	}
	o.wantQuestions(t, 1)
}

func TestIntrospectionAnswers(t *testing.T) {
	t.Parallel()
	incomplete := func(c *remote.IntrospectorConfig) { c.Incomplete = true }
	strict := func(*remote.IntrospectorConfig) {}
	tests := []struct {
		name   string
		answer map[string]any
		config func(*remote.IntrospectorConfig)
		cause  error
	}{
		{"RFC7662/2.2 members", answer(), strict, nil},
		{"RFC7662/2.2 active-false", map[string]any{"active": false}, strict, validation.ErrInactive},
		{"RFC7662/2.2 active-false whatever else", answer("active", false), strict, validation.ErrInactive},
		{"RFC7662/2.2 active missing", answer("active", nil), strict, validation.ErrInactive},
		{"RFC7662/2.2 aud as a string", answer("aud", resource), strict, nil},
		{"RFC7662/2.2 aud of another", answer("aud", "https://other.example.com"), strict, validation.ErrAudience},
		{"RFC7662/2.2 aud of another, incomplete", answer("aud", "https://other.example.com"), incomplete, validation.ErrAudience},
		{"RFC7662/2.2 aud missing", answer("aud", nil), strict, validation.ErrAudience},
		{"RFC7662/2.2 aud missing, incomplete", answer("aud", nil), incomplete, nil},
		{"RFC7662/2.2 iss missing", answer("iss", nil), strict, nil},
		{"RFC7662/2.2 iss of another", answer("iss", "https://evil.example.com"), strict, validation.ErrIssuer},
		{"RFC7662/2.2 exp missing", answer("exp", nil), strict, nil},
		{"RFC7662/4 checks exp", answer("exp", start.Unix()), strict, validation.ErrExpired},
		{"RFC7662/4 checks nbf", answer("nbf", start.Unix()+60), strict, validation.ErrEarly},
		{"RFC7662/2.2 exp as a string", answer("exp", "1"), strict, validation.ErrClaims},
		{"RFC7662/2.2 sub missing", answer("sub", nil), strict, nil},
		{"nobody", answer("sub", nil, "client_id", nil), strict, validation.ErrClaims},
		{"RFC7662/2.2 scope malformed", answer("scope", `a"b`), strict, validation.ErrClaims},
		{"RFC6749/5.1 token_type in another case", answer("token_type", "bearer"), strict, nil},
		{"a refresh token", answer("token_type", "refresh_token"), incomplete, validation.ErrType},
		{"token_type missing", answer("token_type", nil), strict, validation.ErrType},
		{"token_type missing, incomplete", answer("token_type", nil), incomplete, nil},
		{"token_use of a refresh token", answer("token_use", "refresh_token"), incomplete, validation.ErrType},
		{"token_use of an access token", answer("token_use", "access_token"), strict, nil},
		{"RFC9449/6.2 bound to a DPoP key", answer("cnf", map[string]any{"jkt": "x"}), strict, validation.ErrBound},
		{"RFC9449/5 type DPoP without a key", answer("token_type", "DPoP"), incomplete, validation.ErrType},
		{"RFC9449/6.2 bound, presented as bearer", answer("token_type", "DPoP", "cnf", map[string]any{"jkt": "x"}), strict, validation.ErrBound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, test.config)
			o.server.on("/introspect", object(t, test.answer))
			for range 2 {
				if p := o.want(t, "abc", test.cause); p != nil && p.Issuer != issuer {
					t.Errorf("got %+v", p)
				}
			}
		})
	}
}

// What does not answer properly is not available, and nothing of it is remembered.
func TestIntrospectionBadAnswers(t *testing.T) {
	t.Parallel()
	const raw = "the-secret-token"
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"status 401", status(401)},
		{"status 500", status(500)},
		{"status 204", status(204)},
		{"status 203 and active", answering(203, object(t, answer()))},
		{"status 401 and active", answering(401, object(t, answer()))},
		{"not JSON", body([]byte("<html>"))},
		{"empty", body(nil)},
		{"a list", body([]byte("[true]"))},
		{"active twice", body([]byte(`{"active":false,"active":true}`))},
		{"active in another case", body([]byte(`{"Active":true}`))},
		{"active as a string", body([]byte(`{"active":"true"}`))},
		{"active as a number", body([]byte(`{"active":1}`))},
		{"too long", body([]byte(`{"active":true,"x":"` + strings.Repeat("x", 64<<10) + `"}`))},
		{"redirected within the origin", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}},
		{"redirected to another origin", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://other.example.com/elsewhere", http.StatusPermanentRedirect)
		}},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.server.on("/elsewhere", object(t, answer()))
			o.server.on("/introspect", test.answer)
			o.wantUnavailable(t, raw)
			for _, address := range o.server.addresses() {
				if address != issuer+"/introspect" {
					t.Errorf("the token went to %s", address)
				}
			}
			if log := o.log.String(); !strings.Contains(log, "introspection went wrong") || strings.Contains(log, raw) || strings.Contains(log, secret) {
				t.Errorf("got the log %s", log)
			}
			o.server.on("/introspect", object(t, answer()))
			o.want(t, raw, nil)
		})
	}
}

func TestIntrospectionMalformedTokensAreNotAskedAbout(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, raw := range []string{"", "=", "a b", "a\x00", "é", "a,b", `"a"`, "a=b", "a\n", strings.Repeat("a", jose.MaxToken+1)} {
		o.want(t, raw, validation.ErrMalformed)
	}
	o.wantQuestions(t, 0)
	o.want(t, "AZaz09-._~+/==", nil)
	o.want(t, strings.Repeat("a", jose.MaxToken), nil)
}

// RFC 7662 4 cache: an answer is believed for as long as configured and never beyond the token's exp.
func TestIntrospectionRemembers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		exp   any
		set   time.Duration // configured
		until time.Duration
		then  error // what a token says that is asked about again after that
	}{
		{"by default", start.Unix() + 300, 0, remote.DefaultRememberFor, nil},
		{"as configured", start.Unix() + 300, time.Minute, time.Minute, nil},
		{"never beyond exp", start.Unix() + 30, time.Minute, 30 * time.Second, validation.ErrExpired},
		{"without exp", nil, time.Minute, time.Minute, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, func(c *remote.IntrospectorConfig) { c.RememberFor = test.set })
			o.server.on("/introspect", object(t, answer("exp", test.exp)))
			for range 10 {
				o.want(t, "abc", nil)
			}
			o.clock.advance(test.until - 1)
			o.want(t, "abc", nil)
			o.wantQuestions(t, 1)
			o.clock.advance(1)
			o.want(t, "abc", test.then)
			o.wantQuestions(t, 1)
		})
	}
	t.Run("not at all", func(t *testing.T) {
		t.Parallel()
		o := newOffice(t, func(c *remote.IntrospectorConfig) { c.RememberFor = -1 })
		for range 3 {
			o.want(t, "abc", nil)
		}
		o.wantQuestions(t, 3)
	})
}

// RFC 7662 4 cache: a revoked token is refused within the configured time.
func TestIntrospectionNoticesRevocation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.want(t, "abc", nil)
	o.server.on("/introspect", object(t, map[string]any{"active": false}))
	o.clock.advance(remote.DefaultRememberFor)
	o.want(t, "abc", validation.ErrInactive)
}

// RFC 7662 4 cache: negative answers are kept briefly, by the whole token.
func TestIntrospectionRemembersRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	inactive := object(t, map[string]any{"active": false})
	o.server.on("/introspect", inactive)
	for range 100 {
		o.want(t, "abc", validation.ErrInactive)
	}
	o.wantQuestions(t, 1)
	o.want(t, "abd", validation.ErrInactive)
	o.wantQuestions(t, 1)
	o.server.on("/introspect", object(t, answer()))
	o.clock.advance(5*time.Second - 1)
	o.want(t, "abc", validation.ErrInactive)
	o.clock.advance(1)
	o.want(t, "abc", nil)
}

// A flood of tokens that are not active takes little memory and none from those that are.
func TestIntrospectionFlood(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(c *remote.IntrospectorConfig) { c.RememberFor, c.CacheBytes = time.Minute, 128<<10 })
	o.want(t, "good", nil)
	o.server.on("/introspect", object(t, map[string]any{"active": false}))
	for i := range 1000 {
		o.want(t, fmt.Sprintf("bad-%d", i), validation.ErrInactive)
	}
	o.server.requests()
	o.want(t, "good", nil)
	o.wantQuestions(t, 0)
}

// gateways 4 #8: two resource servers, or two issuers, that see the same token have an answer each.
func TestIntrospectorsShareNothing(t *testing.T) {
	t.Parallel()
	first := newOffice(t)
	second := newOffice(t, func(c *remote.IntrospectorConfig) { c.ClientID = "other" })
	second.server.on("/introspect", object(t, map[string]any{"active": false}))
	first.want(t, "abc", nil)
	second.want(t, "abc", validation.ErrInactive)
	first.want(t, "abc", nil)
}

// gateways 4 #8: the policy is evaluated on each request, on top of what is remembered.
func TestIntrospectionPolicyIsNotRemembered(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 3 {
		p := o.want(t, "abc", nil)
		if err := (&validation.Policy{AllScopes: validation.Scopes{"accounts:read"}}).Check(p, o.Now()); err != nil {
			t.Error(err)
		}
		if err := (&validation.Policy{AllScopes: validation.Scopes{"payments:write"}}).Check(p, o.Now()); err == nil {
			t.Error("a scope is granted that the token does not have")
		}
	}
}

// Requests that present one token at the same time ask once.
func TestIntrospectionAsksOnceForAll(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	good := object(t, answer())
	o.server.on("/introspect", func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		good(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := o.Validate(ctx, validation.Bearer("abc"))
		gone <- err
	}()
	<-arrived
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { o.want(t, "abc", nil) })
	}
	cancel() // the first gives up, the others do not
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	group.Wait()
	o.wantQuestions(t, 1)
}

func TestIntrospectionTransportPanics(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(c *remote.IntrospectorConfig) { c.Client = &http.Client{Transport: panicking{}} })
	o.wantUnavailable(t, "abc")
}

// The introspector stands behind the middleware like any authority.
func TestIntrospectorIsAnAuthority(t *testing.T) {
	t.Parallel()
	var _ validation.Authority = newOffice(t).Introspector
}

func TestNewIntrospectorRefuses(t *testing.T) {
	t.Parallel()
	sound := remote.IntrospectorConfig{
		Issuer: issuer, Endpoint: issuer + "/introspect", ClientID: "a", ClientSecret: "the-secret", Audience: []string{resource},
		Client: &http.Client{}, Now: newClock().Now,
	}
	if _, err := remote.NewIntrospector(sound); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*remote.IntrospectorConfig)
	}{
		{"no issuer", func(c *remote.IntrospectorConfig) { c.Issuer = "" }},
		{"an issuer without TLS", func(c *remote.IntrospectorConfig) { c.Issuer = "http://auth.example.com" }},
		{"no endpoint", func(c *remote.IntrospectorConfig) { c.Endpoint = "" }},
		{"an endpoint without TLS", func(c *remote.IntrospectorConfig) { c.Endpoint = "http://auth.example.com/introspect" }},
		{"an endpoint with credentials", func(c *remote.IntrospectorConfig) { c.Endpoint = "https://a:the-secret@auth.example.com/introspect" }},
		{"no client id", func(c *remote.IntrospectorConfig) { c.ClientID = "" }},
		{"no secret", func(c *remote.IntrospectorConfig) { c.ClientSecret = "" }},
		{"no audience", func(c *remote.IntrospectorConfig) { c.Audience = nil }},
		{"an empty audience", func(c *remote.IntrospectorConfig) { c.Audience = []string{""} }},
		{"no client", func(c *remote.IntrospectorConfig) { c.Client = nil }},
		{"no clock", func(c *remote.IntrospectorConfig) { c.Now = nil }},
		{"a negative leeway", func(c *remote.IntrospectorConfig) { c.Leeway = -1 }},
		{"a long leeway", func(c *remote.IntrospectorConfig) { c.Leeway = time.Hour }},
		{"a long memory", func(c *remote.IntrospectorConfig) { c.RememberFor = time.Hour }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := sound
			test.change(&c)
			i, err := remote.NewIntrospector(c)
			if err == nil || i != nil {
				t.Fatalf("got %v, %v", i, err)
			}
			if strings.Contains(err.Error(), "the-secret") {
				t.Errorf("the error has the secret: %v", err)
			}
		})
	}
}

func BenchmarkIntrospectionKnown(b *testing.B) {
	o := newOffice(b, func(c *remote.IntrospectorConfig) { c.RememberFor = time.Minute })
	if _, err := o.Validate(b.Context(), validation.Bearer("abc")); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Validate(b.Context(), validation.Bearer("abc")); err != nil {
			b.Fatal(err)
		}
	}
}
