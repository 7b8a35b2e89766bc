// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Config describes the security model of one issuer.
type Config struct {
	Realms []*Realm
	// Scopes names the realms that each scope requires. A scope that is not listed requires none of its own.
	Scopes map[string][]string
	// Levels are the named assurance levels, weakest first. Every realm's own name is a level too.
	Levels []Level
	// Identity lists the realms that determine the user, in order of preference. It must not be empty.
	Identity []string
}

// Level is a named assurance level (acr): a set of realms.
type Level struct {
	Name   string
	Realms []string
}

// Requirement is one realm that must be proven.
type Requirement struct {
	Realm string `json:"realm"`
	// MaxAge is how old the proof may be.
	MaxAge time.Duration `json:"max_age"`
	// NotBefore refuses proofs from before a moment: a request for active re-authentication sets it to its own start.
	NotBefore time.Time `json:"not_before,omitzero"`
}

// MetBy reports whether the proofs satisfy the requirement at now. A proof from the future does not.
func (r Requirement) MetBy(proofs Proofs, now time.Time) bool {
	proof, ok := proofs[r.Realm]
	return ok && now.Sub(proof.Time) <= r.MaxAge && !proof.Time.Before(r.NotBefore) && !proof.Time.After(now)
}

// Engine answers what a request requires and what is missing. It is immutable and safe for concurrent use.
type Engine struct {
	realms   map[string]*Realm
	scopes   map[string][]string
	levels   []Level
	identity []string
}

// New returns an engine, or an error that names the first thing in the configuration that does not fit.
func New(c Config) (*Engine, error) {
	e := &Engine{
		realms: map[string]*Realm{}, scopes: map[string][]string{},
		levels: slices.Clone(c.Levels), identity: slices.Clone(c.Identity),
	}
	for scope, realms := range c.Scopes {
		e.scopes[scope] = slices.Clone(realms)
	}
	for i := range e.levels {
		e.levels[i].Realms = slices.Clone(e.levels[i].Realms)
	}
	for _, r := range c.Realms {
		if err := e.add(r); err != nil {
			return nil, err
		}
	}
	if len(c.Identity) == 0 {
		return nil, errors.New("no user identity realm is named")
	}
	if err := e.check("user_identity", c.Identity); err != nil {
		return nil, err
	}
	for _, scope := range slices.Sorted(maps.Keys(c.Scopes)) {
		if err := e.check(fmt.Sprintf("scope %q", scope), c.Scopes[scope]); err != nil {
			return nil, err
		}
	}
	if err := e.checkLevels(); err != nil {
		return nil, err
	}
	return e, nil
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
	}
	e.realms[r.Name] = r
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
func (e *Engine) ForScopes(scopes []string) []Requirement {
	var names []string
	for _, scope := range scopes {
		names = append(names, e.scopes[scope]...)
	}
	return e.requirements(names)
}

// ForACR returns what an acr value requires; false when there is no such level or realm.
func (e *Engine) ForACR(acr string) ([]Requirement, bool) {
	for _, level := range e.levels {
		if level.Name == acr {
			return e.requirements(level.Realms), true
		}
	}
	if _, ok := e.realms[acr]; ok {
		return e.requirements([]string{acr}), true
	}
	return nil, false
}

func (e *Engine) requirements(names []string) []Requirement {
	var requirements []Requirement
	for i, name := range names {
		if !slices.Contains(names[:i], name) {
			requirements = append(requirements, Requirement{Realm: name, MaxAge: e.realms[name].MaxAge})
		}
	}
	return requirements
}

// Demand is what one authorization request asks of the user.
type Demand struct {
	Scopes []string
	// ACRValues are acceptable levels in order of preference. The first known one is required.
	ACRValues []string
	// NotBefore refuses proofs older than a moment (prompt=login, max_age); zero refuses none.
	NotBefore time.Time
}

// ErrUnknownACR is returned when none of the demanded acr values exists here.
var ErrUnknownACR = errors.New("none of the acr values is known")

// Require returns the realms a demand requires, in the order in which they are to be proven: a realm that determines the
// user always comes first, since the others are proven by somebody. [ErrUnknownACR] is returned when acr values are given
// and none of them exists; the requirements are then those of the scopes alone.
func (e *Engine) Require(d Demand) ([]Requirement, error) {
	requirements := e.ForScopes(d.Scopes)
	var err error
	if len(d.ACRValues) > 0 {
		var level []Requirement
		if level, err = e.firstKnown(d.ACRValues); err == nil {
			requirements = merge(requirements, level)
		}
	}
	if !slices.ContainsFunc(requirements, func(r Requirement) bool { return slices.Contains(e.identity, r.Realm) }) {
		requirements = merge(e.requirements(e.identity[:1]), requirements)
	}
	slices.SortStableFunc(requirements, func(a, b Requirement) int { return e.rank(a.Realm) - e.rank(b.Realm) })
	for i := range requirements {
		requirements[i].NotBefore = d.NotBefore
	}
	return requirements, err
}

func (e *Engine) firstKnown(values []string) ([]Requirement, error) {
	for _, acr := range values {
		if requirements, ok := e.ForACR(acr); ok {
			return requirements, nil
		}
	}
	return nil, ErrUnknownACR
}

// rank orders identity realms before all others and leaves the rest as they are.
func (e *Engine) rank(name string) int {
	if slices.Contains(e.identity, name) {
		return 0
	}
	return 1
}

func merge(a, b []Requirement) []Requirement {
	for _, r := range b {
		if !slices.ContainsFunc(a, func(have Requirement) bool { return have.Realm == r.Realm }) {
			a = append(a, r)
		}
	}
	return a
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
