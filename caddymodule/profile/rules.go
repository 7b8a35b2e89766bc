// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
)

// problem is a rule: what of a configuration is below it, empty for nothing.
type problem = func(s *Subject) string

// all is the first problem of several.
func all(problems ...problem) problem {
	return func(s *Subject) string {
		for _, p := range problems {
			if text := p(s); text != "" {
				return text
			}
		}
		return ""
	}
}

// Two elements, and none that is not one.

func noDevelopment(s *Subject) string {
	if s.Development {
		return "development is on: realms that prove nothing would let people in"
	}
	return ""
}

// enrolling is the first problem of an application whose phones are registered.
func enrolling(of func(a *apps.Config) string) problem {
	return func(s *Subject) string {
		for i := range s.Applications {
			a := &s.Applications[i]
			if a.Enrollment == nil {
				continue
			}
			if text := of(a); text != "" {
				return fmt.Sprintf("application %q: %s", a.ID, text)
			}
		}
		return ""
	}
}

var pinRequired = enrolling(func(a *apps.Config) string {
	if a.PIN != nil && a.PIN.Required != nil && !*a.PIN.Required {
		return "pin required is off: the phone alone would be one element"
	}
	return ""
})

// Guesses.

func attempts(most int) func(s *Subject) {
	return func(s *Subject) {
		if s.Mobile != nil && s.Mobile.UserAttempts == 0 {
			s.Mobile.UserAttempts = most
		}
		eachPIN(s, func(p *apps.PIN) {
			if p.MaxAttempts == 0 {
				p.MaxAttempts = most
			}
		})
	}
}

func userAttempts(most int) problem {
	return func(s *Subject) string {
		if s.Mobile != nil && s.Mobile.UserAttempts > most {
			return fmt.Sprintf("mobile attempts: %d wrong answers per user are more than %d", s.Mobile.UserAttempts, most)
		}
		return ""
	}
}

func typeAttempts(most int) problem {
	return func(s *Subject) string {
		if s.Mobile == nil {
			return ""
		}
		if s.Mobile.Attempts > most {
			return fmt.Sprintf("mobile attempts: %d wrong answers are more than %d", s.Mobile.Attempts, most)
		}
		for _, t := range s.Mobile.Types {
			if t.Attempts != nil && (*t.Attempts == 0 || *t.Attempts > most) {
				return fmt.Sprintf("mobile type %s: attempts are not limited to %d", t.Name, most)
			}
		}
		return ""
	}
}

func eachPIN(s *Subject, do func(p *apps.PIN)) {
	for i := range s.Applications {
		a := &s.Applications[i]
		if a.Enrollment == nil {
			continue
		}
		if a.PIN == nil {
			a.PIN = new(apps.PIN)
		}
		do(a.PIN)
	}
}

func pinAttempts(most int) problem {
	return enrolling(func(a *apps.Config) string {
		if a.PIN != nil && a.PIN.MaxAttempts > most {
			return fmt.Sprintf("pin max_attempts %d is more than %d", a.PIN.MaxAttempts, most)
		}
		return ""
	})
}

func pinLength(least int) func(s *Subject) {
	return func(s *Subject) {
		eachPIN(s, func(p *apps.PIN) {
			if p.MinLength == 0 {
				p.MinLength = least
			}
		})
	}
}

func pinDigits(least int) problem {
	return enrolling(func(a *apps.Config) string {
		if a.PIN != nil && a.PIN.MinLength != 0 && a.PIN.MinLength < least {
			return fmt.Sprintf("pin min_length %d is less than %d", a.PIN.MinLength, least)
		}
		return ""
	})
}

// Sessions.

// session sets how long sessions last where nothing says so; zero leaves it.
func session(idle, lifetime time.Duration) func(s *Subject) {
	return func(s *Subject) {
		if *s.Idle == 0 && idle > 0 {
			*s.Idle = caddy.Duration(idle)
		}
		if *s.Lifetime == 0 && lifetime > 0 {
			*s.Lifetime = caddy.Duration(lifetime)
		}
	}
}

func idle(most time.Duration) problem {
	return func(s *Subject) string {
		if time.Duration(*s.Idle) > most {
			return fmt.Sprintf("sessions idle %v is more than %v", time.Duration(*s.Idle), most)
		}
		return ""
	}
}

func lifetime(most time.Duration) problem {
	return func(s *Subject) string {
		if time.Duration(*s.Lifetime) > most {
			return fmt.Sprintf("sessions lifetime %v is more than %v", time.Duration(*s.Lifetime), most)
		}
		return ""
	}
}

func maxAge(most time.Duration) problem {
	return func(s *Subject) string {
		for _, r := range s.Realms {
			if time.Duration(*r.MaxAge) > most {
				return fmt.Sprintf("realm %s: max_age %v is more than %v", r.Name, time.Duration(*r.MaxAge), most)
			}
		}
		return ""
	}
}

// Phones.

// number has so many digits typed, and lets nobody ask for fewer.
func number(n int) func(s *Subject) {
	return func(s *Subject) {
		if s.Mobile == nil {
			return
		}
		if s.Mobile.NumberMatch == 0 {
			s.Mobile.NumberMatch = max(n, s.Mobile.LeastNumberMatch)
		}
		if s.Mobile.LeastNumberMatch == 0 {
			s.Mobile.LeastNumberMatch = n
		}
	}
}

func digits(least int) problem {
	return func(s *Subject) string {
		if m := s.Mobile; m != nil && min(m.NumberMatch, m.LeastNumberMatch) < least {
			return fmt.Sprintf("mobile number_match: %d digits, and %d at least, where %d are asked for", m.NumberMatch, m.LeastNumberMatch, least)
		}
		return ""
	}
}

func attestation(s *Subject) {
	for i := range s.Applications {
		if e := s.Applications[i].Enrollment; e != nil && e.Attestation == "" {
			e.Attestation = "preferred"
		}
	}
}

var attested = enrolling(func(a *apps.Config) string {
	const let = "attestation is only recorded: a phone that was altered would be let in"
	if a.Enrollment.Attestation == "record" {
		return "enrollment " + let
	}
	for _, platform := range slices.Sorted(maps.Keys(a.Attestation)) {
		if a.Attestation[platform].Mode == "record" {
			return platform + " " + let
		}
	}
	return ""
})

var quarantined = enrolling(func(a *apps.Config) string {
	if a.Enrollment.Quarantine == "off" {
		return "enrollment quarantine is off: a password alone would add a phone"
	}
	return ""
})

var confirmed = enrolling(func(a *apps.Config) string {
	if a.Enrollment.Confirmation == "none" {
		return "enrollment confirmation is none: whoever intercepts a code would register a phone"
	}
	return ""
})

// alternative wants another way beside messages.
func alternative(s *Subject) string {
	if s.Mobile == nil || len(s.Mobile.Types) == 0 {
		return ""
	}
	for _, t := range s.Mobile.Types {
		if t.Method != "sms" {
			return ""
		}
	}
	return "mobile types: all of them send a code over SMS, which is restricted: offer another beside it"
}

// phishingResistant wants a realm that is bound to the channel or to the name of the server.
func phishingResistant(s *Subject) string {
	if slices.ContainsFunc(s.Realms, func(r Realm) bool { return r.by("certificate", "webauthn") }) {
		return ""
	}
	return "realm: none resists phishing: offer one with the authenticator certificate"
}

// by reports whether a realm collects by one of some authenticators.
func (r *Realm) by(authenticators ...string) bool {
	var a struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(r.AuthenticatorRaw, &a) == nil && slices.Contains(authenticators, a.Type)
}

// Routes.

// ended wants what a phone has opened to end when the session or the assurance does.
func ended(s *Subject, r *Route) string {
	if !r.Keeps {
		return ""
	}
	const outlives = "a request under way would outlive the approval of a phone and its session: take close or revoked"
	if r.Confirms {
		return "streams keep beside confirm: " + outlives
	}
	for i := range s.Realms {
		if realm := &s.Realms[i]; realm.by(phones.Authenticator) && slices.Contains(r.Realms, realm.Name) {
			return fmt.Sprintf("streams keep with the realm %s: %s", realm.Name, outlives)
		}
	}
	return ""
}
