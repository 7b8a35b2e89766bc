// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ChallengeTime is how long a registered device may take to show something for a challenge.
const ChallengeTime = 10 * time.Minute

// DetailChallenge is the reason of evidence for a challenge that nobody has set, or that was used.
const DetailChallenge = "challenge"

// challenge is what a registered device is to make evidence for. A device has one, and the last one counts.
type challenge struct {
	Device string    `json:"device"`
	Value  []byte    `json:"value"`
	Until  time.Time `json:"until"`
}

// Challenge sets a registered device what it is to make evidence for, in the place of what was set before.
func (s *Store) Challenge(ctx context.Context, m handset.Message) (envelope.AttestationAnswer, error) {
	drawn := challenge{Device: m.DeviceID, Value: make([]byte, envelope.SecretLen), Until: s.now().Add(ChallengeTime)}
	if _, err := rand.Read(drawn.Value); err != nil {
		return envelope.AttestationAnswer{}, failed("drawing a challenge", err)
	}
	by := m.Actor(ctx)
	err := s.DB.Update(ctx, func(tx storage.Tx) error {
		if _, _, err := s.Devices.Wish(tx, m, nil, by); err != nil {
			return err
		}
		return s.challenges.Put(tx, drawn)
	})
	if err != nil {
		return envelope.AttestationAnswer{}, failed("setting a challenge", err)
	}
	return envelope.AttestationAnswer{Challenge: drawn.Value, Expires: drawn.Until.Unix()}, nil
}

// Attest judges what a registered device shows about the keys that it has, for the last challenge that it was set. What is worse than
// the policy asks is handset.ErrInvalid, and leaves the device with what it has shown before.
func (s *Store) Attest(ctx context.Context, m handset.Message, raw json.RawMessage) (envelope.AttestationAnswer, error) {
	d, err := s.Devices.Get(ctx, m.DeviceID)
	if err != nil {
		return envelope.AttestationAnswer{}, err
	}
	keys, known := d.Keys(d.SignKeyID, s.now())
	if !known {
		return envelope.AttestationAnswer{}, failed("judging evidence", handset.ErrUnusable)
	}
	p, err := s.showing(ctx, &d, keys, raw)
	if err != nil {
		return envelope.AttestationAnswer{}, err
	}
	by := m.Actor(ctx)
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		now, _, err := s.Devices.Wish(tx, m, nil, by)
		if err != nil {
			return err
		}
		if now.SignKeyID != d.SignKeyID {
			return handset.ErrTransition
		}
		if now.Attestation, err = p.take(tx, &now); err != nil {
			return err
		}
		return s.Devices.Put(tx, &now, by)
	})
	if err != nil {
		return envelope.AttestationAnswer{}, failed("judging evidence", err)
	}
	return envelope.AttestationAnswer{Grade: string(p.shown.Grade)}, nil
}

// ChangeKeys replaces the keys of the device that sends the message, as the device store does. What was shown about the old keys
// does not count for new ones: evidence about these comes with them, for the last challenge that the device was set. Where the
// policy requires some, or the device had shown what a policy prefers, keys without it are handset.ErrInvalid.
func (s *Store) ChangeKeys(ctx context.Context, m handset.Message, p handset.Proof, keys envelope.PublicKeys, raw json.RawMessage) (
	handset.Device, handset.Verdict, error,
) {
	d, err := s.Devices.Get(ctx, m.DeviceID)
	if err != nil {
		return handset.Device{}, handset.Verdict{}, err
	}
	if d.SignKeyID == keys.Sign.ID() { // they were changed already, and the phone did not hear so
		return s.Devices.ChangeKeys(ctx, m, p, keys, nil)
	}
	shown, err := s.showing(ctx, &d, keys, raw)
	if err != nil {
		return handset.Device{}, handset.Verdict{}, err
	}
	return s.Devices.ChangeKeys(ctx, m, p, keys, shown.take)
}

// presentation is evidence that was judged before the transaction in which it counts.
type presentation struct {
	*Store
	shown handset.Attestation
	used  []byte // the challenge; nil without evidence
}

// showing judges evidence of a registered device.
func (s *Store) showing(ctx context.Context, d *handset.Device, keys envelope.PublicKeys, raw json.RawMessage) (*presentation, error) {
	p := &presentation{Store: s}
	set, err := s.challengeOf(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case len(raw) > 0 && set == nil:
		p.shown = handset.Attestation{Result: handset.Failed, Grade: handset.GradeUnknown, Detail: DetailChallenge, At: s.now()}
	default:
		if len(raw) > 0 {
			p.used = set
		}
		p.shown, err = s.grade(ctx, Evidence{
			Raw: raw, Application: d.Application, Platform: d.Platform, Version: d.AppVersion, Keys: keys, Challenge: set,
			Known: d.Attestation,
		})
	}
	if err != nil {
		return nil, err
	}
	policy, _ := s.Policies(d.Application) // a device of an application that is gone has the policy that allows nothing
	rule := policy.rule(d.Platform)
	reason := rule.refused(&p.shown)
	if reason == "" && d.Attestation.Verified(rule.Minimum) && rule.doubtful(&p.shown) {
		reason = AttestationReason(&p.shown)
	}
	if reason == "" {
		return p, nil
	}
	if err := s.noteRefusal(ctx, reason, audit.Event{Subject: d.UserID, DeviceID: d.ID}); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("judging evidence: %w: %s", handset.ErrInvalid, reason)
}

// noteRefusal writes into the audit trail what the phone is not told.
func (s *Store) noteRefusal(ctx context.Context, reason string, e audit.Event) error {
	e.Name, e.Outcome, e.Reason = "device.attestation", audit.Refused, reason
	e = s.event(audit.ActorOf(ctx), e)
	if err := s.DB.Update(ctx, func(tx storage.Tx) error { return s.Audit.Append(tx, e) }); err != nil {
		return failed("noting evidence that was refused", err)
	}
	return nil
}

// challengeOf returns what a device was set; nil when nothing is.
func (s *Store) challengeOf(ctx context.Context, device string) (value []byte, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		c, found, err := s.challenges.Find(tx, device)
		if value = nil; found && s.now().Before(c.Until) {
			value = c.Value
		}
		return err
	})
	if err != nil {
		return nil, failed("reading a challenge", err)
	}
	return value, nil
}

// take uses the challenge up, and has a key of the platform's speak no older word than it has spoken already.
func (p *presentation) take(tx storage.Tx, d *handset.Device) (handset.Attestation, error) {
	if p.used != nil {
		c, found, err := p.challenges.Find(tx, d.ID)
		if err != nil {
			return handset.Attestation{}, err
		}
		if !found || string(c.Value) != string(p.used) {
			return handset.Attestation{}, fmt.Errorf("using a challenge up: %w", handset.ErrTransition)
		}
		if err := p.challenges.Delete(tx, d.ID); err != nil {
			return handset.Attestation{}, err
		}
	}
	if old := &d.Attestation; p.shown.KeyID != "" && p.shown.KeyID == old.KeyID && p.shown.Counter <= old.Counter {
		return handset.Attestation{}, fmt.Errorf("taking evidence: %w", errors.Join(handset.ErrTransition, errOlder))
	}
	return p.shown, nil
}

var errOlder = errors.New("the key has spoken a newer word")
