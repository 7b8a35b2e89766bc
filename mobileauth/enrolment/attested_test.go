// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
)

// shows grades evidence that says what it is for and about, as platforms do.
type shows struct{}

// showing is such evidence.
type showing struct {
	Format    string            `json:"format"`
	Challenge envelope.Bytes    `json:"challenge"`
	Key       string            `json:"key"`
	Grade     attestation.Grade `json:"grade"`
	KeyID     string            `json:"key_id"`
	Counter   uint32            `json:"counter"`
}

func (shows) Grade(ctx context.Context, e enrolment.Evidence) (handset.Attestation, error) {
	a, err := enrolment.Unverified{}.Grade(ctx, e)
	if err != nil || a.Result != handset.Unverified {
		return a, err
	}
	var s showing
	if json.Unmarshal(e.Raw, &s) != nil || string(s.Challenge) != string(e.Challenge) || s.Key != e.Keys.Sign.ID() {
		return handset.Attestation{Format: a.Format, Result: handset.Failed, Grade: attestation.Unknown, Detail: "challenge"}, nil
	}
	return handset.Attestation{Format: a.Format, Result: handset.Verified, Grade: s.Grade, KeyID: s.KeyID, Counter: s.Counter}, nil
}

func (s showing) raw() json.RawMessage {
	s.Format = "test"
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return raw
}

func showingWorld(mode string) func(*enrolment.Config, *enrolment.Policy) {
	return func(c *enrolment.Config, p *enrolment.Policy) {
		c.Attestation, p.Confirmation, p.Quarantine = shows{}, enrolment.ConfirmNone, false
		p.AttestationOn = map[string]enrolment.AttestationRule{"ios": {Mode: mode}}
	}
}

// vouched registers a phone of which a platform says something.
func (w *world) vouched(user string, grade attestation.Grade, keyID string) (handset.Device, *phone) {
	w.t.Helper()
	b := w.start(user, func(s *enrolment.Start) { s.Proofed = true })
	code, err := envelope.ParseActivationCode(b.Code)
	must(w.t, err)
	p := w.phone(b.Code, func(p *phone) {
		p.said.Attestation = showing{
			Challenge: code.AttestationChallenge(), Key: p.keys.Public().Sign.ID(), Grade: grade, KeyID: keyID,
		}.raw()
	})
	answer, err := w.register(p)
	must(w.t, err)
	return w.device(answer.Device), p
}

// message is one of a device.
func (w *world) message(d handset.Device, p *phone) handset.Message {
	return handset.Message{DeviceID: d.ID, KID: p.keys.Public().Sign.ID(), JTI: envelope.NewID(), IssuedAt: w.clock.Now()}
}

func (w *world) challenge(d handset.Device, p *phone) []byte {
	w.t.Helper()
	answer, err := w.Challenge(w.ctx(), w.message(d, p))
	must(w.t, err)
	if len(answer.Challenge) != 32 || answer.Expires != w.clock.Now().Add(enrolment.ChallengeTime).Unix() {
		w.t.Fatalf("the challenge is %+v", answer)
	}
	return answer.Challenge
}

// refusals are the reasons on the trail for which evidence was refused.
func (w *world) refusals() (reasons []string) {
	w.t.Helper()
	page, err := w.trail.Query(w.ctx(), audit.Query{Limit: 100})
	must(w.t, err)
	for _, e := range page.Events {
		if e.Name == "device.attestation" {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

// TestEvidenceIsForOneRegistration: what was made for another code, or for other keys, is wrong.
func TestEvidenceIsForOneRegistration(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		d, _ := w.vouched("usr_1", attestation.Hardware, "")
		if !d.Attestation.Verified(attestation.Hardware) || d.Attestation.Format != "test" || !d.Attestation.At.Equal(w.clock.Now()) {
			t.Errorf("it is %+v", d.Attestation)
		}
		other := w.start("usr_3")
		code, err := envelope.ParseActivationCode(other.Code)
		must(t, err)
		b := w.start("usr_2")
		_, err = w.register(w.phone(b.Code, func(p *phone) {
			p.said.Attestation = showing{
				Challenge: code.AttestationChallenge(), Key: p.keys.Public().Sign.ID(), Grade: attestation.TEE,
			}.raw()
		}))
		if !refusedFor(err, "attestation_challenge") {
			t.Errorf("made for another code: %v", err)
		}
	}, showingWorld(enrolment.AttestationRequired))
}

// TestAttestingAgain: a challenge is used once, by the device that it was set.
func TestAttestingAgain(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		d, p := w.vouched("usr_1", attestation.TEE, "key-1")
		stranger, q := w.vouched("usr_2", attestation.TEE, "key-2")
		foreign := w.challenge(stranger, q)
		first := w.challenge(d, p)
		second := w.challenge(d, p)
		say := func(value []byte, counter uint32, grade attestation.Grade) error {
			s := showing{Challenge: value, Key: p.keys.Public().Sign.ID(), Grade: grade, KeyID: "key-1", Counter: counter}
			answer, err := w.Attest(w.ctx(), w.message(d, p), s.raw())
			if err == nil && answer.Grade != string(grade) {
				t.Errorf("the answer is %+v", answer)
			}
			return err
		}
		for name, value := range map[string][]byte{"of another device": foreign, "that was replaced": first, "of nobody": make([]byte, 32)} {
			if err := say(value, 1, attestation.Hardware); !errors.Is(err, handset.ErrInvalid) {
				t.Errorf("for a challenge %s: %v", name, err)
			}
		}
		if err := say(second, 0, attestation.Hardware); !errors.Is(err, handset.ErrTransition) {
			t.Errorf("with the counter that it had: %v", err)
		}
		if err := say(second, 1, attestation.Software); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("below the policy: %v", err)
		}
		if got := w.device(d.ID).Attestation; got != d.Attestation {
			t.Errorf("what was refused is kept: %+v", got)
		}
		must(t, say(second, 5, attestation.Hardware))
		if got := w.device(d.ID).Attestation; got.Grade != attestation.Hardware || got.Counter != 5 {
			t.Errorf("it is %+v", got)
		}
		if err := say(second, 6, attestation.Hardware); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("the same challenge again: %v", err)
		}
		late := w.challenge(d, p)
		w.clock.Advance(enrolment.ChallengeTime)
		if err := say(late, 7, attestation.Hardware); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("too late: %v", err)
		}
		want := map[string]int{"attestation_challenge": 5, "attestation_grade": 1}
		got := map[string]int{}
		for _, reason := range w.refusals() {
			got[reason]++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("on the trail: %v, want %v", got, want)
		}
	}, showingWorld(enrolment.AttestationRequired))
}

// TestEvidenceAtOnce: of what is said together for one challenge one thing counts.
func TestEvidenceAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		d, p := w.vouched("usr_1", attestation.TEE, "key-1")
		value := w.challenge(d, p)
		taken := 0
		for _, err := range mobiletest.Together(8, func(i int) error {
			s := showing{Challenge: value, Key: p.keys.Public().Sign.ID(), Grade: attestation.TEE, KeyID: "key-1", Counter: uint32(i + 1)}
			_, err := w.Attest(w.ctx(), w.message(d, p), s.raw())
			return err
		}) {
			if err == nil {
				taken++
			}
		}
		if taken != 1 {
			t.Errorf("%d were taken", taken)
		}
	}, showingWorld(enrolment.AttestationRequired))
}

// TestOneKeyOfThePlatform vouches for one device.
func TestOneKeyOfThePlatform(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.vouched("usr_1", attestation.TEE, "key-1")
		b := w.start("usr_2")
		code, err := envelope.ParseActivationCode(b.Code)
		must(t, err)
		_, err = w.register(w.phone(b.Code, func(p *phone) {
			p.said.Attestation = showing{
				Challenge: code.AttestationChallenge(), Key: p.keys.Public().Sign.ID(), Grade: attestation.TEE, KeyID: "key-1",
			}.raw()
		}))
		if !refusedFor(err, enrolment.ReasonDevice) {
			t.Errorf("a second device: %v", err)
		}
	}, showingWorld(enrolment.AttestationRecord))
}

// TestNewKeysAreShownAnew: evidence about the old ones says nothing about them.
func TestNewKeysAreShownAnew(t *testing.T) {
	const kept, dropped, refused = "kept", "dropped", "refused"
	for _, tt := range []struct {
		mode, name string
		had        attestation.Grade
		evidence   func(s *showing) *showing
		want       string
	}{
		{enrolment.AttestationRequired, "with evidence", attestation.TEE, func(s *showing) *showing { return s }, kept},
		{enrolment.AttestationRequired, "without evidence", attestation.TEE, nothing, refused},
		{enrolment.AttestationRequired, "with worse evidence", attestation.TEE, weaker, refused},
		{enrolment.AttestationRequired, "about the old keys", attestation.TEE, wrongKey, refused},
		{enrolment.AttestationPreferred, "with evidence", attestation.TEE, func(s *showing) *showing { return s }, kept},
		{enrolment.AttestationPreferred, "without evidence", attestation.TEE, nothing, refused},
		{enrolment.AttestationPreferred, "about the old keys", attestation.TEE, wrongKey, refused},
		{enrolment.AttestationRecord, "with evidence", attestation.TEE, func(s *showing) *showing { return s }, kept},
		{enrolment.AttestationRecord, "without evidence", attestation.TEE, nothing, dropped},
		{enrolment.AttestationRecord, "about the old keys", attestation.TEE, wrongKey, dropped},
	} {
		t.Run(tt.mode+" "+tt.name, func(t *testing.T) {
			over(t, func(t *testing.T, w *world) {
				d, p := w.vouched("usr_1", tt.had, "")
				next := mobiletest.Keys(t)
				public := next.Public()
				var raw json.RawMessage
				s := tt.evidence(&showing{Challenge: w.challenge(d, p), Key: public.Sign.ID(), Grade: attestation.TEE})
				if s != nil {
					raw = s.raw()
				}
				m, proof := w.says(d, p, envelope.Statement{Purpose: envelope.PurposeKeys, Keys: &public}, secret(1))
				_, v, err := w.ChangeKeys(w.ctx(), m, proof, public, raw)
				got := w.device(d.ID)
				if tt.want == refused {
					if !errors.Is(err, handset.ErrInvalid) || got.SignKeyID != d.SignKeyID || got.Attestation != d.Attestation {
						t.Errorf("%v, and it is %+v", err, got.Attestation)
					}
					return
				}
				must(t, err)
				if !v.OK || got.SignKeyID != public.Sign.ID() || got.Attestation.Verified(attestation.TEE) != (tt.want == kept) {
					t.Errorf("%+v, and it is %+v", v, got.Attestation)
				}
				if of := got.Attestation.GradeOf(public.Sign.ID()); of.AtLeast(attestation.TEE) != (tt.want == kept) {
					t.Errorf("the new key is %s", of)
				}
				// The old one still speaks, for a day. What was shown about the other does not count for it.
				if of := got.Attestation.GradeOf(d.SignKeyID); of != attestation.Unknown || !got.Speaks(d.SignKeyID, w.clock.Now()) {
					t.Errorf("the old key is %s", of)
				}
				// The answer was lost: the same again changes nothing.
				m, proof = w.says(d, p, envelope.Statement{Purpose: envelope.PurposeKeys, Keys: &public}, secret(1))
				if _, v, err := w.ChangeKeys(w.ctx(), m, proof, public, raw); err != nil || !v.OK || w.device(d.ID).Attestation != got.Attestation {
					t.Errorf("again: %+v, %v", v, err)
				}
			}, showingWorld(tt.mode))
		})
	}
}

func nothing(*showing) *showing { return nil }

func weaker(s *showing) *showing {
	s.Grade = attestation.Software
	return s
}

func wrongKey(s *showing) *showing {
	s.Key = "another"
	return s
}
