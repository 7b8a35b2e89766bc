// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"encoding/json"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// Registration is the body of a registration.
type Registration struct {
	// Lookup finds the operation, and MAC proves the activation code: see [ActivationCode].
	Lookup string `json:"lookup"`
	MAC    MAC    `json:"mac"`
	// Keys are the device's own.
	Keys PublicKeys `json:"keys"`
	// Application, Version and Platform name the app.
	Application string `json:"application"`
	Version     string `json:"version"`
	Platform    string `json:"platform"`
	// Model, OS and Name describe the phone to its owner.
	Model string `json:"model,omitempty"`
	OS    string `json:"os,omitempty"`
	Name  string `json:"name,omitempty"`
	// Handset tells one phone from others across users and registrations; the app makes it and nobody reads it.
	Handset string `json:"handset,omitempty"`
	// Factors are the secrets of the factors that are registered.
	Factors map[string]Secret `json:"factors,omitempty"`
	// Push is where notices go. A phone that has none asks by itself.
	Push *PushAddress `json:"push,omitempty"`
	// Attestation is what the platform says about app or keys, an object with a "format".
	Attestation json.RawMessage `json:"attestation,omitempty"`
	// PGP is a binary public OpenPGP key, where the application encrypts with OpenPGP.
	PGP Bytes `json:"pgp,omitempty"`
}

// PushAddress is where a phone is told that something waits.
type PushAddress struct {
	Service string `json:"service"`
	Address string `json:"address"`
}

// Limits on what a registration says, in bytes.
const (
	maxName    = 128
	maxHandset = 256
	maxAddress = 2048
	maxAttest  = 16 << 10
	maxPGP     = 8 << 10
)

var validWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// Registration returns the request and its body when it is signed by the key that it registers and names that key as its device.
// That it proves the activation code is for the caller to check, with [ActivationCode.Proves].
func (u Unverified) Registration() (Request, Registration, error) {
	if u.request.Path != PathRegistrations {
		return Request{}, Registration{}, refuse(ReasonPath, "checking a registration at another endpoint")
	}
	var body Registration
	if err := u.request.Decode(&body); err != nil {
		return Request{}, Registration{}, err
	}
	if err := body.check(); err != nil {
		return Request{}, Registration{}, err
	}
	if u.request.Device != body.Keys.Sign.ID() {
		return Request{}, Registration{}, refuse(ReasonIssuer, "checking a registration of another key")
	}
	request, err := u.verify(body.Keys.Sign)
	if err != nil {
		return Request{}, Registration{}, err
	}
	return request, body, nil
}

// check refuses what is missing, malformed or too large.
func (r Registration) check() error {
	if err := r.Keys.check(); err != nil {
		return err
	}
	if !validLookup.MatchString(r.Lookup) || !validWord.MatchString(r.Application) || !validWord.MatchString(r.Version) ||
		!validWord.MatchString(r.Platform) {
		return refuse(ReasonBody, "reading a registration: a member is missing or malformed")
	}
	if !plainText(r.Model, maxName) || !plainText(r.OS, maxName) || !plainText(r.Name, maxName) ||
		!plainText(r.Handset, maxHandset) {
		return refuse(ReasonBody, "reading a registration: a description is too long or not plain text")
	}
	if len(r.Factors) > MaxFactors || len(r.Attestation) > maxAttest || len(r.PGP) > maxPGP {
		return refuse(ReasonBody, "reading a registration: too much of something")
	}
	for kind, secret := range r.Factors {
		if !ValidFactor(kind) || secret.Zero() {
			return refuse(ReasonBody, "reading a registration: a factor of an unknown kind or without a secret")
		}
	}
	return r.Push.Check()
}

// Check refuses an address that is none. No address at all is fine: the phone asks by itself.
func (p *PushAddress) Check() error {
	if p != nil && (!validWord.MatchString(p.Service) || p.Address == "" || !plainText(p.Address, maxAddress)) {
		return refuse(ReasonBody, "reading a push address that is malformed")
	}
	return nil
}

// plainText reports whether s is at most limit bytes of characters that show as themselves: no control character, no line
// break, nothing that changes the direction of what follows and nothing of no width.
func plainText(s string, limit int) bool {
	if len(s) > limit || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
			return false
		}
	}
	return true
}

// String names the registration without its content.
func (r Registration) String() string { return "registration of key " + r.Keys.Sign.ID() }

// GoString keeps %#v from printing the content.
func (r Registration) GoString() string { return r.String() }
