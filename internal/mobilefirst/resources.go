// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import "slices"

// resource plans a rule for the paths of a resource. One whose paths cannot be written as they stand is for all of them, and one
// whose test is not defined lets nobody in: nothing is open because of its spelling.
func (p *plan) resource(s *resource) {
	place := placeOf("resource", s.id)
	planned := &plannedResource{place: place, matcher: "@" + p.name("resource", s.id, s.line)}
	for _, pattern := range s.patterns {
		if !isPath(pattern) {
			p.findings.add(NoEquivalent, s.line, place, "the pattern %s: until you have written it in another way the rule is for "+
				"every path of the site", pattern)
			pattern = "/*"
		}
		planned.paths = appendOnce(planned.paths, pattern)
	}
	name, ok := p.names[placeOf("test", s.test)]
	if !ok {
		p.findings.add(NoEquivalent, s.line, place, "the security test %s, which is not defined: the rule lets nobody in", s.test)
		name = p.closedTest(s)
	}
	planned.test = name
	p.resources = append(p.resources, planned)
}

// closedTest adds a test that nobody passes, in the place of one that is not defined.
func (p *plan) closedTest(s *resource) string {
	t := &plannedTest{name: p.name("test", s.test, s.line), place: placeOf("test", s.test)}
	r := &plannedRealm{
		name: p.name("realm", s.test+"_closed", s.line), place: placeOf("realm", s.test+"_closed"),
		authenticator: of("anonymous"), module: of("reject_all"), seconds: usualExpiry,
	}
	t.steps = [][]string{{r.name}}
	p.realms, p.tests = append(p.realms, r), append(p.tests, t)
	return t.name
}

// placeSite is what the site's own findings belong to.
const placeSite = "site"

// unguarded tells of the tests that no resource names: procedures and applications named them, in files that are not read here, so
// their paths have no rule yet. What has no rule is open.
func (p *plan) unguarded() {
	for _, t := range p.config.tests {
		name, ok := p.names[placeOf("test", t.name)]
		if ok && !slices.ContainsFunc(p.resources, func(s *plannedResource) bool { return s.test == name }) {
			p.findings.add(FillIn, t.line, placeOf("test", t.name), "rules for the paths that the test %s guards: procedures "+
				"and applications named it, and no resource does", name)
		}
	}
	if len(p.resources) > 0 {
		p.findings.add(Warning, 0, placeSite, "a path that no rule names needs no login")
	}
}
