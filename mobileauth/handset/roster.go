// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// maxGone is how many deactivated devices of a user are remembered.
const maxGone = 16

// roster is what a user has. It is read and written with every change of membership: two transactions that would each add
// the last device that is allowed, or the only one, collide on it.
type roster struct {
	UserID  string   `json:"user"`
	Devices []member `json:"devices"`
}

type member struct {
	ID string `json:"id"`
	// Gone is a device that is deactivated.
	Gone bool `json:"gone,omitempty"`
	// Until is when the record disappears; zero is never.
	Until time.Time `json:"until,omitzero"`
}

func (s *Store) roster(tx storage.Tx, userID string) (roster, error) {
	r, found, err := s.rosters.Find(tx, userID)
	if err != nil {
		return roster{}, err
	}
	if !found {
		return roster{UserID: userID}, nil
	}
	now := s.now()
	r.Devices = slices.DeleteFunc(r.Devices, func(m member) bool { return !m.Until.IsZero() && !now.Before(m.Until) })
	return r, nil
}

// enter puts d into the roster of its user. A deactivated device beyond those that are remembered pushes the first of them
// out of the store.
func (s *Store) enter(tx storage.Tx, d *Device) error {
	r, err := s.roster(tx, d.UserID)
	if err != nil {
		return err
	}
	entry := member{ID: d.ID, Gone: d.Status == Deactivated, Until: d.expires()}
	at := slices.IndexFunc(r.Devices, func(m member) bool { return m.ID == d.ID })
	if at >= 0 && r.Devices[at] == entry {
		return nil
	}
	if at >= 0 {
		r.Devices = slices.Delete(r.Devices, at, at+1)
	}
	r.Devices = append(r.Devices, entry)
	if len(r.Devices)-r.live() > maxGone {
		first := slices.IndexFunc(r.Devices, func(m member) bool { return m.Gone })
		if err := s.devices.Delete(tx, r.Devices[first].ID); err != nil {
			return err
		}
		r.Devices = slices.Delete(r.Devices, first, first+1)
	}
	return s.rosters.Put(tx, r)
}

func (r *roster) live() int {
	n := 0
	for _, m := range r.Devices {
		if !m.Gone {
			n++
		}
	}
	return n
}

// Live returns the devices of a user that are not deactivated, in the order in which they came into their present state. A
// transaction that reads them and adds or removes one collides with every other that does.
func (s *Store) Live(tx storage.Tx, userID string) ([]Device, error) {
	return s.ofUser(tx, userID, func(m member) bool { return !m.Gone })
}

func (s *Store) ofUser(tx storage.Tx, userID string, want func(member) bool) ([]Device, error) {
	r, err := s.roster(tx, userID)
	if err != nil {
		return nil, err
	}
	var devices []Device
	for _, m := range r.Devices {
		if !want(m) {
			continue
		}
		d, found, err := s.Find(tx, m.ID)
		if err != nil {
			return nil, err
		}
		if found {
			devices = append(devices, d)
		}
	}
	return devices, nil
}

// Had reports whether a user has, or had, a device that was confirmed, beside the one that is named. Those that were taken out
// count as long as they are remembered; where so many were that some are forgotten, it reports true.
func (s *Store) Had(tx storage.Tx, userID, beside string) (bool, error) {
	devices, err := s.ofUser(tx, userID, func(member) bool { return true })
	if err != nil {
		return false, err
	}
	gone := 0
	for i := range devices {
		d := &devices[i]
		switch {
		case d.ID == beside || d.Status == Pending:
		case d.Status != Deactivated || !d.ActivatedAt.IsZero():
			return true, nil
		default:
			gone++
		}
	}
	return gone >= maxGone, nil
}
