// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import "strings"

// plannedApp is an application with its platforms, each with the identifier of the application there.
type plannedApp struct {
	place, id string
	platforms [][]string
}

// maxIdentifier bounds the identifier of an application.
const maxIdentifier = 64

// application plans the application of the descriptor: what its environments ask for its client may ask for.
func (p *plan) application() {
	d := p.descriptor
	c := &plannedClient{place: placeOf("client", d.id), id: p.name("client", d.id, 0), name: spoken(d.name)}
	p.client = c
	for _, e := range d.environments {
		if e.test == "" {
			continue
		}
		name, ok := p.names[placeOf("test", e.test)]
		if !ok {
			p.findings.add(Warning, 0, c.place, "%s names the security test %s, which is not defined", e.name, e.test)
			continue
		}
		c.scopes = appendOnce(c.scopes, name)
	}
}

// versions plans the application whose versions are asked for. Of a server without a descriptor nobody knows which one it is.
func (p *plan) versions() {
	if p.defined(realmDisable) == nil && p.devices == nil {
		return
	}
	a := &plannedApp{place: "application", id: "app"}
	p.app = a
	if p.descriptor != nil {
		p.platforms(a)
	}
	if len(a.platforms) == 0 {
		a.platforms = [][]string{{"ios", "com.example.app"}, {"android", "com.example.app"}}
		p.findings.add(FillIn, 0, a.place, "the application and its platforms, each with its identifier there")
	}
	p.findings.add(FillIn, 0, a.place, "the versions that were disabled in the console, or that people were told about: all are active here")
}

// platforms takes them from the descriptor.
func (p *plan) platforms(a *plannedApp) {
	if id := strings.ReplaceAll(wordOf(p.descriptor.id), ":", "_"); isAlphanumeric(id[0]) && len(id) <= maxIdentifier {
		a.id = id
	}
	seen := map[string]bool{}
	for _, e := range p.descriptor.environments {
		platform, identifier := e.platform(), e.identifier
		if platform == "" || seen[platform] {
			continue
		}
		seen[platform] = true
		if !isIdentifier(identifier) {
			identifier = a.id
			p.findings.add(FillIn, 0, a.place, "the identifier of the application on %s, here %s", platform, identifier)
		}
		a.platforms = append(a.platforms, []string{platform, identifier})
	}
}

func isIdentifier(text string) bool {
	return text != "" && text == wordOf(text) && len(text) <= maxIdentifier
}

func (w *writer) app(a *plannedApp) {
	w.blank()
	w.notes(a.place)
	w.open("application", a.id)
	for _, platform := range a.platforms {
		w.line(platform...)
	}
	w.close()
}
