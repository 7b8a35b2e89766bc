// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ByDevice is the reason of a device that disconnected itself.
const ByDevice = "by_device"

// ChangeFactor sets the secret of a factor, or removes the factor where secret is nil. The person proves to be there with the
// PIN, or with another factor of a device that has no PIN; on a device that has none at all nothing is changed, since
// possession is not enough to make it worth more. The PIN cannot be removed: it is what all others fall back to.
//
// A message or device that is refused is an error, as of [Store.Accept] and [Store.Usable]; the verdict on the proof is an
// outcome.
func (s *Store) ChangeFactor(ctx context.Context, m Message, p Proof, kind string, secret *envelope.Secret) (Device, Verdict, error) {
	if !envelope.ValidFactor(kind) || kind == envelope.FactorPIN && secret == nil {
		return Device{}, Verdict{}, fmt.Errorf("changing a factor: %w", invalid("kind", "not a factor that can be changed so"))
	}
	return s.wish(ctx, "changing a factor", m, &p, func(_ storage.Tx, d *Device) error {
		switch {
		case len(d.Factors) == 0:
			return ErrTransition
		case secret == nil && !d.DropFactor(kind):
			return errSame
		case secret == nil:
			return nil
		}
		d.SetFactor(Factor{Kind: kind, Secret: secret[:], At: s.now(), SetBy: p.Statement.ID})
		return nil
	})
}

// ChangeKeys replaces the keys of a device, as [Store.RollKeys] does, for a person who proves to be there with a factor, if
// the device has one. The caller has seen the statement signed by the new key as well. What was shown about the old keys says
// nothing about new ones: attested returns what holds from then on, or an error for keys that the device may not change to so.
// Without it nothing is shown.
func (s *Store) ChangeKeys(
	ctx context.Context, m Message, p Proof, keys envelope.PublicKeys, attested func(storage.Tx, *Device) (Attestation, error),
) (Device, Verdict, error) {
	return s.wish(ctx, "changing keys", m, &p, func(tx storage.Tx, d *Device) error {
		had := d.SignKeyID
		if err := s.RollKeys(d, m.KID, keys); err != nil {
			return err
		}
		if d.SignKeyID == had {
			return errSame
		}
		if attested == nil {
			d.Attestation = Attestation{Result: Absent, Grade: attestation.Unknown, At: s.now()}
			return nil
		}
		shown, err := attested(tx, d)
		d.Attestation = shown
		return err
	})
}

// ChangePush sets where notifications reach the device that sends the message, as [Store.SetPush] does.
func (s *Store) ChangePush(ctx context.Context, m Message, push *Push) (Device, error) {
	d, _, err := s.wish(ctx, "changing a push address", m, nil, func(_ storage.Tx, d *Device) error { return d.setPush(push, s.now()) })
	return d, err
}

// Disconnect takes the device that sends the message out for good. One that is quarantined, or whose user is locked, may too.
func (s *Store) Disconnect(ctx context.Context, m Message) (d Device, err error) {
	by := m.Actor(ctx)
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		if d, err = s.Accept(tx, m); err != nil {
			return err
		}
		d.Status, d.StatusReason = Deactivated, ByDevice
		return s.Put(tx, &d, by)
	})
	if err != nil {
		return Device{}, fmt.Errorf("disconnecting a device: %w", err)
	}
	return d, nil
}

// wish does what a device asks about itself, in one transaction: the message is accepted, the device usable, the proof, if
// one is wanted, good.
func (s *Store) wish(ctx context.Context, what string, m Message, p *Proof, fn func(storage.Tx, *Device) error) (
	d Device, v Verdict, err error,
) {
	by := m.Actor(ctx)
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		if d, v, err = s.Wish(tx, m, p, by); err != nil || !v.OK {
			return err
		}
		switch err := fn(tx, &d); {
		case errors.Is(err, errSame):
			return nil
		case err != nil:
			return err
		}
		return s.Put(tx, &d, by)
	})
	if err != nil {
		return Device{}, Verdict{}, fmt.Errorf("%s: %w", what, err)
	}
	return d, v, nil
}

// Wish takes a message in which a device asks for something that changes what it, or its user, may do: the message is
// accepted, the device usable, and the proof good by the strongest factor that it has, whatever the proof says is accepted.
// Without a proof the message is enough. Refusals are errors, and roll back; the verdict is an outcome.
func (s *Store) Wish(tx storage.Tx, m Message, p *Proof, by audit.Actor) (Device, Verdict, error) {
	d, err := s.Accept(tx, m)
	if err != nil {
		return Device{}, Verdict{}, err
	}
	if err := s.Usable(tx, &d); err != nil {
		return Device{}, Verdict{}, err
	}
	if p == nil {
		return d, Verdict{OK: true}, nil
	}
	proof := *p
	proof.Accept = d.strongest()
	v, err := s.Verify(tx, &d, proof, by)
	return d, v, err
}

// strongest are the methods that prove the person best: the PIN, else whatever factors there are, else possession.
func (d *Device) strongest() []string {
	if _, known := d.Factor(envelope.FactorPIN); known {
		return []string{envelope.FactorPIN}
	}
	if len(d.Factors) > 0 {
		return d.Methods()[1:]
	}
	return []string{envelope.MethodPossession}
}
