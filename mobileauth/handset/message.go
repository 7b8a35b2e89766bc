// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// MaxJTI is the length of the longest id of a message.
const MaxJTI = 64

// seenEvery is how exact LastSeenAt is.
const seenEvery = time.Minute

// Seen notes that a device was heard of, to the minute.
func (s *Store) Seen(ctx context.Context, id string) error {
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		d, found, err := s.Find(tx, id)
		if err != nil || !found {
			return err
		}
		return s.touch(tx, &d)
	})
	if err != nil {
		return fmt.Errorf("noting that device %q was seen: %w", id, err)
	}
	return nil
}

func (s *Store) touch(tx storage.Tx, d *Device) error {
	now := s.now()
	if now.Sub(d.LastSeenAt) < seenEvery {
		return nil
	}
	d.LastSeenAt = now
	return s.counts.Put(tx, counts{DeviceID: d.ID, Failures: d.Failures, SeenAt: now})
}

// Message is what says who sent a message: its signature was checked with the key KID.
type Message struct {
	DeviceID string
	KID      string
	JTI      string
	IssuedAt time.Time
}

// Actor is the device that sent it, with what the context knows of where it is.
func (m Message) Actor(ctx context.Context) audit.Actor {
	by := audit.ActorOf(ctx)
	by.By = "device:" + m.DeviceID
	return by
}

// Accept takes a message of a device in the caller's transaction: the device is there and not out, the key is one that it
// may use now, and the id was not seen. It returns the device, which may still be pending or quarantined, and whose user may
// be locked: [Store.Usable] tells. What is refused is [ErrNotFound], [ErrUnusable] or [ErrReplay], and is rolled back.
func (s *Store) Accept(tx storage.Tx, m Message) (Device, error) {
	d, found, err := s.Find(tx, m.DeviceID)
	switch {
	case err != nil:
		return Device{}, err
	case !found:
		return Device{}, ErrNotFound
	case d.Status.Out():
		return Device{}, fmt.Errorf("device is %s: %w", d.Status, ErrUnusable)
	}
	if !d.Speaks(m.KID, s.now()) {
		return Device{}, fmt.Errorf("the key is not in use: %w", ErrUnusable)
	}
	if err := s.Replay(tx, d.ID, m.JTI, m.IssuedAt); err != nil {
		return Device{}, err
	}
	if err := s.endOverlap(tx, &d, m.KID); err != nil {
		return Device{}, err
	}
	return d, s.touch(tx, &d)
}

// Admit is [Store.Accept] in a transaction of its own, for a message that has no other effect.
func (s *Store) Admit(ctx context.Context, m Message) (d Device, err error) {
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		d, err = s.Accept(tx, m)
		return err
	})
	if err != nil {
		return Device{}, fmt.Errorf("accepting a message: %w", err)
	}
	return d, nil
}

func (s *Store) userUsable(tx storage.Tx, userID string) error {
	err := s.users.Active(tx, userID)
	if errors.Is(err, mobileauth.ErrInactive) {
		return fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	return err
}

func replayed(err error) error {
	if errors.Is(err, storage.ErrExists) {
		return ErrReplay
	}
	return err
}

// Replay accepts the id of a message of a device once. A second time, and for a message whose clock is off by more than
// [Config].Window, it is [ErrReplay].
func (s *Store) Replay(tx storage.Tx, deviceID, jti string, iat time.Time) error {
	if jti == "" || len(jti) > MaxJTI {
		return ErrReplay
	}
	return s.remember(tx, deviceID+"."+jti, iat)
}

// statementMark stands between a device and the id of its statement, where a message has a dot alone: the two are chosen apart,
// and a phone that gives both the same name is understood.
const statementMark = ".statement."

// remember notes what is accepted once, until its own clock would have it refused.
func (s *Store) remember(tx storage.Tx, id string, iat time.Time) error {
	now := s.now()
	if iat.Before(now.Add(-s.window)) || iat.After(now.Add(s.window)) {
		return ErrReplay
	}
	return replayed(s.seen.Insert(tx, seen{ID: id, Until: iat.Add(s.window + time.Second)}))
}
