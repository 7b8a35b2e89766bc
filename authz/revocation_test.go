// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/storage"
)

func TestRevocationsOutliveAccessTokens(t *testing.T) {
	t.Parallel()
	if authz.RevocationTTL <= authz.MaxAccessTTL {
		t.Errorf("a revocation is kept for %s, an access token may live for %s", authz.RevocationTTL, authz.MaxAccessTTL)
	}
	everywhere(t, func(w *world) {
		made, err := w.store.Revoke(w.Context(), authz.KindToken, "jti")
		w.ok(err)
		w.after(authz.MaxAccessTTL)
		if diff := cmp.Diff([]authz.Revocation{made}, w.log()); diff != "" {
			w.Errorf("the log differs (-returned +log):\n%s", diff)
		}
		w.after(authz.RevocationTTL - authz.MaxAccessTTL)
		equal(w, "entries after their time", len(w.log()), 0)
	})
}

func TestRevokeNamesWhatItCannotRevoke(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		for _, tt := range []struct {
			kind   authz.Kind
			target string
			ok     bool
		}{
			{authz.KindToken, "jti", true},
			{authz.KindSubject, alice, true},
			{authz.KindClient, app, true},
			{authz.KindToken, "", false},
			{authz.KindSubject, "", false},
			{authz.KindGrant, "grt_x", false},
			{authz.KindSession, "ses_x", false},
			{"", "x", false},
			{"everything", "x", false},
		} {
			before := len(w.log())
			made, err := w.store.Revoke(w.Context(), tt.kind, tt.target)
			if tt.ok != (err == nil) || tt.ok != (made != authz.Revocation{}) {
				w.Errorf("revoking %s %q: %+v, %v", tt.kind, tt.target, made, err)
			}
			equal(w, fmt.Sprintf("entry made for %s %q", tt.kind, tt.target), len(w.log()) > before, tt.ok)
		}
	})
}

// A cut-off is kept for a year. What says by itself that it has ended needs none.
func TestTokensAndGrantsLeaveNoCutOff(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		_, grant := w.authorize(session)
		w.ok(second(w.store.Revoke(w.Context(), authz.KindToken, "jti")))
		w.ok(second(w.store.RevokeGrant(w.Context(), grant.ID, "")))
		equal(w, "cut-offs of a token and a grant", strings.Count(w.content(), "cutoff/"), 0)
		w.ok(second(w.store.EndSession(w.Context(), session.ID)))
		equal(w, "cut-offs of a session", strings.Count(w.content(), "cutoff/"), 1)
	})
}

func TestTheLogIsOrderedByTime(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		start := w.store.Now()
		var want []string
		for i := range 20 {
			target := fmt.Sprint("jti", 20-i)
			w.ok(second(w.store.Revoke(w.Context(), authz.KindToken, target)))
			want = append(want, target)
			w.after(700 * time.Millisecond)
		}
		read := func(since time.Time) (targets []string) {
			all, err := w.store.RevocationsSince(w.Context(), since)
			w.ok(err)
			for _, r := range all {
				targets = append(targets, r.Target)
			}
			return targets
		}
		for i, since := range []time.Time{start, start.Add(700 * time.Millisecond), start.Add(1400 * time.Millisecond)} {
			if diff := cmp.Diff(want[i:], read(since)); diff != "" {
				w.Errorf("log since entry %d (-want +got):\n%s", i, diff)
			}
			if diff := cmp.Diff(want[i+1:], read(since.Add(time.Millisecond))); diff != "" {
				w.Errorf("log since just after entry %d (-want +got):\n%s", i, diff)
			}
		}
		if diff := cmp.Diff(want, read(time.Time{})); diff != "" {
			w.Errorf("the whole log (-want +got):\n%s", diff)
		}
		equal(w, "entries of the future", len(read(start.Add(time.Hour))), 0)
	})
}

func TestAReaderWithAnOverlapMissesNothing(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		var early authz.Revocation
		w.interrupt = func() { // the first draws its time, the second commits, the log is read, the first commits
			w.after(time.Second)
			late, err := w.store.Revoke(w.Context(), authz.KindToken, "late")
			w.ok(err)
			w.wantRevoked(w.log(), authz.KindToken, "late")
			early = late
		}
		first, err := w.store.Revoke(w.Context(), authz.KindToken, "early")
		w.ok(err)
		if !first.At.Before(early.At) {
			w.Fatalf("the revocations are of %s and %s", first.At, early.At)
		}
		seen, err := w.store.RevocationsSince(w.Context(), early.At)
		w.ok(err)
		w.wantRevoked(seen, authz.KindToken, "late")
		seen, err = w.store.RevocationsSince(w.Context(), early.At.Add(-30*time.Second))
		w.ok(err)
		w.wantRevoked(seen, authz.KindToken, "early", "late")
	})
}

// lock is what the identity store does when it locks a user: a transaction of its own with the hook in it.
func (w *world) lock(subject string) {
	w.Helper()
	w.ok(interrupted{w.db, w}.Update(w.Context(), func(tx storage.Tx) error { return w.store.RevokeSubject(tx, subject) }))
}

// rollsBack runs a hook in a transaction of the caller's that fails afterwards: nothing of it is in the log.
func (w *world) rollsBack(hook func(tx storage.Tx) error) {
	w.Helper()
	broken := errors.New("the caller broke")
	err := w.db.Update(w.Context(), func(tx storage.Tx) error {
		w.ok(hook(tx))
		return broken
	})
	w.wantError("rolling back", err, broken)
	equal(w, "entries in the log", len(w.log()), 0)
}

func TestRevokeSubjectWritesOneEntry(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.ok(w.db.Update(w.Context(), func(tx storage.Tx) error {
			return errors.Join(w.store.RevokeSubject(tx, alice), w.store.RevokeSubject(tx, alice))
		}))
		w.wantRevoked(w.log(), authz.KindSubject, alice)
		w.ok(w.db.Update(w.Context(), func(tx storage.Tx) error {
			return errors.Join(w.store.RevokeSubject(tx, bob))
		}))
		w.wantRevoked(w.log(), authz.KindSubject, alice, bob)
	})
}

func TestRevokeSubjectIsPartOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.sign(alice)
		_, grant := w.authorize(session)
		w.after(time.Millisecond)
		w.rollsBack(func(tx storage.Tx) error { return w.store.RevokeSubject(tx, alice) })
		w.wantSession(handle, true)
		w.wantActive(grant, true)
	})
}

func TestALockedUserLosesEverything(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.sign(alice)
		_, theirs := w.sign(bob)
		online, onlineToken := w.line(session)
		away, awayToken := w.line(session, offline)
		code, pending := w.authorize(session)
		w.lock(alice)
		w.wantEnded(session, handle)
		w.wantSession(theirs, true)
		for _, grant := range []authz.Grant{online, away, pending} {
			w.wantActive(grant, false)
		}
		w.refresh(onlineToken, authz.RefreshRevoked)
		w.refresh(awayToken, authz.RefreshRevoked)
		w.redeem(w.redemption(code), authz.RedeemRevoked)
		grants, err := w.store.GrantsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "grants of a locked user", len(grants), 0)

		w.after(time.Millisecond) // and the user comes back
		again, againHandle := w.sign(alice)
		w.wantSession(againHandle, true)
		fresh, token := w.line(again)
		w.wantActive(fresh, true)
		w.refresh(token, authz.Rotated)
		w.refresh(awayToken, authz.RefreshRevoked)
	})
}

func TestACutOffOutlivesTheLog(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		_, token := w.line(session, offline)
		stays, stayingToken := w.line(session, offline, of(other))
		w.ok(second(w.store.Revoke(w.Context(), authz.KindClient, app)))
		w.after(authz.RevocationTTL)
		equal(w, "entries in the log", len(w.log()), 0)
		w.refresh(token, authz.RefreshRevoked)
		w.wantActive(stays, true)
		w.refresh(stayingToken, authz.Rotated, func(r *authz.Renewal) { r.ClientID = other })
	})
}

func TestLogoutEndsWhatRestsOnTheSession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		elsewhere, _ := w.sign(alice)
		online, onlineToken := w.line(session)
		away, awayToken := w.line(session, offline)
		apart, apartToken := w.line(elsewhere)
		code, _ := w.authorize(session)
		w.after(time.Second)
		revoked, err := w.store.EndSession(w.Context(), session.ID)
		w.ok(err)
		w.wantRevoked(revoked, authz.KindSession, session.ID)
		w.wantActive(online, false)
		w.wantActive(away, true)
		w.wantActive(apart, true)
		w.refresh(onlineToken, authz.RefreshRevoked)
		w.refresh(awayToken, authz.Rotated)
		w.refresh(apartToken, authz.Rotated)
		w.redeem(w.redemption(code), authz.RedeemRevoked)
		grants, err := w.store.GrantsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "active grants", len(grants), 2)
	})
}

// What was issued before a revocation dies by it even when its clock says that it came later: the clock of another node may
// be ahead, and a revocation may have drawn its time before it waited for its turn.
func TestClocksDoNotSaveWhatIsRevoked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		revoke func(*world, authz.Session)
	}{
		{"the user is locked", func(w *world, _ authz.Session) { w.lock(alice) }},
		{"the user is revoked", func(w *world, _ authz.Session) {
			w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, alice)))
		}},
		{"the client is revoked", func(w *world, _ authz.Session) {
			w.ok(second(w.store.Revoke(w.Context(), authz.KindClient, app)))
		}},
		{"the session ends", func(w *world, session authz.Session) {
			w.ok(second(w.store.EndSession(w.Context(), session.ID)))
		}},
		{"the session is replaced", func(w *world, session authz.Session) {
			fresh, _ := w.draft(bob)
			w.ok(second(w.store.ReplaceSession(w.Context(), session.ID, fresh, nil)))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				session, _ := w.sign(alice)
				var (
					grant authz.Grant
					token string
				)
				w.interrupt = func() {
					w.after(3 * time.Second)
					grant, token = w.line(session)
					w.after(-3 * time.Second)
				}
				tt.revoke(w, session)
				if grant.ID == "" {
					w.Fatal("the revocation was not interrupted")
				}
				w.after(time.Minute)
				w.wantActive(grant, false)
				w.refresh(token, authz.RefreshRevoked)
			})
		})
	}
}

func TestClocksDoNotSaveASession(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		ahead := w.node(func() time.Time { return w.clock.Now().Add(5 * time.Second) })
		session, handle := w.draft(alice)
		session.CreatedAt, session.SeenAt = ahead.Now(), ahead.Now()
		w.ok(ahead.OpenSession(w.Context(), session, nil))
		w.lock(alice)
		w.after(10 * time.Second)
		w.wantEnded(session, handle)
	})
}

func TestALateClockBringsNothingBack(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		w.after(10 * time.Second)
		session, handle := w.sign(alice)
		_, token := w.line(session, offline)
		w.lock(alice)
		w.after(-8 * time.Second) // another node locks the user once more
		w.lock(alice)
		w.after(time.Minute)
		w.wantEnded(session, handle)
		w.refresh(token, authz.RefreshRevoked)
	})
}

func TestWhatIsDrawnBeforeARevocationIsDead(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.draft(alice)
		w.lock(alice) // a login that began before the lock and ends after it
		w.wantError("opening", w.store.OpenSession(w.Context(), session, nil), authz.ErrOvertaken)
		w.wantSession(handle, false)
		w.after(time.Millisecond)
		live, _ := w.sign(alice)
		code, c := w.completion(live)
		w.ok(second(w.store.Revoke(w.Context(), authz.KindClient, app)))
		w.ok(second(w.store.Complete(w.Context(), c)))
		w.redeem(w.redemption(code), authz.RedeemRevoked)
	})
}

// A login ends with a session only when its user was not revoked since it began: whatever the clocks say, whoever else was
// revoked, and however the session is opened.
func TestALoginIsOvertaken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*world)
		want   error
	}{
		{"nothing happens", func(*world) {}, nil},
		{"the user is locked", func(w *world) { w.lock(alice) }, authz.ErrOvertaken},
		{"the user is locked by a node whose clock is behind", func(w *world) {
			w.after(-time.Minute)
			w.lock(alice)
			w.after(time.Minute)
		}, authz.ErrOvertaken},
		{"the user is locked again by a node whose clock is behind", func(w *world) {
			w.after(-time.Minute)
			w.lock(alice)
			w.lock(alice)
			w.after(time.Minute)
		}, authz.ErrOvertaken},
		{"the user is revoked", func(w *world) { w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, alice))) }, authz.ErrOvertaken},
		{"the user signs out everywhere", func(w *world) { w.ok(w.store.CancelLogins(w.Context(), alice)) }, authz.ErrOvertaken},
		{"another user is locked", func(w *world) { w.lock(bob) }, nil},
		{"another user signs out everywhere", func(w *world) { w.ok(w.store.CancelLogins(w.Context(), bob)) }, nil},
		{"a client is revoked", func(w *world) { w.ok(second(w.store.Revoke(w.Context(), authz.KindClient, alice))) }, nil},
		{"a session ends", func(w *world) {
			other, _ := w.sign(alice)
			w.ok(second(w.store.EndSession(w.Context(), other.ID)))
		}, nil},
	}
	for _, tt := range tests {
		for _, how := range []string{"open", "replace"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				t.Parallel()
				everywhere(t, func(w *world) {
					w.lock(alice) // and unlocked, long ago
					old, oldHandle := w.sign(bob)
					w.after(time.Minute)
					session, handle := w.draft(alice)
					w.after(time.Second)
					open := func() error { return w.store.OpenSession(w.Context(), session, nil) }
					if how == "replace" {
						open = func() error { return second(w.store.ReplaceSession(w.Context(), old.ID, session, nil)) }
					}
					w.interrupt = func() { tt.change(w) } // after the user was checked and before the session is opened
					w.wantError("opening", open(), tt.want)
					w.wantSession(handle, tt.want == nil)
					if tt.name == "another user is locked" {
						return
					}
					w.wantSession(oldHandle, tt.want != nil || how == "open")
				})
			})
		}
	}
}

// A session without a moment is older than whatever its user was revoked by.
func TestASessionWithoutAMoment(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		w.lock(alice)
		w.after(time.Hour)
		session, _ := w.draft(alice)
		session.Cutoffs = 0
		w.wantError("opening", w.store.OpenSession(w.Context(), session, nil), authz.ErrOvertaken)
	})
}

// Signing out everywhere keeps logins from opening sessions; it ends no session by itself, and the next login is welcome.
func TestCancelLoginsEndsNoSession(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.sign(alice)
		grant, token := w.line(session)
		w.after(time.Millisecond)
		w.ok(w.store.CancelLogins(w.Context(), alice))
		w.wantSession(handle, true)
		w.wantActive(grant, true)
		w.refresh(token, authz.Rotated)
		equal(w, "entries in the log", len(w.log()), 0)
		w.after(time.Millisecond)
		w.sign(alice)
	})
}

// Every cut-off has a number of its own, also when many are made at once.
func TestCutOffsAreCounted(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		race(w, func(i int) (string, error) {
			r, err := w.store.Revoke(w.Context(), authz.KindSubject, fmt.Sprint("usr_", i))
			return r.ID, err
		})
		m, err := w.store.Moment(w.Context())
		w.ok(err)
		equal(w, "cut-offs", m.Cutoffs, crowd)
		equal(w, "moment", m.At, w.store.Now())
	})
}

func TestRevokeGrant(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, subject string
		id            func(authz.Grant) string
		want          error
	}{
		{"by its user", alice, func(g authz.Grant) string { return g.ID }, nil},
		{"by an operator", "", func(g authz.Grant) string { return g.ID }, nil},
		{"by somebody else", bob, func(g authz.Grant) string { return g.ID }, storage.ErrNotFound},
		{"unknown", alice, func(authz.Grant) string { return "grt_unknown" }, storage.ErrNotFound},
		{"no id", alice, func(authz.Grant) string { return "" }, storage.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				grant, token := w.started(offline)
				revoked, err := w.store.RevokeGrant(w.Context(), tt.id(grant), tt.subject)
				w.wantError("revoking", err, tt.want)
				if tt.want != nil {
					w.wantRevoked(revoked, authz.KindGrant)
					w.wantActive(grant, true)
					w.refresh(token, authz.Rotated)
					return
				}
				w.wantRevoked(revoked, authz.KindGrant, grant.ID)
				w.wantActive(grant, false)
				w.refresh(token, authz.RefreshRevoked)
				again, err := w.store.RevokeGrant(w.Context(), grant.ID, tt.subject)
				w.ok(err)
				w.wantRevoked(again, authz.KindGrant)
				w.wantRevoked(w.log(), authz.KindGrant, grant.ID)
			})
		})
	}
}

func TestOneOfManyRevokesAGrant(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		_, grant := w.authorized()
		won := race(w, func(int) (string, error) {
			revoked, err := w.store.RevokeGrant(w.Context(), grant.ID, alice)
			if len(revoked) == 0 {
				return "", err
			}
			return revoked[0].ID, err
		})
		equal(w, "calls that revoked the grant", len(won), 1)
		equal(w, "entries in the log", len(w.log()), 1)
	})
}

func TestGrantsOfAUser(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		theirs, _ := w.sign(bob)
		_, one := w.authorize(session)
		_, two := w.authorize(session, of(other))
		w.authorize(theirs)
		_, dead := w.authorize(session)
		w.ok(second(w.store.RevokeGrant(w.Context(), dead.ID, "")))
		got, err := w.store.GrantsOf(w.Context(), alice)
		w.ok(err)
		want := []authz.Grant{one, two}
		slices.SortFunc(want, func(a, b authz.Grant) int { return strings.Compare(a.ID, b.ID) })
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("grants (-want +got):\n%s", diff)
		}
		w.after(grantTTL)
		got, err = w.store.GrantsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "grants after their time", len(got), 0)
		w.wantActive(one, false)
	})
}

func TestRevocationsAreCancelled(t *testing.T) {
	t.Parallel()
	w := solo(t)
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	made, err := w.store.Revoke(ctx, authz.KindToken, "jti")
	w.wantError("revoking with a cancelled context", err, context.Canceled)
	if (made != authz.Revocation{}) {
		w.Errorf("the error came with %+v", made)
	}
	equal(w, "entries in the log", len(w.log()), 0)
}

// A client that is taken out takes with it what it was issued, and the log says so once however often the closure runs.
func TestRevokeClient(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		grant, _ := w.line(session)
		w.rollsBack(func(tx storage.Tx) error {
			_, err := w.store.RevokeClient(tx, app)
			return err
		})
		w.wantActive(grant, true)
		w.after(time.Second)
		var made authz.Revocation
		w.ok(interrupted{w.db, w}.Update(w.Context(), func(tx storage.Tx) (err error) {
			made, err = w.store.RevokeClient(tx, app)
			return err
		}))
		w.wantActive(grant, false)
		if log := w.log(); len(log) != 1 || log[0] != made || made.Kind != authz.KindClient || made.Target != app {
			t.Errorf("the log is %+v, made was %+v", log, made)
		}
	})
}
