// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Confirmation is what came of digits. It is committed.
type Confirmation struct {
	// Code is operation.Accepted, Refused, Gone or NotAllowed.
	Code operation.Code
	// Reason is for the audit trail.
	Reason string
	// Remaining is how many tries are left after digits that were refused.
	Remaining int
	Operation operation.Operation
	// Device is the one that was registered; it may be quarantined.
	Device handset.Device
}

// Confirm takes the digits that the person reads on the phone and types where the registration began. When they are right the
// device is active or quarantined, and the older ones are gone where the policy says so; if that breaks off in the middle,
// the same digits finish it. The third wrong digits end the registration. Whether the caller may confirm this operation is
// for the caller to know.
func (s *Store) Confirm(ctx context.Context, operationID, digits string) (Confirmation, error) {
	return s.settle(ctx, operationID, &digits)
}

// maxRounds bounds how often older devices are looked for: each round ends all that it finds.
const maxRounds = 4

// settle ends a registration for which a phone has registered. Without digits none are asked for.
func (s *Store) settle(ctx context.Context, operationID string, digits *string) (Confirmation, error) {
	for range maxRounds {
		c, displaced, err := s.settleOnce(ctx, operationID, digits)
		if err != nil {
			return Confirmation{}, failed("confirming a registration", err)
		}
		if len(displaced) == 0 {
			s.Operations.Announce(ctx, c.Operation)
			return c, nil
		}
		if err := s.displace(ctx, displaced, ReasonReplaced); err != nil {
			return Confirmation{}, failed("confirming a registration", err)
		}
	}
	return Confirmation{}, failed("confirming a registration", storage.ErrConflict)
}

// displace ends devices in whose place another comes, each in a transaction of its own.
func (s *Store) displace(ctx context.Context, devices []handset.Device, reason string) error {
	for _, d := range devices {
		if _, err := s.Devices.Deactivate(ctx, d.ID, reason); err != nil && !errors.Is(err, handset.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (s *Store) settleOnce(ctx context.Context, operationID string, digits *string) (c Confirmation, displaced []handset.Device, err error) {
	by := audit.ActorOf(ctx)
	drawn := s.event(by, audit.Event{Name: "registration.digits", Outcome: audit.Refused, Reason: ReasonDigits})
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		displaced = nil
		o, state, err := s.registration(tx, operationID)
		if err != nil {
			return err
		}
		if !o.State.Open() {
			c = Confirmation{Code: operation.Gone, Reason: "is_" + string(o.State), Operation: o}
			return nil
		}
		t := turn{Store: s, tx: tx, o: o, state: state, by: by}
		if t.state.Device == "" {
			c = Confirmation{Code: operation.NotAllowed, Reason: ReasonRegistered, Operation: o}
			return nil
		}
		if !t.right(digits) {
			c, err = t.wrongDigits(drawn)
			return err
		}
		c, displaced, err = t.finish()
		return err
	})
	return c, displaced, err
}

// turn is one transaction that ends a registration.
type turn struct {
	*Store
	tx    storage.Tx
	o     operation.Operation
	state registration
	by    audit.Actor
}

// right compares in constant time. A registration that has digits is never confirmed without them, but by a transfer, where
// the older phone confirms.
func (t *turn) right(digits *string) bool {
	if digits == nil {
		return true
	}
	return t.state.TransferOf == "" && t.state.Digits != "" &&
		subtle.ConstantTimeCompare([]byte(t.state.Digits), []byte(*digits)) == 1
}

func (t *turn) wrongDigits(e audit.Event) (Confirmation, error) {
	e.Subject, e.Operation, e.DeviceID, e.ClientID = t.o.UserID, t.o.ID, t.state.Device, cmp.Or(e.ClientID, t.o.ClientID)
	if err := t.Audit.Append(t.tx, e); err != nil {
		return Confirmation{}, err
	}
	t.state.DigitTries++
	if t.state.DigitTries >= DigitTries {
		return t.fail(operation.Refused, ReasonDigits)
	}
	err := t.amend(t.tx, &t.o, t.state)
	return Confirmation{
		Code: operation.Refused, Reason: ReasonDigits, Remaining: DigitTries - t.state.DigitTries, Operation: t.o,
	}, err
}

// fail ends the registration and the device with it.
func (t *turn) fail(code operation.Code, reason string) (Confirmation, error) {
	if err := t.dropDevice(t.tx, t.state.Device, reason, t.by); err != nil {
		return Confirmation{}, err
	}
	o, err := t.Operations.FinishTx(t.tx, t.o.ID, operation.Finish{State: operation.Failed, Reason: reason, Actor: t.by})
	return Confirmation{Code: code, Reason: reason, Operation: o}, err
}

// dropDevice ends a pending device.
func (s *Store) dropDevice(tx storage.Tx, id, reason string, by audit.Actor) error {
	d, found, err := s.Devices.Find(tx, id)
	if err != nil || !found || d.Status != handset.Pending {
		return err
	}
	d.Status, d.StatusReason = handset.Deactivated, reason
	return s.Devices.Put(tx, &d, by)
}

// finish brings the device to its first status, or names those that have to go before.
func (t *turn) finish() (Confirmation, []handset.Device, error) {
	d, found, err := t.Devices.Find(t.tx, t.state.Device)
	if err != nil {
		return Confirmation{}, nil, err
	}
	if !found || d.Status != handset.Pending {
		c, err := t.fail(operation.Gone, ReasonGone)
		return c, nil, err
	}
	switch err := t.Users.Active(t.tx, t.o.UserID); {
	case errors.Is(err, mobileauth.ErrInactive):
		return Confirmation{Code: operation.NotAllowed, Reason: ReasonUser, Operation: t.o}, nil, nil
	case err != nil:
		return Confirmation{}, nil, err
	}
	p, err := t.policy(d.Application)
	if err != nil {
		c, err := t.fail(operation.NotAllowed, ReasonPolicy)
		return c, nil, err
	}
	return t.place(&p, d)
}

// place applies push mode and quarantine.
func (t *turn) place(p *Policy, d handset.Device) (Confirmation, []handset.Device, error) {
	rivals, err := t.rivals(t.tx, d.UserID, d.Application, d.ID, d.TransferOf)
	if err != nil {
		return Confirmation{}, nil, err
	}
	if p.PushMode == Single && atHand(rivals) {
		c, err := t.fail(operation.NotAllowed, ReasonSingle)
		return c, nil, err
	}
	reason, err := t.quarantine(p, &d)
	if err != nil {
		return Confirmation{}, nil, err
	}
	d.Status = handset.Active
	if reason != "" {
		d.Status, d.StatusReason = handset.Quarantined, reason
	} else if p.PushMode != Multiple && len(rivals) > 0 { // with single, those that are lost and might be found
		return Confirmation{}, rivals, nil
	}
	if err := t.Devices.Put(t.tx, &d, t.by); err != nil {
		return Confirmation{}, nil, err
	}
	o, err := t.Operations.FinishTx(t.tx, t.o.ID, operation.Finish{
		State: operation.Approved, Reason: reason, DeviceID: d.ID, Actor: t.by,
	})
	return Confirmation{Code: operation.Accepted, Reason: reason, Operation: o, Device: d}, nil, err
}

// quarantine returns why a device may not answer yet; empty when it may. A second device is one beside any of the user's, of
// whichever application: it is the person who is to be warned of it.
func (t *turn) quarantine(p *Policy, d *handset.Device) (string, error) {
	switch {
	case t.state.TransferOf != "":
		return ReasonTransfer, nil
	case p.rule(d.Platform).doubtful(&d.Attestation):
		return ReasonUnattested, nil
	case t.state.Proofed || t.state.Recovery:
		return "", nil
	case p.QuarantineFirst:
		return ReasonUnproofed, nil
	case !p.Quarantine:
		return "", nil
	case t.state.Own:
		had, err := t.Devices.Had(t.tx, d.UserID, d.ID)
		if err != nil || !had {
			return "", err
		}
		return ReasonSecond, nil
	}
	live, err := t.Devices.Live(t.tx, d.UserID)
	if err != nil {
		return "", err
	}
	for _, other := range live {
		if other.ID != d.ID && other.Status != handset.Pending {
			return ReasonSecond, nil
		}
	}
	return "", nil
}

// Reject ends an open registration for whoever began it, who saw other digits or changed their mind, and the device with it.
// One that is not open any more is [ErrTransition].
func (s *Store) Reject(ctx context.Context, operationID string) (o operation.Operation, err error) {
	by := audit.ActorOf(ctx)
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		var state registration
		if o, state, err = s.registration(tx, operationID); err != nil {
			return err
		}
		if err := s.dropDevice(tx, state.Device, ReasonRejected, by); err != nil {
			return err
		}
		o, err = s.Operations.FinishTx(tx, o.ID, operation.Finish{State: operation.Denied, Reason: ReasonRejected, Actor: by})
		return err
	})
	if err != nil {
		return operation.Operation{}, failed("rejecting a registration", err)
	}
	s.Operations.Announce(ctx, o)
	return o, nil
}
