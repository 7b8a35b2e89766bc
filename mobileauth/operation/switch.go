// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// switchDue lets the later ways take over that are due, each in a transaction of its own: a message that may not be sent concerns
// one of them.
func (s *Store) switchDue(ctx context.Context, keys []string, now time.Time) error {
	for _, key := range keys {
		if err := s.switchOne(ctx, key, now); err != nil {
			return fmt.Errorf("switching an operation: %w", err)
		}
	}
	return nil
}

func (s *Store) switchOne(ctx context.Context, key string, now time.Time) error {
	var o Operation
	due := func(tx storage.Tx, give bool) (changed bool, err error) {
		if _, err := tx.Get(key); errors.Is(err, storage.ErrNotFound) {
			return false, nil // another node was quicker
		} else if err != nil {
			return false, err
		}
		found := false
		if o, found, err = s.operations.Find(tx, dueID(key)); err != nil {
			return false, err
		}
		if err := tx.Delete(key); err != nil || !found {
			return false, err
		}
		if o = o.At(now); o.Late == nil || now.Before(o.Late.At) {
			return false, nil
		}
		return true, s.takeOver(tx, &o, record.SkippedNotFetched, now, give)
	}
	return s.switched(ctx, &o, due)
}

// switched runs a switch, and where the message is refused, once more to give the switch up.
func (s *Store) switched(ctx context.Context, o *Operation, do func(tx storage.Tx, giveUp bool) (bool, error)) error {
	changed := false
	run := func(giveUp bool) error {
		return s.db.Update(ctx, func(tx storage.Tx) (err error) {
			changed, err = do(tx, giveUp)
			return err
		})
	}
	err := run(false)
	if errors.Is(err, ErrChannel) {
		err = run(true)
	}
	if err == nil && changed {
		s.Announce(ctx, *o)
	}
	return err
}

// takeOver lets the later way of an operation that nobody has fetched take over, or gives that up. It is given up as well where
// the user may not answer.
func (s *Store) takeOver(tx storage.Tx, o *Operation, why string, now time.Time, giveUp bool) error {
	if o.State != Pending {
		return nil
	}
	desk, err := s.readDesk(tx, o.UserID, now)
	if err != nil {
		return err
	}
	switch err := s.users.Active(tx, o.UserID); {
	case errors.Is(err, mobileauth.ErrInactive):
		giveUp = true
	case err != nil:
		return err
	}
	e := event(audit.Actor{By: sweeper}, "operation.switch", o)
	if giveUp || desk.Blocked(now) {
		o.Late = nil
		o.Version++
		e.Outcome, e.Reason = audit.Refused, "not_possible"
		return s.put(tx, o, s.audit.Prepare(e))
	}
	if err := tx.Delete(dueKey(o.AnswerBy, o.ID)); err != nil {
		return err
	}
	o.Switch(now, why)
	for _, due := range dueItems(o) {
		if err := tx.Put(due); err != nil {
			return err
		}
	}
	desk.Drop(o.ID)
	desk.Add(o)
	if err := s.writeDesk(tx, desk); err != nil {
		return err
	}
	e.Reason = why
	if err := s.put(tx, o, s.audit.Prepare(e)); err != nil {
		return err
	}
	return s.tell(tx, Switched, *o)
}

// NotSent is told that nothing can be sent on the channel of an operation: the address is dead, the number is no phone, or the
// service refuses. Over SMS the operation has failed. Where a phone is asked that has not fetched it, what would take over later
// does so now; without that nothing happens, since the phone may still come by itself. An operation that has moved on is left
// alone.
func (s *Store) NotSent(ctx context.Context, id string, channel Channel) (o Operation, err error) {
	now := s.now()
	do := func(tx storage.Tx, giveUp bool) (bool, error) {
		if o, err = s.operations.Get(tx, id); err != nil {
			return false, err
		}
		o = o.At(now)
		switch {
		case !o.State.Open() || o.Channel != channel:
			return false, nil
		case channel == BySMS:
			o.End(Failed, record.ReasonNotSent, now)
			return true, s.close(tx, &o, s.audit.Prepare(event(audit.Actor{By: sweeper}, "operation.send", &o)))
		case channel != ByPush || o.State != Pending || o.Late == nil:
			return false, nil
		}
		return true, s.takeOver(tx, &o, record.SkippedNotSent, now, giveUp)
	}
	if err := s.switched(ctx, &o, do); err != nil {
		return Operation{}, fmt.Errorf("noting that operation %q could not be sent: %w", id, err)
	}
	return o, nil
}
