// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/waiting"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
)

// MaxWait is how long anybody waits at most.
const MaxWait = time.Minute

// Interval is how often [Store.Wait] reads again and [Store.Run] looks for what other stores have done.
const Interval = time.Second

// Wait returns an operation when its version is above since, when it can change no more, or when d is over; since 0 returns
// at once. It is woken by the commits of this store and reads again at each [Interval] otherwise. When as many callers wait as
// may, it returns the operation at once with [ErrBusy]. When ctx ends it returns its cause.
func (s *Store) Wait(ctx context.Context, id string, since uint64, d time.Duration) (Operation, error) {
	var o Operation
	look := func() (enough bool, err error) {
		o, err = s.Get(ctx, id)
		return o.Version > since || settled(&o, s.now()), err
	}
	if err := s.waiting.Hold(ctx, waiting.Wish{Name: id, Most: min(d, MaxWait), Again: Interval}, look); err != nil {
		return o, fmt.Errorf("waiting for operation %q: %w", id, err)
	}
	return o, nil
}

// settled reports whether nothing can happen to an operation any more.
func settled(o *Operation, now time.Time) bool {
	return !o.State.Open() && (o.State != Approved || !now.Before(o.RedeemBy))
}

// Pending returns the open operations that a device may answer now, the oldest first. Where there is none beside those that
// the caller knows already, it waits for one up to wait, as [Store.Wait] does, woken by starts and ends in this store and by
// [Store.Run]. A device that is not active is [ErrDevice].
func (s *Store) Pending(ctx context.Context, deviceID string, wait time.Duration, known ...string) ([]Operation, error) {
	open, userID, err := s.pending(ctx, deviceID)
	if err != nil || wait <= 0 || news(open, known) {
		return open, err
	}
	look := func() (bool, error) {
		open, _, err = s.pending(ctx, deviceID)
		return news(open, known), err
	}
	if err := s.waiting.Hold(ctx, waiting.Wish{Name: userID, Most: min(wait, MaxWait)}, look); err != nil {
		return open, fmt.Errorf("waiting for operations: %w", err)
	}
	return open, nil
}

// news reports whether the open operations are others than those that are known.
func news(open []Operation, known []string) bool {
	if len(open) != len(known) {
		return true
	}
	return slices.ContainsFunc(open, func(o Operation) bool { return !slices.Contains(known, o.ID) })
}

func (s *Store) pending(ctx context.Context, deviceID string) (open []Operation, userID string, err error) {
	now := s.now()
	err = s.db.View(ctx, func(tx storage.Tx) error {
		open = nil
		d, err := s.usable(tx, deviceID)
		if err != nil {
			return err
		}
		userID = d.UserID
		open, err = s.openFor(tx, &d, now)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing what is pending: %w", err)
	}
	return open, userID, nil
}

// usable returns a device that may speak for its user now; any other is [ErrDevice].
func (s *Store) usable(tx storage.Tx, deviceID string) (handset.Device, error) {
	d, found, err := s.devices.Find(tx, deviceID)
	if err != nil {
		return d, err
	}
	if !found {
		return d, ErrDevice
	}
	err = s.devices.Usable(tx, &d)
	if errors.Is(err, handset.ErrUnusable) {
		return d, fmt.Errorf("%w: %w", ErrDevice, err)
	}
	return d, err
}

func (s *Store) openFor(tx storage.Tx, d *handset.Device, now time.Time) ([]Operation, error) {
	desk, err := s.readDesk(tx, d.UserID, now)
	if err != nil {
		return nil, err
	}
	var open []Operation
	for _, e := range desk.Open {
		o, found, err := s.operations.Find(tx, e.ID)
		if err != nil {
			return nil, err
		}
		if found && o.State.Open() && meant(&o, d) {
			open = append(open, o)
		}
	}
	return open, nil
}

// Waiting returns how many callers wait now.
func (s *Store) Waiting() int { return s.waiting.Len() }

// Announce wakes whoever waits for an operation, or for operations of its user. It is called after the commit of a
// transaction in which [Store.StartTx], [Store.FinishTx], [Store.AmendTx] or one of the hooks was.
func (s *Store) Announce(_ context.Context, o Operation) {
	s.waiting.Wake(o.ID)
	if o.UserID != "" {
		s.waiting.Wake(o.UserID)
	}
	if !o.State.Open() && s.ended != nil {
		s.ended(o)
	}
}
