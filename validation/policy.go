// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Requirement is one realm that must have been proven.
type Requirement struct {
	Realm string
	// MaxAge is how long ago that may be.
	MaxAge time.Duration
}

// metBy reports whether the token proves the realm, recently enough.
func (r Requirement) metBy(who *Principal, now time.Time) bool {
	at, ok := who.Realms.At(r.Realm)
	return ok && recent(at, now, r.MaxAge)
}

// recent reports whether a moment is known, not older than maxAge, and not from the future.
func recent(at, now time.Time, maxAge time.Duration) bool {
	return !at.IsZero() && now.Sub(at) <= maxAge && at.Sub(now) <= Skew
}

// Policy is what a route asks of a valid token. Everything that is set must hold; a policy in which nothing is set is met
// by every valid token. It is built once and not changed afterwards.
type Policy struct {
	// Audience narrows the audiences a validator accepts: the token is for one of these.
	Audience []string
	// AllScopes must all be in the token.
	AllScopes Scopes
	// AnyScope holds scopes of which one must be in the token.
	AnyScope Scopes
	// AnyRequirements are, by scope of AnyScope, the realms that must be proven for it. They are met when those of one scope in
	// the token are.
	AnyRequirements map[string][]Requirement
	// ACRValues are acceptable levels of authentication in order of preference.
	ACRValues []string
	// Levels says which realms make up a level. A level that stands here is judged by the realms in the token, each within
	// its own age: the acr of a token does not move when the token is refreshed (RFC 9068 2.2.1), so its name alone would
	// be believed for as long as the grant lives. A level that does not stand here is judged by its name.
	Levels map[string][]Requirement
	// Requirements are realms that must all be proven.
	Requirements []Requirement
	// MaxAge is how long ago the user may have authenticated. A token that does not say when is too old (RFC 9470 6).
	MaxAge *time.Duration
}

// Check compares what a valid token proves with what the policy asks. A refusal is an *[Error] that names what is missing:
// invalid_token for another audience, then insufficient_scope (RFC 6750 3.1) before insufficient_user_authentication (RFC
// 9470 3), because a stronger login does not help whom the scopes keep out.
func (p *Policy) Check(who *Principal, now time.Time) error {
	switch {
	case who == nil:
		return Invalid(ErrMalformed)
	case p == nil:
		return nil
	case len(p.Audience) > 0 && !forOneOf(who, p.Audience):
		return Invalid(ErrAudience)
	case !p.scopesMet(who):
		return p.scopeRefusal(who)
	}
	return p.authentication(who, now)
}

func (p *Policy) scopesMet(who *Principal) bool {
	for _, scope := range p.AllScopes {
		if !who.Scopes.Has(scope) {
			return false
		}
	}
	return len(p.AnyScope) == 0 || p.anyScope(who)
}

func (p *Policy) anyScope(who *Principal) bool {
	for _, scope := range p.AnyScope {
		if who.Scopes.Has(scope) {
			return true
		}
	}
	return false
}

// scopeRefusal names every scope a token for this route needs, those it has included: the client asks for exactly these.
func (p *Policy) scopeRefusal(who *Principal) *Error {
	either := p.AnyScope
	if p.anyScope(who) {
		either = slices.DeleteFunc(slices.Clone(either), func(scope string) bool { return !who.Scopes.Has(scope) })
	}
	refusal := oauth.NewError(oauth.InsufficientScope, "the access token does not have the scopes this resource requires")
	refusal.Demand = &oauth.Demand{Scopes: p.AllScopes.Union(either)}
	return refusal
}

// authentication compares how strongly and how recently the user was authenticated.
func (p *Policy) authentication(who *Principal, now time.Time) error {
	old := p.MaxAge != nil && !recent(who.AuthTime, now, *p.MaxAge)
	levelMet := p.levelMet(who, now)
	missing := p.missing(who, now)
	if !old && levelMet && len(missing) == 0 {
		return nil
	}
	demand := &oauth.Demand{ACRValues: p.ask(missing, levelMet)}
	if old {
		demand.MaxAge, demand.HasMaxAge = *p.MaxAge, true
	}
	refusal := oauth.NewError(oauth.InsufficientUserAuth, "this resource requires a stronger or more recent authentication")
	refusal.Demand = demand
	return refusal
}

func (p *Policy) levelMet(who *Principal, now time.Time) bool {
	if len(p.ACRValues) == 0 {
		return true
	}
	for _, acr := range p.ACRValues {
		requirements, ours := p.Levels[acr]
		if ours && len(requirements) > 0 && allMet(requirements, who, now) || !ours && acr != "" && acr == who.ACR {
			return true
		}
	}
	return false
}

func allMet(requirements []Requirement, who *Principal, now time.Time) bool {
	for _, r := range requirements {
		if !r.metBy(who, now) {
			return false
		}
	}
	return true
}

// missing returns the required realms that are not proven, or not recently enough.
func (p *Policy) missing(who *Principal, now time.Time) []string {
	realms := unproven(p.Requirements, who, now)
	for _, realm := range p.missingForAny(who, now) {
		if !slices.Contains(realms, realm) {
			realms = append(realms, realm)
		}
	}
	return realms
}

// missingForAny returns what the scopes of AnyScope require and the token lacks: nothing as soon as one scope of the token
// has all that it requires, else what lacks for the first.
func (p *Policy) missingForAny(who *Principal, now time.Time) (first []string) {
	for _, scope := range p.AnyScope {
		if !who.Scopes.Has(scope) {
			continue
		}
		realms := unproven(p.AnyRequirements[scope], who, now)
		if len(realms) == 0 {
			return nil
		}
		if first == nil {
			first = realms
		}
	}
	return first
}

func unproven(requirements []Requirement, who *Principal, now time.Time) []string {
	var realms []string
	for _, r := range requirements {
		if !r.metBy(who, now) {
			realms = append(realms, r.Realm)
		}
	}
	return realms
}

// ask returns the acr_values that tell a client what to ask for. The client may be given any one of them, so each must
// cover all that is missing. A realm's own name is an acr value; where several realms are missing it takes a level that
// holds them all. Without one, the first missing realm is a beginning: the proofs stay in the user's session, and the next
// answer names the next.
func (p *Policy) ask(missing []string, levelMet bool) []string {
	if !levelMet {
		covering := slices.DeleteFunc(slices.Clone(p.ACRValues), func(acr string) bool { return !p.covers(acr, missing) })
		if len(covering) > 0 {
			return covering
		}
		return p.ACRValues
	}
	switch len(missing) {
	case 0:
		return p.ACRValues
	case 1:
		return missing
	}
	if level := p.smallestCovering(missing); level != "" {
		return []string{level}
	}
	return missing[:1]
}

// covers reports whether a level includes all the realms.
func (p *Policy) covers(acr string, realms []string) bool {
	for _, realm := range realms {
		if !slices.ContainsFunc(p.Levels[acr], func(r Requirement) bool { return r.Realm == realm }) {
			return false
		}
	}
	return true
}

// smallestCovering returns the level that includes the realms and least besides; of several the first by name.
func (p *Policy) smallestCovering(realms []string) string {
	best := ""
	for acr, requirements := range p.Levels {
		if !p.covers(acr, realms) {
			continue
		}
		if n := len(requirements) - len(p.Levels[best]); best == "" || n < 0 || n == 0 && acr < best {
			best = acr
		}
	}
	return best
}
