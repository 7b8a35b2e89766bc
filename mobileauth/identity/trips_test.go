// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/trips"
)

// TestTrips: where the store is a round trip away an attempt waits for it twice to be counted, and twice more to be accepted.
func TestTrips(t *testing.T) {
	t.Parallel()
	for _, lockAfter := range []int{0, 5} {
		var counted *trips.DB
		h := newHouse(t, func(c *identity.Config) {
			db, err := memstore.Open(memstore.Config{Now: c.Now}) // that runs each closure once
			if err != nil {
				t.Fatal(err)
			}
			counted = trips.Count(db)
			c.DB, c.LockAfter = counted, lockAfter
		})
		h.add("active")
		for _, test := range []struct {
			name, login, password string
			result                identity.Result
			reason                identity.Reason
			want                  int
		}{
			{"wrong", "active", "wrong", identity.Refused, identity.ReasonWrongPassword, 2},
			{"right", "active", password, identity.Accepted, "", 4},
			{"right, again", "active", password, identity.Accepted, "", 4},
			{"unknown", "unknown", password, identity.Refused, identity.ReasonUnknownLogin, 2},
		} {
			before := counted.Trips()
			h.expect(test.login, test.password, home, test.result, test.reason)
			if got := counted.Trips() - before; got != test.want {
				t.Errorf("%s, locked after %d: %d round trips, want %d", test.name, lockAfter, got, test.want)
			}
		}
	}
}
