// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Find returns the device with the given id, or that there is none.
func (s *Store) Find(tx storage.Tx, id string) (Device, bool, error) {
	if !validDevice.MatchString(id) {
		return Device{}, false, nil
	}
	r, found, err := s.devices.Find(tx, id)
	if err != nil || !found {
		return Device{}, false, err
	}
	d, err := s.complete(tx, r)
	return d, err == nil, err
}

// complete adds what is counted beside the record.
func (s *Store) complete(tx storage.Tx, r record) (Device, error) {
	d := r.device()
	c, _, err := s.counts.Find(tx, d.ID)
	if err != nil {
		return Device{}, err
	}
	d.Failures, d.LastSeenAt = c.Failures, c.SeenAt
	return d, nil
}

// Usable returns nil when the device is active and so is its user, and an error that wraps [ErrUnusable] when not. Any
// other error means that it could not be found out.
func (s *Store) Usable(tx storage.Tx, d *Device) error {
	if d.Status != Active {
		return fmt.Errorf("device is %s: %w", d.Status, ErrUnusable)
	}
	return s.userUsable(tx, d.UserID)
}

// Put stores a device in the caller's transaction and leaves in d what was stored. A device of version 0 is added;
// otherwise the stored record must have the version of d, which is what it had when it was read ([ErrVersion]), and its
// status must allow the one of d ([ErrTransition]). Put sets the times that go with a status, revokes what a device loses
// with it, and writes history and audit trail. Failures and LastSeenAt are not written.
//
// Refusals are [ErrInvalid], [ErrLimit], [ErrBlocked], [ErrKeyTaken] and [ErrPushTaken]. Nothing was written when one of
// these comes back.
func (s *Store) Put(tx storage.Tx, d *Device, by audit.Actor) error {
	next := *d
	if err := next.normalize(); err != nil {
		return err
	}
	old, found, err := s.devices.Find(tx, next.ID)
	if err != nil {
		return err
	}
	now := s.now()
	if err := s.admitChange(tx, &old, found, &next, now); err != nil {
		return err
	}
	promoted := next.placePush(&old.Device)
	switch err := s.makeRoom(tx, &next, by); {
	case promoted && errors.Is(err, ErrPushTaken):
		next.Push = nil // somebody has it meanwhile; the device asks, until it says another
	case err != nil:
		return err
	}
	was := old.device()
	change := changed(&was, &next, now)
	change.By = by.By
	if err := s.enter(tx, &next); err != nil {
		return err
	}
	if err := s.devices.Put(tx, toRecord(next)); err != nil {
		return taken(err)
	}
	*d = next
	if err := s.history.Put(tx, change); err != nil {
		return err
	}
	if err := s.audit.Append(tx, s.audit.Prepare(change.event(&next, by))); err != nil {
		return err
	}
	return s.follow(tx, old.Status, &next)
}

// taken says which reservation a write met. The only one that is left to be met by it is a key: makeRoom has looked at the
// push address.
func taken(err error) error {
	if errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("%w: %w", ErrKeyTaken, err)
	}
	return err
}

// admitChange judges whether the stored record may become next, and sets what goes with its status.
func (s *Store) admitChange(tx storage.Tx, old *record, found bool, next *Device, now time.Time) error {
	switch {
	case next.Version != old.Version:
		return ErrVersion
	case found && next.UserID != old.UserID:
		return invalid("user_id", "a device stays with its user")
	case found && !old.Status.May(next.Status):
		return ErrTransition
	case !found && next.Status != Pending && next.Status != Active && next.Status != Quarantined:
		return ErrTransition
	}
	if !found {
		next.CreatedAt = now
		if err := s.admitNew(tx, next); err != nil {
			return err
		}
	}
	if err := s.keysFree(tx, next); err != nil {
		return err
	}
	next.Version++
	next.settle(old.Status, now)
	return nil
}

// admitNew judges whether a user may have one more device, and on that handset.
func (s *Store) admitNew(tx storage.Tx, d *Device) error {
	if d.Hash != "" {
		_, blocked, err := s.blocks.Find(tx, d.Hash)
		if err != nil {
			return err
		}
		if blocked {
			return ErrBlocked
		}
	}
	r, err := s.roster(tx, d.UserID)
	if err == nil && r.live() >= s.maxDevices {
		err = ErrLimit
	}
	return err
}

// keysFree looks before anything is written whether another record has one of the keys.
func (s *Store) keysFree(tx storage.Tx, d *Device) error {
	for _, thumbprint := range d.thumbprints() {
		if err := s.keyFree(tx, d, byKey, thumbprint); err != nil {
			return err
		}
	}
	if d.Attestation.KeyID == "" {
		return nil
	}
	return s.keyFree(tx, d, byPlatform, d.Attestation.KeyID)
}

func (s *Store) keyFree(tx storage.Tx, d *Device, index, name string) error {
	holder, err := s.devices.Lookup(tx, index, name)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return err
	case holder.ID != d.ID:
		return ErrKeyTaken
	}
	return nil
}

// settle sets what goes with a status that d comes into.
func (d *Device) settle(from Status, now time.Time) {
	switch d.Status {
	case Active:
		if d.ActivatedAt.IsZero() {
			d.ActivatedAt = now
		}
	case Locked, Lost, Stolen:
		if from == Active || from == Quarantined {
			d.Was, d.LockedAt = from, now
		}
	case Deactivated:
		if d.DeactivatedAt.IsZero() {
			d.DeactivatedAt = now
		}
		d.Factors, d.Push, d.PushWanted, d.ServerKey, d.ServerKeyID, d.PGPServerKey = nil, nil, nil, nil, "", nil
		d.forgetOldKeys(now)
	}
	if d.Status != Pending {
		d.PendingUntil = time.Time{}
	}
	if !d.Status.Out() {
		d.Was, d.LockedAt = "", time.Time{}
	}
}

// placePush keeps an address aside that is new to a device which is not active, and brings out the one that was kept when it
// becomes active, which it reports.
func (d *Device) placePush(old *Device) (promoted bool) {
	switch {
	case d.Status == Active && d.PushWanted != nil:
		promoted = d.Push.hash() == old.Push.hash() // none was set beside it
		if promoted {
			d.Push = d.PushWanted
		}
		d.PushWanted = nil
	case d.Status != Active && d.Push != nil && d.Push.hash() != old.Push.hash():
		d.PushWanted, d.Push = d.Push, old.Push
	}
	return promoted
}

// makeRoom takes a push address from the device that has it, where both belong to one user or are one handset; from
// anybody else it is not taken: whoever knows another's address could have their notifications, or end them.
func (s *Store) makeRoom(tx storage.Tx, d *Device, by audit.Actor) error {
	if d.Push == nil {
		return nil
	}
	holder, err := s.devices.Lookup(tx, byPush, d.Push.hash())
	switch {
	case errors.Is(err, storage.ErrNotFound) || err == nil && holder.ID == d.ID:
		return nil
	case err != nil:
		return err
	case holder.UserID != d.UserID && (d.Hash == "" || holder.Hash != d.Hash):
		return ErrPushTaken
	}
	loser := holder.device()
	loser.Push = nil
	return s.Put(tx, &loser, by)
}

// follow does what comes after a change of status, in its transaction.
func (s *Store) follow(tx storage.Tx, before Status, d *Device) error {
	if d.Status == before {
		return nil
	}
	if d.Status == Deactivated {
		if err := s.counts.Delete(tx, d.ID); err != nil {
			return err
		}
	}
	if before == Active && d.Status != Active || d.Status.Out() {
		for _, revoke := range s.onRevoke {
			if err := revoke(tx, *d); err != nil {
				return fmt.Errorf("revoking what rests on a device: %w", err)
			}
		}
	}
	return s.notify(tx, Notice{What: StatusChanged, Device: *d, Before: before})
}

func (s *Store) notify(tx storage.Tx, n Notice) error {
	for _, tell := range s.onNotice {
		if err := tell(tx, n); err != nil {
			return fmt.Errorf("telling of a device: %w", err)
		}
	}
	return nil
}
