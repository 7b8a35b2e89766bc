// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/roster"
	"github.com/gatehouse-id/gatehouse/storage"
)

// MaxGrants is how many live grants one client may hold of one user. Every authorization makes a grant, so that two of them
// at the same time do not disturb each other; a browser that goes on and on would fill the store with them.
const MaxGrants = 100

func rosterTable() *storage.Table[roster.Roster] {
	return &storage.Table[roster.Roster]{
		Name: "roster", Version: 1,
		ID:     func(r *roster.Roster) string { return consentID(r.Subject, r.ClientID) },
		Expiry: (*roster.Roster).Ends,
	}
}

// DevicesOf returns the devices on which a user has logged in within [MaxRefreshTTL], be it that they were taken out since. A device may
// be several users'.
func (s *Store) DevicesOf(ctx context.Context, subject string) (devices []string, err error) {
	return certain(&devices, s.db.View(ctx, func(tx storage.Tx) (err error) {
		devices, err = s.devices.Of(tx, subject, s.Now())
		return err
	}))
}

// enlist adds a grant to its roster. When that is full, one of those in it is ended by the drafted revocation: it reports
// whether one was.
func (s *Store) enlist(tx storage.Tx, g Grant, draft *Revocation) (ended bool, err error) {
	r, _, err := s.rosters.Find(tx, consentID(g.Subject, g.ClientID))
	if err != nil {
		return false, err
	}
	r.Subject, r.ClientID = g.Subject, g.ClientID
	r.Expire(s.Now())
	if len(r.Grants) >= MaxGrants {
		if err := s.dropDead(tx, &r); err != nil {
			return false, err
		}
	}
	if len(r.Grants) >= MaxGrants {
		i := r.Surplus(g.SessionID)
		draft.Target = r.Grants[i].ID
		if ended, err = s.revokeGrant(tx, *draft); err != nil {
			return false, err
		}
		r.Grants = slices.Delete(r.Grants, i, i+1)
	}
	r.Grants = append(r.Grants, roster.Listed{ID: g.ID, SessionID: g.SessionID, ExpiresAt: g.ExpiresAt})
	return ended, s.rosters.Put(tx, r)
}

// dropDead forgets the grants that have ended in the meantime. It reads all of them, and is called when the roster is full.
func (s *Store) dropDead(tx storage.Tx, r *roster.Roster) error {
	live := r.Grants[:0]
	for _, l := range r.Grants {
		_, active, err := s.activeGrant(tx, l.ID)
		if err != nil {
			return err
		}
		if active {
			live = append(live, l)
		}
	}
	r.Grants = live
	return nil
}
