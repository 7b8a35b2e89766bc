// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"strconv"
	"strings"
)

// write returns the Caddyfile, as "caddy fmt" would write it.
func (p *plan) write() []byte {
	w := &writer{findings: p.findings}
	made := "mobilefirst"
	if p.devices != nil {
		made = "worklight"
	}
	w.comment("Made by \"gatehouse import " + made + "\". Go through what the comments say before you use it.")
	w.notes("")
	w.open()
	w.open("gatehouse")
	w.line("issuer", p.options.Issuer)
	if p.options.Development && p.unverifiedStands() {
		w.line("development", "on")
	}
	for _, r := range p.realms {
		w.realm(r)
	}
	if len(p.identity) > 0 {
		w.blank()
		w.line(append([]string{"user_identity"}, p.identity...)...)
	}
	for _, t := range p.tests {
		w.test(t)
	}
	if p.app != nil {
		w.app(p.app)
	}
	if p.devices != nil {
		w.deviceBlock(p.devices, p.app.id)
	}
	if p.client != nil {
		w.client(p.client)
	}
	w.close()
	w.close()
	w.blank()
	w.open(p.options.Issuer)
	w.line("authorization_server")
	w.close()
	if len(p.resources) > 0 {
		w.site(p.options.Site, p.resources)
	}
	return []byte(w.text.String())
}

func (p *plan) unverifiedStands() bool {
	for _, r := range p.realms {
		if len(r.module.words) > 0 && (r.module.words[0] == "non_validating" || r.module.words[0] == "single_identity") {
			return true
		}
	}
	return false
}

// writer writes a Caddyfile.
type writer struct {
	text     strings.Builder
	depth    int
	findings *findings
}

func (w *writer) indent() { w.text.WriteString(strings.Repeat("\t", w.depth)) }

func (w *writer) blank() { w.text.WriteString("\n") }

// line writes words. Each is a token, whatever is in it.
func (w *writer) line(words ...string) {
	w.indent()
	w.words(words)
	w.blank()
}

func (w *writer) words(words []string) {
	for i, word := range words {
		if i > 0 {
			w.text.WriteString(" ")
		}
		w.text.WriteString(quoted(word))
	}
}

func (w *writer) open(words ...string) {
	w.indent()
	w.words(words)
	if len(words) > 0 {
		w.text.WriteString(" ")
	}
	w.text.WriteString("{\n")
	w.depth++
}

func (w *writer) close() {
	w.depth--
	w.line("}")
}

// quoted returns a word as one token of a Caddyfile. What is written never holds a quote of both kinds.
func quoted(word string) string {
	switch {
	case word != "" && !strings.ContainsAny(word, " \t\"`\\") && word[0] != '#' && word[0] != '<':
		return word
	case strings.ContainsAny(word, "\"\\"):
		return "`" + word + "`"
	}
	return `"` + word + `"`
}

// width is how long a comment gets.
const width = 110

func (w *writer) comment(text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != "#" {
			w.indent()
			w.text.WriteString(line + "\n")
			line = "#  "
		}
		line += " " + word
	}
	w.indent()
	w.text.WriteString(line + "\n")
}

// notes writes the findings of a place.
func (w *writer) notes(place string) {
	for _, f := range w.findings.at(place) {
		w.comment(f.String())
	}
}

func (w *writer) realm(r *plannedRealm) {
	w.blank()
	w.notes(r.place)
	w.open("realm", r.name)
	w.guest("authenticator", r.authenticator)
	if len(r.module.words) > 0 {
		if r.moduleName != "" {
			w.comment(printable(r.moduleName))
		}
		w.guest("login_module", r.module)
	}
	w.line("max_age", age(r.seconds))
	if r.audit {
		w.line("audit")
	}
	w.close()
}

func (w *writer) guest(option string, g guest) {
	words := append([]string{option}, g.words...)
	if len(g.options) == 0 {
		w.line(words...)
		return
	}
	w.open(words...)
	for _, option := range g.options {
		w.line(option...)
	}
	w.close()
}

func (w *writer) test(t *plannedTest) {
	w.blank()
	w.notes(t.place)
	switch t.kind {
	case "web":
		w.open("security_test", t.name, "web")
		w.line("user", t.user)
	case "mobile":
		w.open("security_test", t.name, "mobile")
		if t.device != "" {
			w.line("device", t.device)
		}
		w.line("user", t.user)
	default:
		w.open("security_test", t.name)
		for _, step := range t.steps {
			w.line(append([]string{"step"}, step...)...)
		}
	}
	w.close()
}

// age writes seconds as people do: in the largest unit that leaves no rest.
func age(seconds int) string {
	for _, unit := range []struct {
		name string
		size int
	}{{"d", 24 * 60 * 60}, {"h", 60 * 60}, {"m", 60}} {
		if seconds%unit.size == 0 {
			return strconv.Itoa(seconds/unit.size) + unit.name
		}
	}
	return strconv.Itoa(seconds) + "s"
}

func (w *writer) client(c *plannedClient) {
	w.blank()
	w.notes(c.place)
	w.open("client", c.id)
	w.line("name", c.name)
	w.line("native")
	w.line("first_party")
	w.line("grants", "authorization_code", "refresh_token")
	w.line(append([]string{"scopes", "openid", "offline_access"}, c.scopes...)...)
	w.close()
}

// spoken returns a text that people read as one token.
func spoken(text string) string {
	return strings.NewReplacer(`"`, "'", "`", "'", `\`, "/").Replace(printable(text))
}

func appendOnce(to []string, word string) []string {
	for _, known := range to {
		if known == word {
			return to
		}
	}
	return append(to, word)
}

// site writes the static resources, each as a rule for its paths.
func (w *writer) site(address string, resources []*plannedResource) {
	w.blank()
	w.open(address)
	for _, s := range resources {
		w.notes(s.place)
		w.line(append([]string{s.matcher, "path"}, s.paths...)...)
		w.open("protect", s.matcher, s.test)
		w.line("session", "on")
		w.close()
		w.blank()
	}
	w.notes(placeSite)
	w.comment(string(FillIn) + ": the server that has the resources")
	w.line("reverse_proxy", "localhost:10080")
	w.close()
}
