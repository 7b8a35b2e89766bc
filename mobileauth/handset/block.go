// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Block keeps a handset out, whoever uses it.
type Block struct {
	Hash   string    `json:"hash"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// LockHash keeps a handset out: no device is registered on it any more, and those that are there are locked, of whichever
// user; a pending one is deactivated. It returns those it took out. The block comes first and each device has a transaction
// of its own, so that a failure leaves the handset blocked; the command can be repeated.
func (s *Store) LockHash(ctx context.Context, hash, reason string) ([]Device, error) {
	if !ValidHash(hash) {
		return nil, fmt.Errorf("locking a handset: %w", invalid("hash", "not the hash of a handset"))
	}
	if err := checkReason(reason); err != nil {
		return nil, fmt.Errorf("locking a handset: %w", err)
	}
	if err := s.block(ctx, hash, reason); err != nil {
		return nil, fmt.Errorf("locking a handset: %w", err)
	}
	var out []Device
	for after := ""; ; {
		devices, err := s.ByHash(ctx, hash, after, MaxPage)
		if err != nil {
			return out, fmt.Errorf("locking a handset: %w", err)
		}
		for i := range devices {
			d, err := s.takeOut(ctx, &devices[i], reason)
			if err != nil {
				return out, fmt.Errorf("locking a handset: %w", err)
			}
			if d.ID != "" {
				out = append(out, d)
			}
		}
		if len(devices) < MaxPage {
			return out, nil
		}
		after = devices[len(devices)-1].ID
	}
}

func (s *Store) takeOut(ctx context.Context, d *Device, reason string) (Device, error) {
	var err error
	var changed Device
	switch {
	case d.Status == Pending:
		changed, err = s.Deactivate(ctx, d.ID, reason)
	case !d.Status.Out():
		changed, err = s.Lock(ctx, d.ID, reason)
	}
	// Between reading and locking it may have gone further out by itself.
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrTransition) {
		return Device{}, nil
	}
	return changed, err
}

func (s *Store) block(ctx context.Context, hash, reason string) error {
	by := audit.ActorOf(ctx)
	b := Block{Hash: hash, Reason: reason, By: by.By, At: s.now()}
	e := s.audit.Prepare(blockEvent("device.handset_locked", b, by))
	return s.db.Update(ctx, func(tx storage.Tx) error {
		if err := s.blocks.Put(tx, b); err != nil {
			return err
		}
		return s.audit.Append(tx, e)
	})
}

// UnlockHash lets devices be registered on a handset again. Those that were locked stay so: each is unlocked by itself.
func (s *Store) UnlockHash(ctx context.Context, hash string) error {
	e := s.audit.Prepare(blockEvent("device.handset_unlocked", Block{Hash: hash}, audit.ActorOf(ctx)))
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		if _, err := s.blocks.Get(tx, hash); err != nil {
			return err
		}
		if err := s.blocks.Delete(tx, hash); err != nil {
			return err
		}
		return s.audit.Append(tx, e)
	})
	if err != nil {
		return fmt.Errorf("unlocking a handset: %w", err)
	}
	return nil
}

// Blocked returns the block of a handset, if there is one.
func (s *Store) Blocked(ctx context.Context, hash string) (b Block, found bool, err error) {
	if hash == "" {
		return Block{}, false, nil
	}
	err = s.db.View(ctx, func(tx storage.Tx) error {
		b, found, err = s.blocks.Find(tx, hash)
		return err
	})
	if err != nil {
		return Block{}, false, fmt.Errorf("reading the block of a handset: %w", err)
	}
	return b, found, nil
}

func blockEvent(name string, b Block, by audit.Actor) audit.Event {
	return audit.Event{Name: name, Outcome: audit.Accepted, Reason: b.Reason, Object: b.Hash}.Caused(by)
}
