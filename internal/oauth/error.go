// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Code is an error code as it stands on the wire.
type Code string

// Error codes and where they come from.
const (
	InvalidRequest          Code = "invalid_request"           // RFC 6749 4.1.2.1, 5.2
	InvalidClient           Code = "invalid_client"            // RFC 6749 5.2
	InvalidGrant            Code = "invalid_grant"             // RFC 6749 5.2
	UnauthorizedClient      Code = "unauthorized_client"       // RFC 6749 4.1.2.1, 5.2
	UnsupportedGrantType    Code = "unsupported_grant_type"    // RFC 6749 5.2
	UnsupportedResponseType Code = "unsupported_response_type" // RFC 6749 4.1.2.1
	InvalidScope            Code = "invalid_scope"             // RFC 6749 4.1.2.1, 5.2
	AccessDenied            Code = "access_denied"             // RFC 6749 4.1.2.1
	ServerError             Code = "server_error"              // RFC 6749 4.1.2.1
	TemporarilyUnavailable  Code = "temporarily_unavailable"   // RFC 6749 4.1.2.1
	InvalidTarget           Code = "invalid_target"            // RFC 8707 2
	UnsupportedTokenType    Code = "unsupported_token_type"    // RFC 7009 2.2.1

	InvalidAuthorizationDetails Code = "invalid_authorization_details" // RFC 9396 5
	// InsufficientDetails is what a protected resource says whose request was not approved in detail. RFC 9396 names no code for it.
	InsufficientDetails Code = "insufficient_authorization_details"

	InsufficientAuthorization Code = "insufficient_authorization" // draft-ietf-oauth-first-party-apps-04 5.2.2.1
	InvalidSession            Code = "invalid_session"            // draft-ietf-oauth-first-party-apps-04 5.2.2.1

	InvalidRedirectURI          Code = "invalid_redirect_uri"          // RFC 7591 3.2.2
	InvalidClientMetadata       Code = "invalid_client_metadata"       // RFC 7591 3.2.2
	InvalidSoftwareStatement    Code = "invalid_software_statement"    // RFC 7591 3.2.2
	UnapprovedSoftwareStatement Code = "unapproved_software_statement" // RFC 7591 3.2.2

	ExpiredLoginHintToken Code = "expired_login_hint_token" // OpenID CIBA Core 13
	UnknownUserID         Code = "unknown_user_id"          // OpenID CIBA Core 13
	MissingUserCode       Code = "missing_user_code"        // OpenID CIBA Core 13
	InvalidUserCode       Code = "invalid_user_code"        // OpenID CIBA Core 13
	InvalidBindingMessage Code = "invalid_binding_message"  // OpenID CIBA Core 13
	AuthorizationPending  Code = "authorization_pending"    // OpenID CIBA Core 11
	SlowDown              Code = "slow_down"                // OpenID CIBA Core 11
	ExpiredToken          Code = "expired_token"            // OpenID CIBA Core 11, 12
	TransactionFailed     Code = "transaction_failed"       // OpenID CIBA Core 12

	InvalidDPoPProof Code = "invalid_dpop_proof" // RFC 9449 5
	UseDPoPNonce     Code = "use_dpop_nonce"     // RFC 9449 8

	LoginRequired            Code = "login_required"                    // OpenID Connect Core 3.1.2.6
	InteractionRequired      Code = "interaction_required"              // OpenID Connect Core 3.1.2.6
	ConsentRequired          Code = "consent_required"                  // OpenID Connect Core 3.1.2.6
	AccountSelectionRequired Code = "account_selection_required"        // OpenID Connect Core 3.1.2.6
	RequestNotSupported      Code = "request_not_supported"             // OpenID Connect Core 3.1.2.6
	RequestURINotSupported   Code = "request_uri_not_supported"         // OpenID Connect Core 3.1.2.6
	UnmetAuthentication      Code = "unmet_authentication_requirements" // Unmet Authentication Requirements 1.0
	InvalidToken             Code = "invalid_token"                     // RFC 6750 3.1
	InsufficientScope        Code = "insufficient_scope"                // RFC 6750 3.1
	InsufficientUserAuth     Code = "insufficient_user_authentication"  // RFC 9470 3
)

var statusOf = map[Code]int{
	InvalidClient:          http.StatusUnauthorized,
	InvalidToken:           http.StatusUnauthorized,
	InsufficientUserAuth:   http.StatusUnauthorized,
	InsufficientScope:      http.StatusForbidden,
	InsufficientDetails:    http.StatusForbidden,
	AccessDenied:           http.StatusForbidden,
	ServerError:            http.StatusInternalServerError,
	TemporarilyUnavailable: http.StatusServiceUnavailable,
}

// Error is an OAuth error. Its description is always safe to send: it is written by us, never copied from input, and holds
// only the characters RFC 6749 allows. The cause is for the log and is never sent.
type Error struct {
	Code        Code
	Description string
	// Status overrides the code's usual HTTP status; zero keeps it.
	Status int
	// RetryAfter is how long the caller should wait, for the Retry-After header of a 429 or 503; zero is a short while.
	RetryAfter time.Duration
	// Nonce is for the caller's next DPoP proof, and is sent in the header DPoP-Nonce (RFC 9449 8); empty where none is needed.
	Nonce string
	// Demand says what a protected resource wants instead; nil where nothing would help.
	Demand *Demand
	cause  error
}

// NewError returns an error with a code and a description that may be sent to anyone.
func NewError(code Code, description string) *Error {
	return &Error{Code: code, Description: description}
}

// WithCause returns a copy of the error with a private cause, which is for the log and for [errors.Is] and is never sent.
func (e *Error) WithCause(cause error) *Error {
	with := *e
	with.cause = cause
	return &with
}

// Internal wraps an unexpected cause as server_error. The cause is kept for the log only.
func Internal(cause error) *Error {
	return &Error{Code: ServerError, Description: "the server could not process the request", cause: cause}
}

// TooMany tells a caller to slow down and when to come back.
func TooMany(wait time.Duration) *Error {
	return &Error{
		Code: TemporarilyUnavailable, Description: "too many attempts, try again later",
		Status: http.StatusTooManyRequests, RetryAfter: wait,
	}
}

// SessionLost tells an app that its auth_session is not good, whatever is wrong with it.
func SessionLost() *Error {
	return &Error{Code: InvalidSession, Description: "auth_session is not valid any more"}
}

// Unavailable wraps a cause that will pass, such as a closed or overloaded store, as temporarily_unavailable.
func Unavailable(cause error) *Error {
	return &Error{Code: TemporarilyUnavailable, Description: "the server is not ready, try again shortly", cause: cause}
}

// AsError returns err as an [Error]. Whatever is not one already becomes server_error with err as its cause.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Internal(err)
}

// Error returns code and description, and the cause where there is one: it is for logs.
func (e *Error) Error() string {
	text := string(e.Code)
	if e.Description != "" {
		text += ": " + e.Description
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.cause }

// HTTPStatus returns the status the error is sent with.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	if status, ok := statusOf[e.Code]; ok {
		return status
	}
	return http.StatusBadRequest
}

// LogLevel is Error for our faults and Info for what a client or user did.
func (e *Error) LogLevel() slog.Level {
	switch e.Code {
	case ServerError:
		return slog.LevelError
	case TemporarilyUnavailable:
		if e.Status == http.StatusTooManyRequests {
			return slog.LevelInfo
		}
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}
