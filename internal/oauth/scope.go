// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"slices"
	"strings"
)

// Scopes known to OpenID Connect Core 5.4 and 11.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopePhone         = "phone"
	ScopeAddress       = "address"
	ScopeOfflineAccess = "offline_access"
)

const maxScopes = 64

// Scopes is an ordered set of scope tokens. It marshals as a JSON array; on the wire of OAuth it is [Scopes.String].
type Scopes []string

// ParseScopes reads a scope parameter (RFC 6749 3.3): tokens of %x21 / %x23-5B / %x5D-7E, delimited by single spaces.
// Repeated tokens collapse. Anything else is invalid_scope.
func ParseScopes(text string) (Scopes, error) {
	if text == "" {
		return nil, nil
	}
	var scopes Scopes
	for token := range strings.SplitSeq(text, " ") {
		if !ValidScope(token) {
			return nil, NewError(InvalidScope, "the scope parameter is malformed")
		}
		if !scopes.Has(token) {
			scopes = append(scopes, token)
		}
		if len(scopes) > maxScopes {
			return nil, NewError(InvalidScope, "too many scopes are requested")
		}
	}
	return scopes, nil
}

// ValidScope reports whether token is one scope token by the grammar of RFC 6749 3.3.
func ValidScope(token string) bool {
	for i := range len(token) {
		if c := token[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return token != "" && len(token) <= 256
}

// Has reports whether the set holds the token.
func (s Scopes) Has(token string) bool { return slices.Contains(s, token) }

// Within reports whether every token of s is also in other.
func (s Scopes) Within(other Scopes) bool {
	return !slices.ContainsFunc(s, func(t string) bool { return !other.Has(t) })
}

// Without returns the set less the given tokens.
func (s Scopes) Without(tokens ...string) Scopes {
	return slices.DeleteFunc(slices.Clone(s), func(t string) bool { return slices.Contains(tokens, t) })
}

// Union returns s followed by the tokens of other that it lacks.
func (s Scopes) Union(other Scopes) Scopes {
	union := slices.Clone(s)
	for _, t := range other {
		if !union.Has(t) {
			union = append(union, t)
		}
	}
	return union
}

// String returns the tokens delimited by spaces, as they stand on the wire.
func (s Scopes) String() string { return strings.Join(s, " ") }
