// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// Mode says how many devices of an application a user may have.
type Mode string

// The modes.
const (
	// Single refuses a second device.
	Single Mode = "single"
	// Override has the new device take the place of the others.
	Override Mode = "override"
	// Multiple lets a user have several, up to the limit of package handset.
	Multiple Mode = "multiple"
)

// What a [Policy] may ask.
const (
	ConfirmDigits = "digits" // the digits that the phone shows are typed where the registration began
	ConfirmNone   = "none"

	JOSE    = "jose"
	OpenPGP = "openpgp"

	AttestationRequired  = "required"  // only a device whose attestation was verified
	AttestationPreferred = "preferred" // one that is not verified is quarantined, a wrong one refused
	AttestationRecord    = "record"    // whatever it is, it is written down
)

// Limits of a [Policy].
const (
	LeastPIN  = 4 // NIST SP 800-63B-4, 3.2.10
	MostPIN   = 32
	MaxCustom = 8
)

// Policy is what an application asks of the registration of a device.
type Policy struct {
	// Keys lets devices register. Push takes addresses for notifications, with the registration or later.
	Keys bool `json:"keys"`
	Push bool `json:"push"`
	// PushMode is how many devices a user may have. Default: [Multiple].
	PushMode Mode `json:"push_mode,omitempty"`
	// UniqueKeys has the server keep an encryption key for each device alone.
	UniqueKeys bool `json:"unique_keys,omitempty"`
	// Confirmation is [ConfirmDigits] or [ConfirmNone]. Default: digits.
	Confirmation string `json:"confirmation,omitempty"`
	// Encryption is [JOSE] or [OpenPGP]. Default: JOSE.
	Encryption string `json:"encryption,omitempty"`
	PIN        PIN    `json:"pin,omitzero"`
	// Biometric and Custom are the factors that may be registered beside the PIN.
	Biometric bool     `json:"biometric,omitempty"`
	Custom    []string `json:"custom,omitempty"`
	// Attestation is [AttestationRequired], [AttestationPreferred] or [AttestationRecord]. Default: record. AttestationOn is what
	// holds in its place on some platforms.
	Attestation   string                     `json:"attestation,omitempty"`
	AttestationOn map[string]AttestationRule `json:"attestation_on,omitempty"`
	// Quarantine keeps the new device of a user who has one from answering, until somebody vouches for it. QuarantineFirst
	// does so with the first device too: Regulation (EU) 2018/389, article 24, wants strong authentication before a device is
	// associated with a user.
	Quarantine      bool `json:"quarantine,omitempty"`
	QuarantineFirst bool `json:"quarantine_first,omitempty"`
	// Transfer lets a device invite another in its place, and Recovery lets a recovery code stand for proofing.
	Transfer bool `json:"transfer,omitempty"`
	Recovery bool `json:"recovery,omitempty"`
}

// AttestationRule is what a policy asks of the evidence of one platform.
type AttestationRule struct {
	// Mode is [AttestationRequired], [AttestationPreferred] or [AttestationRecord].
	Mode string `json:"mode"`
	// Minimum is the least grade that will do. Default: tee.
	Minimum handset.Grade `json:"minimum,omitempty"`
}

// rule returns what is asked on a platform.
func (p *Policy) rule(platform string) AttestationRule {
	if rule, found := p.AttestationOn[platform]; found {
		return rule
	}
	return AttestationRule{Mode: p.Attestation, Minimum: handset.GradeTEE}
}

// modes are those of attestations.
var modes = []string{AttestationRequired, AttestationPreferred, AttestationRecord}

// normalizeRules fills in the least grades, and reports whether all rules can be so.
func (p *Policy) normalizeRules() bool {
	p.AttestationOn = maps.Clone(p.AttestationOn)
	for platform, rule := range p.AttestationOn {
		rule.Minimum = cmp.Or(rule.Minimum, handset.GradeTEE)
		if !slices.Contains(modes, rule.Mode) || !rule.Minimum.Valid() || rule.Minimum == handset.GradeUnknown {
			return false
		}
		p.AttestationOn[platform] = rule
	}
	return slices.Contains(modes, p.Attestation)
}

// PIN is what a policy asks of PINs. Their length is judged by the app, since the server never sees one.
type PIN struct {
	Required bool `json:"required,omitempty"`
	// MinLength is [LeastPIN] to [MostPIN]. Default: 6.
	MinLength int `json:"min_length,omitempty"`
	// MaxAttempts is the number of wrong factors in a row that disconnects a device. Default: 5; more than the limit of
	// package handset counts for nothing.
	MaxAttempts int `json:"max_attempts,omitempty"`
}

// DefaultPolicy is what an application has that says nothing.
func DefaultPolicy() Policy {
	p, _ := Policy{ // what it fills in breaks no rule
		Keys: true, Push: true, PIN: PIN{Required: true}, Biometric: true, Quarantine: true, Transfer: true,
	}.Normalize()
	return p
}

// Normalize fills in the defaults of what is empty, or says which rule the policy breaks.
func (p Policy) Normalize() (Policy, error) {
	p.PushMode = cmp.Or(p.PushMode, Multiple)
	p.Confirmation = cmp.Or(p.Confirmation, ConfirmDigits)
	p.Encryption = cmp.Or(p.Encryption, JOSE)
	p.Attestation = cmp.Or(p.Attestation, AttestationRecord)
	p.PIN.MinLength = cmp.Or(p.PIN.MinLength, 6)
	p.PIN.MaxAttempts = cmp.Or(p.PIN.MaxAttempts, handset.DefaultMaxFailures)
	p.Custom = slices.Clone(p.Custom)
	for _, rule := range []struct {
		field, want string
		ok          bool
	}{
		{"push_mode", "single, override or multiple", slices.Contains([]Mode{Single, Override, Multiple}, p.PushMode)},
		{"confirmation", "digits or none", p.Confirmation == ConfirmDigits || p.Confirmation == ConfirmNone},
		{"encryption", "jose or openpgp", p.Encryption == JOSE || p.Encryption == OpenPGP},
		{
			"attestation", "required, preferred or record, with a grade of hardware, tee or software", p.normalizeRules(),
		},
		{"pin.min_length", fmt.Sprintf("%d to %d", LeastPIN, MostPIN), p.PIN.MinLength >= LeastPIN && p.PIN.MinLength <= MostPIN},
		{
			"pin.max_attempts", fmt.Sprintf("1 to %d", handset.MaxMaxFailures),
			p.PIN.MaxAttempts >= 1 && p.PIN.MaxAttempts <= handset.MaxMaxFailures,
		},
		{"custom", fmt.Sprintf("at most %d names of lower case letters", MaxCustom), p.customNames()},
	} {
		if !rule.ok {
			return Policy{}, invalid(rule.field, "want %s", rule.want)
		}
	}
	return p, nil
}

func (p *Policy) customNames() bool {
	return len(p.Custom) <= MaxCustom && !slices.ContainsFunc(p.Custom, func(name string) bool {
		return !envelope.ValidFactor(envelope.FactorCustom + name)
	})
}

// Wire is what a device is told of the policy.
func (p *Policy) Wire() envelope.Policy {
	return envelope.Policy{
		PIN:       envelope.PINPolicy{Required: p.PIN.Required, MinLength: p.PIN.MinLength, MaxAttempts: p.PIN.MaxAttempts},
		Biometric: p.Biometric, Custom: slices.Clone(p.Custom), Confirmation: p.Confirmation, Push: p.Push,
	}
}

// Allows reports whether a factor may be registered and used. The PIN always may: it is what the others fall back to.
func (p *Policy) Allows(kind string) bool {
	switch kind {
	case envelope.FactorPIN:
		return true
	case envelope.FactorBiometric:
		return p.Biometric
	}
	return slices.ContainsFunc(p.Custom, func(name string) bool { return kind == envelope.FactorCustom+name })
}
