// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

func TestAPhoneIsRegistered(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		invitation, err := envelope.ParseInvitation(b.QR)
		must(t, err)
		if invitation.Issuer != issuer || invitation.Operation != b.Operation.ID || invitation.Key != serverKey || invitation.Code.Text() != b.Code {
			t.Errorf("the QR code says %+v", invitation)
		}
		if got := b.Expires.Sub(w.clock.Now()); got > enrolment.TimeToLive || got < enrolment.TimeToLive-time.Second {
			t.Errorf("the code is good for %s", got)
		}
		p := w.phone(b.Code, func(p *phone) {
			p.said.Name, p.said.OS, p.said.Handset = " My\u00a0phone ", "18", "handset"
			p.said.Factors[envelope.FactorBiometric] = secret(2)
			p.said.Push = &envelope.PushAddress{Service: "apns", Address: "address"}
		})
		answer, own, err := w.Register(t.Context(), p.request, p.said)
		must(t, err)
		policy := envelope.Policy{
			PIN:       envelope.PINPolicy{Required: true, MinLength: 6, MaxAttempts: 5},
			Biometric: true, Confirmation: "digits", Push: true,
		}
		want := envelope.RegistrationAnswer{Device: answer.Device, Operation: b.Operation.ID, Status: "pending", Policy: policy}
		if diff := cmp.Diff(want, answer); diff != "" || own != nil {
			t.Errorf("a key of its own: %v, and the answer:\n%s", own, diff)
		}
		d := w.device(answer.Device)
		if d.Status != handset.Pending || d.UserID != "usr_1" || d.Name != "My phone" || d.Operation != b.Operation.ID ||
			d.SignKeyID != p.keys.Public().Sign.ID() || d.Push != nil || d.PushWanted.Address != "address" || len(d.Hash) != 64 ||
			d.MaxFailures != 5 || d.Attestation.Result != handset.Absent {
			t.Errorf("the device is %+v", d)
		}
		for _, f := range d.Factors {
			if f.SetBy != p.request.ID || len(f.Secret) != envelope.SecretLen {
				t.Errorf("the factor %q is set by %q", f.Kind, f.SetBy)
			}
		}
		if got := w.op(b.Operation.ID); got.State != operation.Delivered {
			t.Errorf("the operation is %s", got.State)
		}
		c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
		must(t, err)
		if c.Code != operation.Accepted || c.Device.Status != handset.Active || c.Operation.State != operation.Approved || c.Operation.AnsweredBy != d.ID {
			t.Errorf("the confirmation is %+v", c)
		}
		if got := w.device(d.ID); got.Status != handset.Active || got.ActivatedAt.IsZero() || !got.PendingUntil.IsZero() || got.Push == nil {
			t.Errorf("the device is %+v", got)
		}
		w.clock.Advance(2 * enrolment.TimeToLive)
		if got := w.device(d.ID); got.Status != handset.Active {
			t.Errorf("later it is %s", got.Status)
		}
	})
}

// TestAStartThatIsRepeated gives the same code again, as long as no phone has used it.
func TestAStartThatIsRepeated(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		start := enrolment.Start{UserID: "usr_1", Application: "bank", ClientID: "portal", IdempotencyKey: "key"}
		first, created, err := w.Start(w.ctx(), start)
		if err != nil || !created {
			t.Fatal(created, err)
		}
		again, created, err := w.Start(w.ctx(), start)
		if err != nil || created || again.Code != first.Code || again.QR != first.QR || again.Operation.ID != first.Operation.ID {
			t.Errorf("again: %v, %v, %v", again, created, err)
		}
		other := start
		other.Proofed = true
		if _, _, err := w.Start(w.ctx(), other); !errors.Is(err, operation.ErrIdempotency) {
			t.Errorf("another request with the key: %v", err)
		}
		_, err = w.register(w.phone(first.Code))
		must(t, err)
		again, _, err = w.Start(w.ctx(), start)
		if err != nil || again.Code != "" || again.QR != "" {
			t.Errorf("after a phone has used the code: %v", err)
		}
	})
}

func TestStartsThatAreRefused(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.users.Lock("usr_locked")
		tests := []struct {
			name  string
			start enrolment.Start
			want  error
		}{
			{"no application", enrolment.Start{UserID: "usr_1"}, enrolment.ErrApplication},
			{"an unknown application", enrolment.Start{UserID: "usr_1", Application: "shop"}, enrolment.ErrApplication},
			{"no user", enrolment.Start{Application: "bank"}, enrolment.ErrInvalid},
			{"a locked user", enrolment.Start{UserID: "usr_locked", Application: "bank"}, operation.ErrUser},
		}
		for _, tt := range tests {
			if _, _, err := w.Start(w.ctx(), tt.start); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		w.policy.Keys = false
		if _, _, err := w.Start(w.ctx(), enrolment.Start{UserID: "usr_1", Application: "bank"}); !errors.Is(err, enrolment.ErrOff) {
			t.Errorf("switched off: %v", err)
		}
	})
}

// TestRegistrationsThatAreRefused for what they say, and leave nothing behind but the chance to do it right.
func TestRegistrationsThatAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		policy func(*enrolment.Policy)
		change func(*phone)
		want   string
	}{
		{"an unknown application", nil, func(p *phone) { p.said.Application = "shop" }, enrolment.ReasonApplication},
		{"another application", nil, func(p *phone) { p.said.Application = "wallet" }, enrolment.ReasonApplication},
		{"another platform", nil, func(p *phone) { p.said.Platform = "android" }, enrolment.ReasonVersion},
		{"a disabled version", nil, func(p *phone) { p.said.Version = "0.1" }, enrolment.ReasonVersion},
		{"a version that registers nothing", nil, func(p *phone) { p.said.Version = "0.9" }, enrolment.ReasonVersion},
		{"no PIN", nil, func(p *phone) { p.said.Factors = nil }, enrolment.ReasonPIN},
		{
			"a factor that is not offered", nil,
			func(p *phone) { p.said.Factors["custom:voice"] = secret(2) }, enrolment.ReasonFactor,
		},
		{
			"biometric where there is none", func(p *enrolment.Policy) { p.Biometric = false },
			func(p *phone) { p.said.Factors[envelope.FactorBiometric] = secret(2) }, enrolment.ReasonFactor,
		},
		{"no OpenPGP key", func(p *enrolment.Policy) { p.Encryption = enrolment.OpenPGP }, func(*phone) {}, enrolment.ReasonPGP},
		{
			"a bad OpenPGP key", func(p *enrolment.Policy) { p.Encryption = enrolment.OpenPGP },
			func(p *phone) { p.said.PGP = []byte("x") }, enrolment.ReasonPGP,
		},
		{
			"no attestation", func(p *enrolment.Policy) { p.Attestation = enrolment.AttestationRequired },
			func(*phone) {}, enrolment.ReasonAttestation + "_absent",
		},
		{
			"an attestation of no format", func(p *enrolment.Policy) { p.Attestation = enrolment.AttestationPreferred },
			func(p *phone) { p.said.Attestation = []byte(`{}`) }, enrolment.ReasonAttestation + "_format",
		},
		{"a long name", nil, func(p *phone) { p.said.Name = strings.Repeat("x", 65) }, enrolment.ReasonDevice},
		{"a long handset", nil, func(p *phone) { p.said.Handset = strings.Repeat("x", 300) }, enrolment.ReasonDevice},
		{"switched off", func(p *enrolment.Policy) { p.Keys = false }, func(*phone) {}, enrolment.ReasonApplication},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over(t, func(t *testing.T, w *world) {
				b := w.start("usr_1")
				before := *w.policy
				if tt.policy != nil {
					tt.policy(w.policy)
				}
				_, err := w.register(w.phone(b.Code, tt.change))
				if !refusedFor(err, tt.want) {
					t.Fatalf("%v for %q, want %q", err, envelope.ReasonOf(err), tt.want)
				}
				if devices, err := w.devices.ByUser(t.Context(), "usr_1"); err != nil || len(devices) != 0 {
					t.Errorf("it left %v, %v", devices, err)
				}
				*w.policy = before
				if _, err := w.register(w.phone(b.Code)); err != nil {
					t.Errorf("done right: %v", err)
				}
			})
		})
	}
}

func TestWhoHasNoCode(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		code, err := envelope.NewActivationCode()
		must(t, err)
		if _, err := w.register(w.phone(code.Text())); !refusedFor(err, enrolment.ReasonUnknown) {
			t.Errorf("another code: %v", err)
		}
		p := w.phone(b.Code)
		p.said.Keys = mobiletest.Keys(t).Public()
		if _, err := w.register(p); !refusedFor(err, enrolment.ReasonProof) {
			t.Errorf("a proof for other keys: %v", err)
		}
		p = w.phone(b.Code)
		p.request.ID = envelope.NewID()
		if _, err := w.register(p); !refusedFor(err, enrolment.ReasonProof) {
			t.Errorf("a proof of another request: %v", err)
		}
		w.clock.Advance(enrolment.TimeToLive)
		if _, err := w.register(w.phone(b.Code)); !refusedFor(err, enrolment.ReasonUnknown) && !refusedFor(err, enrolment.ReasonOver) {
			t.Errorf("after ten minutes: %v", err)
		}
	})
}

// TestWrongProofsAreCounted wherever they come from, also at the same time, and the fifth ends the registration.
func TestWrongProofsAreCounted(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		wrong := func() *phone {
			p := w.phone(b.Code)
			p.said.MAC[0] ^= 1
			return p
		}
		phones := make([]*phone, 12)
		for i := range phones {
			phones[i] = wrong()
		}
		proofs, over := 0, 0
		for _, err := range mobiletest.Together(12, func(i int) error { _, err := w.register(phones[i]); return err }) {
			switch {
			case refusedFor(err, enrolment.ReasonProof):
				proofs++
			case refusedFor(err, enrolment.ReasonOver):
				over++
			default:
				t.Error(err)
			}
		}
		if proofs != enrolment.CodeTries || over != 12-enrolment.CodeTries {
			t.Errorf("%d were judged, %d came too late", proofs, over)
		}
		if o := w.op(b.Operation.ID); o.State != operation.Failed || o.Reason != enrolment.ReasonAttempts {
			t.Errorf("the operation is %s for %q", o.State, o.Reason)
		}
		if _, err := w.register(w.phone(b.Code)); !refusedFor(err, enrolment.ReasonOver) {
			t.Errorf("the right proof afterwards: %v", err)
		}
		events, err := w.trail.List(t.Context(), time.Time{}, 0)
		must(t, err)
		noted := 0
		for _, e := range events {
			if e.Name == "registration.proof" && e.Operation == b.Operation.ID {
				noted++
			}
		}
		if noted != enrolment.CodeTries {
			t.Errorf("%d are in the audit trail", noted)
		}
	})
}

// TestACodeIsForOnePhone, also when two have it at the same time; the first may say it again.
func TestACodeIsForOnePhone(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		phones := []*phone{w.phone(b.Code), w.phone(b.Code), w.phone(b.Code), w.phone(b.Code)}
		var winner *phone
		answers := make([]envelope.RegistrationAnswer, len(phones))
		for i, err := range mobiletest.Together(len(phones), func(i int) (err error) { answers[i], err = w.register(phones[i]); return err }) {
			switch {
			case err == nil && winner == nil:
				winner = phones[i]
			case err == nil:
				t.Error("two phones are registered")
			case !refusedFor(err, enrolment.ReasonUsed):
				t.Error(err)
			}
		}
		first := w.digitsOf(b.Operation.ID)
		winner.ask(w, b.Code)
		again, err := w.register(winner)
		must(t, err)
		d := w.device(again.Device)
		if d.SignKeyID != winner.keys.Public().Sign.ID() || again.Status != "pending" {
			t.Errorf("again: %+v", again)
		}
		if w.digitsOf(b.Operation.ID) == first && winner.digits(b.Operation.ID) != first {
			t.Error("the digits are those of the first request")
		}
		winner.said.Factors = map[string]envelope.Secret{envelope.FactorPIN: secret(7)}
		winner.ask(w, b.Code)
		if _, err := w.register(winner); !refusedFor(err, enrolment.ReasonUsed) {
			t.Errorf("again with another PIN: %v", err)
		}
		winner.said.Factors[envelope.FactorPIN] = secret(1)
		winner.ask(w, b.Code)
		_, err = w.register(winner)
		must(t, err)
		c, err := w.Confirm(w.ctx(), b.Operation.ID, winner.digits(b.Operation.ID))
		if err != nil || c.Code != operation.Accepted {
			t.Errorf("the digits of the last request: %+v, %v", c, err)
		}
		winner.ask(w, b.Code)
		if _, err := w.register(winner); !refusedFor(err, enrolment.ReasonOver) {
			t.Errorf("after it was confirmed: %v", err)
		}
	})
}

// digitsOf reads what is kept with an operation.
func (w *world) digitsOf(operationID string) string {
	w.t.Helper()
	var kept struct {
		Digits string `json:"digits"`
	}
	must(w.t, json.Unmarshal(w.op(operationID).Registration, &kept))
	return kept.Digits
}

// TestPoliciesThatTakeLess: push switched off, OpenPGP keys that nobody asked for.
func TestPoliciesThatTakeLess(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		answer, err := w.register(w.phone(b.Code, func(p *phone) {
			p.said.Push = &envelope.PushAddress{Service: "apns", Address: "a"}
			p.said.PGP = pgpKey(t)
		}))
		must(t, err)
		if d := w.device(answer.Device); d.Push != nil || d.PGP != nil || answer.Policy.Push || answer.PGP != nil {
			t.Errorf("the device is %+v", d)
		}
		d, p := w.enrol("usr_2")
		m, _ := w.says(d, p, envelope.Statement{Purpose: envelope.PurposeDisconnect}, secret(1))
		if _, err := w.ChangePush(t.Context(), m, &handset.Push{Service: "apns", Address: "a"}); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("an address later: %v", err)
		}
		if _, err := w.ChangePush(t.Context(), m, nil); err != nil {
			t.Errorf("no address: %v", err)
		}
		w.policy.Push = true
		m.JTI = envelope.NewID()
		if got, err := w.ChangePush(t.Context(), m, &handset.Push{Service: "apns", Address: "a"}); err != nil || got.Push == nil {
			t.Errorf("switched on: %v", err)
		}
	}, with(func(p *enrolment.Policy) { p.Push = false }))
}

func TestKeysOfTheServerForOneDevice(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		device := pgpKey(t)
		var own []*jose.EncryptionKey
		for i := range 2 {
			b := w.start(fmt.Sprint("usr_", i))
			p := w.phone(b.Code, func(p *phone) { p.said.PGP = device })
			answer, key, err := w.Register(t.Context(), p.request, p.said)
			must(t, err)
			d, err := w.devices.ByServerKey(t.Context(), key.KID)
			if err != nil || d.ID != answer.Device {
				t.Fatalf("the key leads to %q, %v", d.ID, err)
			}
			private, err := jose.ParseDecryption(d.ServerKey)
			if err != nil || private.Public().KID != key.KID {
				t.Errorf("the private key is of %q, %v", private.KID, err)
			}
			server, err := pgp.ParsePrivate(d.PGPServerKey)
			must(t, err)
			public, err := server.Public().Marshal()
			if err != nil || !bytes.Equal(public, answer.PGP) || !bytes.Equal(d.PGP, device) {
				t.Errorf("the OpenPGP keys are not those that the device is told, %v", err)
			}
			p.ask(w, b.Code)
			again, other, err := w.Register(t.Context(), p.request, p.said)
			if err != nil || other.KID != key.KID || !bytes.Equal(again.PGP, answer.PGP) {
				t.Errorf("asked again: other keys, %v", err)
			}
			own = append(own, key)
		}
		if own[0].KID == own[1].KID {
			t.Error("two devices have one key")
		}
	}, with(func(p *enrolment.Policy) { p.UniqueKeys, p.Encryption = true, enrolment.OpenPGP }))
}

// grades grades as the evidence says.
type grades struct{}

func (grades) Grade(_ context.Context, e enrolment.Evidence) (handset.Attestation, error) {
	format, err := enrolment.Format(e.Raw)
	if err != nil || len(e.Challenge) != 32 || e.Keys.Sign.ID() == "" || e.Application != "bank" || e.Version == "" || e.Platform == "" {
		return handset.Attestation{Result: handset.Failed}, nil
	}
	if format == "down" {
		return handset.Attestation{}, errDown
	}
	a := handset.Attestation{Format: "test", Result: format, Grade: attestation.Unknown}
	if grade, verified := strings.CutPrefix(format, handset.Verified+"."); verified {
		a.Result, a.Grade = handset.Verified, attestation.Grade(grade)
	}
	return a, nil
}

func TestAttestation(t *testing.T) {
	good, weak := handset.Verified+".tee", handset.Verified+".software"
	tests := map[string]map[string]string{ // policy, evidence: what becomes of the device, or why it is refused
		enrolment.AttestationRequired: {
			good: "active", weak: "attestation_grade", handset.Unverified: "attestation_unverified", handset.Failed: "attestation_failed",
		},
		enrolment.AttestationPreferred: {
			good: "active", weak: "quarantined", handset.Unverified: "quarantined", handset.Failed: "attestation_failed",
		},
		enrolment.AttestationRecord: {good: "active", weak: "active", handset.Unverified: "active", handset.Failed: "active"},
	}
	for policy, byEvidence := range tests {
		for evidence, want := range byEvidence {
			t.Run(policy+" "+evidence, func(t *testing.T) {
				over(t, func(t *testing.T, w *world) { registers(t, w, evidence, want) },
					func(c *enrolment.Config, p *enrolment.Policy) {
						c.Attestation, p.Attestation, p.Confirmation = grades{}, policy, enrolment.ConfirmNone
					})
			})
			t.Run(policy+" on the platform "+evidence, func(t *testing.T) {
				over(t, func(t *testing.T, w *world) { registers(t, w, evidence, want) },
					func(c *enrolment.Config, p *enrolment.Policy) {
						c.Attestation, p.Confirmation = grades{}, enrolment.ConfirmNone
						p.AttestationOn = map[string]enrolment.AttestationRule{
							"ios": {Mode: policy}, "android": {Mode: enrolment.AttestationRequired, Minimum: attestation.Hardware},
						}
					})
			})
		}
	}
}

// registers has a phone register with evidence.
func registers(t *testing.T, w *world, evidence, want string) {
	t.Helper()
	b := w.start("usr_1", func(s *enrolment.Start) { s.Proofed = true })
	answer, err := w.register(w.phone(b.Code, func(p *phone) {
		p.said.Attestation = fmt.Appendf(nil, `{"format":%q}`, evidence)
	}))
	if strings.HasPrefix(want, enrolment.ReasonAttestation) {
		if !refusedFor(err, want) {
			t.Errorf("it is %+v, %v", answer, err)
		}
		if got := w.refusals(); len(got) != 1 || got[0] != want {
			t.Errorf("on the trail: %v", got)
		}
		return
	}
	must(t, err)
	d := w.device(answer.Device)
	result, _, _ := strings.Cut(evidence, ".")
	if answer.Status != want || string(d.Status) != want || d.Attestation.Result != result || d.Attestation.Format != "test" ||
		!d.Attestation.At.Equal(w.clock.Now()) {
		t.Errorf("it is %+v, and the device %+v", answer, d)
	}
}

// TestAGraderThatIsDown: nothing happened, and nobody is refused for it.
func TestAGraderThatIsDown(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		_, err := w.register(w.phone(b.Code, func(p *phone) { p.said.Attestation = []byte(`{"format":"down"}`) }))
		if !errors.Is(err, errDown) || errors.Is(err, envelope.ErrRefused) {
			t.Errorf("registering: %v", err)
		}
	}, func(c *enrolment.Config, _ *enrolment.Policy) { c.Attestation = grades{} })
}

func TestTheGraderThatKnowsNothing(t *testing.T) {
	t.Parallel()
	noFormat := handset.Attestation{Result: handset.Failed, Grade: attestation.Unknown, Detail: enrolment.DetailFormat}
	tests := []struct {
		name, raw string
		want      handset.Attestation
	}{
		{"nothing", "", handset.Attestation{Result: handset.Absent, Grade: attestation.Unknown}},
		{"a format", `{"format":"apple-appattest","x":1}`, handset.Attestation{Format: "apple-appattest", Result: handset.Unverified, Grade: attestation.Unknown}},
		{"no format", `{"x":1}`, noFormat},
		{"no name", `{"format":"a b"}`, noFormat},
		{"a number", `{"format":1}`, noFormat},
		{"two formats", `{"format":"a","format":"b"}`, noFormat},
		{"a long one", `{"format":"` + strings.Repeat("x", 65) + `"}`, noFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := enrolment.Unverified{}.Grade(t.Context(), enrolment.Evidence{Raw: []byte(tt.raw)})
			if err != nil || got != tt.want {
				t.Errorf("it is %+v, %v", got, err)
			}
		})
	}
}

func TestRegistrationsOfALockedUserOrHandset(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		hash, err := w.devices.Hash(t.Context(), "handset")
		must(t, err)
		_, err = w.devices.LockHash(w.ctx(), hash, "stolen")
		must(t, err)
		b := w.start("usr_1")
		_, err = w.register(w.phone(b.Code, func(p *phone) { p.said.Handset = "handset" }))
		if !refusedFor(err, enrolment.ReasonDevice) || !errors.Is(err, handset.ErrBlocked) {
			t.Errorf("on a locked handset: %v", err)
		}
		w.users.Lock("usr_1")
		if _, err := w.register(w.phone(b.Code)); !refusedFor(err, enrolment.ReasonUser) {
			t.Errorf("of a locked user: %v", err)
		}
		d, p := w.enrol("usr_2")
		b = w.start("usr_3")
		_, err = w.register(w.phone(b.Code, func(other *phone) { other.keys, other.said.Keys = p.keys, p.said.Keys }))
		if !refusedFor(err, enrolment.ReasonDevice) || !errors.Is(err, handset.ErrKeyTaken) {
			t.Errorf("with the keys of %s: %v", d.ID, err)
		}
	})
}

// TestNothingPrintsACode: neither what a start returns, nor what is stored in the clear.
func TestNothingPrintsACode(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		if text := fmt.Sprintf("%v %+v %#v", b, b, b); strings.Contains(text, b.Code) || strings.Contains(text, b.QR) {
			t.Errorf("it prints %s", text)
		}
		must(t, w.db.View(t.Context(), func(tx storage.Tx) error {
			for item, err := range tx.Scan("", "", 0) {
				if err != nil {
					return err
				}
				if strings.Contains(string(item.Value), b.Code) {
					t.Errorf("%s holds the code", item.Key)
				}
			}
			return nil
		}))
	})
}

// FuzzFormat: whatever a stranger sends as evidence, its format can be stored, and there is one way to read it.
func FuzzFormat(f *testing.F) {
	for _, seed := range []string{`{"format":"apple-appattest"}`, `{"Format":"x"}`, `{"format":"a","format":"b"}`, `[]`, `{"format":"a\u0000"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		format, err := enrolment.Format(raw)
		if err != nil {
			if format != "" {
				t.Errorf("refused, and it is %q", format)
			}
			return
		}
		var plain map[string]json.RawMessage
		if err := json.Unmarshal(raw, &plain); err != nil || strings.Trim(string(plain["format"]), `"`) != format && !strings.Contains(string(plain["format"]), `\`) {
			t.Errorf("%q is read as %q, %v", raw, format, err)
		}
		if strings.ContainsAny(format, "\x00 \n\"") || len(format) > 64 {
			t.Errorf("%q has the format %q", raw, format)
		}
	})
}
