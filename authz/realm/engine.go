// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Config describes the security model of one issuer.
type Config struct {
	Realms []*Realm
	// Tests are the security tests. Each is a scope too.
	Tests []SecurityTest
	// Scopes names the realms, or the security tests, that each scope requires. A scope that is not listed requires none of its
	// own.
	Scopes map[string][]string
	// Levels are the named assurance levels, weakest first. Every realm's own name is a level too.
	Levels []Level
	// Identity lists the realms that determine the user, in order of preference. It must not be empty.
	Identity []string
	// Linker finds the issuer's user for the id that a login module knows a user by. Without one, a realm whose login module
	// says no more than that refuses everybody.
	Linker Linker
	// Timeout bounds one round of a realm that says nothing else: guests that have not answered by then are a refusal with an error. Default:
	// [DefaultTimeout].
	Timeout time.Duration
}

// Linker knows which user of the issuer somebody is who is known elsewhere.
type Linker interface {
	// Link returns the user whom the identity's external id names among those users, and makes one when there is none yet. It
	// returns [ErrLocked] for one who may not log in.
	Link(ctx context.Context, users string, identity Identity) (subject string, err error)
}

// ErrLocked is returned by a [Linker] for a user who may not log in.
var ErrLocked = errors.New("the user may not log in")

// Level is a named assurance level (acr): a set of realms.
type Level struct {
	Name   string
	Realms []string
}

// Requirement is one realm that must be proven.
type Requirement struct {
	Realm string `json:"realm"`
	// Step is its place in the order: nothing of a later step is asked before all of the earlier ones is proven.
	Step int `json:"step,omitempty"`
	// MaxAge is how old the proof may be.
	MaxAge time.Duration `json:"max_age"`
	// NotBefore refuses proofs from before a moment: a request for active re-authentication sets it to its own start.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Request, where it is set, is the one request that the proof has to have been given for (see [Proof.Request]).
	Request string `json:"request,omitempty"`
}

// MetBy reports whether the proofs satisfy the requirement at now. A proof from the future does not.
func (r Requirement) MetBy(proofs Proofs, now time.Time) bool {
	proof, ok := proofs[r.Realm]
	return ok && now.Sub(proof.Time) <= r.MaxAge && !proof.Time.Before(r.NotBefore) && !proof.Time.After(now) &&
		(r.Request == "" || r.Request == proof.Request)
}

// Engine answers what a request requires and what is missing. What it answers never changes. It is safe for concurrent use.
type Engine struct {
	realms   map[string]*Realm
	tests    map[string][][]string
	scopes   map[string][]string
	levels   []Level
	identity []string
	linker   Linker
	timeout  time.Duration
	behind   map[string]*atomic.Int64 // rounds that were given up and still run, by realm
}

// New returns an engine, or an error that names the first thing in the configuration that does not fit.
func New(c Config) (*Engine, error) {
	e := &Engine{
		realms: map[string]*Realm{}, tests: map[string][][]string{}, scopes: map[string][]string{},
		levels: slices.Clone(c.Levels), identity: slices.Clone(c.Identity), linker: c.Linker,
	}
	for i := range e.levels {
		e.levels[i].Realms = slices.Clone(e.levels[i].Realms)
	}
	if c.Timeout < 0 {
		return nil, errors.New("the time-out of realms is negative")
	}
	e.timeout, e.behind = cmp.Or(c.Timeout, DefaultTimeout), map[string]*atomic.Int64{}
	for _, r := range c.Realms {
		if err := e.add(r); err != nil {
			return nil, err
		}
		e.behind[r.Name] = new(atomic.Int64)
	}
	if len(c.Identity) == 0 {
		return nil, errors.New("no user identity realm is named")
	}
	if err := e.check("user_identity", c.Identity); err != nil {
		return nil, err
	}
	if err := e.addTests(c.Tests); err != nil {
		return nil, err
	}
	if err := e.addScopes(c.Scopes); err != nil {
		return nil, err
	}
	if err := e.checkLevels(); err != nil {
		return nil, err
	}
	return e, nil
}

// addScopes comes after the tests: each of them is a scope, and scopes may name them.
func (e *Engine) addScopes(scopes map[string][]string) error {
	for _, scope := range slices.Sorted(maps.Keys(scopes)) {
		if e.tests[scope] != nil {
			return fmt.Errorf("scope %q has the name of a security test", scope)
		}
		for _, name := range scopes[scope] {
			if e.realms[name] == nil && e.tests[name] == nil {
				return fmt.Errorf("scope %q names %q, which is neither a realm nor a security test", scope, name)
			}
		}
		e.scopes[scope] = slices.Clone(scopes[scope])
	}
	for name := range e.tests {
		e.scopes[name] = []string{name}
	}
	return nil
}

func (e *Engine) add(r *Realm) error {
	switch {
	case r == nil || r.Name == "":
		return errors.New("a realm has no name")
	case !validName(r.Name):
		return fmt.Errorf("realm %q has a name that is not one word", r.Name)
	case e.realms[r.Name] != nil:
		return fmt.Errorf("realm %q is defined twice", r.Name)
	case r.Authenticator == nil:
		return fmt.Errorf("realm %q has no authenticator", r.Name)
	case r.LoginModule == nil:
		return fmt.Errorf("realm %q has no login module", r.Name)
	case r.MaxAge <= 0:
		return fmt.Errorf("realm %q has no positive max_age", r.Name)
	case r.Timeout < 0 || r.Timeout > MaxTimeout:
		return fmt.Errorf("realm %q has a time_out of %v; it is more than nothing and %v at most", r.Name, r.Timeout, MaxTimeout)
	}
	added := *r
	added.Users = cmp.Or(r.Users, r.Name)
	e.realms[r.Name] = &added
	return nil
}

// validName admits what can stand in acr_values, which are delimited by spaces, and in a quoted string of a challenge.
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' })
}

func (e *Engine) check(where string, realms []string) error {
	for _, name := range realms {
		if e.realms[name] == nil {
			return fmt.Errorf("%s names the realm %q, which is not defined", where, name)
		}
	}
	return nil
}

func (e *Engine) checkLevels() error {
	seen := map[string]bool{}
	for _, level := range e.levels {
		switch {
		case !validName(level.Name):
			return fmt.Errorf("acr %q has a name that is not one word", level.Name)
		case e.realms[level.Name] != nil:
			return fmt.Errorf("acr %q has the name of a realm", level.Name)
		case e.tests[level.Name] != nil:
			return fmt.Errorf("acr %q has the name of a security test", level.Name)
		case seen[level.Name]:
			return fmt.Errorf("acr %q is defined twice", level.Name)
		case len(level.Realms) == 0:
			return fmt.Errorf("acr %q names no realm", level.Name)
		}
		seen[level.Name] = true
		if err := e.check(fmt.Sprintf("acr %q", level.Name), level.Realms); err != nil {
			return err
		}
	}
	return nil
}

// Realm returns the realm with the given name.
func (e *Engine) Realm(name string) (*Realm, bool) {
	r, ok := e.realms[name]
	return r, ok
}

// ACRValues returns every acr value that can be asked for: the levels, strongest first, then the realms by name.
func (e *Engine) ACRValues() []string {
	var values []string
	for _, level := range slices.Backward(e.levels) {
		values = append(values, level.Name)
	}
	return append(values, slices.Sorted(maps.Keys(e.realms))...)
}

// ForScopes returns what the scopes require: the union of their realms, each within its own maximum age.
func (e *Engine) ForScopes(scopes []string) []Requirement { return e.requirements(e.named(scopes)) }

// named returns the realms and the security tests that scopes name.
func (e *Engine) named(scopes []string) []string {
	var names []string
	for _, scope := range scopes {
		names = append(names, e.scopes[scope]...)
	}
	return names
}

// ForACR returns what an acr value requires; false when there is no such level or realm.
func (e *Engine) ForACR(acr string) ([]Requirement, bool) {
	realms, ok := e.level(acr)
	return e.requirements(realms), ok
}

func (e *Engine) level(acr string) ([]string, bool) {
	for _, level := range e.levels {
		if level.Name == acr {
			return level.Realms, true
		}
	}
	if _, ok := e.realms[acr]; ok {
		return []string{acr}, true
	}
	return nil, false
}

// Demand is what one authorization request asks of the user.
type Demand struct {
	Scopes []string
	// ACRValues are acceptable levels in order of preference. The first known one is required.
	ACRValues []string
	// NotBefore refuses proofs older than a moment (prompt=login, max_age); zero refuses none.
	NotBefore time.Time
	// Approving are realms that have to be proven for this request and no other, and Request is its id.
	Approving []string
	Request   string
}

// ErrUnknownACR is returned when none of the demanded acr values exists here.
var ErrUnknownACR = errors.New("none of the acr values is known")

// Require returns the realms a demand requires, in the order in which they are to be proven. Security tests say theirs; apart
// from that, a realm that determines the user comes first, since the others are proven by somebody. [ErrUnknownACR] is
// returned when acr values are given and none of them exists; the requirements are then those of the scopes alone.
func (e *Engine) Require(d Demand) ([]Requirement, error) {
	names := append(e.named(d.Scopes), d.Approving...)
	var err error
	if len(d.ACRValues) > 0 {
		var level []string
		level, err = e.firstKnown(d.ACRValues)
		names = append(names, level...)
	}
	if !slices.ContainsFunc(e.requirements(names), func(r Requirement) bool { return e.DeterminesUser(r.Realm) }) {
		names = append(slices.Clone(e.identity[:1]), names...)
	}
	requirements := e.requirements(names)
	for i := range requirements {
		requirements[i].NotBefore = d.NotBefore
		if slices.Contains(d.Approving, requirements[i].Realm) {
			requirements[i].Request = d.Request
		}
	}
	return requirements, err
}

func (e *Engine) firstKnown(values []string) ([]string, error) {
	for _, acr := range values {
		if realms, ok := e.level(acr); ok {
			return realms, nil
		}
	}
	return nil, ErrUnknownACR
}

// Missing returns the first requirement that the proofs do not meet at now; false when all are met.
func Missing(requirements []Requirement, proofs Proofs, now time.Time) (Requirement, bool) {
	for _, r := range requirements {
		if !r.MetBy(proofs, now) {
			return r, true
		}
	}
	return Requirement{}, false
}

// Remaining returns what can be proven next: every requirement of the first step in which one is not met at now. It is empty
// when all are met.
func Remaining(requirements []Requirement, proofs Proofs, now time.Time) []Requirement {
	first, missing := Missing(requirements, proofs, now)
	if !missing {
		return nil
	}
	var remaining []Requirement
	for _, r := range requirements {
		if r.Step == first.Step && !r.MetBy(proofs, now) {
			remaining = append(remaining, r)
		}
	}
	return remaining
}

// DeterminesUser reports whether the realm is one of those that determine the user identity.
func (e *Engine) DeterminesUser(name string) bool { return slices.Contains(e.identity, name) }

// Identity returns the proof that determines the user: the first configured identity realm with a proof that names one.
func (e *Engine) Identity(proofs Proofs) (Proof, bool) {
	for _, name := range e.identity {
		if proof, ok := proofs[name]; ok && proof.Subject != "" {
			return proof, true
		}
	}
	return Proof{}, false
}

// Achieved returns the acr that the proofs amount to at now and the time of the event that completed it. Wanted values are
// preferred in their order; otherwise it is the strongest level that is fully and freshly proven, or else the realm that
// determines the user. A level with one factor missing or stale is never returned.
func (e *Engine) Achieved(wanted []string, proofs Proofs, now time.Time) (acr string, at time.Time) {
	candidates := slices.Clone(wanted)
	for _, level := range slices.Backward(e.levels) {
		candidates = append(candidates, level.Name)
	}
	candidates = append(candidates, e.identity...)
	for _, acr := range candidates {
		requirements, ok := e.ForACR(acr)
		if !ok {
			continue
		}
		if _, missing := Missing(requirements, proofs, now); missing {
			continue
		}
		return acr, completed(requirements, proofs)
	}
	return "", time.Time{}
}

// completed returns when the last of the required realms was proven.
func completed(requirements []Requirement, proofs Proofs) time.Time {
	var last time.Time
	for _, r := range requirements {
		if t := proofs[r.Realm].Time; t.After(last) {
			last = t
		}
	}
	return last
}
