// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Standing is what counts for and against a user.
type Standing struct {
	// Open are the ids of the operations that are open.
	Open []string
	// Failures are the wrong answers in a row.
	Failures int
	// BlockedUntil is when the user may answer again, zero when they may; Barred is not before [Store.Unblock].
	BlockedUntil time.Time
	Barred       bool
	// NotMe says that no notification is sent because the user did not begin what was asked.
	NotMe bool
	// Pushes are the notifications that count against the budget.
	Pushes int
}

// Standing returns what is known of a user; nothing is known of one who never was asked.
func (s *Store) Standing(ctx context.Context, userID string) (standing Standing, err error) {
	now := s.now()
	err = s.db.View(ctx, func(tx storage.Tx) error {
		d, err := s.readDesk(tx, userID, now)
		if err != nil {
			return err
		}
		standing = Standing{Failures: d.Failures(), Barred: d.Barred, NotMe: d.NotMe, Pushes: len(d.Pushes)}
		if now.Before(d.BlockedUntil) {
			standing.BlockedUntil = d.BlockedUntil
		}
		for _, e := range d.Open {
			standing.Open = append(standing.Open, e.ID)
		}
		return nil
	})
	if err != nil {
		return Standing{}, fmt.Errorf("reading the standing of user %q: %w", userID, err)
	}
	return standing, nil
}

// Unblock forgets the wrong answers of a user and lets notifications be sent again. It is for an operator who knows who asked
// for it.
func (s *Store) Unblock(ctx context.Context, userID, reason string) error {
	if err := checkReason(reason); err != nil {
		return fmt.Errorf("unblocking user %q: %w", userID, err)
	}
	now := s.now()
	e := event(audit.ActorOf(ctx), "operation.unblock", &Operation{UserID: userID, Reason: reason})
	e = s.audit.Prepare(e)
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		d, err := s.readDesk(tx, userID, now)
		if err != nil {
			return err
		}
		d.Succeed(true, true)
		d.Typed()
		d.Barred, d.BlockedUntil = false, time.Time{}
		if err := s.writeDesk(tx, d); err != nil {
			return err
		}
		if err := s.audit.Append(tx, e); err != nil {
			return err
		}
		return s.tellOf(tx, Change{What: Unblocked, UserID: userID})
	})
	if err != nil {
		return fmt.Errorf("unblocking user %q: %w", userID, err)
	}
	s.audit.Log(ctx, e)
	return nil
}

// readDesk returns the desk of a user as it stands at now.
func (s *Store) readDesk(tx storage.Tx, userID string, now time.Time) (record.Desk, error) {
	d, _, err := s.desks.Find(tx, userID)
	if err != nil {
		return record.Desk{}, err
	}
	d.UserID = userID
	d.Tidy(now)
	return d, nil
}

// writeDesk stores a desk, or removes one that says nothing.
func (s *Store) writeDesk(tx storage.Tx, d record.Desk) error {
	if d.Bare() {
		return s.desks.Delete(tx, d.UserID)
	}
	return s.desks.Put(tx, d)
}

// Open returns how many operations are open on each channel, "" being registrations, and whether there are more than were counted: it
// looks at most at the given number, those first whose time is over first. It is for operators, and reads each of them.
func (s *Store) Open(ctx context.Context, most int) (by map[Channel]int, more bool, err error) {
	now := s.now()
	err = s.db.View(ctx, func(tx storage.Tx) error {
		by, more = map[Channel]int{}, false
		seen := 0
		for item, err := range tx.Scan(duePrefix, dueKey(now, ""), most+1) {
			if err != nil {
				return err
			}
			if seen++; seen > most {
				more = true
				break
			}
			if string(item.Value) == switchDue {
				continue // the same operation, earlier
			}
			o, found, err := s.operations.Find(tx, dueID(item.Key))
			if err != nil {
				return err
			}
			if found && o.At(now).State.Open() {
				by[o.Channel]++
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("counting open operations: %w", err)
	}
	return by, more, nil
}
