// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// fill makes so many grants of a client in a session.
func (w *world) fill(session authz.Session, n int, change ...func(*authz.Completion)) (grants []authz.Grant) {
	w.Helper()
	for range n {
		_, grant := w.authorize(session, change...)
		grants = append(grants, grant)
	}
	return grants
}

// overflow ends an authorization and returns its grant and what had to give way.
func (w *world) overflow(session authz.Session, change ...func(*authz.Completion)) (authz.Grant, []authz.Revocation) {
	w.Helper()
	_, c := w.completion(session, change...)
	ended, err := w.store.Complete(w.Context(), c)
	w.ok(err)
	return c.Grant, ended
}

// live returns how many active grants a user has.
func (w *world) live(subject string) int {
	w.Helper()
	grants, err := w.store.GrantsOf(w.Context(), subject)
	w.ok(err)
	return len(grants)
}

// A browser that goes on and on keeps what it got last, and no more of it than is allowed.
func TestTheOldestGrantGivesWay(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		theirs, _ := w.sign(bob)
		first, token := w.line(session)
		grants := append([]authz.Grant{first}, w.fill(session, authz.MaxGrants-1)...)
		w.fill(theirs, 1)
		w.fill(session, 1, of(other))
		equal(w, "entries in the log", len(w.log()), 0)
		for _, oldest := range grants[:3] {
			w.wantActive(oldest, true)
			fresh, ended := w.overflow(session)
			w.wantRevoked(ended, authz.KindGrant, oldest.ID)
			w.wantActive(oldest, false)
			w.wantActive(fresh, true)
			w.after(time.Millisecond)
		}
		w.refresh(token, authz.RefreshRevoked)
		w.wantRevoked(w.log(), authz.KindGrant, grants[0].ID, grants[1].ID, grants[2].ID)
		equal(w, "active grants of alice", w.live(alice), authz.MaxGrants+1)
		equal(w, "active grants of bob", w.live(bob), 1)
	})
}

// What gives way is of the session that has the most: the user's other devices lose nothing, nor does a new one, and when
// all have the same it is the oldest of all.
func TestTheLargestSessionGivesWay(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		phone, _ := w.sign(alice)
		tablet, _ := w.sign(alice)
		noisy, _ := w.sign(alice)
		kept := append(w.fill(phone, 2, offline), w.fill(tablet, 1)...)
		flood := w.fill(noisy, authz.MaxGrants-3)
		for i := range 3 {
			_, ended := w.overflow(noisy)
			w.wantRevoked(ended, authz.KindGrant, flood[i].ID)
		}
		_, ended := w.overflow(phone)
		w.wantRevoked(ended, authz.KindGrant, flood[3].ID)
		for _, grant := range kept {
			w.wantActive(grant, true)
		}
	})
	inMemory(t, func(w *world) {
		var grants []authz.Grant
		for range authz.MaxGrants {
			session, _ := w.sign(alice)
			grants = append(grants, w.fill(session, 1)...)
		}
		fresh, _ := w.sign(alice)
		_, ended := w.overflow(fresh)
		w.wantRevoked(ended, authz.KindGrant, grants[0].ID)
	})
}

// What has expired, was revoked or ended with its session makes room, so that nothing that lives has to.
func TestDeadGrantsMakeRoom(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*world, authz.Session, []authz.Grant)
	}{
		{"expired", func(w *world, _ authz.Session, _ []authz.Grant) { w.after(time.Minute) }},
		{"revoked", func(w *world, _ authz.Session, grants []authz.Grant) {
			for _, g := range grants {
				w.ok(second(w.store.RevokeGrant(w.Context(), g.ID, alice)))
			}
		}},
		{"signed out", func(w *world, session authz.Session, _ []authz.Grant) {
			w.ok(second(w.store.EndSession(w.Context(), session.ID)))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				session, _ := w.sign(alice)
				late, _ := w.sign(alice)
				kept := w.fill(late, 1)[0]
				grants := w.fill(session, authz.MaxGrants-1, func(c *authz.Completion) {
					c.Grant.ExpiresAt = c.Grant.CreatedAt.Add(time.Minute)
				})
				tt.end(w, session, grants)
				before := len(w.log())
				for range authz.MaxGrants - 1 {
					_, ended := w.overflow(late)
					w.wantRevoked(ended, authz.KindGrant)
				}
				w.wantActive(kept, true)
				equal(w, "active grants", w.live(alice), authz.MaxGrants)
				equal(w, "new entries in the log", len(w.log())-before, 0)
				_, ended := w.overflow(late)
				w.wantRevoked(ended, authz.KindGrant, kept.ID)
			})
		})
	}
}

// Code flows at the same time all end well, and the bound holds.
func TestParallelGrantsKeepTheBound(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		w.fill(session, authz.MaxGrants-crowd/2)
		codes := race(w, func(int) (string, error) {
			code, c := w.completion(session)
			return code, second(w.store.Complete(w.Context(), c))
		})
		equal(w, "codes", len(codes), crowd)
		equal(w, "active grants", w.live(alice), authz.MaxGrants)
		equal(w, "entries in the log", len(w.log()), crowd-crowd/2)
	})
}

// A completion that fails has ended nothing.
func TestACompletionThatFailsEndsNoGrant(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		w.fill(session, authz.MaxGrants)
		_, c := w.completion(session)
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrFull})
		ended, err := w.store.Complete(w.Context(), c)
		w.wantError("completing", err, storage.ErrFull)
		w.wantRevoked(ended, authz.KindGrant)
		w.db.Clear()
		equal(w, "active grants", w.live(alice), authz.MaxGrants)
	})
}

// The list of grants goes when the last of them does.
func TestARosterExpires(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		w.fill(session, 2)
		w.fill(session, 1, func(c *authz.Completion) { c.Grant.ExpiresAt = c.Grant.CreatedAt.Add(time.Minute) })
		w.after(grantTTL - time.Millisecond)
		equal(w, "lists of grants", strings.Count(w.content(), `"roster/`), 1)
		w.after(time.Millisecond)
		equal(w, "lists of grants afterwards", strings.Count(w.content(), `"roster/`), 0)
	})
}
