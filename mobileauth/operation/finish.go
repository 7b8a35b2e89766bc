// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// MaxReason is the length of the longest reason of a cancellation, in bytes.
const MaxReason = 128

// Deliver notes that a device has fetched an operation, and returns it. It may be repeated, also by another device of the
// user; only the first one changes the state. An operation that is not open, or not put to this device, is
// [ErrTransition], [ErrDevice] or [ErrNotFound].
func (s *Store) Deliver(ctx context.Context, id, deviceID string) (Operation, error) {
	o, changed, err := s.deliver(ctx, id, deviceID)
	if err != nil {
		return Operation{}, fmt.Errorf("delivering operation %q: %w", id, err)
	}
	if changed {
		s.Announce(ctx, o)
	}
	return o, nil
}

func (s *Store) deliver(ctx context.Context, id, deviceID string) (o Operation, changed bool, err error) {
	now, by := s.now(), audit.ActorOf(ctx)
	e := s.audit.Prepare(audit.Event{})
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		changed = false
		stored, err := s.operations.Get(tx, id)
		if err != nil {
			return err
		}
		o = stored.At(now)
		d, err := s.usable(tx, deviceID)
		switch {
		case err != nil:
			return err
		case o.UserID == d.UserID && o.Channel == BySMS:
			return ErrTransition // it has left the phones
		case !meant(&o, &d):
			return ErrDevice
		case !o.State.Open():
			return ErrTransition
		case o.State == Delivered:
			return nil
		}
		changed = true
		o.State, o.DeliveredAt, o.Late = Delivered, now, nil
		o.Version++
		said := event(by, "operation.deliver", &o)
		said.ID, said.Time, said.DeviceID = e.ID, e.Time, deviceID
		if err := s.operations.Replace(tx, &stored, o); err != nil {
			return err
		}
		if err := s.audit.Append(tx, said); err != nil {
			return err
		}
		return s.tell(tx, Fetched, o)
	})
	return o, changed, err
}

// put stores a changed operation with its line in the audit trail.
func (s *Store) put(tx storage.Tx, o *Operation, e audit.Event) error {
	if err := s.operations.Put(tx, *o); err != nil {
		return err
	}
	return s.audit.Append(tx, e)
}

func checkReason(reason string) error {
	if len(reason) > MaxReason || !record.Printable(reason) {
		return &FieldError{Field: "reason", Problem: fmt.Sprintf("want at most %d bytes of printable text", MaxReason)}
	}
	return nil
}

// Cancel ends an open operation for a reason in a machine's words. One that is cancelled already stays as it is; any other
// that is not open is [ErrTransition], and the operation is returned with it.
func (s *Store) Cancel(ctx context.Context, id, reason string) (Operation, error) {
	return s.cancel(ctx, id, reason, false)
}

// TakeBack is [Store.Cancel] for whoever has begun an operation and acts on its approval: an approval that can be redeemed is
// cancelled too. Of taking it back and redeeming it at once one succeeds, and the other finds it gone.
func (s *Store) TakeBack(ctx context.Context, id, reason string) (Operation, error) {
	return s.cancel(ctx, id, reason, true)
}

func (s *Store) cancel(ctx context.Context, id, reason string, approved bool) (o Operation, err error) {
	if err := checkReason(reason); err != nil {
		return Operation{}, fmt.Errorf("cancelling operation %q: %w", id, err)
	}
	now, by := s.now(), audit.ActorOf(ctx)
	e := s.audit.Prepare(audit.Event{})
	changed := false
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		changed = false
		if o, err = s.operations.Get(tx, id); err != nil {
			return err
		}
		switch o = o.At(now); {
		case o.State == Cancelled:
			return nil
		case !o.State.Open() && !(approved && o.State == Approved && now.Before(o.RedeemBy)):
			return ErrTransition
		}
		changed = true
		o.End(Cancelled, reason, now)
		return s.close(tx, &o, named(event(by, "operation.cancel", &o), e))
	})
	if err != nil && !errors.Is(err, ErrTransition) {
		o = Operation{}
	}
	if err != nil {
		return o, fmt.Errorf("cancelling operation %q: %w", id, err)
	}
	if changed {
		s.Announce(ctx, o)
	}
	return o, nil
}

// named gives an event the id and time that were drawn before the transaction.
func named(e, drawn audit.Event) audit.Event {
	e.ID, e.Time = drawn.ID, drawn.Time
	return e
}

// close stores an operation that has ended, takes it off its user's desk and tells of it.
func (s *Store) close(tx storage.Tx, o *Operation, e audit.Event) error {
	if err := s.leave(tx, o); err != nil {
		return err
	}
	if err := s.put(tx, o, e); err != nil {
		return err
	}
	return s.tell(tx, Ended, *o)
}

// leave takes an operation that has ended off its user's desk.
func (s *Store) leave(tx storage.Tx, o *Operation) error {
	if o.UserID == "" {
		return nil
	}
	desk, err := s.readDesk(tx, o.UserID, o.EndedAt)
	if err != nil {
		return err
	}
	desk.Drop(o.ID)
	return s.writeDesk(tx, desk)
}

// Finish is how package enrolment ends a registration.
type Finish struct {
	// State is [Approved], [Denied], [Failed] or [Cancelled].
	State  State
	Reason string
	// DeviceID is the device that came of it.
	DeviceID string
	Actor    audit.Actor
}

// FinishTx ends an open operation in the caller's transaction. One that is not open any more is [ErrTransition]. After the
// commit the caller calls [Store.Announce].
func (s *Store) FinishTx(tx storage.Tx, id string, f Finish) (Operation, error) {
	o, err := s.operations.Get(tx, id)
	if err != nil {
		return Operation{}, err
	}
	now := s.now()
	if o = o.At(now); !o.State.Open() || !o.State.May(f.State) || f.State.Open() || f.State == Expired {
		return o, ErrTransition
	}
	o.End(f.State, f.Reason, now)
	o.AnsweredBy, o.AnsweredAt = f.DeviceID, now
	if f.State == Approved {
		o.RedeemBy = now.Add(s.limits.Redeem)
	}
	e := event(f.Actor, "operation.finish", &o)
	e.DeviceID = f.DeviceID
	return o, s.close(tx, &o, s.audit.Prepare(e))
}

// AmendTx replaces what package enrolment keeps with an open registration whose version is the given one, and the state where
// it becomes [Delivered].
func (s *Store) AmendTx(tx storage.Tx, id string, version uint64, state State, data json.RawMessage) (Operation, error) {
	o, err := s.operations.Get(tx, id)
	if err != nil {
		return Operation{}, err
	}
	switch o = o.At(s.now()); {
	case o.Version != version:
		return o, ErrVersion
	case o.Kind != Registration || !o.State.Open() || state != o.State && state != Delivered:
		return o, ErrTransition
	case len(data) > MaxRegistration:
		return o, &FieldError{Field: "registration", Problem: fmt.Sprintf("longer than %d bytes", MaxRegistration)}
	}
	if o.State != state {
		o.DeliveredAt = s.now()
	}
	o.State, o.Registration = state, slices.Clone(data)
	o.Version++
	return o, s.operations.Put(tx, o)
}

// CloseForDevice cancels the open operations that only the given device may answer: it is for the hooks of package handset,
// which run when a device is taken out. What it has approved cannot be redeemed any more, since [Store.Redeem] looks at the
// device again.
func (s *Store) CloseForDevice(tx storage.Tx, d handset.Device) error {
	return s.closeAll(tx, d.UserID, ReasonDeviceRevoked, func(e record.Entry) bool { return e.DeviceID == d.ID })
}

// CloseForUser cancels all open operations of a user who is locked or goes.
func (s *Store) CloseForUser(tx storage.Tx, userID string) error {
	return s.closeAll(tx, userID, ReasonUserRevoked, func(record.Entry) bool { return true })
}

// closeAll writes two items for each operation, and the desk: the transaction is somebody else's, and must not fail because it
// is too large. The sweep does the rest within a second, from what is written here: each operation gets its own line in the
// audit trail, and who has to be told is told.
func (s *Store) closeAll(tx storage.Tx, userID, reason string, rests func(record.Entry) bool) error {
	now := s.now()
	desk, err := s.readDesk(tx, userID, now)
	if err != nil {
		return err
	}
	var ids []string
	for _, e := range desk.Open {
		if rests(e) {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		desk.Drop(id)
		o, err := s.operations.Get(tx, id)
		if err != nil {
			return err
		}
		o.End(Cancelled, reason, now)
		if err := s.operations.Put(tx, o); err != nil {
			return err
		}
		end := storage.Item{Key: dueKey(now, id), Value: []byte(endUntold), ExpiresAt: now.Add(dueKeep)}
		if err := tx.Put(end); err != nil {
			return err
		}
	}
	return s.writeDesk(tx, desk)
}

// Redeem uses up an approval, once: it is for the client that started the operation and acts on it now. The device that
// approved must still be usable and the user active. Everything but a fault is an [Outcome]: [Accepted] with the operation,
// [Gone] or [NotAllowed].
func (s *Store) Redeem(ctx context.Context, id, clientID string) (Outcome, error) {
	return s.RedeemBy(ctx, id, Redeemer{ClientID: clientID})
}

// Redeemer is who acts on an approval.
type Redeemer struct {
	// ClientID is the client that started the operation, and Use what for: both as they stand in its [Start].
	ClientID, Use string
	// Refuses knows more about what was approved. It is asked first, in the same transaction, and a reason that it gives is [NotAllowed]
	// and leaves the approval as it is. It may run several times. Nil refuses nothing.
	Refuses func(storage.Tx, *Operation) (string, error)
}

// RedeemBy is [Store.Redeem] for whoever does more than to act for a client.
func (s *Store) RedeemBy(ctx context.Context, id string, who Redeemer) (out Outcome, err error) {
	if who.Refuses == nil {
		who.Refuses = func(storage.Tx, *Operation) (string, error) { return "", nil }
	}
	now, by := s.now(), audit.ActorOf(ctx)
	drawn := s.audit.Prepare(audit.Event{})
	var said audit.Event
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		o, err := s.operations.Get(tx, id)
		if err != nil {
			return err
		}
		o = o.At(now)
		reason, err := who.Refuses(tx, &o)
		if err != nil {
			return err
		}
		if out = (Outcome{Code: NotAllowed, Reason: reason}); reason == "" {
			out, err = s.redeem(tx, &o, &who, now)
		}
		if err != nil {
			return err
		}
		said = named(event(by, "operation.redeem", &o), drawn)
		said.ClientID, said.DeviceID = who.ClientID, o.AnsweredBy
		if out.Code != Accepted {
			said.Outcome, said.Reason = audit.Refused, out.Reason
			return s.audit.Append(tx, said)
		}
		if err := s.put(tx, &o, said); err != nil {
			return err
		}
		out.Operation = o
		return s.tell(tx, WasUsed, o)
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("redeeming operation %q: %w", id, err)
	}
	s.audit.Log(ctx, said)
	if out.Code == Accepted {
		s.Announce(ctx, out.Operation)
	}
	return out, nil
}

// redeem judges, and changes the operation where the outcome is [Accepted].
func (s *Store) redeem(tx storage.Tx, o *Operation, who *Redeemer, now time.Time) (Outcome, error) {
	switch {
	case subtle.ConstantTimeCompare([]byte(o.ClientID), []byte(who.ClientID)) == 0:
		return Outcome{Code: NotAllowed, Reason: "other_client"}, nil
	case o.Use != who.Use:
		return Outcome{Code: NotAllowed, Reason: "other_use"}, nil
	case o.State != Approved:
		return Outcome{Code: Gone, Reason: "is_" + string(o.State)}, nil
	case !now.Before(o.RedeemBy):
		return Outcome{Code: Gone, Reason: "redeem_window"}, nil
	}
	if o.Kind != Registration && o.Channel != BySMS {
		d, found, err := s.devices.Find(tx, o.AnsweredBy)
		if err != nil {
			return Outcome{}, err
		}
		if !found || d.Status != handset.Active {
			return Outcome{Code: NotAllowed, Reason: ReasonDeviceRevoked}, nil
		}
	}
	switch err := s.users.Active(tx, o.UserID); {
	case errors.Is(err, mobileauth.ErrInactive):
		return Outcome{Code: NotAllowed, Reason: ReasonUserRevoked}, nil
	case err != nil:
		return Outcome{}, err
	}
	o.State, o.RedeemedAt = Redeemed, now
	o.Version++
	return Outcome{Code: Accepted}, nil
}
