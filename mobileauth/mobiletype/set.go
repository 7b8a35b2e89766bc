// SPDX-License-Identifier: Apache-2.0

package mobiletype

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrUnknown says that there is no such type.
var ErrUnknown = errors.New("there is no such mobile type")

// Fallbacks says how far down a chain may lead.
type Fallbacks string

// The policies of fallbacks, from the widest to the narrowest.
const (
	// AnyFallback takes whatever the chain has.
	AnyFallback Fallbacks = "any"
	// SameOrHigher takes what proves at least as much as the type that was asked for.
	SameOrHigher Fallbacks = "same_or_higher"
	// NoFallback asks by the type that was asked for or not at all.
	NoFallback Fallbacks = "none"
)

// Known reports whether f is a policy.
func (f Fallbacks) Known() bool { return f == AnyFallback || f == SameOrHigher || f == NoFallback }

// allows reports whether asked may end as t.
func (f Fallbacks) allows(asked, t *Type) bool {
	switch f {
	case AnyFallback:
		return true
	case SameOrHigher:
		return t.Method.Reaches(asked.Method)
	case NoFallback:
	}
	return false
}

// Config describes a [Set].
type Config struct {
	// Fallback is the policy for all types. Default: [AnyFallback].
	Fallback Fallbacks
}

// Set is all types there are. It does not change and is safe for concurrent use.
type Set struct {
	fallback Fallbacks
	types    map[string]Type
}

// New checks types and how they lead to one another.
func New(types []Type, c Config) (*Set, error) {
	if c.Fallback == "" {
		c.Fallback = AnyFallback
	}
	if !c.Fallback.Known() {
		return nil, errors.New("reading mobile types: want fallback any, same_or_higher or none")
	}
	if len(types) > MaxTypes {
		return nil, fmt.Errorf("reading mobile types: more than %d", MaxTypes)
	}
	s := &Set{fallback: c.Fallback, types: make(map[string]Type, len(types))}
	for _, t := range types {
		checked, err := t.normalize()
		if err != nil {
			return nil, fmt.Errorf("reading mobile type %q: %w", t.Name, err)
		}
		if _, twice := s.types[t.Name]; twice {
			return nil, fmt.Errorf("reading mobile type %q: there are two of the name", t.Name)
		}
		s.types[t.Name] = checked
	}
	for _, t := range types {
		if err := s.check(s.types[t.Name]); err != nil {
			return nil, fmt.Errorf("reading mobile type %q: %w", t.Name, err)
		}
	}
	return s, nil
}

// check follows the chain of a type to its end.
func (s *Set) check(t Type) error {
	passed := map[string]bool{t.Name: true}
	texts := false
	for at := t; at.Fallback != ""; {
		next, known := s.types[at.Fallback]
		switch {
		case !known:
			return fmt.Errorf("fallback %q: there is no such type", at.Fallback)
		case passed[next.Name]:
			return fmt.Errorf("fallback %q: the chain comes back to it", next.Name)
		case next.Method == OTP:
			return fmt.Errorf("fallback %q: who scans is not known, so it cannot take over from a type that asks somebody", next.Name)
		}
		passed[next.Name] = true
		texts = texts || next.Method == SMS
		at = next
	}
	if t.After > 0 && !texts {
		return errors.New("after: nothing in the chain goes over sms, which is what takes over from a phone that does not fetch")
	}
	return nil
}

// Get returns the type of a name.
func (s *Set) Get(name string) (Type, bool) {
	t, ok := s.types[name]
	return t, ok
}

// All returns the types in the order of their names.
func (s *Set) All() []Type {
	all := make([]Type, 0, len(s.types))
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		all = append(all, s.types[name])
	}
	return all
}

// Chain returns the type of a name and what it may fall back to, in the order in which they are tried, or [ErrUnknown]. Each of
// the policies, and the set's own, must allow a fallback; a policy that is not known allows none.
func (s *Set) Chain(name string, also ...Fallbacks) ([]Type, error) {
	asked, known := s.types[name]
	if !known {
		return nil, ErrUnknown
	}
	chain := []Type{asked}
	policies := append([]Fallbacks{s.fallback}, also...)
	for at := asked; at.Fallback != ""; {
		at = s.types[at.Fallback]
		if !slices.ContainsFunc(policies, func(f Fallbacks) bool { return !f.allows(&asked, &at) }) {
			chain = append(chain, at)
		}
	}
	return chain, nil
}

// Warnings are what an operator should know, beside what was refused.
func (s *Set) Warnings() []string {
	var all []string
	for _, t := range s.All() {
		all = append(all, t.warnings()...)
		if chain, _ := s.Chain(t.Name); t.Fallback != "" && len(chain) == 1 {
			all = append(all, fmt.Sprintf("type %s: the policy of fallbacks allows none of its chain", t.Name))
		}
	}
	return all
}
