// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// MaxGrants is how many live grants one client may hold of one user. Every authorization makes a grant, so that two of them
// at the same time do not disturb each other; a browser that goes on and on would fill the store with them.
const MaxGrants = 100

// roster lists the grants that a client holds of a user, oldest first. It is what [MaxGrants] is counted by. A grant that
// was revoked may still be in it.
type roster struct {
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Grants   []listed `json:"grants"`
}

type listed struct {
	ID        string    `json:"id"`
	SessionID string    `json:"sid,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

func rosterTable() *storage.Table[roster] {
	return &storage.Table[roster]{
		Name: "roster", Version: 1,
		ID: func(r *roster) string { return consentID(r.Subject, r.ClientID) },
		Expiry: func(r *roster) time.Time {
			var last time.Time
			for _, g := range r.Grants {
				if g.ExpiresAt.After(last) {
					last = g.ExpiresAt
				}
			}
			return last
		},
	}
}

// enlist adds a grant to its roster. When that is full, one of those in it is ended by the drafted revocation: it reports
// whether one was.
func (s *Store) enlist(tx storage.Tx, g Grant, draft *Revocation) (ended bool, err error) {
	r, _, err := s.rosters.Find(tx, consentID(g.Subject, g.ClientID))
	if err != nil {
		return false, err
	}
	r.Subject, r.ClientID = g.Subject, g.ClientID
	now := s.Now()
	r.Grants = slices.DeleteFunc(r.Grants, func(l listed) bool { return !now.Before(l.ExpiresAt) })
	if len(r.Grants) >= MaxGrants {
		if err := s.dropDead(tx, &r); err != nil {
			return false, err
		}
	}
	if len(r.Grants) >= MaxGrants {
		i := r.surplus(g.SessionID)
		draft.Target = r.Grants[i].ID
		if ended, err = s.revokeGrant(tx, *draft); err != nil {
			return false, err
		}
		r.Grants = slices.Delete(r.Grants, i, i+1)
	}
	r.Grants = append(r.Grants, listed{g.ID, g.SessionID, g.ExpiresAt})
	return ended, s.rosters.Put(tx, r)
}

// dropDead forgets the grants that have ended in the meantime. It reads all of them, and is called when the roster is full.
func (s *Store) dropDead(tx storage.Tx, r *roster) error {
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

// surplus returns the place of the grant that gives way to a new one in a session: the oldest of the session that has the
// most, so that one browser which goes on and on costs the user's other devices nothing.
func (r *roster) surplus(session string) int {
	counts := map[string]int{session: 1}
	most := 0
	for _, l := range r.Grants {
		counts[l.SessionID]++
		most = max(most, counts[l.SessionID])
	}
	most = max(most, counts[session])
	return slices.IndexFunc(r.Grants, func(l listed) bool { return counts[l.SessionID] == most })
}
