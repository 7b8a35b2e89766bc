// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Skew is how far ahead of ours the clock of an issuer may be: a token issued that much in the future passes (FAPI 2.0
// Security Profile 5.3.2.1 has 10 seconds accepted).
const Skew = 10 * time.Second

// Scopes is an ordered set of scope tokens.
type Scopes = oauth.Scopes

// Principal is what a valid token says: who is asking, by means of which client, and how strongly and when that was
// proven. Requests with the same token share one principal. It must not be changed.
type Principal struct {
	Issuer string
	// Subject is the user, or the client where it acts for itself.
	Subject  string
	ClientID string
	TokenID  string
	// Name is the user's, for display; it identifies nobody.
	Name string
	// GrantID and SessionID name what the token rests on at its issuer; they are empty where it rests on neither.
	GrantID   string
	SessionID string
	// ACR is the level of authentication that was reached and AMR the methods that were used.
	ACR      string
	AMR      []string
	Audience []string
	Scopes   Scopes
	// AuthTime is when the user authenticated; zero when the issuer did not say.
	AuthTime  time.Time
	IssuedAt  time.Time
	NotBefore time.Time
	ExpiresAt time.Time
	// Realms tells when each security check was passed.
	Realms Realms
	// Application is the app the user authenticated with; nil when the issuer did not say.
	Application *Application
	// Confirmation is what the sender of the token must show to hold; nil for a bearer token.
	Confirmation *Confirmation
	// Devices are those on whose proofs the token rests, as the issuer names them; most often there is none.
	Devices []string

	claims string
}

// Application is an app: its id, and the platform and version that it said it has.
type Application struct{ ID, Platform, Version string }

// Proof is the fact that a realm, a security check, was passed at a moment.
type Proof struct {
	Realm string
	At    time.Time
}

// Realms are the proofs in a token, each realm once, in the order of their names.
type Realms []Proof

// At returns when a realm was proven.
func (r Realms) At(realm string) (time.Time, bool) {
	for i := range r {
		if r[i].Realm == realm {
			return r[i].At, true
		}
	}
	return time.Time{}, false
}

// ReadPrincipal reads a JSON object of claims. It checks their form and nothing else: whether they are true is the
// caller's business. Claims bound to what is not known here (cnf) are refused with [ErrBound], malformed ones with [ErrClaims].
func ReadPrincipal(object []byte) (*Principal, error) {
	if err := wellFormed(object); err != nil {
		return nil, err
	}
	c, err := readClaims(object, "scope")
	if err != nil {
		return nil, err
	}
	return &c.Principal, nil
}

// CheckTime compares the token's times with the clock. A token ends with its exp, to which the leeway is added; nbf and
// iat may be ahead by [Skew] or the leeway, whichever is longer. A time that the token does not have is not compared.
func (p *Principal) CheckTime(now time.Time, leeway time.Duration) error {
	if !p.ExpiresAt.IsZero() && !now.Before(p.ExpiresAt.Add(leeway)) {
		return ErrExpired
	}
	ahead := now.Add(max(leeway, Skew))
	if p.NotBefore.After(ahead) || p.IssuedAt.After(ahead) {
		return ErrEarly
	}
	return nil
}

// Claims decodes all claims of the token into a pointer to a struct or map. Names compare with their case.
func (p *Principal) Claims(into any) error {
	if err := jose.UnmarshalObject([]byte(p.claims), into); err != nil {
		return fmt.Errorf("decoding claims: %w: %w", ErrClaims, err)
	}
	return nil
}

// Text returns a claim as text: a string as it is, a list of strings with spaces in between, a number or boolean as it
// stands in the token. It is empty for an absent claim and for everything else.
func (p *Principal) Text(name string) string {
	if p.claims == "" {
		return ""
	}
	value := claim(p.claims, name)
	if value == "" {
		return ""
	}
	switch value[0] {
	case '"', '[':
		list, err := readStrings(value)
		if err != nil {
			return ""
		}
		return strings.Join(list, " ")
	case '{', 'n':
		return ""
	}
	return value
}

// size estimates the memory a principal refers to.
func (p *Principal) size() int {
	const text, proof, application, confirmation, rounding = 16, 40, 48, 32, 48
	size := len(p.claims) + text*(len(p.Audience)+len(p.Scopes)+len(p.AMR)+len(p.Devices)) + proof*len(p.Realms) + rounding
	if p.Application != nil {
		size += application
	}
	if p.Confirmation != nil {
		size += confirmation
	}
	return size
}

type contextKey struct{}

// WithPrincipal returns a context that carries the principal.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// PrincipalFrom returns the principal that [Middleware] put into a request's context; false for an anonymous request.
func PrincipalFrom(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(contextKey{}).(*Principal)
	return p, ok && p != nil
}
