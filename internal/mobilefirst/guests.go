// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"slices"
	"strings"
)

// longest is how long a login counts at most: as long as a session, in seconds.
const longest = 7 * 24 * 60 * 60

// shipped returns the plain name of a class that came with the product, and nothing for one that somebody wrote.
func shipped(class string) string {
	if !strings.HasPrefix(class, "com.worklight.") {
		return ""
	}
	return class[strings.LastIndex(class, ".")+1:]
}

// realm plans a realm of the file.
func (p *plan) realm(s *realm) {
	place := placeOf("realm", s.name)
	r := &plannedRealm{name: p.name("realm", s.name, s.line), place: place, seconds: usualExpiry}
	p.realms = append(p.realms, r)
	p.keystores(s.parameters, s.line, place)
	i := slices.IndexFunc(p.config.modules, func(m *module) bool { return m.name == s.module })
	m := &module{line: s.line, expires: usualExpiry}
	if i >= 0 {
		m = p.config.modules[i]
		r.moduleName, r.audit = m.name, m.audit
		p.keystores(m.parameters, m.line, place)
		p.findings.copy(placeOf("module", m.name), place)
	}
	r.seconds = p.expiry(m, place)
	p.guests(s, m, r)
}

// expiry returns how long a login counts, in seconds.
func (p *plan) expiry(m *module, place string) int {
	switch {
	case m.expires == never:
		p.findings.add(Warning, m.line, place, "the login never expired: it counts as long as a session lasts at most, which is 7 days")
		return longest
	case m.expires > longest:
		p.findings.add(Warning, m.line, place, "the login counted for %d seconds: it counts as long as a session lasts at most, which is 7 days", m.expires)
		return longest
	}
	return m.expires
}

// keystores warns of certificate authorities that everybody has the keys of.
func (p *plan) keystores(parameters []attr, line int, place string) {
	for _, a := range parameters {
		name := strings.ToLower(a.name)
		if !strings.HasPrefix(name, "wl.ca.") && !strings.Contains(name, "keystore") {
			continue
		}
		value := strings.ToLower(a.value)
		if strings.Contains(value, "worklight") || strings.Contains(value, "default") || value == "" {
			p.findings.add(Warning, line, place,
				"%s looks like the keystore that was shipped: everybody has its keys, so what it signed proves nothing", a.name)
		}
	}
}

// guests decides what collects and what verifies.
func (p *plan) guests(s *realm, m *module, r *plannedRealm) {
	if p.deviceRealm(s, m, r) {
		return
	}
	r.authenticator, r.module = of("form"), p.module(s, m, r.place)
	class := shipped(s.class)
	var known []string
	switch class {
	case "FormBasedAuthenticator":
		known = append(known, "login-page", "error-page", "auth-redirect")
		p.pages(s, r.place)
	case "BasicAuthenticator":
		r.authenticator = of("basic")
		known = append(known, "basic-realm-name")
	case "AdapterAuthenticator":
		known = append(known, "login-function", "logout-function")
		r.authenticator, r.module = p.adapter(s, r.place)
	case "HeaderAuthenticator":
		r.authenticator = p.header(m, r)
	case "WebSphereFormBasedAuthenticator":
		known = append(known, "login-page", "error-page", "cookie-domain", "cookie-name", "httponly-cookie")
	case "PersistentCookieAuthenticator":
		r.authenticator, r.module, r.seconds = of("anonymous"), guest{}, longest
		p.findings.add(Warning, s.line, r.place, "lets everybody in as nobody in particular")
	case "":
		p.shut(s, r, "the authenticator %s, which is your own: docs/custom-realms.md says how to write one", s.class)
	default:
		p.shut(s, r, "the authenticator %s", class)
	}
	if slices.Equal(r.module.words, []string{"ltpa"}) {
		r.authenticator = p.cookie(s)
	}
	p.unread(s.parameters, known, s.line, r.place)
}

// shut closes a realm whose authenticator has no equivalent.
func (p *plan) shut(s *realm, r *plannedRealm, format, class string) {
	p.closed(s.line, r.place, format, class)
	r.authenticator, r.module = of("anonymous"), of("reject_all")
}

// unread reports parameters that nothing was made of, by their names: a value may be a secret.
func (p *plan) unread(parameters []attr, known []string, line int, place string) {
	for _, a := range parameters {
		keystore := strings.HasPrefix(a.name, "wl.ca.")
		if !keystore && !slices.Contains(known, a.name) {
			p.findings.add(NoEquivalent, line, place, "the parameter %s", a.name)
		}
	}
}

func (p *plan) pages(s *realm, place string) {
	if parameter(s.parameters, "login-page") != "" || parameter(s.parameters, "error-page") != "" {
		p.findings.add(Warning, s.line, place, "its own login and error pages are not carried over: the option theme takes templates")
	}
}

// module returns what verifies.
func (p *plan) module(s *realm, m *module, place string) guest {
	if m.name == "" {
		p.findings.add(NoEquivalent, s.line, place, "the login module %q, which is not defined: it lets nobody in", s.module)
		return of("reject_all")
	}
	class := shipped(m.class)
	known := knownParameters[class]
	verifies := of("reject_all")
	switch class {
	case "RejectingLoginModule":
	case "NonValidatingLoginModule", "StrongDummyLoginModule":
		verifies = p.unverified(s, m, place)
	case "SingleIdentityLoginModule":
		verifies = p.single(m, place)
	case "HeaderLoginModule":
		verifies = p.headerModule(s, m, place)
	case "WASLTPAModule", "WebSphereLoginModule":
		verifies = p.ltpa(m, place)
	case "LdapLoginModule", "LDAPLoginModule":
		verifies = p.ldap(m, place)
	case "RDBMSLoginModule", "RdbmsLoginModule":
		verifies = p.database(m, place)
	case "":
		p.findings.add(NoEquivalent, m.line, place, "the login module %s, which is your own: docs/custom-realms.md says how to "+
			"write one. Until then it lets nobody in", m.class)
		return verifies
	default:
		p.findings.add(NoEquivalent, m.line, place, "the login module %s: it lets nobody in", class)
	}
	p.unread(m.parameters, known, m.line, place)
	return verifies
}

// knownParameters are those of login modules that something is made of, or that mean nothing here.
var knownParameters = map[string][]string{
	"HeaderLoginModule": {"user-name-header", "display-name-header"},
	"LdapLoginModule": {
		"ldapProviderUrl", "ldapTimeoutMs", "ldapSecurityAuthentication", "validationType", "ldapSecurityPrincipalPattern",
		"ldapSearchFilterPattern", "ldapSearchBase",
	},
	"LDAPLoginModule": {
		"ldapProviderUrl", "ldapTimeoutMs", "ldapSecurityAuthentication", "validationType", "ldapSecurityPrincipalPattern",
		"ldapSearchFilterPattern", "ldapSearchBase",
	},
	"RDBMSLoginModule": {"dsJndiName", "principalsQuery"},
	"RdbmsLoginModule": {"dsJndiName", "principalsQuery"},
}

// unverified is what becomes of a login module that believes whatever it is told. Behind an adapter it only keeps what the back
// end has judged.
func (p *plan) unverified(s *realm, m *module, place string) guest {
	if shipped(s.class) == "AdapterAuthenticator" {
		return guest{}
	}
	const what = "the login module %s lets everybody in as whoever they say they are"
	if !p.options.Development {
		p.findings.add(Warning, m.line, place, what+". Here it lets nobody in: name one that verifies, such as identity_store", m.name)
		return of("reject_all")
	}
	p.findings.add(Warning, m.line, place, what+": for development only", m.name)
	return of("non_validating")
}

func (p *plan) single(m *module, place string) guest {
	const what = "the login module %s lets everybody in as one user"
	if !p.options.Development {
		p.findings.add(Warning, m.line, place, what+". Here it lets nobody in: name one that verifies, such as identity_store", m.name)
		return of("reject_all")
	}
	p.findings.add(Warning, m.line, place, what+": for development only", m.name)
	return of("single_identity", "demo")
}
