// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Error is a refusal: a code, a description that may be sent to anyone, and a private cause.
type Error = oauth.Error

// Causes of invalid_token. [errors.Is] finds them behind a refusal.
var (
	ErrMalformed  = errors.New("the token is malformed")
	ErrUnknownKey = errors.New("the key is unknown")
	ErrSignature  = errors.New("the signature is wrong")
	ErrType       = errors.New("the token is of another type")
	ErrIssuer     = errors.New("the token is from another issuer")
	ErrAudience   = errors.New("the token is for another audience")
	ErrExpired    = errors.New("the token expired")
	ErrEarly      = errors.New("the token is from the future")
	ErrClaims     = errors.New("a claim is missing or malformed")
	ErrBound      = errors.New("the token is bound to a key")
	ErrHolder     = errors.New("the token is bound to another key")
	ErrShown      = errors.New("the token is bound to a certificate that the connection does not show")
	ErrUnbound    = errors.New("the token is bound to no key")
	ErrUnproven   = errors.New("the token comes without proof of a key")
	ErrInactive   = errors.New("the issuer says the token is not active")
	ErrRevoked    = errors.New("the token is revoked")
	ErrVersion    = errors.New("the version of the app is switched off")
)

// descriptions is what the caller is told. Whatever would tell a forger how far he got is "not valid".
var descriptions = []struct {
	cause error
	text  string
}{
	{ErrMalformed, "the access token is malformed"},
	{ErrExpired, "the access token expired"},
	{ErrRevoked, "the access token was revoked"},
	{ErrVersion, "this version of the app is not accepted any more"},
	{ErrAudience, "the access token is for another resource"},
	{ErrBound, "the access token is bound to a key and cannot be used as a bearer token"},
	{ErrHolder, "the access token is bound to another key"},
	{ErrShown, "the access token is bound to a certificate that the connection does not show"},
	{ErrUnbound, "the access token is not bound to a key"},
	{ErrUnproven, "the access token must come with a DPoP proof of the key that it is bound to"},
}

// Invalid returns the refusal invalid_token (RFC 6750 3.1) for a cause, which is kept private.
func Invalid(cause error) *Error {
	text := "the access token is not valid"
	for _, d := range descriptions {
		if errors.Is(cause, d.cause) {
			text = d.text
		}
	}
	return oauth.NewError(oauth.InvalidToken, text).WithCause(cause)
}
