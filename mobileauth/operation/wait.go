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

// Watch is a device that watches for operations of its user. It has looked already:
//
//	w := store.Watch(ctx, device, wait)
//	for w.Waits() {
//		w.Wait(ctx)
//		w.Look(ctx)
//	}
//	open, err := w.Open()
//
// Phones watch in great numbers, so the waiting is a call of its own, which keeps little and needs little stack. A watch that
// waits holds one of the places of its store until it has looked to the end. It belongs to one goroutine at a time.
type Watch struct {
	store  *Store
	device string
	known  []string
	seat   *waiting.Seat
	more   bool
	open   []Operation
	err    error
}

// Watch looks for open operations that a device may answer, other than those that the caller knows already. Where there are
// none the watch waits for up to wait, as [Store.Wait] does, woken by starts and ends in this store and by [Store.Run]. Of the
// device its id and its user's are used: what else matters is read each time.
func (s *Store) Watch(ctx context.Context, d *handset.Device, wait time.Duration, known ...string) *Watch {
	w := &Watch{store: s, device: d.ID, known: known, more: true}
	var full error
	if wait > 0 { // a place is taken first, so that nothing is missed
		w.seat, full = s.waiting.Take(waiting.Wish{Name: d.UserID, Most: min(wait, MaxWait)})
	}
	if w.Look(ctx); full != nil && !w.done() {
		w.err = fmt.Errorf("waiting for operations: %w", full)
	}
	return w
}

// Waits reports whether the watch goes on.
func (w *Watch) Waits() bool { return w.seat != nil }

// Wait returns when the watch has to look again.
func (w *Watch) Wait(ctx context.Context) { w.more, w.err = w.seat.Wait(ctx) }

// Look looks again where the time is not over, and ends the watch when there is news.
func (w *Watch) Look(ctx context.Context) {
	stay := false
	defer func() {
		if !stay {
			w.seat.Leave()
			w.seat = nil
		}
	}()
	if w.err != nil {
		w.err = fmt.Errorf("waiting for operations: %w", w.err)
		return
	}
	if w.more {
		w.open, w.err = w.store.pending(ctx, w.device)
		stay = !w.done()
	}
}

// done reports whether there is news.
func (w *Watch) done() bool { return w.err != nil || news(w.open, w.known) }

// Open returns the open operations of the last look, the oldest first. A device that is not active is [ErrDevice]. Where as many
// callers wait as may, and there was no news, it is [ErrBusy] beside them; where the context of a wait has ended, its cause.
func (w *Watch) Open() ([]Operation, error) { return w.open, w.err }

// news reports whether the open operations are others than those that are known.
func news(open []Operation, known []string) bool {
	if len(open) != len(known) {
		return true
	}
	return slices.ContainsFunc(open, func(o Operation) bool { return !slices.Contains(known, o.ID) })
}

func (s *Store) pending(ctx context.Context, deviceID string) (open []Operation, err error) {
	now := s.now()
	err = s.db.View(ctx, func(tx storage.Tx) error {
		open = nil
		d, err := s.usable(tx, deviceID)
		if err != nil {
			return err
		}
		open, err = s.openFor(tx, &d, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing what is pending: %w", err)
	}
	return open, nil
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

// Follow wakes whoever waits here for what was committed elsewhere, until ctx ends.
func (s *Store) Follow(ctx context.Context) {
	s.waiting.Follow(ctx, storage.Watch(s.db, s.operations.Name, s.desks.Name))
}

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
