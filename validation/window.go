// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"math"
	"time"
)

// Moments are in Unix microseconds, which reach further than any age that can be asked for.
const (
	never   = math.MinInt64
	forever = math.MaxInt64
)

// FreshUntil returns the last moment, to the microsecond, at which [Policy.Check] accepts the token, as far as it depends on
// the age of what the token proves; false when it does not. A policy that the token cannot meet has the zero time. The token's
// own end, and its scopes, are not looked at. It is for whoever goes on serving a request that was let through.
func (p *Policy) FreshUntil(who *Principal) (until time.Time, limited bool) {
	if p == nil || who == nil {
		return time.Time{}, who == nil
	}
	last := min(p.ageUntil(who), allUntil(p.Requirements, who), p.levelUntil(who), p.anyUntil(who))
	switch last {
	case forever:
		return time.Time{}, false
	case never:
		return time.Time{}, true
	}
	return time.UnixMicro(last), true
}

func (p *Policy) ageUntil(who *Principal) int64 {
	switch {
	case p.MaxAge == nil:
		return forever
	case who.AuthTime.IsZero():
		return never
	}
	return who.AuthTime.Add(*p.MaxAge).UnixMicro()
}

// levelUntil is when the last of the acceptable levels ends.
func (p *Policy) levelUntil(who *Principal) int64 {
	if len(p.ACRValues) == 0 {
		return forever
	}
	last := int64(never)
	for _, acr := range p.ACRValues {
		switch requirements, ours := p.Levels[acr]; {
		case ours && len(requirements) > 0:
			last = max(last, allUntil(requirements, who))
		case !ours && acr != "" && acr == who.ACR:
			return forever
		}
	}
	return last
}

// anyUntil is when the last of the token's scopes ends of which one is enough.
func (p *Policy) anyUntil(who *Principal) int64 {
	if len(p.AnyScope) == 0 {
		return forever
	}
	last := int64(never)
	for _, scope := range p.AnyScope {
		if who.Scopes.Has(scope) {
			last = max(last, allUntil(p.AnyRequirements[scope], who))
		}
	}
	return last
}

func allUntil(requirements []Requirement, who *Principal) int64 {
	last := int64(forever)
	for _, r := range requirements {
		at, ok := who.Realms.At(r.Realm)
		if !ok || at.IsZero() {
			return never
		}
		last = min(last, at.Add(r.MaxAge).UnixMicro())
	}
	return last
}
