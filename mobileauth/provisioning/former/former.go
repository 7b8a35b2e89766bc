// SPDX-License-Identifier: Apache-2.0

package former

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/signing"
)

// MaxCertificate is the most bytes of a certificate, in DER.
const MaxCertificate = 8 << 10

// Reasons of refusals, beside those that package provisioning has for what is wrong with any certificate.
const (
	ReasonIssuer  provisioning.Reason = "former_issuer"  // none of the former authorities has signed it
	ReasonPurpose provisioning.Reason = "former_purpose" // it is for something else than to say who a client is
	ReasonNames   provisioning.Reason = "former_names"   // its names stand for nothing here, or for two things
	ReasonBlocked provisioning.Reason = "former_blocked" // the former system had blocked the device
)

// Attributes that a device has from then on.
const (
	AttributeAuthority = "former_authority" // the SHA-256 of the former authority's certificate, in base64url
	AttributeSerial    = "former_serial"    // the number of the former certificate, in hex
	AttributeDevice    = "former_device"    // what the former system has called the device
)

// Authority is one who has issued certificates to devices, and what those are taken for.
type Authority struct {
	// Certificates are its own, one for each key that it has signed with. Each of them is believed by itself, whoever has signed it.
	Certificates []*x509.Certificate
	// Device is what names the device: a part of the subject, or an extension.
	Device Attribute
	// Rules say what keys stand for. At least one is required.
	Rules []Rule
	// SHA1 takes certificates that are signed with SHA-1 too, as they were until 2017.
	SHA1 bool
	// Blocked are those whom the former system has blocked.
	Blocked Blocked
}

// Rule says that certificates with a name stand for an entity of ours.
type Rule struct {
	// Attribute and Value are the name. Both are empty for a rule about all certificates of the authority, which is then the only one.
	Attribute Attribute
	Value     string
	// Entity is what the key stands for, and Application the app, for [provisioning.KindApplication].
	Entity      provisioning.Entity
	Application string
}

// Judge judges certificates of former authorities. It is safe for concurrent use.
type Judge struct{ authorities []Authority }

var _ provisioning.Former = (*Judge)(nil)

// New returns a judge, or an error that names what does not fit: no authority, one that is none or whose key can be computed, no rule, or
// rules of which one says everything.
func New(authorities ...Authority) (*Judge, error) {
	if len(authorities) == 0 {
		return nil, errors.New("there is no former authority")
	}
	for i := range authorities {
		a := &authorities[i]
		if err := a.Check(); err != nil {
			return nil, err
		}
		if len(a.Certificates) == 0 {
			return nil, errors.New("the former authority has no certificate")
		}
		for _, c := range a.Certificates {
			if err := CheckIssuer(c); err != nil {
				return nil, fmt.Errorf("the former authority %q: %w", c.Subject, err)
			}
		}
	}
	return &Judge{authorities}, nil
}

// Check looks at everything but the certificates.
func (a *Authority) Check() error {
	if a.Device.IsZero() {
		return errors.New("device is missing: the part of the subject, or the extension, that names the device")
	}
	if len(a.Rules) == 0 {
		return errors.New("stands_for is missing: what the certificates of the former authority stand for here")
	}
	for i, r := range a.Rules {
		switch {
		case r.Attribute.IsZero() != (r.Value == ""):
			return errors.New("stands_for needs a name and its value, or neither")
		case r.Attribute.IsZero() && len(a.Rules) > 1:
			return errors.New("stands_for without a name says what all certificates stand for, and is the only one")
		case slices.ContainsFunc(a.Rules[:i], func(o Rule) bool { return o.Attribute.Equal(r.Attribute) && o.Value == r.Value }):
			return fmt.Errorf("stands_for %s %s stands twice", r.Attribute, r.Value)
		case (r.Entity.Kind == provisioning.KindApplication) != (r.Application != ""):
			return errors.New("stands_for application needs the application")
		}
		if _, err := provisioning.ParseEntity(r.Entity.String()); err != nil {
			return err
		}
	}
	return nil
}

// CheckIssuer refuses a certificate by which nobody is to be believed. One that keytool has made by itself says nothing about being an
// authority: the operator says so.
func CheckIssuer(c *x509.Certificate) error {
	switch {
	case c.BasicConstraintsValid && !c.IsCA:
		return errors.New("it is no authority: its basic constraints say so")
	case !c.BasicConstraintsValid && !bytes.Equal(c.RawIssuer, c.RawSubject):
		return errors.New("it is no authority: it says nothing of being one, and somebody else has signed it")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("its key is not for signing certificates")
	}
	return signing.Check(c.PublicKey)
}

// Read returns the record of a certificate that counts at a moment, for one of our entities. It refuses, with a [*provisioning.Refusal],
// what is larger than [MaxCertificate] or no certificate, what none of the authorities has signed with an algorithm of today, or after its
// time; what is an authority's, for servers or for anything but signing, has critical extensions that nobody knows, or a weak key; what is
// over or yet to come; whom the former system had blocked; and what does not name its device, or names nothing, or two things, that a rule
// has.
func (j *Judge) Read(der []byte, now time.Time) (provisioning.Certificate, error) {
	if len(der) > MaxCertificate {
		return provisioning.Certificate{}, refuse(provisioning.ReasonTooLarge)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil || !bytes.Equal(leaf.Raw, der) {
		return provisioning.Certificate{}, refuse(provisioning.ReasonMalformed)
	}
	a, by, err := j.issuer(leaf)
	if err != nil {
		return provisioning.Certificate{}, err
	}
	for _, check := range []func() error{
		func() error { return current(by, now) }, func() error { return current(leaf, now) },
		func() error { return purpose(leaf) }, func() error { return checkKey(leaf) },
	} {
		if err := check(); err != nil {
			return provisioning.Certificate{}, err
		}
	}
	return a.record(leaf, by)
}

// issuer returns who has signed a certificate.
func (j *Judge) issuer(leaf *x509.Certificate) (*Authority, *x509.Certificate, error) {
	algorithm := false
	for i := range j.authorities {
		a := &j.authorities[i]
		for _, by := range a.Certificates {
			if !bytes.Equal(by.RawSubject, leaf.RawIssuer) || by.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) != nil {
				continue
			}
			if a.takes(leaf.SignatureAlgorithm) {
				return a, by, nil
			}
			algorithm = true
		}
	}
	if algorithm {
		return nil, nil, refuse(provisioning.ReasonAlgorithm)
	}
	return nil, nil, refuse(ReasonIssuer)
}

func (a *Authority) takes(algorithm x509.SignatureAlgorithm) bool {
	return signing.Accepted(algorithm) || a.SHA1 && (algorithm == x509.SHA1WithRSA || algorithm == x509.ECDSAWithSHA1)
}

func current(c *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return refuse(provisioning.ReasonNotYet)
	case !now.Before(c.NotAfter):
		return refuse(provisioning.ReasonExpired)
	}
	return nil
}

// purpose refuses what is not for a client that signs. A certificate that says nothing of its purpose is for any (RFC 5280 4.2.1.12).
func purpose(c *x509.Certificate) error {
	switch unbound := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0; {
	case c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return refuse(provisioning.ReasonAuthority)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse(ReasonPurpose)
	case !unbound && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		return refuse(ReasonPurpose)
	case len(c.UnhandledCriticalExtensions) > 0:
		return refuse(ReasonPurpose)
	}
	return nil
}

func checkKey(c *x509.Certificate) error {
	switch err := signing.Check(c.PublicKey); {
	case errors.Is(err, signing.ErrKind):
		return refuse(provisioning.ReasonKeyType)
	case err != nil:
		return refuse(provisioning.ReasonKeyWeak)
	}
	return nil
}

// record is the certificate as it is kept.
func (a *Authority) record(leaf, by *x509.Certificate) (provisioning.Certificate, error) {
	device, err := a.Device.of(leaf)
	if err != nil {
		return provisioning.Certificate{}, err
	}
	rule, err := a.rule(leaf)
	if err != nil {
		return provisioning.Certificate{}, err
	}
	c := provisioning.Certificate{
		ID: digest(leaf.Raw), Serial: hex.EncodeToString(leaf.SerialNumber.Bytes()), Authority: provisioning.AuthorityID(by),
		Kind: rule.Entity.Kind, Group: rule.Entity.Group, Application: rule.Application, Key: digest(leaf.RawSubjectPublicKeyInfo),
		NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(), IssuedAt: leaf.NotBefore.UTC(), Chain: [][]byte{leaf.Raw, by.Raw},
	}
	c.Attributes = map[string]string{AttributeAuthority: c.Authority, AttributeSerial: c.Serial, AttributeDevice: device}
	if a.Blocked.has(c.Serial, device) {
		return provisioning.Certificate{}, refuse(ReasonBlocked)
	}
	return c, nil
}

// rule returns the one that speaks of a certificate.
func (a *Authority) rule(leaf *x509.Certificate) (found Rule, err error) {
	matches := 0
	for _, r := range a.Rules {
		if r.Attribute.IsZero() {
			return r, nil
		}
		value, err := r.Attribute.of(leaf)
		if err == nil && value == r.Value {
			found, matches = r, matches+1
		}
	}
	if matches != 1 {
		return Rule{}, refuse(ReasonNames)
	}
	return found, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func refuse(reason provisioning.Reason) error { return &provisioning.Refusal{Reason: reason} }
