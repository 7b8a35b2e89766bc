// SPDX-License-Identifier: Apache-2.0

package androidkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

// Format is the name of the evidence.
const Format = "android-key"

// Reasons of rejections.
const (
	ReasonChain       = "chain"         // certificates that do not follow from one another
	ReasonRoot        = "root"          // a chain to a key that is not believed
	ReasonValidity    = "validity"      // a certificate that is not valid now
	ReasonRevoked     = "revoked"       // a certificate that was taken back
	ReasonExtension   = "extension"     // no description of the key, or one that cannot be read
	ReasonChallenge   = "challenge"     // evidence for another occasion
	ReasonKey         = "key"           // evidence about another key
	ReasonOrigin      = "key_origin"    // a key that was not made where it is, or is not for signatures
	ReasonBoot        = "verified_boot" // a phone whose system was exchanged, or could be
	ReasonApplication = "application"   // another app
	ReasonPatchLevel  = "patch_level"   // a system that is too old
)

// Revocations says which certificates were taken back. An error means that it cannot be found out.
type Revocations interface {
	// Revoked reports whether the certificate with the serial number, in lower case hexadecimal without leading zeros, is.
	Revoked(serial string) (bool, error)
}

// Config describes a [Verifier].
type Config struct {
	// Roots are believed, by their keys. At least one is required.
	Roots []*x509.Certificate
	// Packages are the names of the apps that may have the key, and Digests the SHA-256 of the certificates that they may be signed
	// with. At least one of each is required.
	Packages []string
	Digests  [][]byte
	// PatchMonths is how many months the security patches of the system may be old; zero is any number.
	PatchMonths int
	// Revocations is asked about each certificate. Nil knows of none.
	Revocations Revocations
	// Now is required.
	Now func() time.Time
}

// Verifier judges chains. It is safe for concurrent use.
type Verifier struct{ Config }

// New returns a verifier, or an error that says what is missing.
func New(c Config) (*Verifier, error) {
	if len(c.Roots) == 0 || len(c.Packages) == 0 || len(c.Digests) == 0 || c.Now == nil {
		return nil, errors.New("judging Android key attestation: a root, a package, the digest of a signing certificate and a clock are required")
	}
	for _, digest := range c.Digests {
		if len(digest) != sha256.Size {
			return nil, fmt.Errorf("judging Android key attestation: a digest has %d bytes and not %d", len(digest), sha256.Size)
		}
	}
	return &Verifier{c}, nil
}

// Verdict is what a chain has shown.
type Verdict struct {
	Grade attestation.Grade
	// Version is that of the description, and PatchLevel the year and month of the system's security patches; zero when it is not
	// said.
	Version, PatchLevel int64
}

// Verify judges the certificates that a phone's keystore made for a key on the occasion of a challenge, the phone's first. The
// grade is hardware for a StrongBox, tee for a trusted execution environment and software for neither. What is wrong is an
// [attestation.Rejection]; any other error means that nobody could judge.
func (v *Verifier) Verify(raw [][]byte, challenge []byte, key crypto.PublicKey) (Verdict, error) {
	return v.verify(raw, challenge, func(certified crypto.PublicKey) bool { return same(certified, key) })
}

// VerifyApp judges what [Verifier.Verify] does where it does not matter which key it is: the app has made one on that occasion.
func (v *Verifier) VerifyApp(raw [][]byte, challenge []byte) (Verdict, error) {
	return v.verify(raw, challenge, func(crypto.PublicKey) bool { return true })
}

// same reports whether both are one key, of a kind that phones have.
func same(certified, key crypto.PublicKey) bool {
	one, ok := certified.(interface{ Equal(crypto.PublicKey) bool })
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ok && key != nil && one.Equal(key)
	case *rsa.PublicKey:
		return ok && key != nil && one.Equal(key)
	}
	return false
}

func (v *Verifier) verify(raw [][]byte, challenge []byte, meant func(crypto.PublicKey) bool) (Verdict, error) {
	chain, err := readChain(raw)
	if err != nil {
		return Verdict{}, err
	}
	if err := v.checkChain(chain, v.Now()); err != nil {
		return Verdict{}, err
	}
	der, err := extension(chain)
	if err != nil {
		return Verdict{}, err
	}
	if !meant(chain[0].PublicKey) {
		return Verdict{}, attestation.Reject(ReasonKey, "judging another key than the one that is registered")
	}
	out, err := v.judge(der, challenge)
	if err != nil {
		return Verdict{}, err
	}
	return out, v.checkRevoked(chain)
}

// judge judges what is said of a key.
func (v *Verifier) judge(der, challenge []byte) (Verdict, error) {
	d, err := parseDescription(der)
	if err != nil {
		return Verdict{}, attestation.Reject(ReasonExtension, "reading the description of a key: %w", err)
	}
	if len(challenge) == 0 || subtle.ConstantTimeCompare(d.challenge, challenge) != 1 {
		return Verdict{}, attestation.Reject(ReasonChallenge, "judging a key that was made on another occasion")
	}
	out := Verdict{Grade: grades[d.level()], Version: d.version}
	for _, check := range []func(*description) error{checkKey, checkBoot, v.checkApplication} {
		if err := check(&d); err != nil {
			return Verdict{}, err
		}
	}
	if out.PatchLevel, err = v.checkPatches(&d); err != nil {
		return Verdict{}, err
	}
	return out, nil
}

// grades are those of the security levels.
var grades = map[int64]attestation.Grade{
	levelSoftware: attestation.Software, levelTEE: attestation.TEE, levelStrongBox: attestation.Hardware,
}

// checkKey refuses a key that was brought from elsewhere, that does not sign, or that all apps may use.
func checkKey(d *description) error {
	list := d.enforced()
	origin, found, err := list.number(tagOrigin)
	if err != nil || !found || origin != originGenerated {
		return attestation.Reject(ReasonOrigin, "judging a key that was not made in its keystore")
	}
	purposes, err := list.numbers(tagPurpose)
	if err != nil || !slices.Contains(purposes, purposeSign) {
		return attestation.Reject(ReasonOrigin, "judging a key that is not for signatures")
	}
	if algorithm, found, err := list.number(tagAlgorithm); err != nil || !found || algorithm != algorithmEC {
		return attestation.Reject(ReasonOrigin, "judging a key of another algorithm")
	}
	for _, list := range []authorizations{d.software, d.hard} {
		if _, all := list[tagAllApplications]; all {
			return attestation.Reject(ReasonOrigin, "judging a key that all apps may use")
		}
	}
	return nil
}

// checkBoot refuses a phone that somebody else's system may run on. In software nobody answers for that, and the grade says so.
func checkBoot(d *description) error {
	if d.level() == levelSoftware {
		return nil
	}
	root, found, err := d.hard.rootOfTrust()
	if err != nil || !found || !root.locked || root.state != bootVerified {
		return attestation.Reject(ReasonBoot, "judging a phone that is unlocked, or whose system was not verified")
	}
	return nil
}

// checkApplication refuses another app. Apps that share a user share their keys, so each of them has to be known.
func (v *Verifier) checkApplication(d *description) error {
	app, found, err := d.software.application()
	if err != nil || !found || len(app.packages) == 0 || len(app.digests) == 0 {
		return attestation.Reject(ReasonApplication, "judging a key of no app")
	}
	for _, name := range app.packages {
		if !slices.Contains(v.Packages, name) {
			return attestation.Reject(ReasonApplication, "judging a key of another app")
		}
	}
	for _, digest := range app.digests {
		if !slices.ContainsFunc(v.Digests, func(known []byte) bool { return bytes.Equal(known, digest) }) {
			return attestation.Reject(ReasonApplication, "judging a key of an app that somebody else has signed")
		}
	}
	return nil
}

// checkPatches returns the patch level, and refuses one that is too old or is not said where that matters.
func (v *Verifier) checkPatches(d *description) (int64, error) {
	level, found, err := d.enforced().number(tagPatchLevel)
	year, month := level/100, level%100
	if err != nil || found && (year < 2000 || year > 9999 || month < 1 || month > 12) {
		return 0, attestation.Reject(ReasonExtension, "reading a patch level that is no month")
	}
	if v.PatchMonths == 0 {
		return level, nil
	}
	now := v.Now()
	if age := (int64(now.Year())-year)*12 + int64(now.Month()) - month; !found || age > int64(v.PatchMonths) {
		return 0, attestation.Reject(ReasonPatchLevel, "judging a system without the patches of the last %d months", v.PatchMonths)
	}
	return level, nil
}

// checkRevoked asks last: what is wrong anyway does not depend on a list.
func (v *Verifier) checkRevoked(chain []*x509.Certificate) error {
	if v.Revocations == nil {
		return nil
	}
	for _, c := range chain {
		revoked, err := v.Revocations.Revoked(c.SerialNumber.Text(16))
		switch {
		case err != nil:
			return fmt.Errorf("asking for revoked certificates: %w", err)
		case revoked:
			return attestation.Reject(ReasonRevoked, "judging a chain of which a certificate was taken back")
		}
	}
	return nil
}
