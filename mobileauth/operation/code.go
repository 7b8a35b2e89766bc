// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ReasonCodeWrong is why a code was refused, in the audit trail.
const ReasonCodeWrong = "code_wrong"

// Verify takes the code that was typed where an operation over SMS began. It is for the client that started it. A right code
// approves, once. A wrong one is counted for the operation, and for the user over all operations, whatever the address or the
// client it came from; too many end the operation, and block the user. Everything but a fault is an [Outcome]: [Accepted],
// [Refused] with what remains, [Gone] or [NotAllowed].
func (s *Store) Verify(ctx context.Context, id, clientID, code string) (out Outcome, err error) {
	now, by := s.now(), audit.ActorOf(ctx)
	drawn := s.audit.Prepare(audit.Event{})
	var said audit.Event
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		o, err := s.operations.Get(tx, id)
		if err != nil {
			return err
		}
		if out, err = s.typed(tx, &o, clientID, code, now); err != nil {
			return err
		}
		said = named(event(by, "operation.verify", &o), drawn)
		said.ClientID, said.Reason = clientID, out.Reason
		if out.Code != Accepted {
			said.Outcome = audit.Refused
		}
		return s.audit.Append(tx, said)
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("verifying the code of operation %q: %w", id, err)
	}
	s.audit.Log(ctx, said)
	if out.Operation.ID != "" {
		s.Announce(ctx, out.Operation)
	}
	return out, nil
}

// typed judges a code and stores what comes of it.
func (s *Store) typed(tx storage.Tx, o *Operation, clientID, code string, now time.Time) (Outcome, error) {
	open := o.State.Open()
	*o = o.At(now)
	switch {
	case subtle.ConstantTimeCompare([]byte(o.ClientID), []byte(clientID)) == 0:
		return notAllowed("other_client")
	case o.Channel != BySMS:
		return notAllowed("channel")
	case open && o.State == Expired:
		e := s.audit.Prepare(event(audit.Actor{}, "operation.expire", o))
		return Outcome{Code: Gone, Reason: "is_" + string(Expired), Operation: *o}, s.close(tx, o, e)
	case !open:
		return Outcome{Code: Gone, Reason: "is_" + string(o.State), Operation: *o}, nil
	}
	switch err := s.users.Active(tx, o.UserID); {
	case errors.Is(err, mobileauth.ErrInactive):
		return notAllowed(ReasonUserRevoked)
	case err != nil:
		return Outcome{}, err
	}
	desk, err := s.readDesk(tx, o.UserID, now)
	switch {
	case err != nil:
		return Outcome{}, err
	case desk.Blocked(now):
		return notAllowed(ReasonUserBlocked)
	case subtle.ConstantTimeCompare([]byte(o.SMS.Code), []byte(code)) == 0:
		return s.mistyped(tx, o, &desk, now)
	}
	o.End(Approved, "", now)
	o.AnsweredAt, o.RedeemBy = now, now.Add(s.limits.Redeem)
	o.Prove("")
	desk.Drop(o.ID)
	if !o.SMS.Other { // a code that went elsewhere says nothing of those that were guessed
		desk.Typed()
	}
	if err := s.writeDesk(tx, desk); err != nil {
		return Outcome{}, err
	}
	if err := s.operations.Put(tx, *o); err != nil {
		return Outcome{}, err
	}
	return Outcome{Code: Accepted, Operation: *o}, s.tell(tx, Ended, *o)
}

// mistyped counts a wrong code.
func (s *Store) mistyped(tx storage.Tx, o *Operation, desk *record.Desk, now time.Time) (Outcome, error) {
	m := s.miss(o, desk, record.WrongCode, now)
	if m.end != "" {
		o.End(Failed, m.end, now)
		o.AnsweredAt = now
		desk.Drop(o.ID)
		m.remaining = 0
	}
	err := s.missed(tx, o, desk, m)
	return Outcome{Code: Refused, Reason: ReasonCodeWrong, Remaining: m.remaining, Operation: *o}, err
}

// Resend asks for the same notification, or the same code, once more: as often as the operation's way allows, and after a pause
// that grows (30, 60, 120 seconds). It is for the client that started the operation; another's is [ErrNotFound]. It is refused by
// [ErrTransition] where nothing is sent or the phone has it, [ErrResendLimit], [ErrTooSoon], [ErrBlocked] and [ErrChannel]; the
// operation is returned with the first three.
func (s *Store) Resend(ctx context.Context, id, clientID string) (o Operation, err error) {
	now, by := s.now(), audit.ActorOf(ctx)
	drawn := s.audit.Prepare(audit.Event{})
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		if o, err = s.operations.Get(tx, id); err != nil {
			return err
		}
		o = o.At(now)
		if subtle.ConstantTimeCompare([]byte(o.ClientID), []byte(clientID)) == 0 {
			o = Operation{}
			return ErrNotFound
		}
		if err := s.resend(tx, &o, now); err != nil {
			return err
		}
		if err := s.put(tx, &o, named(event(by, "operation.resend", &o), drawn)); err != nil {
			return err
		}
		return s.tell(tx, Resent, o)
	})
	if err != nil {
		if !errors.Is(err, ErrTransition) && !errors.Is(err, ErrResendLimit) && !errors.Is(err, ErrTooSoon) {
			o = Operation{}
		}
		return o, fmt.Errorf("sending operation %q again: %w", id, err)
	}
	s.Announce(ctx, o)
	return o, nil
}

// resend judges whether the same may be sent again, and counts it.
func (s *Store) resend(tx storage.Tx, o *Operation, now time.Time) error {
	switch {
	case !o.State.Open(), o.Channel != ByPush && o.Channel != BySMS, o.Channel == ByPush && o.State != Pending:
		return ErrTransition
	case o.Resends == 0:
		return ErrResendLimit
	case now.Before(o.ResendAt()):
		return ErrTooSoon
	}
	desk, err := s.readDesk(tx, o.UserID, now)
	switch {
	case err != nil:
		return err
	case desk.Blocked(now):
		return ErrBlocked
	}
	if o.Channel == ByPush && o.Push != PushNone {
		if held := desk.Push(&s.limits, o, now); held != PushQueued {
			return ErrResendLimit
		}
		o.Push = PushQueued
		if err := s.writeDesk(tx, desk); err != nil {
			return err
		}
	}
	o.Resends--
	o.Resent++
	o.SentAt = now
	o.Version++
	return nil
}
