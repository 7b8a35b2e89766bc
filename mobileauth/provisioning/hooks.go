// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
)

// ErrHook is wrapped when a hook of the operator's did not answer, or said what cannot be. Nobody is let in then, and nothing was wrong
// with what the device has sent.
var ErrHook = errors.New("a hook of the operator's has not decided")

// RequestValidator decides about a device that asks for its first certificate. Implementations are safe for concurrent use and bounded
// in time by ctx.
type RequestValidator interface {
	// ValidateRequest is asked once before the certificate is issued, and again with the same key when issuing it failed. It does not
	// hear of renewals, which take over what it has said. An error lets nobody in.
	ValidateRequest(ctx context.Context, a Applicant) (Verdict, error)
}

// CertificateValidator decides about a device at each new session. Implementations are safe for concurrent use and bounded in time by
// ctx.
type CertificateValidator interface {
	// ValidateCertificate is asked when everything else about the device's answer was found good. An error lets nobody in.
	ValidateCertificate(ctx context.Context, s Session) (Verdict, error)
}

// Hooks have an operator decide as well; nil decides nothing.
type Hooks struct {
	Request     RequestValidator
	Certificate CertificateValidator
}

// Applicant is a device that asks for its first certificate.
type Applicant struct {
	// Realm is where it asks, Entity what its key will stand for, and Installation the id that it will have.
	Realm        string
	Entity       Entity
	Installation string
	// CSR is its request, whose subject is a wish, and Claims what it says, with Custom for the hook.
	CSR    *CSR
	Claims Claims
	Caller Caller
}

// Session is a device that begins a session.
type Session struct {
	Presence
	Realm  string
	Caller Caller
}

// Verdict is what a hook decides. The zero value is a refusal.
type Verdict struct {
	Accepted bool
	// Text is, with a refusal, what the person is told: one line, 256 characters at most. It may be empty.
	Text string
	// Subject is what the certificate of a request that was accepted has as its subject: up to eight names of up to 64 characters, each
	// kind once. Its zero value is none. Certificates are seen by whoever listens to a TLS 1.2 handshake.
	Subject pkix.Name
	// Attributes are kept with the certificate, or belong to the session where that was judged: 16 at most.
	Attributes map[string]string
}

// check refuses what cannot be written down or shown.
func (v *Verdict) check() error {
	if !v.Accepted {
		if !property(v.Text) {
			return errors.New("its text is too long, or does not show what it holds")
		}
		return nil
	}
	if len(v.Attributes) > maxCustom {
		return fmt.Errorf("it has more than %d attributes", maxCustom)
	}
	for name, value := range v.Attributes {
		if !plain(name) || !property(value) {
			return errors.New("one of its attributes is too long, or does not show what it holds")
		}
	}
	subject, err := asn1.Marshal(v.Subject.ToRDNSequence())
	if err != nil || checkNames(subject) != nil { // which would refuse the device, and it is not the device that said so
		return errors.New("its subject is too long, has a part twice, or does not show what it holds")
	}
	return nil
}

// settle turns what a hook has answered into a refusal, or a fault where that was no answer.
func settle(v *Verdict, err error, reason Reason, installation string) error {
	if err == nil {
		err = v.check()
	}
	if _, refused := errors.AsType[*Refusal](err); refused { // which is not a hook's to make: it would be the device's fault
		err = errors.New(err.Error())
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrHook, err)
	case !v.Accepted:
		return &Refusal{Reason: reason, Installation: installation, Text: v.Text}
	}
	return nil
}

// validate has the operator decide about a device that nobody knows.
func (r *request) validate(ctx context.Context) error {
	if r.c.Hooks.Request == nil {
		return nil
	}
	v, err := r.c.Hooks.Request.ValidateRequest(ctx, Applicant{
		Realm: r.m.Question.Realm, Entity: r.m.Entity, Installation: r.installation, CSR: r.csr, Claims: r.a.claims, Caller: r.m.Caller,
	})
	if err := settle(&v, err, ReasonRequestRefused, ""); err != nil {
		return err
	}
	r.subject, r.attributes = v.Subject, v.Attributes
	return nil
}

// validate has the operator decide about a device that is there.
func (s *Store) validate(ctx context.Context, m *Message, p *Presence) error {
	p.Attributes = maps.Clone(p.Certificate.Attributes)
	if s.c.Hooks.Certificate == nil {
		return nil
	}
	v, err := s.c.Hooks.Certificate.ValidateCertificate(ctx, Session{Presence: *p, Realm: m.Question.Realm, Caller: m.Caller})
	if err := settle(&v, err, ReasonCertificateRefused, p.Certificate.Installation); err != nil {
		return err
	}
	if p.Attributes == nil {
		p.Attributes = map[string]string{}
	}
	maps.Copy(p.Attributes, v.Attributes)
	return nil
}
