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

// Rename gives a device a name, in its clean form ([CleanName]), if its version is the given one; otherwise it is
// [ErrVersion]. A deactivated device keeps its name.
func (s *Store) Rename(ctx context.Context, id, name string, version uint64) (Device, error) {
	return s.change(ctx, "renaming", id, func(_ storage.Tx, d *Device) error {
		switch {
		case d.Version != version:
			return ErrVersion
		case d.Status == Deactivated:
			return ErrTransition
		}
		d.Name = name
		return nil
	})
}

// Lock takes a device out until [Store.Unlock] and revokes what rests on it. Locking again replaces the reason.
func (s *Store) Lock(ctx context.Context, id, reason string) (Device, error) {
	return s.change(ctx, "locking", id, into(Locked, reason))
}

// Lose takes a device out as [Lost], which ends with [Store.Unlock], or as [Stolen], which does not, and revokes what rests
// on it. Any other status is [ErrTransition].
func (s *Store) Lose(ctx context.Context, id string, how Status, reason string) (Device, error) {
	if how != Lost && how != Stolen {
		return Device{}, fmt.Errorf("losing device %q as %q: %w", id, how, ErrTransition)
	}
	return s.change(ctx, "losing", id, into(how, reason))
}

// Deactivate takes a device out for good and revokes what rests on it.
func (s *Store) Deactivate(ctx context.Context, id, reason string) (Device, error) {
	return s.change(ctx, "deactivating", id, into(Deactivated, reason))
}

// Quarantine keeps an active device from answering until [Store.Release], and revokes what rests on it.
func (s *Store) Quarantine(ctx context.Context, id, reason string) (Device, error) {
	return s.change(ctx, "quarantining", id, func(tx storage.Tx, d *Device) error {
		if d.Status != Active && d.Status != Quarantined {
			return ErrTransition
		}
		return into(Quarantined, reason)(tx, d)
	})
}

// Release lets a quarantined device answer. It is for whoever judged the registration: an older device of the user or a
// back end. An active device stays as it is; any other is [ErrTransition].
func (s *Store) Release(ctx context.Context, id string) (Device, error) {
	return s.change(ctx, "releasing", id, func(tx storage.Tx, d *Device) error {
		if d.Status != Active && d.Status != Quarantined {
			return ErrTransition
		}
		return into(Active, "")(tx, d)
	})
}

// Unlock brings a locked or lost device back to what it was: one that was quarantined is so again. The count of wrong
// factors stays. An active or quarantined device is left as it is; any other is [ErrTransition].
func (s *Store) Unlock(ctx context.Context, id string) (Device, error) {
	return s.change(ctx, "unlocking", id, func(_ storage.Tx, d *Device) error {
		switch d.Status {
		case Active, Quarantined:
			return errSame
		case Locked, Lost:
			if d.Was != Active && d.Was != Quarantined {
				return ErrTransition
			}
			d.Status, d.StatusReason = d.Was, ""
			return nil
		}
		return ErrTransition
	})
}

func into(status Status, reason string) func(storage.Tx, *Device) error {
	return func(_ storage.Tx, d *Device) error {
		if d.Status == status && d.StatusReason == reason {
			return errSame
		}
		if !d.Status.May(status) {
			return ErrTransition
		}
		d.Status, d.StatusReason = status, reason
		return nil
	}
}

// errSame says that there is nothing to write.
var errSame = errors.New("nothing changes")

// change loads a device, applies fn and stores the result, all in one transaction.
func (s *Store) change(ctx context.Context, verb, id string, fn func(storage.Tx, *Device) error) (Device, error) {
	by := audit.ActorOf(ctx)
	var changed Device
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		d, found, err := s.Find(tx, id)
		if err != nil {
			return err
		}
		if !found {
			return ErrNotFound
		}
		switch err := fn(tx, &d); {
		case errors.Is(err, errSame):
		case err != nil:
			return err
		default:
			if err := s.Put(tx, &d, by); err != nil {
				return err
			}
		}
		changed = d
		return nil
	})
	if err != nil {
		return Device{}, fmt.Errorf("%s device %q: %w", verb, id, err)
	}
	return changed, nil
}

// Reasons for which [Store.DeactivateAll] is called: the user of the devices is out for good.
const (
	ReasonUserDeactivated = "user_deactivated"
	ReasonUserDeleted     = "user_deleted"
)

// DeactivateAll takes every device of a user out for good, each in a transaction of its own. It can be repeated until it
// returns no error.
func (s *Store) DeactivateAll(ctx context.Context, userID, reason string) error {
	devices, err := s.ByUser(ctx, userID)
	if err != nil {
		return err
	}
	for i := range devices {
		if devices[i].Status == Deactivated {
			continue
		}
		if _, err := s.Deactivate(ctx, devices[i].ID, reason); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// SetPush sets where notifications reach a device; nil is nowhere. An address that another device of the user has, or
// another registration on the same handset, moves to this one; one that belongs to somebody else is [ErrPushTaken].
func (s *Store) SetPush(ctx context.Context, id string, push *Push) (Device, error) {
	return s.change(ctx, "setting the push address of", id, func(_ storage.Tx, d *Device) error {
		if d.Status.Out() {
			return ErrTransition
		}
		return d.setPush(push, s.now())
	})
}

func (d *Device) setPush(push *Push, now time.Time) error {
	if push == nil {
		if d.Push == nil {
			return errSame
		}
		d.Push = nil
		return nil
	}
	fresh := &Push{Service: push.Service, Address: push.Address, At: now}
	if d.Push != nil && d.Push.hash() == fresh.hash() && d.Push.DeadAt.IsZero() {
		return errSame
	}
	d.Push = fresh
	return nil
}

// PushDead notes that a push service does not know the address any more. It says nothing about an address that the device
// has changed meanwhile.
func (s *Store) PushDead(ctx context.Context, id, service, address string) (Device, error) {
	dead := Push{Service: service, Address: address}
	return s.change(ctx, "noting the dead push address of", id, func(_ storage.Tx, d *Device) error {
		if d.Push == nil || d.Push.hash() != dead.hash() || !d.Push.DeadAt.IsZero() {
			return errSame
		}
		gone := *d.Push
		gone.DeadAt = s.now()
		d.Push = &gone
		return nil
	})
}

// Report notes which version of the app and of the operating system a device has.
func (s *Store) Report(ctx context.Context, id, appVersion, os string) (Device, error) {
	return s.change(ctx, "noting the version of", id, func(_ storage.Tx, d *Device) error {
		switch {
		case d.Status.Out():
			return ErrTransition
		case d.AppVersion == appVersion && d.OS == os:
			return errSame
		}
		d.AppVersion, d.OS = appVersion, os
		return nil
	})
}
