// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// MethodS256 is the one code challenge method offered (RFC 7636 4.2; RFC 9700 2.1.1).
const MethodS256 = "S256"

// ParseChallenge checks the PKCE parameters of an authorization request. A challenge is always required; an absent method
// means plain (RFC 7636 4.3) and is refused like every method but S256.
func ParseChallenge(challenge, method string) (string, error) {
	switch {
	case challenge == "":
		return "", NewError(InvalidRequest, "code_challenge is required")
	case method != MethodS256:
		return "", NewError(InvalidRequest, "code_challenge_method must be S256")
	}
	// The length is compared too: the decoder skips line breaks.
	sum, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil || len(sum) != sha256.Size || len(challenge) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return "", NewError(InvalidRequest, "code_challenge is not the unpadded base64url of a SHA-256 hash")
	}
	return challenge, nil
}

// ValidVerifier reports whether text is 43 to 128 unreserved characters (RFC 7636 4.1).
func ValidVerifier(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return len(text) >= 43 && len(text) <= 128
}

// Challenge returns the S256 challenge of a verifier.
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// VerifierMatches compares a verifier with a stored challenge in constant time. A malformed verifier and an empty challenge
// never match.
func VerifierMatches(challenge, verifier string) bool {
	return challenge != "" && ValidVerifier(verifier) &&
		subtle.ConstantTimeCompare([]byte(Challenge(verifier)), []byte(challenge)) == 1
}
