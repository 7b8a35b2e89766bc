// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

const metadataURL = "https://api.example.com/.well-known/oauth-protected-resource"

// site is a handler behind the middleware that says who it was called by.
func site(authority validation.Authority, policy *validation.Policy, options validation.Options) http.Handler {
	return validation.Middleware(authority, policy, options)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := validation.PrincipalFrom(r.Context())
		if !ok {
			_, _ = w.Write([]byte("nobody"))
			return
		}
		_, _ = w.Write([]byte(p.Subject))
	}))
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	const path = "https://api.example.com/x"
	h := newHouse(t)
	h.revoked.revoked.Store("revoked", true)
	policy := &validation.Policy{
		AllScopes: validation.Scopes{"payments:write"}, ACRValues: []string{"gold"}, Levels: levels(), MaxAge: age(time.Hour),
	}
	narrow, weak := access(t, set("scope", "accounts:read")), access(t, set("realms", map[string]any{"password": start.Unix()}))
	options := validation.Options{Realm: "api", ResourceMetadata: metadataURL}
	const suffix = `, resource_metadata="` + metadataURL + `"`
	tests := []struct {
		name      string
		request   *http.Request
		status    int
		challenge string
		body      string
	}{
		{"passes", request(t, path, "Bearer "+access(t)), 200, "", "usr_1"},
		{"RFC6750/3.1 no-info", request(t, path), 401, `Bearer realm="api"` + suffix, ""},
		{"RFC6750/2.3 query", request(t, path+"?access_token="+access(t)), 401, `Bearer realm="api"` + suffix, ""},
		{"another scheme", request(t, path, "Basic dXNlcjpwYXNz"), 401, `Bearer realm="api"` + suffix, ""},
		{
			"RFC6750/3.1 codes invalid_request", request(t, path, "Bearer a", "Bearer b"), 400,
			`Bearer realm="api", error="invalid_request", error_description="the request has more than one Authorization header"` + suffix, "invalid_request",
		},
		{
			"RFC6750/3.1 codes malformed", request(t, path, "Bearer abc"), 401,
			`Bearer realm="api", error="invalid_token", error_description="the access token is malformed"` + suffix, "invalid_token",
		},
		{
			"RFC6750/3.1 codes expired", request(t, path, "Bearer "+access(t, set("exp", start.Unix()-1))), 401,
			`Bearer realm="api", error="invalid_token", error_description="the access token expired"` + suffix, "invalid_token",
		},
		{
			"RFC6750/3.1 codes revoked", request(t, path, "Bearer "+access(t, set("jti", "revoked"))), 401,
			`Bearer realm="api", error="invalid_token", error_description="the access token was revoked"` + suffix, "invalid_token",
		},
		{
			"RFC6750/3.1 codes wrong audience", request(t, path, "Bearer "+access(t, set("aud", "https://other.example"))), 401,
			`Bearer realm="api", error="invalid_token", error_description="the access token is for another resource"` + suffix, "invalid_token",
		},
		{
			"RFC9449/7.2 bound to a key", request(t, path, "Bearer "+access(t, set("cnf", map[string]any{"jkt": "x"}))), 401,
			`Bearer realm="api", error="invalid_token", error_description="the access token is bound to a key and cannot be used as a bearer token"` + suffix, "invalid_token",
		},
		{
			"RFC6750/3.1 codes insufficient_scope", request(t, path, "Bearer "+narrow), 403,
			`Bearer realm="api", error="insufficient_scope", error_description="the access token does not have the scopes this resource requires", scope="payments:write"` + suffix,
			"insufficient_scope",
		},
		{
			"RFC9470/3 challenge", request(t, path, "Bearer "+weak), 401,
			`Bearer realm="api", error="insufficient_user_authentication", error_description="this resource requires a stronger or more recent authentication", acr_values="gold"` + suffix,
			"insufficient_user_authentication",
		},
		{
			"RFC9470/3 max_age", request(t, path, "Bearer "+access(t, set("auth_time", start.Unix()-7200))), 401,
			`Bearer realm="api", error="insufficient_user_authentication", error_description="this resource requires a stronger or more recent authentication", acr_values="gold", max_age="3600"` + suffix,
			"insufficient_user_authentication",
		},
		{
			"RFC9470/9 order: an invalid token is not told the policy", request(t, path, "Bearer "+access(t, set("exp", 1), set("scope", nil), set("realms", nil))), 401,
			`Bearer realm="api", error="invalid_token", error_description="the access token expired"` + suffix, "invalid_token",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := serve(site(h, policy, options), test.request)
			if w.Code != test.status || w.Header().Get("WWW-Authenticate") != test.challenge || len(w.Header().Values("WWW-Authenticate")) > 1 {
				t.Errorf("got %d, %q\nwant %d, %q", w.Code, w.Header().Values("WWW-Authenticate"), test.status, test.challenge)
			}
			checkBody(t, w, test.status, test.body)
		})
	}
}

func checkBody(t *testing.T, w *httptest.ResponseRecorder, status int, want string) {
	t.Helper()
	if status == http.StatusOK {
		if w.Body.String() != want {
			t.Errorf("got the body %q", w.Body)
		}
		return
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("a refusal may be kept: %q", w.Header().Get("Cache-Control"))
	}
	if want == "" {
		if w.Body.Len() > 0 {
			t.Errorf("got the body %q", w.Body)
		}
		return
	}
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body["error"] != want || body["error_description"] == "" || len(body) != 2 {
		t.Errorf("got the body %q", w.Body)
	}
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %v", w.Header())
	}
}

func TestMiddlewareOptional(t *testing.T) {
	t.Parallel()
	const path = "https://api.example.com/x"
	h := newHouse(t)
	handler := site(h, &validation.Policy{AllScopes: validation.Scopes{"payments:write"}}, validation.Options{Optional: true})
	tests := []struct {
		name    string
		request *http.Request
		status  int
		body    string
	}{
		{"a good token", request(t, path, "Bearer "+access(t)), 200, "usr_1"},
		{"no token", request(t, path), 200, "nobody"},
		{"another scheme", request(t, path, "Basic abc"), 200, "nobody"},
		{"a bad token is not nobody", request(t, path, "Bearer abc"), 401, "invalid_token"},
		{"two tokens are not nobody", request(t, path, "Bearer a", "Bearer b"), 400, "invalid_request"},
		{"a token without the scope is not nobody", request(t, path, "Bearer "+access(t, set("scope", nil))), 403, "insufficient_scope"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := serve(handler, test.request)
			if w.Code != test.status {
				t.Errorf("got %d", w.Code)
			}
			checkBody(t, w, test.status, test.body)
		})
	}
	t.Run("somebody from further out is not taken for the caller", func(t *testing.T) {
		t.Parallel()
		r := request(t, path)
		r = r.WithContext(validation.WithPrincipal(r.Context(), &validation.Principal{Subject: "outer"}))
		if w := serve(handler, r); w.Body.String() != "nobody" {
			t.Errorf("got %q", w.Body)
		}
	})
}

// broken is an authority that is not sound.
type broken struct {
	p   *validation.Principal
	err error
}

func (b broken) Validate(context.Context, validation.Credential) (*validation.Principal, error) {
	return b.p, b.err
}
func (broken) Now() time.Time { return start }

// Whatever goes wrong, the request does not get through and learns nothing (gateways 4 #16).
func TestMiddlewareDeniesWhenInDoubt(t *testing.T) {
	t.Parallel()
	const mark = "dialing 10.0.0.1"
	tests := []struct {
		name   string
		broken broken
		status int
	}{
		{"an error of another kind", broken{err: errors.New(mark)}, 500},
		{"an error and a principal", broken{p: &validation.Principal{Subject: "usr_1"}, err: errors.New(mark)}, 500},
		{"keys that cannot be known", broken{err: oauth.Unavailable(errors.New(mark))}, 503},
		{"neither error nor principal", broken{}, 401},
	}
	for _, test := range tests {
		for _, policy := range []*validation.Policy{nil, {}} {
			for _, optional := range []bool{false, true} {
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					var log bytes.Buffer
					handler := site(test.broken, policy, validation.Options{Optional: optional, Logger: slog.New(slog.NewTextHandler(&log, nil))})
					w := serve(handler, request(t, "https://api.example.com/secret-path", "Bearer abcdef"))
					if w.Code != test.status || strings.Contains(w.Body.String(), "usr_1") || strings.Contains(w.Body.String(), "nobody") {
						t.Errorf("got %d, %q", w.Code, w.Body)
					}
					if strings.Contains(w.Body.String(), mark) || strings.Contains(w.Header().Get("WWW-Authenticate"), mark) {
						t.Errorf("the cause is published: %v %q", w.Header(), w.Body)
					}
					if test.broken.err != nil && !strings.Contains(log.String(), mark) {
						t.Errorf("the log does not have the cause: %s", log.String())
					}
					if strings.Contains(log.String(), "abcdef") || strings.Contains(log.String(), "secret-path") {
						t.Errorf("the log has a secret: %s", log.String())
					}
					if retry := w.Header().Get("Retry-After"); (retry != "") != (w.Code == 503) {
						t.Errorf("Retry-After is %q with %d", retry, w.Code)
					}
					if (w.Header().Get("WWW-Authenticate") != "") != (w.Code < 500) {
						t.Errorf("the challenge with %d is %q", w.Code, w.Header().Get("WWW-Authenticate"))
					}
				})
			}
		}
	}
}

func TestRetryAfterIsTheErrors(t *testing.T) {
	t.Parallel()
	e := oauth.Unavailable(errors.New("x"))
	e.RetryAfter = 90 * time.Second
	w := serve(site(broken{err: e}, nil, validation.Options{}), request(t, "https://api.example.com/", "Bearer abc"))
	if w.Header().Get("Retry-After") != "90" {
		t.Errorf("got %q", w.Header().Get("Retry-After"))
	}
}

func TestChallengeFor(t *testing.T) {
	t.Parallel()
	withDemand := oauth.NewError(oauth.InsufficientUserAuth, "d")
	withDemand.Demand = &oauth.Demand{ACRValues: []string{"gold"}, MaxAge: minute, HasMaxAge: true}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"RFC6750/3.1 no-info", nil, `Bearer realm=""`},
		{"RFC6750/3 invalid token", validation.Invalid(validation.ErrExpired), `Bearer error="invalid_token", error_description="the access token expired"`},
		{"RFC9470/3", withDemand, `Bearer error="insufficient_user_authentication", error_description="d", acr_values="gold", max_age="60"`},
		{"a fault of ours is not the token's", oauth.Internal(errors.New("secret")), `Bearer realm=""`},
		{"an unknown error says nothing", errors.New("secret"), `Bearer realm=""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := validation.ChallengeFor(test.err).String(); got != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// What the caller learns about a token that somebody may have forged does not tell how far the forgery got.
func TestInvalidTellsAForgerNothing(t *testing.T) {
	t.Parallel()
	texts := map[string]bool{}
	for _, cause := range []error{
		validation.ErrUnknownKey, validation.ErrSignature, validation.ErrType, validation.ErrIssuer, validation.ErrClaims, validation.ErrEarly,
		validation.ErrInactive,
	} {
		e := validation.Invalid(cause)
		if !errors.Is(e, cause) {
			t.Errorf("%v is lost", cause)
		}
		texts[e.Description] = true
	}
	if len(texts) != 1 {
		t.Errorf("got %v", texts)
	}
}
