// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
	"github.com/gatehouse-id/gatehouse/caddymodule/securitytest"
)

// words know what the names in a rule stand for.
type words struct{ app *caddymodule.App }

// Words puts a rule in words, as one line.
func Words(app *caddymodule.App, p *handlers.Protect) string {
	e := words{app}
	if p.Off {
		return "nothing: the rule is off"
	}
	asked := []string{"a bearer token"}
	if p.Session {
		asked = []string{"a bearer token or a browser login"}
	}
	scopes := p.Scopes
	if len(scopes) == 0 && len(p.AnyScope) == 0 {
		scopes = app.DefaultScope
	}
	if len(scopes) > 0 {
		asked = append(asked, "scope "+strings.Join(scopes, " and "))
	}
	if realms := e.realms(scopes); realms != "" {
		asked = append(asked, realms)
	}
	if len(p.AnyScope) > 0 {
		asked = append(asked, "one of the scopes "+strings.Join(e.choices(p.AnyScope), ", "))
	}
	if len(p.ACR) > 0 {
		asked = append(asked, "acr "+strings.Join(p.ACR, " or "))
	}
	if p.MaxAge != nil {
		asked = append(asked, "a login not older than "+time.Duration(*p.MaxAge).String())
	}
	for _, rule := range p.Details {
		asked = append(asked, "what was approved as "+rule.Type)
	}
	if p.Confirm != nil {
		asked = append(asked, "a confirmation on the phone by "+p.Confirm.Type)
	}
	for _, issuer := range p.Issuers {
		asked = append(asked, "also tokens of "+issuer.Issuer)
	}
	if p.Optional {
		asked = append(asked, "or no credential at all")
	}
	return strings.Join(asked, ", ")
}

// choices names scopes of which one is required, each with what it requires.
func (e words) choices(scopes []string) []string {
	var all []string
	for _, name := range scopes {
		if realms := e.realms([]string{name}); realms != "" {
			name += " (" + realms + ")"
		}
		all = append(all, name)
	}
	return all
}

// realms says what scopes require of people. A machine proves no realm: its scope was given to it alone.
func (e words) realms(scopes []string) string {
	var proofs []string
	add := func(name string) {
		if e.isTest(name) {
			name = "the security test " + name
		}
		if !slices.Contains(proofs, name) {
			proofs = append(proofs, name)
		}
	}
	for _, s := range e.app.Scopes {
		if slices.Contains(scopes, s.Name) {
			for _, name := range s.Realms {
				add(name)
			}
		}
	}
	for _, scope := range scopes {
		if e.isTest(scope) { // each is a scope, too
			add(scope)
		}
	}
	if len(proofs) == 0 {
		return ""
	}
	return "of people also proof of " + strings.Join(proofs, " and ")
}

func (e words) isTest(name string) bool {
	return slices.ContainsFunc(e.app.SecurityTests, func(t securitytest.Config) bool { return t.Name == name })
}

// Match puts a matcher set in words: as its JSON says it, without the punctuation.
func Match(set map[string]json.RawMessage) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		text := strings.NewReplacer(`"`, "", "[", "", "]", "", ",", " ").Replace(string(set[name]))
		words = append(words, name+" "+text)
	}
	return strings.Join(words, ", ")
}
