// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import "slices"

// plan is what the Caddyfile will say.
type plan struct {
	options    Options
	findings   *findings
	config     *config
	descriptor *descriptor
	names      map[string]string // in the Caddyfile, by place
	taken      map[string]bool
	numbers    map[string]int // how many have a number behind a name, because they would be called the same

	realms   []*plannedRealm
	identity []string
	tests    []*plannedTest
	before   order // of the tests that are planned

	resources []*plannedResource
	client    *plannedClient // nil without a descriptor
	app       *plannedApp    // nil unless a test asks for its version, or there are devices
	devices   *plannedDevices
}

// plannedRealm is a realm as it will stand.
type plannedRealm struct {
	name, place   string
	authenticator guest
	module        guest // none when the authenticator judges by itself
	moduleName    string
	seconds       int
	audit         bool
}

// guest is a module of ours with its options, each of them words.
type guest struct {
	words   []string
	options [][]string
}

func of(words ...string) guest { return guest{words: words} }

// plannedTest is a security test as it will stand. Kind decides what of the rest is written.
type plannedTest struct {
	name, place  string
	kind         string // web, mobile, or empty for steps
	steps        [][]string
	user, device string
}

// plannedResource is a rule for some paths.
type plannedResource struct {
	place, matcher, test string
	paths                []string
}

// plannedClient is the application of the descriptor.
type plannedClient struct {
	place, id, name string
	scopes          []string
}

// Realms that every server has, whether or not the file speaks of them.
const (
	realmXSRF         = "wl_antiXSRFRealm"
	realmAnonymous    = "wl_anonymousUserRealm"
	realmDisable      = "wl_remoteDisableRealm"
	realmAuthenticity = "wl_authenticityRealm"
	realmDeviceNone   = "wl_deviceNoProvisioningRealm"
	realmDeviceAuto   = "wl_deviceAutoProvisioningRealm"
	realmUpdate       = "wl_directUpdateRealm"
)

func (p *plan) make() {
	for _, s := range p.config.realms {
		if !implied(s.name) {
			p.realm(s)
		}
	}
	for _, t := range p.config.tests {
		p.test(t)
	}
	for _, s := range p.config.resources {
		p.resource(s)
	}
	if p.descriptor != nil {
		p.application()
	}
	p.versions()
	p.identities()
	p.unused()
	p.unguarded()
	p.findings.gather(p.places())
}

// places are those of everything that is written.
func (p *plan) places() map[string]bool {
	written := map[string]bool{"": true, placeSite: true}
	for _, r := range p.realms {
		written[r.place] = true
	}
	for _, t := range p.tests {
		written[t.place] = true
	}
	for _, s := range p.resources {
		written[s.place] = true
	}
	if p.client != nil {
		written[p.client.place] = true
	}
	if p.app != nil {
		written[p.app.place] = true
	}
	if p.devices != nil {
		written[p.devices.place] = true
	}
	return written
}

// implied reports whether a realm needs none here.
func implied(name string) bool {
	return slices.Contains([]string{realmXSRF, realmUpdate, realmDeviceNone}, name)
}

// defined returns the planned realm of an original name.
func (p *plan) defined(original string) *plannedRealm {
	i := slices.IndexFunc(p.realms, func(r *plannedRealm) bool { return r.place == placeOf("realm", original) })
	if i < 0 {
		return nil
	}
	return p.realms[i]
}

// use returns the name of a realm that a test asks for. One that nobody has defined is added: a predefined one as what it is,
// and any other closed.
func (p *plan) use(original string, line int) string {
	if r := p.defined(original); r != nil {
		return r.name
	}
	place := placeOf("realm", original)
	r := &plannedRealm{name: p.name("realm", original, line), place: place, seconds: usualExpiry}
	r.authenticator, r.module = of("anonymous"), of("reject_all")
	switch original {
	case realmAnonymous:
		r.module, r.seconds = guest{}, longest
		p.findings.add(Warning, line, place, "lets everybody in as nobody in particular: a test that asks for nothing else protects nothing")
	case realmDisable:
		r.authenticator, r.module = of("application"), guest{}
	case realmAuthenticity:
		p.closed(line, place, "the check that an app is the one that was published")
	case realmDeviceAuto:
		if p.devices != nil {
			r.authenticator, r.module = of("device"), guest{}
			break
		}
		p.closed(line, place, "certificates for devices on request")
	default:
		p.closed(line, place, "the realm %s, which is not defined", original)
	}
	p.realms = append(p.realms, r)
	return r.name
}

// closed reports that a realm has no equivalent and lets nobody in, so that what asks for it is closed until somebody decides.
func (p *plan) closed(line int, place, format string, args ...any) {
	p.findings.add(NoEquivalent, line, place, format+". It is closed and lets nobody in: write a realm that does it, or take "+
		"it out of the tests that name it", args...)
}

// identities decides which realms determine the user: those that the descriptor names, those that tests ask for as the user's,
// and at last the anonymous one.
func (p *plan) identities() {
	add := func(original string) {
		if r := p.defined(original); r != nil && !r.asksDevice() && !slices.Contains(p.identity, r.name) {
			p.identity = append(p.identity, r.name)
		}
	}
	if p.descriptor != nil {
		for _, name := range p.descriptor.identity {
			if p.defined(name) == nil {
				p.findings.add(Warning, 0, "", "userIdentityRealms names %s, which is no realm here", name)
			}
			add(name)
		}
	}
	for _, t := range p.config.tests {
		add(t.user)
		for _, a := range t.asks {
			if a.isUser {
				add(a.realm)
			}
		}
	}
	for _, s := range p.config.realms {
		if len(p.identity) == 0 && s.name != realmAnonymous {
			add(s.name)
		}
	}
	add(realmAnonymous)
	if p.devices != nil && len(p.identity) == 0 { // a device is nobody
		p.identity = append(p.identity, p.use(realmAnonymous, 0))
	}
}

// unused reports what nothing here asks for.
func (p *plan) unused() {
	for _, m := range p.config.modules {
		if !slices.ContainsFunc(p.config.realms, func(s *realm) bool { return s.module == m.name }) {
			p.findings.add(NoEquivalent, m.line, "", "the login module %s, which no realm uses", m.name)
		}
	}
	if len(p.config.realms) == 0 && len(p.config.tests) == 0 {
		p.findings.add(Warning, 0, "", "there is neither a realm nor a security test in the file")
	}
}
