// SPDX-License-Identifier: Apache-2.0

package mobileauth

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Override is a rule that an operator has put over the configuration.
type Override struct {
	Application string `json:"application"`
	Rule
	ChangedAt time.Time `json:"changed_at"`
}

func overrideTable() storage.Table[Override] {
	return storage.Table[Override]{
		Name: "app_override", Version: 1,
		ID: func(o *Override) string { return overrideID(o.Application, o.key()) },
	}
}

// overrideID has parts without a "/", none of which but the platform is ever empty.
func overrideID(app string, k key) string {
	return strings.Join([]string{app, k.platform, k.pattern}, "/")
}

// sequence counts the changes, so that nodes see by one reading whether there was any.
type sequence struct {
	Number uint64 `json:"number"`
}

const sequenceID = "overrides"

func sequenceTable() storage.Table[sequence] {
	return storage.Table[sequence]{Name: "app_sequence", Version: 1, ID: func(*sequence) string { return sequenceID }}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	overrides, sequences := overrideTable(), sequenceTable()
	return []storage.Kind{&overrides, &sequences}
}

func (r *Registry) all(tx storage.Tx) ([]Override, error) {
	var overrides []Override
	for o, err := range r.overrides.All(tx, "", 0) {
		if err != nil {
			return nil, err
		}
		overrides = append(overrides, o)
	}
	return overrides, nil
}

// change runs a transition and counts it. What another node has changed meanwhile collides with it.
func (r *Registry) change(ctx context.Context, transition func(storage.Tx) error) error {
	err := r.db.Update(ctx, func(tx storage.Tx) error {
		last, _, err := r.sequences.Find(tx, sequenceID)
		if err != nil {
			return err
		}
		if err := transition(tx); err != nil {
			return err
		}
		last.Number++
		return r.sequences.Put(tx, last)
	})
	if err != nil {
		return err
	}
	// The change is made: whoever asked for it may be gone, and this node has to see it all the same.
	return r.Refresh(context.WithoutCancel(ctx))
}

// Set puts a rule over the configuration, or in the place of an override with the same pattern and platform. When it returns,
// it holds on this node; on others within a second. It returns what the versions that the rule is about come to: a more specific
// rule may still say something else. The error wraps [ErrNoApplication] or [ErrInvalid] where it is the caller's.
func (r *Registry) Set(ctx context.Context, app string, rule Rule) ([]Effect, error) {
	if err := r.checkOverride(app, &rule); err != nil {
		return nil, err
	}
	rule.Messages = maps.Clone(rule.Messages)
	override := Override{Application: app, Rule: rule, ChangedAt: r.now()}
	err := r.change(ctx, func(tx storage.Tx) error { return r.overrides.Put(tx, override) })
	if err != nil {
		return nil, fmt.Errorf("setting %s of application %q: %w", rule.key(), app, err)
	}
	return r.current.Load().standings[app].effects(rule.key()), nil
}

// Unset takes an override away, so that what the configuration says holds again. When it returns, it does so on this node; on
// others within [Interval]. The error wraps [ErrNoApplication] or [ErrNoOverride] where there is nothing to take away.
func (r *Registry) Unset(ctx context.Context, app, pattern, platform string) ([]Effect, error) {
	k := key{pattern, platform}
	if _, ok := r.apps[app]; !ok {
		return nil, fmt.Errorf("application %q: %w", app, ErrNoApplication)
	}
	err := r.change(ctx, func(tx storage.Tx) error {
		_, found, err := r.overrides.Find(tx, overrideID(app, k))
		if err == nil && !found {
			err = ErrNoOverride
		}
		if err != nil {
			return err
		}
		return r.overrides.Delete(tx, overrideID(app, k))
	})
	if err != nil {
		return nil, fmt.Errorf("unsetting %s of application %q: %w", k, app, err)
	}
	return r.current.Load().standings[app].effects(k), nil
}

func (r *Registry) checkOverride(app string, rule *Rule) error {
	a, ok := r.apps[app]
	if !ok {
		return fmt.Errorf("application %q: %w", app, ErrNoApplication)
	}
	if err := a.checkRule(rule); err != nil {
		return fmt.Errorf("application %q: %w", app, err)
	}
	return nil
}

// Preview returns what [Registry.Set] would come to, as far as this node knows, and changes nothing.
func (r *Registry) Preview(app string, rule Rule) ([]Effect, error) {
	if err := r.checkOverride(app, &rule); err != nil {
		return nil, err
	}
	overrides := r.without(app, rule.key())
	return stand(r.apps[app], append(overrides, rule)).effects(rule.key()), nil
}

// PreviewUnset returns what [Registry.Unset] would come to, as far as this node knows, and changes nothing.
func (r *Registry) PreviewUnset(app, pattern, platform string) ([]Effect, error) {
	a, ok := r.apps[app]
	if !ok {
		return nil, fmt.Errorf("application %q: %w", app, ErrNoApplication)
	}
	k := key{pattern, platform}
	overrides := r.without(app, k)
	if len(overrides) == len(rulesOf(app, r.current.Load().overrides)) {
		return nil, fmt.Errorf("unsetting %s of application %q: %w", k, app, ErrNoOverride)
	}
	return stand(a, overrides).effects(k), nil
}

// without returns the overrides of an application but for one.
func (r *Registry) without(app string, k key) []Rule {
	rules := rulesOf(app, r.current.Load().overrides)
	return slices.DeleteFunc(rules, func(rule Rule) bool { return rule.key() == k })
}

// Entry is a rule that holds.
type Entry struct {
	Rule
	// Override is set when an operator has put it there, at ChangedAt; Configured is then the rule that it hides, if any.
	Override   bool      `json:"override,omitempty"`
	ChangedAt  time.Time `json:"changed_at,omitzero"`
	Configured *Rule     `json:"configured,omitempty"`
}

// Listing is an application with the rules that hold.
type Listing struct {
	ID        string            `json:"id"`
	Platforms map[string]string `json:"platforms"`
	Rules     []Entry           `json:"rules"`
	// Default is what becomes of versions that no rule matches.
	Default Status `json:"default"`
}

// List returns the applications in the order of their ids.
func (r *Registry) List() []Listing {
	list := []Listing{}
	for _, id := range slices.Sorted(maps.Keys(r.apps)) {
		if l, err := r.Find(id); err == nil {
			list = append(list, l)
		}
	}
	return list
}

// Find returns an application, or an error that wraps [ErrNoApplication].
func (r *Registry) Find(app string) (Listing, error) {
	known := r.current.Load()
	s := known.standings[app]
	if s == nil {
		return Listing{}, fmt.Errorf("application %q: %w", app, ErrNoApplication)
	}
	l := Listing{ID: app, Platforms: maps.Clone(s.Platforms), Rules: []Entry{}, Default: Disabled}
	if s.open {
		l.Default = Active
	}
	for _, rule := range s.rules {
		entry := Entry{Rule: rule.Rule, Override: rule.override}
		if rule.override {
			entry.ChangedAt = changedAt(known.overrides, app, rule.key())
			entry.Configured = configured(s.Application.Rules, rule.key())
		}
		l.Rules = append(l.Rules, entry)
	}
	return l, nil
}

func changedAt(overrides []Override, app string, k key) time.Time {
	i := slices.IndexFunc(overrides, func(o Override) bool { return o.Application == app && o.key() == k })
	if i < 0 {
		return time.Time{}
	}
	return overrides[i].ChangedAt
}

func configured(rules []Rule, k key) *Rule {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.key() == k })
	if i < 0 {
		return nil
	}
	found := rules[i]
	return &found
}
