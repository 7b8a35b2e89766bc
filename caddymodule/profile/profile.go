// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
)

// The profiles.
const (
	// PSD2 is Delegated Regulation (EU) 2018/389 on strong customer authentication.
	PSD2 = "psd2"
	// NISTAAL2 is assurance level 2 of NIST SP 800-63B-4.
	NISTAAL2 = "nist_aal2"
)

// Subject is what a profile looks at and tightens. Everything in it is part of the configuration itself.
type Subject struct {
	Development  bool
	Idle         *caddy.Duration // of browser sessions
	Lifetime     *caddy.Duration
	Realms       []Realm
	Applications []apps.Config
	// Mobile is nil where the configuration says nothing of phones.
	Mobile *phones.Config
}

// Realm is a security check.
type Realm struct {
	Name             string
	MaxAge           *caddy.Duration
	AuthenticatorRaw json.RawMessage
}

// Route is what a rule of a protected site says.
type Route struct {
	// Realms are those that some way of meeting the rule goes through.
	Realms []string
	// Confirms tells that people approve each request on their phones.
	Confirms bool
	// Keeps tells that nothing ends a request under way.
	Keeps bool
}

// Error is a configuration that is below a requirement.
type Error struct {
	// Profile is the name of the profile, Requirement the article or section, and Problem what is wrong by the option's name.
	Profile, Requirement, Problem string
}

// Error names all three, the option first, as errors of the configuration do.
func (e *Error) Error() string {
	return fmt.Sprintf("profile %s: %s (%s)", e.Profile, e.Problem, e.Requirement)
}

// requirement is one row of a table: what it sets where nothing is set, and whether what is set then is enough.
type requirement struct {
	of      string
	tighten func(s *Subject)
	// problem returns what is below the requirement, empty for nothing.
	problem func(s *Subject) string
	// route is the same for a rule of a protected site; nil where a rule cannot fall below.
	route func(s *Subject, r *Route) string
}

// tables are the requirements that a configuration can fall below, in the order of the regulation. The others hold whatever is
// configured; the pages about the profiles name the tests.
var tables = map[string][]requirement{
	PSD2: {
		{of: rts("4(1)"), problem: all(noDevelopment, pinRequired)},
		{of: rts("4(3)(b)"), tighten: attempts(5), problem: all(userAttempts(5), typeAttempts(5), pinAttempts(5))},
		{of: rts("4(3)(d)"), tighten: session(5*time.Minute, 0), problem: idle(5 * time.Minute), route: ended},
		{of: rts("9(3)"), tighten: attestation, problem: attested},
		{of: rts("24(2)(b)"), problem: quarantined},
		{of: rts("25(2)(c)"), problem: confirmed},
	},
	NISTAAL2: {
		{of: nist("2.2.1"), problem: all(noDevelopment, pinRequired)},
		{of: nist("2.2.2"), problem: phishingResistant},
		{
			of: nist("2.2.3"), tighten: session(time.Hour, 24*time.Hour), route: ended,
			problem: all(idle(time.Hour), lifetime(24*time.Hour), maxAge(24*time.Hour)),
		},
		{of: nist("3.1.3.2"), tighten: number(6), problem: digits(6)},
		{of: nist("3.1.3.3"), problem: alternative},
		{of: nist("3.1.3.4 and 3.2.10"), tighten: pinLength(6), problem: all(pinDigits(6), pinAttempts(10))},
		{of: nist("3.2.2"), problem: typeAttempts(10)},
		{of: nist("4.1"), problem: all(quarantined, confirmed)},
	},
}

func rts(article string) string  { return "Delegated Regulation (EU) 2018/389, article " + article }
func nist(section string) string { return "NIST SP 800-63B-4, section " + section }

// Names are the profiles that there are.
func Names() []string { return []string{PSD2, NISTAAL2} }

// Requirements are those of a profile that a configuration can fall below.
func Requirements(name string) []string {
	var all []string
	for _, r := range tables[name] {
		all = append(all, r.of)
	}
	return all
}

// Tighten sets what the operator left open to what the profile asks. Without a name, or with one that does not exist, it changes
// nothing.
func Tighten(name string, s *Subject) {
	for _, r := range tables[name] {
		if r.tighten != nil {
			r.tighten(s)
		}
	}
}

// CheckRoute refuses a rule of a protected site below the profile with an [Error]. Without a name, or with one that does not exist, it
// refuses nothing.
func CheckRoute(name string, s *Subject, route *Route) error {
	for _, r := range tables[name] {
		if r.route == nil {
			continue
		}
		if problem := r.route(s, route); problem != "" {
			return &Error{Profile: name, Requirement: r.of, Problem: problem}
		}
	}
	return nil
}

// Check refuses a configuration below the profile with an [Error], and a profile that does not exist. Without a name it refuses
// nothing.
func Check(name string, s *Subject) error {
	if name == "" {
		return nil
	}
	if !slices.Contains(Names(), name) {
		return fmt.Errorf("profile %q is not known, expected one of: %v", name, Names())
	}
	for _, r := range tables[name] {
		if problem := r.problem(s); problem != "" {
			return &Error{Profile: name, Requirement: r.of, Problem: problem}
		}
	}
	return nil
}
