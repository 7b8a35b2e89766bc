// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Claim is what a phone says that has scanned something.
type Claim struct {
	// Message is the request in which it came.
	Message handset.Message
	// OTP is what was scanned.
	OTP string
}

// Claim puts an operation that was started for nobody to the user of the phone that has scanned it, once: of two phones that scan
// the same, one gets it. The same phone may ask again. Everything but a fault is an [Outcome]: [Accepted], with the operation that
// is to be shown; [Gone] for what nobody can claim any more, or never could; [NotAllowed] for this phone.
func (s *Store) Claim(ctx context.Context, c Claim) (out Outcome, err error) {
	now, by := s.now(), audit.ActorOf(ctx)
	drawn := s.audit.Prepare(audit.Event{})
	var said audit.Event
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		d, reason, err := s.speaker(tx, c.Message)
		if err != nil {
			return err
		}
		var o Operation
		if out = (Outcome{Code: NotAllowed, Reason: reason}); reason == "" {
			if out, err = s.claim(tx, &o, &d, record.HashOTP(c.OTP), now); err != nil {
				return err
			}
		}
		said = named(event(by, "operation.claim", &o), drawn)
		said.Subject, said.DeviceID, said.Reason = d.UserID, c.Message.DeviceID, out.Reason
		if out.Code != Accepted {
			said.Outcome = audit.Refused
		}
		return s.audit.Append(tx, said)
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("claiming an operation: %w", err)
	}
	s.audit.Log(ctx, said)
	if out.Code == Accepted {
		s.Announce(ctx, out.Operation)
	}
	return out, nil
}

// claim judges whether a phone gets an operation, and gives it.
func (s *Store) claim(tx storage.Tx, o *Operation, d *handset.Device, name string, now time.Time) (Outcome, error) {
	found, err := s.operations.Lookup(tx, byOTP, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return Outcome{Code: Gone, Reason: "unknown_otp"}, nil
	case err != nil:
		return Outcome{}, err
	}
	*o = found.At(now)
	switch {
	case !o.State.Open():
		return Outcome{Code: Gone, Reason: "is_" + string(o.State)}, nil
	case o.UserID == d.UserID && o.DeviceID == d.ID:
		return Outcome{Code: Accepted, Reason: "repeated", Operation: *o}, nil
	case o.UserID != "":
		return Outcome{Code: Gone, Reason: "claimed"}, nil
	}
	o.UserID, o.DeviceID = d.UserID, d.ID
	if !Answerable(o, d) {
		return notAllowed("device_unsuited")
	}
	desk, err := s.readDesk(tx, d.UserID, now)
	switch {
	case err != nil:
		return Outcome{}, err
	case desk.Blocked(now):
		return notAllowed(ReasonUserBlocked)
	case len(desk.Open) >= s.limits.Open:
		return notAllowed("too_many_open")
	}
	o.OTP, o.State, o.ClaimedAt, o.DeliveredAt = "", Delivered, now, now
	o.Version++
	desk.Add(o)
	if err := s.writeDesk(tx, desk); err != nil {
		return Outcome{}, err
	}
	if err := s.operations.Put(tx, *o); err != nil {
		return Outcome{}, err
	}
	return Outcome{Code: Accepted, Operation: *o}, s.tell(tx, Claimed, *o)
}
