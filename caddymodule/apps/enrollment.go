// SPDX-License-Identifier: Apache-2.0

package apps

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
)

// Enrollment says how phones with an app are registered. An app without it registers none.
type Enrollment struct {
	// Whether phones may say where notices reach them. Default: true.
	Push *bool `json:"push,omitempty"`
	// How many phones with this app a user may have: single (a second one is refused), override (a new one takes the place of
	// the others) or multiple. Default: multiple.
	PushMode string `json:"push_mode,omitempty"`
	// Whether the server has an encryption key for each phone alone.
	UniqueKeys bool `json:"unique_keys,omitempty"`
	// What confirms a registration: digits (those that the phone shows are typed where the registration began) or none.
	// Default: digits.
	Confirmation string `json:"confirmation,omitempty"`
	// How messages are encrypted: jose or openpgp. Default: jose.
	Encryption string `json:"encryption,omitempty"`
	// What is asked of attestations: required, preferred or record. Default: record.
	Attestation string `json:"attestation,omitempty"`
	// Which phones wait until somebody vouches for them: on (those of a user who has one), first (all of them) or off.
	// Default: on.
	Quarantine string `json:"quarantine,omitempty"`
	// Whether a phone may invite another in its place. Default: true.
	Transfer *bool `json:"transfer,omitempty"`
	// Whether a recovery code lets a phone in without anybody else vouching for it.
	Recovery bool `json:"recovery,omitempty"`
	// Whether a fingerprint or a face may be registered beside the PIN. Default: true.
	Biometric *bool `json:"biometric,omitempty"`
	// The names of the app's own factors.
	Custom []string `json:"custom,omitempty"`
}

// PIN says what an app asks of PINs.
type PIN struct {
	// Whether there has to be one. Default: true.
	Required *bool `json:"required,omitempty"`
	// Its least length, 4 to 32 digits, which the app keeps to. Default: 6.
	MinLength int `json:"min_length,omitempty"`
	// How many wrong answers in a row disconnect a phone, 1 to 10. Default: 5.
	MaxAttempts int `json:"max_attempts,omitempty"`
}

// Policy returns what an app asks of the registration of phones, or that it registers none.
func (c *Config) Policy() (p enrolment.Policy, registers bool, err error) {
	if c.Enrollment == nil {
		return enrolment.Policy{}, false, nil
	}
	e := c.Enrollment
	p = enrolment.DefaultPolicy()
	p.PushMode, p.Confirmation, p.Encryption = enrolment.Mode(e.PushMode), e.Confirmation, e.Encryption
	p.Attestation, p.UniqueKeys, p.Recovery, p.Custom = e.Attestation, e.UniqueKeys, e.Recovery, e.Custom
	set(&p.Push, e.Push)
	set(&p.Transfer, e.Transfer)
	set(&p.Biometric, e.Biometric)
	if c.PIN != nil {
		set(&p.PIN.Required, c.PIN.Required)
		p.PIN.MinLength, p.PIN.MaxAttempts = c.PIN.MinLength, c.PIN.MaxAttempts
	}
	switch e.Quarantine {
	case "", "on":
	case "first":
		p.QuarantineFirst = true
	case "off":
		p.Quarantine = false
	default:
		return enrolment.Policy{}, false, fmt.Errorf("application %q: quarantine is on, first or off", c.ID)
	}
	for platform, a := range c.Attestation {
		if p.AttestationOn == nil {
			p.AttestationOn = map[string]enrolment.AttestationRule{}
		}
		p.AttestationOn[platform] = a.Rule()
	}
	if p, err = p.Normalize(); err != nil {
		return enrolment.Policy{}, false, fmt.Errorf("application %q: enrollment: %w", c.ID, err)
	}
	return p, true, nil
}

func set(into *bool, value *bool) {
	if value != nil {
		*into = *value
	}
}

// parseEnrollment reads:
//
//	enrollment {
//		push         on|off
//		push_mode    single|override|multiple
//		unique_keys  on|off
//		confirmation digits|none
//		encryption   jose|openpgp
//		attestation  required|preferred|record
//		quarantine   on|first|off
//		transfer     on|off
//		recovery     on|off
//		biometric    on|off
//		custom       <name...>
//	}
func (c *Config) parseEnrollment(d *caddyfile.Dispenser) error {
	e := new(Enrollment)
	c.Enrollment = e
	return option.Block{Options: map[string]option.Parse{
		"push": either(&e.Push), "push_mode": option.String(&e.PushMode), "unique_keys": option.Switch(&e.UniqueKeys),
		"confirmation": option.String(&e.Confirmation), "encryption": option.String(&e.Encryption),
		"attestation": option.String(&e.Attestation), "quarantine": option.String(&e.Quarantine),
		"transfer": either(&e.Transfer), "recovery": option.Switch(&e.Recovery), "biometric": either(&e.Biometric),
		"custom": option.Strings(&e.Custom),
	}}.Parse(d)
}

// parsePIN reads:
//
//	pin {
//		required     on|off
//		min_length   <digits>
//		max_attempts <number>
//	}
func (c *Config) parsePIN(d *caddyfile.Dispenser) error {
	p := new(PIN)
	c.PIN = p
	return option.Block{Options: map[string]option.Parse{
		"required": either(&p.Required), "min_length": option.Number(&p.MinLength), "max_attempts": option.Number(&p.MaxAttempts),
	}}.Parse(d)
}

// either reads on or off where saying nothing is neither.
func either(into **bool) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		*into = new(bool)
		return option.Switch(*into)(d)
	}
}
