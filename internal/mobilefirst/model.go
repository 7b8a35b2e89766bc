// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"slices"
	"strconv"
	"strings"
)

// config is what an authenticationConfig.xml says.
type config struct {
	resources []*resource
	tests     []*test
	realms    []*realm
	modules   []*module
}

// resource is a set of URLs of the server that a test protects.
type resource struct {
	id, test string
	patterns []string
	line     int
}

// kind is one of the three kinds of security tests.
type kind string

const (
	web    kind = "webSecurityTest"
	mobile kind = "mobileSecurityTest"
	custom kind = "customSecurityTest"
)

// test is a security test.
type test struct {
	name string
	kind kind
	line int
	// Of a custom test: what it asks, in the order of its steps.
	asks []ask
	// Of the others.
	user         string // the realm of the user; empty for the default
	authenticity bool
	provisioning string // none, auto, custom; empty when the device is not spoken of
	device       string // the realm of the device
}

// ask is one realm that a custom test asks for.
type ask struct {
	realm  string
	step   int
	isUser bool
}

// realm is a realm: what collects, and the name of what verifies.
type realm struct {
	name, module string
	class        string
	parameters   []attr
	line         int
}

// module is a login module.
type module struct {
	name, class string
	parameters  []attr
	audit       bool
	expires     int // in seconds
	line        int
}

// How long a login counts where nothing is said.
const usualExpiry = 3600

// never is an expiry that lasts as long as the session.
const never = -1

// parameter returns the value of a parameter.
func parameter(all []attr, name string) string {
	for _, p := range all {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// reader turns elements into the model, and keeps what it does not know.
type reader struct {
	findings *findings
	err      error // the first
}

// readConfig reads authenticationConfig.xml.
func readConfig(file []byte, found *findings) (*config, error) {
	root, err := parse(file)
	if err != nil {
		return nil, err
	}
	if root.name != "loginConfiguration" || !slices.Contains(namespaces, root.space) {
		return nil, faulty(root.line, "its root is %s, expected loginConfiguration: it is no authenticationConfig.xml", printable(root.name))
	}
	r := &reader{findings: found}
	c := new(config)
	r.children(root, "", map[string]func(*node){
		"staticResources": func(n *node) {
			r.children(n, "", map[string]func(*node){"resource": func(n *node) { c.resources = append(c.resources, r.resource(n)) }})
		},
		"securityTests": func(n *node) {
			r.children(n, "", map[string]func(*node){
				string(web):    func(n *node) { c.tests = append(c.tests, r.common(n)) },
				string(mobile): func(n *node) { c.tests = append(c.tests, r.common(n)) },
				string(custom): func(n *node) { c.tests = append(c.tests, r.custom(n)) },
			})
		},
		"realms": func(n *node) {
			r.children(n, "", map[string]func(*node){"realm": func(n *node) { c.realms = append(c.realms, r.realm(n)) }})
		},
		"loginModules": func(n *node) {
			r.children(n, "", map[string]func(*node){"loginModule": func(n *node) { c.modules = append(c.modules, r.module(n)) }})
		},
	})
	r.twice(c)
	return c, r.err
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// children reads the children of an element by their names, and reports the others.
func (r *reader) children(n *node, place string, known map[string]func(*node)) {
	for _, c := range n.children {
		read, ok := known[c.name]
		if !ok || !slices.Contains(namespaces, c.space) {
			r.findings.add(NoEquivalent, c.line, place, "the element %s", c.name)
			continue
		}
		read(c)
	}
}

// attributes reports those that are not known.
func (r *reader) attributes(n *node, place string, known ...string) {
	for _, a := range n.attrs {
		if !slices.Contains(known, a.name) {
			r.findings.add(NoEquivalent, n.line, place, "the attribute %s of %s", a.name, n.name)
		}
	}
}

// required returns an attribute that has to be there.
func (r *reader) required(n *node, name string) string {
	value := n.attr(name)
	if value == "" {
		r.fail(faulty(n.line, "%s has no %s", n.name, name))
	}
	return value
}

// flag reads an attribute that is true or false.
func (r *reader) flag(n *node, name string) bool {
	switch value := n.attr(name); value {
	case "true", "1":
		return true
	case "", "false", "0":
	default:
		r.fail(faulty(n.line, "%s of %s is %s, expected true or false", name, n.name, printable(value)))
	}
	return false
}

func (r *reader) resource(n *node) *resource {
	s := &resource{id: r.required(n, "id"), test: r.required(n, "securityTest"), line: n.line}
	place := placeOf("resource", s.id)
	r.attributes(n, place, "id", "securityTest")
	r.children(n, place, map[string]func(*node){"urlPatterns": func(n *node) {
		s.patterns = append(s.patterns, strings.FieldsFunc(n.text, func(c rune) bool { return strings.ContainsRune(";, \t\r\n", c) })...)
	}})
	if len(s.patterns) == 0 {
		r.fail(faulty(n.line, "the resource %s has no urlPatterns", printable(s.id)))
	}
	return s
}

// common reads a test for web or mobile applications.
func (r *reader) common(n *node) *test {
	t := &test{name: r.required(n, "name"), kind: kind(n.name), line: n.line}
	place := placeOf("test", t.name)
	r.attributes(n, place, "name")
	known := map[string]func(*node){
		"testUser": func(n *node) {
			r.attributes(n, place, "realm")
			t.user = r.required(n, "realm")
		},
		"testDirectUpdate": func(*node) {}, // a way to bring updates, and no check
	}
	if t.kind == mobile {
		known["testAppAuthenticity"] = func(*node) { t.authenticity = true }
		known["testDeviceId"] = func(n *node) {
			r.attributes(n, place, "provisioningType", "realm")
			t.provisioning, t.device = r.required(n, "provisioningType"), n.attr("realm")
			if !slices.Contains([]string{"none", "auto", "custom"}, t.provisioning) {
				r.fail(faulty(n.line, "provisioningType is %s, expected none, auto or custom", printable(t.provisioning)))
			}
		}
	}
	r.children(n, place, known)
	return t
}

func (r *reader) custom(n *node) *test {
	t := &test{name: r.required(n, "name"), kind: custom, line: n.line}
	place := placeOf("test", t.name)
	r.attributes(n, place, "name")
	r.children(n, place, map[string]func(*node){"test": func(n *node) {
		r.attributes(n, place, "realm", "step", "isInternalUserID", "isInternalDeviceID")
		a := ask{realm: r.required(n, "realm"), step: 1, isUser: r.flag(n, "isInternalUserID")}
		if text := n.attr("step"); text != "" {
			step, err := strconv.Atoi(text)
			if err != nil || step < 0 {
				r.fail(faulty(n.line, "step is %s, expected a number", printable(text)))
			}
			a.step = step
		}
		t.asks = append(t.asks, a)
	}})
	slices.SortStableFunc(t.asks, func(a, b ask) int { return a.step - b.step })
	return t
}

func (r *reader) realm(n *node) *realm {
	s := &realm{name: r.required(n, "name"), module: n.attr("loginModule"), line: n.line}
	place := placeOf("realm", s.name)
	r.attributes(n, place, "name", "loginModule")
	r.children(n, place, map[string]func(*node){
		"className":  func(n *node) { s.class = strings.TrimSpace(n.text) },
		"parameter":  func(n *node) { s.parameters = append(s.parameters, attr{r.required(n, "name"), n.attr("value")}) },
		"onLoginUrl": func(*node) {}, // where people go afterwards: the application says that itself now
	})
	if s.class == "" {
		r.fail(faulty(n.line, "the realm %s has no className", printable(s.name)))
	}
	return s
}

func (r *reader) module(n *node) *module {
	m := &module{name: r.required(n, "name"), audit: r.flag(n, "audit"), expires: usualExpiry, line: n.line}
	place := placeOf("module", m.name)
	r.attributes(n, place, "name", "audit", "expirationInSeconds", "canBeResourceLogin", "isIdentityAssociationKey")
	if text := n.attr("expirationInSeconds"); text != "" {
		expires, err := strconv.Atoi(text)
		if err != nil || expires < never || expires == 0 {
			r.fail(faulty(n.line, "expirationInSeconds is %s, expected a number of seconds or -1", printable(text)))
		}
		m.expires = expires
	}
	r.children(n, place, map[string]func(*node){
		"className": func(n *node) { m.class = strings.TrimSpace(n.text) },
		"parameter": func(n *node) { m.parameters = append(m.parameters, attr{r.required(n, "name"), n.attr("value")}) },
	})
	if m.class == "" {
		r.fail(faulty(n.line, "the login module %s has no className", printable(m.name)))
	}
	return m
}

// twice refuses names that are not unique: which of two is meant nobody can tell.
func (r *reader) twice(c *config) {
	seen := map[string]bool{}
	once := func(what, name string, line int) {
		if seen[what+"\n"+name] {
			r.fail(faulty(line, "the %s %s is defined twice", what, printable(name)))
		}
		seen[what+"\n"+name] = true
	}
	for _, s := range c.resources {
		once("resource", s.id, s.line)
	}
	for _, t := range c.tests {
		once("security test", t.name, t.line)
	}
	for _, s := range c.realms {
		once("realm", s.name, s.line)
	}
	for _, m := range c.modules {
		once("login module", m.name, m.line)
	}
}
