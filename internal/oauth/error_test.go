// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestErrorStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		code oauth.Code
		want int
	}{
		{"RFC6749/5.2 token-errors", oauth.InvalidRequest, 400},
		{"RFC6749/5.2 token-errors", oauth.InvalidGrant, 400},
		{"RFC6749/5.2 token-errors", oauth.UnauthorizedClient, 400},
		{"RFC6749/5.2 token-errors", oauth.UnsupportedGrantType, 400},
		{"RFC6749/5.2 token-errors", oauth.InvalidScope, 400},
		{"RFC6749/5.2 invalid-client-401", oauth.InvalidClient, 401},
		{"RFC6749/4.1.2.1 authz-errors", oauth.UnsupportedResponseType, 400},
		{"RFC6749/4.1.2.1 authz-errors", oauth.AccessDenied, 403},
		{"RFC6749/4.1.2.1 authz-errors", oauth.ServerError, 500},
		{"RFC6749/4.1.2.1 authz-errors", oauth.TemporarilyUnavailable, 503},
		{"RFC6750/3.1 codes", oauth.InvalidToken, 401},
		{"RFC6750/3.1 codes", oauth.InsufficientScope, 403},
		{"RFC7009/2.2.1", oauth.UnsupportedTokenType, 400},
		{"RFC8707/2", oauth.InvalidTarget, 400},
		{"RFC9470/3 vs-403", oauth.InsufficientUserAuth, 401},
		{"OIDC/3.1.2.6", oauth.LoginRequired, 400},
		{"CIBA/11 token-errors", oauth.AuthorizationPending, 400},
		{"CIBA/11 token-errors", oauth.SlowDown, 400},
		{"CIBA/11 token-errors", oauth.ExpiredToken, 400},
		{"CIBA/13 request-errors", oauth.ExpiredLoginHintToken, 400},
		{"CIBA/13 request-errors", oauth.UnknownUserID, 400},
		{"CIBA/13 request-errors", oauth.MissingUserCode, 400},
		{"CIBA/13 request-errors", oauth.InvalidUserCode, 400},
		{"CIBA/13 request-errors", oauth.InvalidBindingMessage, 400},
		{"a code nobody knows", "something_else", 400},
	}
	for _, test := range tests {
		t.Run(test.name+" "+string(test.code), func(t *testing.T) {
			t.Parallel()
			if got := oauth.NewError(test.code, "").HTTPStatus(); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
	if e := (&oauth.Error{Code: oauth.InvalidRequest, Status: 413}); e.HTTPStatus() != 413 {
		t.Errorf("a status of its own: got %d", e.HTTPStatus())
	}
}

func TestErrorKeepsItsCausePrivate(t *testing.T) {
	t.Parallel()
	cause := errors.New("dialing 10.0.0.1")
	tests := []struct {
		name string
		err  *oauth.Error
		code oauth.Code
	}{
		{"internal", oauth.Internal(cause), oauth.ServerError},
		{"unavailable", oauth.Unavailable(cause), oauth.TemporarilyUnavailable},
		{"with cause", oauth.NewError(oauth.InvalidToken, "the token expired").WithCause(cause), oauth.InvalidToken},
		{"unknown error", oauth.AsError(fmt.Errorf("loading: %w", cause)), oauth.ServerError},
		{"wrapped", oauth.AsError(fmt.Errorf("checking: %w", oauth.NewError(oauth.InvalidToken, "x").WithCause(cause))), oauth.InvalidToken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.err.Code != test.code || !errors.Is(test.err, cause) {
				t.Errorf("got %v", test.err)
			}
			public := oauth.WWWAuthenticate{Scheme: "Bearer", Error: test.err.Code, Description: test.err.Description}.String()
			for _, secret := range []string{"10.0.0.1", "dialing", "loading"} {
				if strings.Contains(public, secret) {
					t.Errorf("%q is published: %s", secret, public)
				}
			}
			if !strings.Contains(test.err.Error(), "10.0.0.1") {
				t.Errorf("the log does not learn the cause: %s", test.err)
			}
		})
	}
}

// A package-level error stays as it is when somebody adds a cause.
func TestWithCauseCopies(t *testing.T) {
	t.Parallel()
	plain := &oauth.Error{Code: oauth.InvalidToken, Description: "d", Status: 418, Demand: &oauth.Demand{Scopes: oauth.Scopes{"a"}}}
	with := plain.WithCause(errors.New("cause"))
	if plain.Unwrap() != nil || with.Unwrap() == nil {
		t.Errorf("causes: %v, %v", plain.Unwrap(), with.Unwrap())
	}
	if with.Code != plain.Code || with.Description != plain.Description || with.Status != plain.Status || with.Demand != plain.Demand {
		t.Errorf("got %+v", with)
	}
}

func TestErrorLogLevel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code oauth.Code
		want slog.Level
	}{
		{oauth.ServerError, slog.LevelError},
		{oauth.TemporarilyUnavailable, slog.LevelWarn},
		{oauth.InvalidToken, slog.LevelInfo},
		{oauth.AccessDenied, slog.LevelInfo},
	}
	for _, test := range tests {
		t.Run(string(test.code), func(t *testing.T) {
			t.Parallel()
			if got := oauth.NewError(test.code, "").LogLevel(); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestTooMany(t *testing.T) {
	t.Parallel()
	e := oauth.TooMany(time.Minute)
	if e.HTTPStatus() != 429 || e.Code != oauth.TemporarilyUnavailable || e.RetryAfter != time.Minute || e.LogLevel() != slog.LevelInfo {
		t.Errorf("got %+v", e)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  *oauth.Error
		want string
	}{
		{"code alone", oauth.NewError(oauth.InvalidGrant, ""), "invalid_grant"},
		{"description", oauth.NewError(oauth.InvalidGrant, "the code is spent"), "invalid_grant: the code is spent"},
		{"cause", oauth.NewError(oauth.InvalidGrant, "").WithCause(errors.New("why")), "invalid_grant: why"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.err.Error(); got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}
