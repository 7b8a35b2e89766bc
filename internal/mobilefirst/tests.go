// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"maps"
	"slices"
)

// test plans a security test.
func (p *plan) test(t *test) {
	planned := &plannedTest{name: p.name("test", t.name, t.line), place: placeOf("test", t.name)}
	switch t.kind {
	case web:
		planned.kind, planned.user = "web", p.user(t, planned.place)
		planned.steps = [][]string{{planned.user}}
	case mobile:
		p.mobile(t, planned)
	default:
		p.custom(t, planned)
	}
	p.settle(planned, t.line)
	p.tests = append(p.tests, planned)
}

// user returns the realm of the user of a test for web or mobile applications.
func (p *plan) user(t *test, place string) string {
	if t.user == "" {
		p.findings.add(Warning, t.line, place, "the test names no user: it lets everybody in")
		return p.use(realmAnonymous, t.line)
	}
	if implied(t.user) {
		p.findings.add(Warning, t.line, place, "the user's realm is %s, which tells nobody: it lets everybody in", t.user)
		return p.use(realmAnonymous, t.line)
	}
	return p.use(t.user, t.line)
}

// mobile plans what such a test asks for: the app's version first, the app itself, the device, and the user.
func (p *plan) mobile(t *test, planned *plannedTest) {
	steps := [][]string{{p.use(realmDisable, t.line)}}
	planned.kind = "mobile"
	if t.authenticity {
		planned.kind = ""
		steps = append(steps, []string{p.use(realmAuthenticity, t.line)})
	}
	if planned.device = p.device(t, planned.place); planned.device != "" {
		steps = append(steps, []string{planned.device})
	}
	planned.user = p.user(t, planned.place)
	planned.steps = append(steps, []string{planned.user})
}

// device returns the realm of the device; empty when it was believed without a proof, which it is not here.
func (p *plan) device(t *test, place string) string {
	switch t.provisioning {
	case "auto":
		if !t.authenticity {
			p.findings.add(Warning, t.line, place,
				"devices got a certificate on request and no testAppAuthenticity was asked for: anybody could get one")
		}
		if t.device != "" {
			return p.use(t.device, t.line)
		}
		return p.use(realmDeviceAuto, t.line)
	case "custom":
		if t.device == "" {
			return p.use(realmDeviceAuto, t.line)
		}
		return p.use(t.device, t.line)
	}
	p.findings.add(Warning, t.line, place,
		"the device was what it said it is (provisioningType none): that proved nothing, and nothing is asked in its place")
	return ""
}

func (p *plan) custom(t *test, planned *plannedTest) {
	named := slices.ContainsFunc(t.asks, func(a ask) bool { return a.realm != realmAnonymous && !implied(a.realm) && a.realm != realmDisable })
	last := 0
	for _, a := range t.asks {
		switch {
		case a.realm == realmXSRF:
			continue // is always on
		case a.realm == realmUpdate:
			continue // brings updates and checks nothing
		case a.realm == realmDeviceNone:
			p.findings.add(Warning, t.line, planned.place,
				"the device was what it said it is (%s): that proved nothing, and nothing is asked in its place", realmDeviceNone)
			continue
		case a.realm == realmAnonymous && named:
			continue // somebody in particular is asked for
		}
		name := p.use(a.realm, t.line)
		if slices.ContainsFunc(planned.steps, func(step []string) bool { return slices.Contains(step, name) }) {
			continue
		}
		if len(planned.steps) == 0 || a.step != last {
			planned.steps = append(planned.steps, nil)
		}
		last = a.step
		planned.steps[len(planned.steps)-1] = append(planned.steps[len(planned.steps)-1], name)
	}
	if len(planned.steps) == 0 {
		p.findings.add(Warning, t.line, planned.place, "the test asks for nothing that proves anything: it lets everybody in")
		planned.steps = [][]string{{p.use(realmAnonymous, t.line)}}
	}
}

// order tells which realms are asked for before a realm.
type order map[string][]string

// leads reports whether one realm has to be proven before another.
func (o order) leads(first, then string, seen map[string]bool) bool {
	if seen[then] {
		return false
	}
	seen[then] = true
	return slices.ContainsFunc(o[then], func(name string) bool { return name == first || o.leads(first, name, seen) })
}

// with returns the order with that of more steps; ok tells that no realm comes both before and after another.
func (o order) with(steps [][]string) (more order, ok bool) {
	more = maps.Clone(o)
	if more == nil {
		more = order{}
	}
	for i := 1; i < len(steps); i++ {
		for _, name := range steps[i] {
			more[name] = slices.Concat(more[name], steps[i-1])
		}
	}
	for name := range more {
		if more.leads(name, name, map[string]bool{}) {
			return o, false
		}
	}
	return more, true
}

// settle has a test that contradicts an earlier one about the order of realms ask for the same ones without an order: two tests
// can be asked for at once.
func (p *plan) settle(t *plannedTest, line int) {
	next, ok := p.before.with(t.steps)
	if !ok {
		p.findings.add(NoEquivalent, line, t.place,
			"the order of its realms, which another test asks for in the opposite order: it asks for the same ones at once")
		t.kind, t.steps = "", [][]string{slices.Concat(t.steps...)}
	}
	p.before = next
}
