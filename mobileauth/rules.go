// SPDX-License-Identifier: Apache-2.0

package mobileauth

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// key is what there is one rule for, in an application.
type key struct{ pattern, platform string }

func (r *Rule) key() key { return key{r.Pattern, r.Platform} }

// String names the rule as the Caddyfile does.
func (k key) String() string {
	if k.platform == "" {
		return fmt.Sprintf("version %q", k.pattern)
	}
	return fmt.Sprintf("version %q on %s", k.pattern, k.platform)
}

// settled is a rule of a snapshot.
type settled struct {
	Rule
	override bool
	notice   Notice
	// begin is what the versions of a pattern begin with, its dot included.
	begin string
	wild  bool
}

func settle(app string, r Rule, override bool) *settled {
	s := &settled{Rule: r, override: override, notice: newNotice(app, &r)}
	s.begin, s.wild = strings.CutSuffix(r.Pattern, "*")
	return s
}

// matches reports whether a pattern covers a version: "2.*" is 2 and whatever begins with "2.".
func (s *settled) matches(version string) bool {
	return strings.HasPrefix(version, s.begin) || len(version)+1 == len(s.begin) && strings.HasPrefix(s.begin, version)
}

// covers reports whether every version that a rule is about is also one of this pattern.
func (s *settled) covers(other *settled) bool {
	switch {
	case !s.wild:
		return !other.wild && s.Pattern == other.Pattern
	case other.wild:
		return strings.HasPrefix(other.begin, s.begin)
	}
	return s.matches(other.Pattern)
}

// ladder is what holds on one platform: the exact versions, and the patterns with the longest first.
type ladder struct {
	exact map[string]*settled
	wild  []*settled
}

// find returns the rule that counts for a version; nil when none matches.
func (l *ladder) find(version string) *settled {
	if found := l.exact[version]; found != nil {
		return found
	}
	for _, s := range l.wild {
		if s.matches(version) {
			return s
		}
	}
	return nil
}

// newLadder sorts out the rules of a platform: one for each pattern.
func newLadder(platform string, rules []*settled) *ladder {
	l := &ladder{exact: map[string]*settled{}}
	best := map[string]*settled{}
	for _, s := range rules {
		if s.Platform == platform || s.Platform == "" && best[s.Pattern] == nil {
			best[s.Pattern] = s
		}
	}
	for pattern, s := range best {
		if s.wild {
			l.wild = append(l.wild, s)
			continue
		}
		l.exact[pattern] = s
	}
	slices.SortFunc(l.wild, func(a, b *settled) int {
		return cmp.Or(cmp.Compare(len(b.begin), len(a.begin)), strings.Compare(a.begin, b.begin))
	})
	return l
}

// standing is an application in a snapshot.
type standing struct {
	Application
	// rules are all that hold, overrides in the place of what they override.
	rules   []*settled
	ladders map[string]*ladder
	// open tells that the configuration says nothing about versions: those without a rule are active.
	open bool
}

// stand puts the overrides of an application over its configured rules. What an override says about a platform that the
// application is no longer there for counts for nothing.
func stand(app Application, overrides []Rule) *standing {
	s := &standing{Application: app, ladders: map[string]*ladder{}, open: len(app.Rules) == 0}
	over := map[key]bool{}
	for _, r := range overrides {
		if _, there := app.Platforms[r.Platform]; there || r.Platform == "" {
			over[r.key()] = true
			s.rules = append(s.rules, settle(app.ID, r, true))
		}
	}
	for _, r := range app.Rules {
		if !over[r.key()] {
			s.rules = append(s.rules, settle(app.ID, r, false))
		}
	}
	slices.SortFunc(s.rules, func(a, b *settled) int {
		return cmp.Or(strings.Compare(a.Pattern, b.Pattern), strings.Compare(a.Platform, b.Platform))
	})
	for platform := range app.Platforms {
		s.ladders[platform] = newLadder(platform, s.rules)
	}
	return s
}

// judge returns what becomes of a version, and the rule that says so; nil when none matches.
func (s *standing) judge(platform, version string) (Status, *settled) {
	l := s.ladders[platform]
	if l == nil {
		return Unknown, nil
	}
	if rule := l.find(version); rule != nil {
		return rule.Status, rule
	}
	if s.open {
		return Active, nil
	}
	return Disabled, nil
}

// Effect is what a rule comes to on one platform.
type Effect struct {
	Platform string `json:"platform"`
	// Status is what becomes of the versions that the pattern is about, but for the exceptions.
	Status Status `json:"status"`
	// Rule is the one that says so; nil when none does.
	Rule *Rule `json:"rule,omitempty"`
	// Exceptions are more specific rules with another status.
	Exceptions []Rule `json:"exceptions,omitempty"`
}

// effects returns what the rules say about the versions of a pattern: on one platform, or on each.
func (s *standing) effects(of key) []Effect {
	var all []Effect
	probe := settle(s.ID, Rule{Pattern: of.pattern}, false)
	for platform, l := range s.ladders {
		if of.platform == "" || of.platform == platform {
			all = append(all, s.effect(platform, l, probe))
		}
	}
	slices.SortFunc(all, func(a, b Effect) int { return strings.Compare(a.Platform, b.Platform) })
	return all
}

func (s *standing) effect(platform string, l *ladder, probe *settled) Effect {
	e := Effect{Platform: platform, Status: Disabled}
	if s.open {
		e.Status = Active
	}
	winner := l.exact[probe.Pattern]
	for _, rule := range l.wild {
		if winner == nil && rule.covers(probe) {
			winner = rule
		}
	}
	if winner != nil {
		e.Status, e.Rule = winner.Status, &winner.Rule
	}
	for _, rule := range s.rules {
		held := l.exact[rule.Pattern] == rule || slices.Contains(l.wild, rule)
		if held && rule != winner && probe.covers(rule) && rule.Status != e.Status {
			e.Exceptions = append(e.Exceptions, rule.Rule)
		}
	}
	return e
}
