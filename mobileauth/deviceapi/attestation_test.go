// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// iphone shows an object first, and assertions by the same key afterwards.
type iphone struct {
	authority *testauthority.Authority
	apple     testauthority.Apple
	shown     uint32
	last      json.RawMessage
}

func (p *iphone) attest(_ context.Context, challenge []byte, keys envelope.PublicKeys) (json.RawMessage, error) {
	bound := envelope.AttestationHash(challenge, keys)
	p.shown++
	said := map[string]any{"format": appattest.Format}
	if p.shown == 1 {
		var err error
		if p.apple, err = testauthority.AppAttest("ABCDE12345.com.example.bank", bound[:]); err != nil {
			return nil, err
		}
		object, err := p.authority.Attest(p.apple)
		if err != nil {
			return nil, err
		}
		said["key_id"], said["object"] = envelope.Bytes(p.apple.KeyID()), envelope.Bytes(object)
	} else {
		p.apple.ClientDataHash, p.apple.Counter = bound[:], p.shown
		raw, err := p.apple.Assert()
		if err != nil {
			return nil, err
		}
		said["assertion"] = envelope.Bytes(raw)
	}
	var err error
	p.last, err = json.Marshal(said)
	return p.last, err
}

// TestAttestingPhone: an iPhone registers, shows itself again, and takes new keys, all of it over the wire.
func TestAttestingPhone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	authority, err := testauthority.New(s.clock.Now)
	must(t, err)
	v, err := appattest.New(appattest.Config{
		Roots: appattest.Pool([]*x509.Certificate{authority.Root}), App: "ABCDE12345.com.example.bank", Environment: appattest.Production,
		Now: s.clock.Now,
	})
	must(t, err)
	s.enrolment.Attestation = grading.Grader{{Application: "bank", Platform: "ios"}: {AppAttest: v}}
	s.policy.AttestationOn = map[string]enrolment.AttestationRule{
		"ios": {Mode: enrolment.AttestationRequired, Minimum: attestation.TEE},
	}
	phone := &iphone{authority: authority}
	begun, invitation := s.invite(alice)
	config, _ := s.config()
	what := device.Enrolment{Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", PIN: pin}
	if _, err := device.Enrol(t.Context(), config, what); !errors.Is(err, device.ErrMessage) {
		t.Errorf("without evidence: %v", err)
	}
	config.Attest = phone.attest
	d, err := device.Enrol(t.Context(), config, what)
	must(t, err)
	if s.policy.Confirmation == enrolment.ConfirmDigits {
		_, err = s.enrolment.Confirm(t.Context(), begun.Operation.ID, d.State().Digits)
		must(t, err)
	}
	if grade, err := d.Attest(t.Context()); err != nil || grade != "tee" {
		t.Errorf("again: %q, %v", grade, err)
	}
	before := d.State().Keys
	must(t, d.RollKeys(t.Context(), device.Proof{PIN: pin}))
	kept, err := s.devices.Get(t.Context(), d.State().Device)
	must(t, err)
	if d.State().Keys == before || !kept.Attestation.Verified(attestation.TEE) || kept.Attestation.Counter != 3 {
		t.Errorf("with new keys it is %+v", kept.Attestation)
	}
	// What was shown once is not taken again, and nothing in its place is not either.
	old := slices.Clone(phone.last)
	config.Attest = func(context.Context, []byte, envelope.PublicKeys) (json.RawMessage, error) { return old, nil }
	copied, err := device.Open(t.Context(), config, d.State())
	must(t, err)
	if _, err := copied.Attest(t.Context()); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("what was shown before: %v", err)
	}
	config.Attest = nil
	silent, err := device.Open(t.Context(), config, d.State())
	must(t, err)
	if _, err := silent.Attest(t.Context()); !errors.Is(err, device.ErrInput) {
		t.Errorf("nothing: %v", err)
	}
	if err := silent.RollKeys(t.Context(), device.Proof{PIN: pin}); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("new keys of which nothing is shown: %v", err)
	}
}
