// SPDX-License-Identifier: Apache-2.0

package profile_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/caddymodule/profile"
)

// usual is a configuration that says as little as it can and meets both profiles.
func usual() *profile.Subject {
	return &profile.Subject{
		Idle: new(caddy.Duration), Lifetime: new(caddy.Duration),
		Realms: []profile.Realm{
			{Name: "password", MaxAge: new(caddy.Duration), AuthenticatorRaw: json.RawMessage(`{"type":"form"}`)},
			{Name: "card", MaxAge: new(caddy.Duration), AuthenticatorRaw: json.RawMessage(`{"type":"certificate"}`)},
		},
		Applications: []apps.Config{{ID: "bank", Enrollment: new(apps.Enrollment)}, {ID: "kiosk"}},
		Mobile:       &phones.Config{Config: channels.Config{Types: []channels.Type{{Name: "push_pin", Method: "push_pin"}, {Name: "code", Method: "sms"}}}},
	}
}

// TestEveryRequirement of every profile refuses what is below it, by its name, and lets what is just enough pass.
func TestEveryRequirement(t *testing.T) {
	t.Parallel()
	off, none, eleven, five := false, 0, 11, 5
	duration := func(d time.Duration) caddy.Duration { return caddy.Duration(d) }
	enrollment := func(s *profile.Subject) *apps.Enrollment { return s.Applications[0].Enrollment }
	cases := []struct {
		profile, requirement, name string
		set                        func(s *profile.Subject)
		good                       bool
	}{
		{profile.PSD2, "article 4(1)", "development", func(s *profile.Subject) { s.Development = true }, false},
		{profile.PSD2, "article 4(1)", "no pin", func(s *profile.Subject) { s.Applications[0].PIN = &apps.PIN{Required: &off} }, false},
		{profile.PSD2, "article 4(1)", "no pin where no phone is registered", func(s *profile.Subject) { s.Applications[1].PIN = &apps.PIN{Required: &off} }, true},
		{profile.PSD2, "article 4(3)(b)", "six wrong answers", func(s *profile.Subject) { s.Mobile.UserAttempts = 6 }, false},
		{profile.PSD2, "article 4(3)(b)", "five wrong answers", func(s *profile.Subject) { s.Mobile.UserAttempts = 5 }, true},
		{profile.PSD2, "article 4(3)(b)", "six to one question", func(s *profile.Subject) { s.Mobile.Attempts = 6 }, false},
		{profile.PSD2, "article 4(3)(b)", "any number for a type", func(s *profile.Subject) { s.Mobile.Types[0].Attempts = &none }, false},
		{profile.PSD2, "article 4(3)(b)", "five for a type", func(s *profile.Subject) { s.Mobile.Types[0].Attempts = &five }, true},
		{profile.PSD2, "article 4(3)(b)", "six wrong PINs", func(s *profile.Subject) { s.Applications[0].PIN = &apps.PIN{MaxAttempts: 6} }, false},
		{profile.PSD2, "article 4(3)(d)", "more than five minutes", func(s *profile.Subject) { *s.Idle = duration(5*time.Minute + 1) }, false},
		{profile.PSD2, "article 4(3)(d)", "five minutes", func(s *profile.Subject) { *s.Idle = duration(5 * time.Minute) }, true},
		{profile.PSD2, "article 9(3)", "attestation recorded", func(s *profile.Subject) { enrollment(s).Attestation = "record" }, false},
		{profile.PSD2, "article 9(3)", "attestation recorded on a platform", func(s *profile.Subject) {
			s.Applications[0].Attestation = map[string]attest.Config{"android": {Mode: "record"}}
		}, false},
		{profile.PSD2, "article 9(3)", "attestation preferred on a platform", func(s *profile.Subject) {
			s.Applications[0].Attestation = map[string]attest.Config{"android": {Mode: "preferred"}}
		}, true},
		{profile.PSD2, "article 9(3)", "attestation required", func(s *profile.Subject) { enrollment(s).Attestation = "required" }, true},
		{profile.PSD2, "article 24(2)(b)", "no quarantine", func(s *profile.Subject) { enrollment(s).Quarantine = "off" }, false},
		{profile.PSD2, "article 24(2)(b)", "all of them", func(s *profile.Subject) { enrollment(s).Quarantine = "first" }, true},
		{profile.PSD2, "article 25(2)(c)", "nothing confirmed", func(s *profile.Subject) { enrollment(s).Confirmation = "none" }, false},

		{profile.NISTAAL2, "section 2.2.1", "development", func(s *profile.Subject) { s.Development = true }, false},
		{profile.NISTAAL2, "section 2.2.1", "no pin", func(s *profile.Subject) { s.Applications[0].PIN = &apps.PIN{Required: &off} }, false},
		{profile.NISTAAL2, "section 2.2.2", "nothing resists phishing", func(s *profile.Subject) { s.Realms = s.Realms[:1] }, false},
		{profile.NISTAAL2, "section 2.2.3", "idle", func(s *profile.Subject) { *s.Idle = duration(time.Hour + 1) }, false},
		{profile.NISTAAL2, "section 2.2.3", "lifetime", func(s *profile.Subject) { *s.Lifetime = duration(24*time.Hour + 1) }, false},
		{profile.NISTAAL2, "section 2.2.3", "max_age", func(s *profile.Subject) { *s.Realms[1].MaxAge = duration(24*time.Hour + 1) }, false},
		{profile.NISTAAL2, "section 2.2.3", "just enough", func(s *profile.Subject) {
			*s.Idle, *s.Lifetime, *s.Realms[0].MaxAge = duration(time.Hour), duration(24*time.Hour), duration(24*time.Hour)
		}, true},
		{profile.NISTAAL2, "section 3.1.3.2", "five digits", func(s *profile.Subject) { s.Mobile.NumberMatch = 5 }, false},
		{profile.NISTAAL2, "section 3.1.3.2", "five at least", func(s *profile.Subject) { s.Mobile.LeastNumberMatch = 5 }, false},
		{profile.NISTAAL2, "section 3.1.3.2", "eight digits", func(s *profile.Subject) { s.Mobile.NumberMatch, s.Mobile.LeastNumberMatch = 8, 8 }, true},
		{profile.NISTAAL2, "section 3.1.3.3", "SMS alone", func(s *profile.Subject) { s.Mobile.Types = s.Mobile.Types[1:] }, false},
		{profile.NISTAAL2, "section 3.1.3.3", "no types", func(s *profile.Subject) { s.Mobile.Types = nil }, true},
		{profile.NISTAAL2, "section 3.1.3.4 and 3.2.10", "five digits of PIN", func(s *profile.Subject) { s.Applications[0].PIN = &apps.PIN{MinLength: 5} }, false},
		{profile.NISTAAL2, "section 3.1.3.4 and 3.2.10", "eleven wrong PINs", func(s *profile.Subject) { s.Applications[0].PIN = &apps.PIN{MaxAttempts: 11} }, false},
		{profile.NISTAAL2, "section 3.2.2", "eleven for a type", func(s *profile.Subject) { s.Mobile.Types[0].Attempts = &eleven }, false},
		{profile.NISTAAL2, "section 4.1", "no quarantine", func(s *profile.Subject) { enrollment(s).Quarantine = "off" }, false},
		{profile.NISTAAL2, "section 4.1", "nothing confirmed", func(s *profile.Subject) { enrollment(s).Confirmation = "none" }, false},
	}
	tested := map[string]bool{}
	for _, c := range cases {
		tested[c.profile+" "+c.requirement] = tested[c.profile+" "+c.requirement] || !c.good
		t.Run(c.profile+"/"+c.requirement+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			s := usual()
			c.set(s)
			profile.Tighten(c.profile, s)
			err := profile.Check(c.profile, s)
			var below *profile.Error
			switch {
			case c.good && err != nil:
				t.Errorf("it is enough, and refused: %v", err)
			case c.good:
			case !errors.As(err, &below) || !strings.HasSuffix(below.Requirement, c.requirement):
				t.Errorf("it is refused by %v", err)
			case !strings.Contains(err.Error(), below.Requirement) || !strings.Contains(err.Error(), c.profile):
				t.Errorf("the refusal names neither profile nor requirement: %v", err)
			}
			if err := profile.Check("", s); err != nil {
				t.Errorf("without a profile: %v", err)
			}
		})
	}
	for _, name := range profile.Names() {
		for _, requirement := range profile.Requirements(name) {
			_, row, _ := strings.Cut(requirement, ", ")
			if !tested[name+" "+row] {
				t.Errorf("nothing tests %s of %s", requirement, name)
			}
		}
	}
}

// TestRoutes: what a phone has opened ends with what opened it, and what it has nothing to do with may stay.
func TestRoutes(t *testing.T) {
	t.Parallel()
	requirement := map[string]string{profile.PSD2: "article 4(3)(d)", profile.NISTAAL2: "section 2.2.3"}
	cases := []struct {
		name  string
		route profile.Route
		names string // what the refusal names; empty where there is none
	}{
		{"a phone, closed", profile.Route{Realms: []string{"password", "phone"}}, ""},
		{"a phone, kept", profile.Route{Realms: []string{"password", "phone"}, Keeps: true}, "the realm phone"},
		{"a password, kept", profile.Route{Realms: []string{"password"}, Keeps: true}, ""},
		{"nothing, kept", profile.Route{Keeps: true}, ""},
		{"a realm that is not there, kept", profile.Route{Realms: []string{"mobile"}, Keeps: true}, ""},
		{"confirm, closed", profile.Route{Confirms: true}, ""},
		{"confirm, kept", profile.Route{Confirms: true, Keeps: true}, "confirm"},
	}
	for _, c := range cases {
		s := usual()
		s.Realms = append(s.Realms, profile.Realm{Name: "phone", MaxAge: new(caddy.Duration), AuthenticatorRaw: json.RawMessage(`{"type":"mobile","mobile_type":"push_pin"}`)})
		for _, name := range profile.Names() {
			err := profile.CheckRoute(name, s, &c.route)
			var below *profile.Error
			switch {
			case c.names == "" && err != nil, c.names != "" && !errors.As(err, &below):
				t.Errorf("%s, %s: %v", name, c.name, err)
			case c.names != "" && (!strings.HasSuffix(below.Requirement, requirement[name]) || !strings.Contains(below.Problem, "streams keep") || !strings.Contains(below.Problem, c.names)):
				t.Errorf("%s, %s: %v", name, c.name, err)
			}
		}
		if err := errors.Join(profile.CheckRoute("", s, &c.route), profile.CheckRoute("unknown", s, &c.route)); err != nil {
			t.Errorf("without a profile, %s: %v", c.name, err)
		}
	}
}

// TestTighten sets what was left open, meets the profile with it, and leaves alone what was set.
func TestTighten(t *testing.T) {
	t.Parallel()
	for _, name := range profile.Names() {
		s := usual()
		profile.Tighten(name, s)
		if err := profile.Check(name, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	psd2, nist := usual(), usual()
	profile.Tighten(profile.PSD2, psd2)
	if time.Duration(*psd2.Idle) != 5*time.Minute || psd2.Mobile.UserAttempts != 5 || psd2.Applications[0].PIN.MaxAttempts != 5 ||
		psd2.Applications[0].Enrollment.Attestation != "preferred" {
		t.Errorf("psd2 sets %v, %+v, %+v", time.Duration(*psd2.Idle), psd2.Mobile, psd2.Applications[0])
	}
	profile.Tighten(profile.NISTAAL2, nist)
	if time.Duration(*nist.Idle) != time.Hour || time.Duration(*nist.Lifetime) != 24*time.Hour || nist.Mobile.NumberMatch != 6 ||
		nist.Mobile.LeastNumberMatch != 6 || nist.Applications[0].PIN.MinLength != 6 {
		t.Errorf("nist_aal2 sets %v, %v, %+v", time.Duration(*nist.Idle), time.Duration(*nist.Lifetime), nist.Mobile)
	}
	own := usual()
	*own.Idle, own.Mobile.UserAttempts, own.Applications[0].PIN = caddy.Duration(time.Minute), 3, &apps.PIN{MaxAttempts: 3, MinLength: 8}
	profile.Tighten(profile.PSD2, own)
	if time.Duration(*own.Idle) != time.Minute || own.Mobile.UserAttempts != 3 || *own.Applications[0].PIN != (apps.PIN{MaxAttempts: 3, MinLength: 8}) {
		t.Errorf("what was set is %v, %+v now", time.Duration(*own.Idle), own.Mobile)
	}
	for _, name := range []string{"", "psd3"} {
		s := usual()
		profile.Tighten(name, s)
		if diff := cmp.Diff(usual(), s); diff != "" {
			t.Errorf("profile %q: %s", name, diff)
		}
	}
}

// TestUnknown profiles are refused, and configurations without phones are not.
func TestUnknown(t *testing.T) {
	t.Parallel()
	if err := profile.Check("psd3", usual()); err == nil || !strings.Contains(err.Error(), "nist_aal2") {
		t.Errorf("a profile that there is not: %v", err)
	}
	for _, name := range profile.Names() {
		s := usual()
		s.Mobile, s.Applications = nil, nil
		profile.Tighten(name, s)
		if err := profile.Check(name, s); err != nil || s.Mobile != nil {
			t.Errorf("%s without phones: %v", name, err)
		}
	}
}
