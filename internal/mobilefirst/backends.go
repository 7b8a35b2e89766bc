// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import "strings"

// usualField carries who it is where nobody says which field does.
const usualField = "X-Remote-User"

// field returns a parameter that names a header field; ok tells that it is one.
func field(m *module, name string) (text string, ok bool) {
	text = parameter(m.parameters, name)
	return text, isField(text)
}

// header plans the authenticator that reads who it is from a header field.
func (p *plan) header(m *module, r *plannedRealm) guest {
	p.findings.add(FillIn, m.line, r.place, "the header counts only on connections of proxies that the global option "+
		"servers, trusted_proxies, names; the proxy has to remove it from all other requests")
	name, ok := field(m, "user-name-header")
	if !ok {
		name = usualField
		p.findings.add(FillIn, m.line, r.place, "the header field that says who it is, here %s", name)
	}
	collects := of("header", name)
	if display, ok := field(m, "display-name-header"); ok && !strings.EqualFold(display, name) {
		collects.options = [][]string{{"also", display}}
	}
	return collects
}

// headerModule plans the login module that makes a user of what the header says.
func (p *plan) headerModule(s *realm, m *module, place string) guest {
	if shipped(s.class) != "HeaderAuthenticator" {
		p.findings.add(Warning, m.line, place, "the login module %s believes a header that the authenticator does not read: it lets nobody in", m.name)
		return of("reject_all")
	}
	verifies := of("header")
	if display, ok := field(m, "display-name-header"); ok {
		verifies.options = [][]string{{"name", display}}
	}
	return verifies
}

// Files and variables that the Caddyfile names.
const (
	ltpaKeys     = "/etc/gatehouse/ltpa.keys"
	ltpaPassword = "{env.LTPA_PASSWORD}"
	usersDSN     = "{env.USERS_DSN}"
)

// cookie plans the authenticator that finds the token of WebSphere.
func (p *plan) cookie(s *realm) guest {
	collects := of("ltpa")
	name := parameter(s.parameters, "cookie-name")
	if isField(name) && name != "LtpaToken2" && name != "LtpaToken" {
		collects.options = [][]string{{"cookie", name}}
	}
	return collects
}

func (p *plan) ltpa(m *module, place string) guest {
	p.findings.add(Warning, m.line, place, "people log in at WebSphere, and its LtpaToken2 is read here; no form of ours asks for "+
		"its passwords. To have one, point the login module ldap at its registry")
	p.findings.add(FillIn, m.line, place, "the key file that WebSphere exports, its password in LTPA_PASSWORD, and the realm of its users")
	return guest{words: []string{"ltpa"}, options: [][]string{
		{"key_file", ltpaKeys}, {"password", ltpaPassword}, {"realms", "defaultRealm"},
	}}
}

// database plans the login module that reads a users table. The query cannot be carried over: here its columns have meanings
// by their names.
func (p *plan) database(m *module, place string) guest {
	p.findings.add(FillIn, m.line, place, "the driver, and where the database is, in USERS_DSN: the data source was %s",
		parameter(m.parameters, "dsJndiName"))
	p.findings.add(FillIn, m.line, place, "the query, which returns the columns id and password of the login name $1; it was: %s",
		parameter(m.parameters, "principalsQuery"))
	return guest{words: []string{"database"}, options: [][]string{
		{"driver", "postgres"}, {"dsn", usersDSN}, {"query", "SELECT id, password, name FROM users WHERE login = $1"},
	}}
}

// adapter plans a realm whose back end asks and judges. What the adapter's functions did, a service has to do that is called by
// HTTP; its address is one where there is none.
func (p *plan) adapter(s *realm, place string) (authenticator, module guest) {
	p.findings.add(FillIn, s.line, place, "the address of a service that asks and judges as %s did",
		parameter(s.parameters, "login-function"))
	if parameter(s.parameters, "logout-function") != "" {
		p.findings.add(NoEquivalent, s.line, place, "the parameter logout-function: the service is not told of logouts")
	}
	return of("adapter", "https://adapter.example.com/"), guest{}
}
