// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"slices"
	"time"
)

// Roster lists the grants that a client holds of a user, oldest first. A grant that was revoked may still be in it.
type Roster struct {
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Grants   []Listed `json:"grants"`
}

// Listed is what is known of a grant in the list.
type Listed struct {
	ID        string    `json:"id"`
	SessionID string    `json:"sid,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Ends returns when the last grant expires; the zero time of an empty list.
func (r *Roster) Ends() time.Time {
	var last time.Time
	for _, g := range r.Grants {
		if g.ExpiresAt.After(last) {
			last = g.ExpiresAt
		}
	}
	return last
}

// Expire drops the grants that have expired at now.
func (r *Roster) Expire(now time.Time) {
	r.Grants = slices.DeleteFunc(r.Grants, func(l Listed) bool { return !now.Before(l.ExpiresAt) })
}

// Surplus returns the place of the grant that gives way to a new one in a session: the oldest of the session that has the
// most, so that one browser which goes on and on costs the user's other devices nothing. It is -1 in an empty list.
func (r *Roster) Surplus(session string) int {
	counts := map[string]int{session: 1}
	most := 0
	for _, l := range r.Grants {
		counts[l.SessionID]++
		most = max(most, counts[l.SessionID])
	}
	most = max(most, counts[session])
	return slices.IndexFunc(r.Grants, func(l Listed) bool { return counts[l.SessionID] == most })
}
