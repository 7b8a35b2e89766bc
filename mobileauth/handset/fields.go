// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Limits on a device's record. A record at all of them fits a store.
const (
	MaxUserID      = 128     // bytes
	MaxName        = 64      // characters in the name of a device
	MaxText        = 128     // bytes in model and operating system
	MaxReason      = 256     // bytes
	MaxHandset     = 256     // bytes in the text that names a handset, before hashing
	MaxService     = 32      // bytes in the name of a push service
	MaxAddress     = 2 << 10 // bytes in a push address
	MaxPGP         = 8 << 10 // bytes in an OpenPGP key
	MaxServerKey   = 3 << 10 // bytes in a private key of the server
	MaxOldKeys     = 16      // pairs of former keys that are remembered
	MaxDetail      = 1 << 10 // bytes in what is said about an attestation
	maxRawName     = 1 << 10 // bytes of a name that are looked at at all
	maxAttestation = 64      // bytes in the name of a format
	maxServerKeyID = 256     // bytes in the name of a key
	maxAttestKey   = 256     // bytes in a key of the platform, and in its name
)

var (
	validService = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	validFormat  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	validDevice  = regexp.MustCompile(`^dev_[a-z2-7]{26}$`)
	validHash    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ValidHash reports whether a text has the form of what [Store.Hash] returns for a handset.
func ValidHash(text string) bool { return validHash.MatchString(text) }

// ValidFormat reports whether a text can be the name of a format of attestations.
func ValidFormat(name string) bool {
	return len(name) <= maxAttestation && validFormat.MatchString(name)
}

// CleanName returns the form in which the name of a device is kept and shown: Unicode NFC, one space between words and none
// at the ends, without characters that cannot be seen or that turn the direction of what follows. What is longer than
// [MaxName] characters then, or is no UTF-8, is an [ErrInvalid].
func CleanName(name string) (string, error) {
	clean, err := cleanText("name", name)
	if err == nil && utf8.RuneCountInString(clean) > MaxName {
		return "", invalid("name", "longer than %d characters", MaxName)
	}
	return clean, err
}

func cleanText(field, text string) (string, error) {
	if len(text) > maxRawName {
		return "", invalid(field, "longer than %d bytes", maxRawName)
	}
	if !utf8.ValidString(text) {
		return "", invalid(field, "not valid UTF-8")
	}
	shown := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !visible(r):
			return -1
		}
		return r
	}, norm.NFC.String(text))
	// Removing a character may bring together two that compose.
	return norm.NFC.String(strings.Join(strings.Fields(shown), " ")), nil
}

// visible allows what is known to be seen: an unassigned code point is in no category at all.
func visible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && r != utf8.RuneError
}

// printable refuses control characters, which forge lines in logs.
func printable(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func checkReason(reason string) error {
	if !printable(reason, MaxReason) {
		return invalid("status_reason", "want at most %d bytes of printable text", MaxReason)
	}
	return nil
}

// normalize brings d into the form that is stored, or says which rule it breaks.
func (d *Device) normalize() error {
	if err := d.normalizeText(); err != nil {
		return err
	}
	if err := d.normalizeKeys(); err != nil {
		return err
	}
	if err := checkFactors(d.Factors); err != nil {
		return err
	}
	for _, push := range []*Push{d.Push, d.PushWanted} {
		if err := push.check(); err != nil {
			return err
		}
	}
	return d.Attestation.check()
}

func (d *Device) normalizeText() (err error) {
	switch {
	case !validDevice.MatchString(d.ID):
		return invalid("id", "not an id of a device")
	case d.UserID == "" || !printable(d.UserID, MaxUserID):
		return invalid("user_id", "want 1 to %d bytes of printable text", MaxUserID)
	case !mobileauth.ValidID(d.Application):
		return invalid("application", "not the id of an application")
	case !mobileauth.ValidPlatform(d.Platform):
		return invalid("platform", "not the name of a platform")
	case d.AppVersion != "" && !mobileauth.ValidVersion(d.AppVersion):
		return invalid("app_version", "not a version")
	case d.Hash != "" && !ValidHash(d.Hash):
		return invalid("hash", "not the hash of a handset")
	case !printable(d.Operation, MaxUserID) || d.TransferOf != "" && !validDevice.MatchString(d.TransferOf):
		return invalid("operation", "not what a device comes from")
	case d.MaxFailures < 0 || d.MaxFailures > MaxMaxFailures:
		return invalid("max_failures", "want 1 to %d", MaxMaxFailures)
	case !d.Status.Known():
		return invalid("status", "not a status")
	}
	if d.Name, err = CleanName(d.Name); err != nil {
		return err
	}
	for _, text := range []struct {
		field string
		value *string
	}{{"model", &d.Model}, {"os", &d.OS}} {
		if *text.value, err = cleanText(text.field, *text.value); err != nil {
			return err
		}
		if len(*text.value) > MaxText {
			return invalid(text.field, "longer than %d bytes", MaxText)
		}
	}
	return checkReason(d.StatusReason)
}

func checkFactors(factors []Factor) error {
	if len(factors) > envelope.MaxFactors {
		return invalid("factors", "more than %d", envelope.MaxFactors)
	}
	seen := map[string]bool{}
	for _, f := range factors {
		switch {
		case !envelope.ValidFactor(f.Kind):
			return invalid("factors", "a kind that does not exist")
		case seen[f.Kind]:
			return invalid("factors", "two of one kind")
		case !printable(f.SetBy, MaxJTI):
			return invalid("factors", "set by something that is no id")
		case len(f.Secret) != envelope.SecretLen:
			return invalid("factors", "a secret that is not %d bytes long", envelope.SecretLen)
		}
		seen[f.Kind] = true
	}
	return nil
}

func (p *Push) check() error {
	switch {
	case p == nil:
		return nil
	case len(p.Service) > MaxService || !validService.MatchString(p.Service):
		return invalid("push.service", "not the name of a push service")
	case p.Address == "" || !printable(p.Address, MaxAddress):
		return invalid("push.address", "want 1 to %d bytes of printable text", MaxAddress)
	}
	return nil
}

func (a Attestation) check() error {
	switch {
	case a.Format != "" && !ValidFormat(a.Format):
		return invalid("attestation.format", "not the name of a format")
	case !printable(a.Detail, MaxDetail):
		return invalid("attestation.detail", "want at most %d bytes of printable text", MaxDetail)
	}
	switch a.Result {
	case "", Verified, Unverified, Failed, Absent:
	default:
		return invalid("attestation.result", "not what can come of an attestation")
	}
	switch {
	case a.Grade != "" && !a.Grade.Valid() || a.Result != Verified && a.Grade.AtLeast(attestation.Software):
		return invalid("attestation.grade", "not a grade, or one that nothing shows")
	case !printable(a.KeyID, maxAttestKey) || !printable(a.Key, maxAttestKey) || !printable(a.SignKeyID, maxAttestKey):
		return invalid("attestation.key", "want at most %d bytes of printable text", maxAttestKey)
	}
	return nil
}
