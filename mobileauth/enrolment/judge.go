// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Describe returns what a device may know about itself and, when it is active, which newer devices of its user and its
// application wait for it.
func (s *Store) Describe(ctx context.Context, d handset.Device) (envelope.DeviceAnswer, error) {
	p, _ := s.Policies(d.Application) // a device of an application that is gone has the policy that allows nothing
	out := envelope.DeviceAnswer{
		Device: d.ID, Status: string(d.Status), Name: d.Name, Factors: []envelope.FactorInfo{}, Policy: p.Wire(),
	}
	for _, f := range d.Factors {
		out.Factors = append(out.Factors, envelope.FactorInfo{Kind: f.Kind, SetBy: f.SetBy})
	}
	if d.Push != nil {
		out.PushService, out.PushDead = d.Push.Service, !d.Push.DeadAt.IsZero()
	}
	if d.Status != handset.Active {
		return out, nil
	}
	siblings, err := s.Devices.ByUser(ctx, d.UserID)
	if err != nil {
		return envelope.DeviceAnswer{}, failed("describing a device", err)
	}
	for _, other := range siblings {
		if judgeable(&d, &other) {
			out.Waiting = append(out.Waiting, envelope.WaitingDevice{
				Device: other.ID, Name: other.Name, Model: other.Model, Created: other.CreatedAt.Unix(),
			})
		}
	}
	return out, nil
}

// judgeable reports whether a device may release or reject another: a newer one of the same user and application that waits,
// and one that comes in the place of a device only by that one.
func judgeable(by, target *handset.Device) bool {
	return target.Status == handset.Quarantined && target.ID != by.ID && target.UserID == by.UserID &&
		target.Application == by.Application && (target.TransferOf == "" || target.TransferOf == by.ID)
}

// Judge releases or rejects another device of the same user, as the statement says, for a person who proves to be there with a
// factor. Where the other device comes in the place of this one, this one is deactivated in the same transaction; with push
// mode "override" too.
func (s *Store) Judge(ctx context.Context, m handset.Message, p handset.Proof) (handset.Verdict, error) {
	if p.Statement.Purpose != envelope.PurposeDevice {
		return handset.Verdict{}, failed("judging a device", invalid("purpose", "a statement about something else"))
	}
	by := m.Actor(ctx)
	var v handset.Verdict
	var more []handset.Device
	err := s.DB.Update(ctx, func(tx storage.Tx) error {
		more = nil
		old, verdict, err := s.Devices.Wish(tx, m, &p, by)
		if v = verdict; err != nil || !v.OK {
			return err
		}
		target, found, err := s.Devices.Find(tx, p.Statement.Target)
		if err != nil {
			return err
		}
		if !found || !judgeable(&old, &target) {
			v = handset.Verdict{Reason: ReasonTarget, Remaining: v.Remaining}
			return nil
		}
		if p.Statement.Decision != envelope.Approve {
			target.Status, target.StatusReason = handset.Deactivated, ReasonRejected
			return s.Devices.Put(tx, &target, by)
		}
		more, err = s.release(tx, &target, &old, by)
		return err
	})
	if err == nil {
		err = s.displace(ctx, more, ReasonReplaced)
	}
	if err != nil {
		return handset.Verdict{}, failed("judging a device", err)
	}
	return v, nil
}

// release makes a quarantined device active and ends the one in whose place it comes. It returns the others that have to go,
// which are ended afterwards: there is one at most unless the push mode was another before.
func (s *Store) release(tx storage.Tx, target, old *handset.Device, by audit.Actor) (more []handset.Device, err error) {
	reason := ReasonReplaced
	if target.TransferOf != "" {
		reason = ReasonDisplaced
	}
	if more, err = s.displacedBy(tx, target); err != nil {
		return nil, err
	}
	target.Status, target.StatusReason = handset.Active, ""
	if err := s.Devices.Put(tx, target, by); err != nil {
		return nil, err
	}
	var rest []handset.Device
	for _, d := range more {
		if old == nil || d.ID != old.ID {
			rest = append(rest, d)
			continue
		}
		old.Status, old.StatusReason = handset.Deactivated, reason
		if err := s.Devices.Put(tx, old, by); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// displacedBy are the devices that go when the target becomes active.
func (s *Store) displacedBy(tx storage.Tx, target *handset.Device) ([]handset.Device, error) {
	p, found := s.Policies(target.Application)
	if found && p.PushMode != Multiple {
		return s.rivals(tx, target.UserID, target.Application, target.ID)
	}
	old, found, err := s.Devices.Find(tx, target.TransferOf)
	if err != nil || !found || old.Status == handset.Deactivated {
		return nil, err
	}
	return []handset.Device{old}, nil
}

// Release lets a quarantined device answer, for a back end that has found out whose it is. What goes with it goes as in
// [Store.Judge]. An active device stays as it is; any other is [ErrTransition].
func (s *Store) Release(ctx context.Context, deviceID string) (d handset.Device, err error) {
	by := audit.ActorOf(ctx)
	var more []handset.Device
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		more = nil
		var found bool
		d, found, err = s.Devices.Find(tx, deviceID)
		switch {
		case err != nil:
			return err
		case !found:
			return handset.ErrNotFound
		case d.Status == handset.Active:
			return nil
		case d.Status != handset.Quarantined:
			return ErrTransition
		}
		more, err = s.release(tx, &d, nil, by)
		return err
	})
	if err == nil {
		err = s.displace(ctx, more, ReasonReplaced)
	}
	if err != nil {
		return handset.Device{}, failed("releasing a device", err)
	}
	return d, nil
}

// Transfer starts a registration in the place of the device that asks, for a person who proves to be there with a factor. The
// new device waits in quarantine until this one releases it.
func (s *Store) Transfer(ctx context.Context, m handset.Message, p handset.Proof) (envelope.TransferAnswer, handset.Verdict, error) {
	b, v, err := s.transfer(ctx, m, p)
	switch {
	case errors.Is(err, ErrOff), errors.Is(err, ErrApplication), errors.Is(err, ErrSingle), errors.Is(err, operation.ErrTooManyOpen),
		errors.Is(err, operation.ErrBlocked), errors.Is(err, operation.ErrUser):
		return envelope.TransferAnswer{}, handset.Verdict{}, fmt.Errorf("transferring a device: %w: %w", handset.ErrInvalid, err)
	case err != nil || !v.OK:
		return envelope.TransferAnswer{}, v, err
	}
	return envelope.TransferAnswer{Invitation: b.QR, Expires: b.Expires.Unix()}, v, nil
}

func (s *Store) transfer(ctx context.Context, m handset.Message, p handset.Proof) (b Begun, v handset.Verdict, err error) {
	if p.Statement.Purpose != envelope.PurposeTransfer {
		return Begun{}, handset.Verdict{}, failed("transferring a device", invalid("purpose", "a statement about something else"))
	}
	old, err := s.Devices.Get(ctx, m.DeviceID)
	if err != nil {
		return Begun{}, handset.Verdict{}, err
	}
	policy, err := s.policy(old.Application)
	if err == nil && !policy.Transfer {
		err = ErrOff
	}
	if err != nil {
		return Begun{}, handset.Verdict{}, err
	}
	by := m.Actor(ctx)
	ctx = audit.WithActor(ctx, by)
	draft, err := s.draft(ctx, Start{UserID: old.UserID, Application: old.Application}, registration{TransferOf: old.ID})
	if err != nil {
		return Begun{}, handset.Verdict{}, err
	}
	key, err := s.ServerKey()
	if err != nil {
		return Begun{}, handset.Verdict{}, err
	}
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		_, verdict, err := s.Devices.Wish(tx, m, &p, by)
		if v = verdict; err != nil || !v.OK {
			return err
		}
		b, _, err = s.startTx(tx, draft, policy)
		return err
	})
	if err != nil || !v.OK {
		return Begun{}, v, err
	}
	s.Operations.Announce(ctx, b.Operation)
	b, err = s.invite(b, key)
	return b, v, err
}

// ChangePush sets where notifications reach the device that sends the message, if its application sends any; nil is always
// taken. A policy without push, and an address that is none, are handset.ErrInvalid.
func (s *Store) ChangePush(ctx context.Context, m handset.Message, push *handset.Push) (handset.Device, error) {
	if push != nil {
		d, err := s.Devices.Get(ctx, m.DeviceID)
		if err != nil {
			return handset.Device{}, err
		}
		if p, found := s.Policies(d.Application); !found || !p.Push {
			return handset.Device{}, fmt.Errorf("changing a push address: %w: %w", handset.ErrInvalid, ErrOff)
		}
		d.Push = push
		if err := s.address(&d); err != nil {
			return handset.Device{}, fmt.Errorf("changing a push address: %w", err)
		}
	}
	return s.Devices.ChangePush(ctx, m, push)
}

// address refuses a push address that its service could not use.
func (s *Store) address(d *handset.Device) error {
	if s.Address == nil {
		return nil
	}
	if err := s.Address(d); err != nil {
		return fmt.Errorf("%w: %w", handset.ErrInvalid, err)
	}
	return nil
}

// ChangeFactor sets the secret of a factor of the device that sends the message, or removes the factor where secret is nil, as
// the device store does. Only what the policy has can be set: otherwise a device would come by the back door to a factor with
// which no device may register. That is handset.ErrInvalid; what the policy no longer has can still be removed.
func (s *Store) ChangeFactor(ctx context.Context, m handset.Message, p handset.Proof, kind string, secret *envelope.Secret) (
	handset.Device, handset.Verdict, error,
) {
	if secret != nil {
		d, err := s.Devices.Get(ctx, m.DeviceID)
		if err != nil {
			return handset.Device{}, handset.Verdict{}, err
		}
		if policy, found := s.Policies(d.Application); !found || !policy.Allows(kind) {
			return handset.Device{}, handset.Verdict{}, fmt.Errorf("changing a factor: %w: %w", handset.ErrInvalid, ErrOff)
		}
	}
	return s.Devices.ChangeFactor(ctx, m, p, kind, secret)
}
