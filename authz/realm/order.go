// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"fmt"
	"slices"
)

// SecurityTest is a named order of realms: those of a step may be proven in any order, and those of the next step only after
// all of them. It can be asked for wherever a scope can.
type SecurityTest struct {
	Name  string
	Steps [][]string
}

func (e *Engine) addTests(tests []SecurityTest) error {
	for _, test := range tests {
		if err := e.checkTest(test); err != nil {
			return err
		}
		for _, step := range test.Steps {
			e.tests[test.Name] = append(e.tests[test.Name], slices.Clone(step))
		}
	}
	return e.checkOrder()
}

func (e *Engine) checkTest(test SecurityTest) error {
	where := fmt.Sprintf("security_test %q", test.Name)
	switch {
	case !validName(test.Name):
		return fmt.Errorf("%s has a name that is not one word", where)
	case e.realms[test.Name] != nil:
		return fmt.Errorf("%s has the name of a realm", where)
	case e.tests[test.Name] != nil:
		return fmt.Errorf("%s is defined twice", where)
	case len(test.Steps) == 0:
		return fmt.Errorf("%s names no realm", where)
	}
	seen := map[string]bool{}
	for _, step := range test.Steps {
		if len(step) == 0 {
			return fmt.Errorf("%s has an empty step", where)
		}
		if err := e.check(where, step); err != nil {
			return err
		}
		for _, name := range step {
			if seen[name] {
				return fmt.Errorf("%s names the realm %q twice", where, name)
			}
			seen[name] = true
		}
	}
	return nil
}

// before is the order of realms: which must be proven before which.
type before map[string][]string

// orderOf collects what the given tests say about the order of their realms.
func orderOf(tests ...[][]string) before {
	order := before{}
	for _, steps := range tests {
		for i := 1; i < len(steps); i++ {
			for _, name := range steps[i] {
				order[name] = append(order[name], steps[i-1]...)
			}
		}
	}
	return order
}

// checkOrder refuses tests of which one wants a realm before another and one after it: a request may name both.
func (e *Engine) checkOrder() error {
	var all [][][]string
	var names []string
	for _, steps := range e.tests {
		all = append(all, steps)
		names = append(names, slices.Concat(steps...)...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	order, placed := orderOf(all...), map[string]bool{}
	for len(placed) < len(names) {
		ready := order.ready(names, placed)
		if len(ready) == 0 {
			stuck := slices.DeleteFunc(names, func(name string) bool { return placed[name] })
			return fmt.Errorf("security tests contradict one another about the order of the realms %v", stuck)
		}
		for _, name := range ready {
			placed[name] = true
		}
	}
	return nil
}

// ready returns the names that are not placed and wait for none that is not.
func (b before) ready(names []string, placed map[string]bool) []string {
	var ready []string
	for _, name := range names {
		waits := slices.ContainsFunc(b[name], func(other string) bool { return !placed[other] })
		if !placed[name] && !waits {
			ready = append(ready, name)
		}
	}
	return ready
}

// leads reports whether a name must be proven before one of the targets.
func (b before) leads(name string, targets []string) bool {
	for _, target := range targets {
		if slices.Contains(b[target], name) || b.leads(name, b[target]) {
			return true
		}
	}
	return false
}

// requirements returns the realms that are named, each once, also those that named tests consist of, in the order in which
// they are to be proven. It is empty when nothing is named.
func (e *Engine) requirements(names []string) []Requirement {
	var realms []string
	var tests [][][]string
	for _, name := range names {
		steps, ok := e.tests[name]
		if !ok {
			realms = append(realms, name)
			continue
		}
		tests = append(tests, steps)
		realms = append(realms, slices.Concat(steps...)...)
	}
	return e.arrange(unique(realms), orderOf(tests...))
}

// arrange puts realms into steps: what must come first by the tests, else those that determine the user, since the others
// are proven by somebody, and then the rest.
func (e *Engine) arrange(realms []string, order before) []Requirement {
	identities := slices.DeleteFunc(slices.Clone(realms), func(name string) bool { return !e.DeterminesUser(name) })
	var arranged []Requirement
	placed := map[string]bool{}
	for step := 0; len(placed) < len(realms); step++ {
		ready := order.ready(realms, placed)
		if len(identities) > 0 && !slices.ContainsFunc(identities, func(name string) bool { return placed[name] }) {
			ready = slices.DeleteFunc(ready, func(name string) bool {
				return !e.DeterminesUser(name) && !order.leads(name, identities)
			})
		}
		for _, name := range ready {
			placed[name] = true
			arranged = append(arranged, Requirement{Realm: name, Step: step, MaxAge: e.realms[name].MaxAge})
		}
	}
	return arranged
}

// unique returns the names without repetitions.
func unique(names []string) []string {
	var once []string
	for _, name := range names {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once
}
