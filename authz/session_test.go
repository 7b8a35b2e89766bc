// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// wantSession checks whether a cookie names a live session, in every way of asking.
func (w *world) wantSession(handle authz.Handle, want bool) {
	w.Helper()
	session, err := w.store.SessionByHandle(w.Context(), handle)
	if want {
		w.ok(err)
		equal(w, "session of the cookie", session.ID, handle.ID)
		return
	}
	w.wantError("reading the session of a dead cookie", err, storage.ErrNotFound)
	if session.ID != "" {
		w.Errorf("a dead cookie got the session %+v", session)
	}
}

// wantEnded checks that a session is gone whichever way it is asked for.
func (w *world) wantEnded(session authz.Session, handle authz.Handle) {
	w.Helper()
	w.wantSession(handle, false)
	_, err := w.store.Session(w.Context(), session.ID)
	w.wantError("reading it by id", err, storage.ErrNotFound)
	_, err = w.store.TouchSession(w.Context(), session.ID)
	w.wantError("touching it", err, storage.ErrNotFound)
	_, err = w.store.Touch(w.Context(), stale(session))
	w.wantError("touching what was read before", err, storage.ErrNotFound)
	visit, err := w.store.Visit(w.Context(), "", session.ID)
	w.ok(err)
	equal(w, "session of a visit", visit.Session.ID, "")
	_, err = w.store.RaiseSession(w.Context(), raise(session, session.Subject, w.store.Now()))
	w.wantError("raising it", err, storage.ErrNotFound)
	_, c := w.completion(session)
	w.wantError("completing in it", second(w.store.Complete(w.Context(), c)), authz.ErrSessionEnded)
	w.wantSessions(session.Subject)
}

// stale returns a session as one that was not seen for long.
func stale(session authz.Session) authz.Session {
	session.SeenAt = time.Time{}
	return session
}

// wantSessions checks which live sessions a user has.
func (w *world) wantSessions(subject string, want ...authz.Session) {
	w.Helper()
	got, err := w.store.SessionsOf(w.Context(), subject)
	w.ok(err)
	if diff := cmp.Diff(ids(want), ids(got), cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
		w.Errorf("sessions of %s (-want +got):\n%s", subject, diff)
	}
}

func ids(sessions []authz.Session) (all []string) {
	for _, s := range sessions {
		all = append(all, s.ID)
	}
	return all
}

func raise(session authz.Session, subject string, now time.Time) authz.Raise {
	return authz.Raise{
		SessionID: session.ID, SecretHash: randid.Hash("next"),
		Proof: realm.Proof{Realm: "phone", Subject: subject, AMR: []string{"pop"}, Time: now},
	}
}

func TestSessionComesBackAsItWasOpened(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.sign(alice)
		got, err := w.store.SessionByHandle(w.Context(), handle)
		w.ok(err)
		if diff := cmp.Diff(session, got, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("session changed in the store (-opened +got):\n%s", diff)
		}
		w.wantError("opening it again", w.store.OpenSession(w.Context(), session, nil), storage.ErrExists)
	})
}

func TestWrongSecretsNameNoSession(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.sign(alice)
		_, stranger := w.sign(bob)
		for _, secret := range []string{"", "x", handle.Secret + "x", handle.Secret[1:], stranger.Secret, session.SecretHash} {
			w.wantSession(authz.Handle{ID: handle.ID, Secret: secret}, false)
		}
		for _, id := range []string{"", "ses_", "ses_unknown", stranger.ID, "../" + handle.ID} {
			w.wantSession(authz.Handle{ID: id, Secret: handle.Secret}, false)
		}
		w.wantSession(handle, true)
	})
}

// What a browser holds is no auth session, and the other way round.
func TestHandlesOfOneKindAreNotOfAnother(t *testing.T) {
	t.Parallel()
	cookie := authz.NewSessionHandle()
	_, held := authz.NewAuthSession(app, storagetest.NewClock().Now())
	for _, tt := range []struct {
		name  string
		parse func(string) (authz.Handle, bool)
		own   authz.Handle
		other authz.Handle
	}{
		{"cookie", authz.ParseSessionHandle, cookie, held},
		{"auth_session", authz.ParseAuthSessionHandle, held, cookie},
	} {
		got, ok := tt.parse(tt.own.String())
		equal(t, tt.name, ok && got == tt.own, true)
		_, ok = tt.parse(tt.other.String())
		equal(t, "the other as "+tt.name, ok, false)
	}
}

func FuzzParseSessionHandle(f *testing.F) {
	for _, seed := range []string{"", ".", "ses_.", "ses_a.b", "ses_a.b.c", "ses_\x00.\xff", strings.Repeat("ses_.", 40)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		handle, ok := authz.ParseSessionHandle(value)
		if !ok {
			return
		}
		equal(t, "value printed again", handle.String(), value)
		if handle.Secret == "" || strings.Contains(handle.ID, ".") || !strings.HasPrefix(handle.ID, "ses_") || len(value) > 128 {
			t.Errorf("the handle %+v was accepted", handle)
		}
	})
}

func TestSessionEndsByTheClock(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.sign(alice)
		idle, idleHandle := w.draft(bob)
		w.ok(w.store.OpenSession(w.Context(), idle, nil))
		for range int(sessionTTL/idleTTL) - 1 { // alice is seen just in time, again and again
			w.after(idleTTL)
			w.wantSession(handle, true)
		}
		w.wantEnded(idle, idleHandle)
		w.after(idleTTL - time.Millisecond)
		w.wantSession(handle, true)
		w.after(time.Millisecond)
		w.wantEnded(session, handle)
	})
}

func TestSessionIsIdleAfterItsTime(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.sign(alice)
		w.after(idleTTL + time.Millisecond)
		w.wantEnded(session, handle)
	})
}

func TestLive(t *testing.T) {
	t.Parallel()
	start := storagetest.NewClock().Now()
	session := authz.Session{SeenAt: start, ExpiresAt: start.Add(time.Hour), IdleTTL: 60}
	tests := []struct {
		name   string
		change func(*authz.Session)
		after  time.Duration
		want   bool
	}{
		{"at once", nil, 0, true},
		{"not idle for longer than it may", nil, time.Minute, true},
		{"idle", nil, time.Minute + 1, false},
		{"ended", func(s *authz.Session) { s.EndedAt = start }, 0, false},
		{"expired", func(s *authz.Session) { s.SeenAt = start.Add(time.Hour) }, time.Hour, false},
		{"the last moment", func(s *authz.Session) { s.SeenAt = start.Add(time.Hour) }, time.Hour - 1, true},
		{"no idle time", func(s *authz.Session) { s.IdleTTL = 0 }, 1, false},
		{"zero", func(s *authz.Session) { *s = authz.Session{} }, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := session
			if tt.change != nil {
				tt.change(&s)
			}
			equal(t, "live", s.Live(start.Add(tt.after)), tt.want)
		})
	}
}

func TestReadingASessionWritesOnceAMinute(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.sign(alice)
		w.after(time.Minute - time.Millisecond)
		w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrFull})
		got, err := w.store.SessionByHandle(w.Context(), handle)
		w.ok(err)
		equal(w, "seen within the minute", got.SeenAt, session.SeenAt)
		w.after(time.Millisecond)
		_, err = w.store.SessionByHandle(w.Context(), handle)
		w.wantError("reading after a minute from a full store", err, storage.ErrFull)
		w.db.Clear()
		got, err = w.store.TouchSession(w.Context(), session.ID)
		w.ok(err)
		equal(w, "seen after a minute", got.SeenAt, w.store.Now())
		stored, err := w.store.Session(w.Context(), session.ID)
		w.ok(err)
		if diff := cmp.Diff(got, stored); diff != "" {
			w.Errorf("the stored session differs (-returned +stored):\n%s", diff)
		}
	})
}

func TestShortIdleTimesCountWhatIsSeen(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.draft(alice)
		session.IdleTTL = 20
		w.ok(w.store.OpenSession(w.Context(), session, nil))
		for range 10 {
			w.after(15 * time.Second)
			w.wantSession(handle, true)
		}
		w.after(20*time.Second + time.Millisecond)
		w.wantSession(handle, false)
	})
}

func TestTouchLosesToAnother(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.sign(alice)
		w.after(2 * time.Minute)
		w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: storage.ErrConflict})
		got, err := w.store.SessionByHandle(w.Context(), handle)
		w.ok(err)
		equal(w, "session", got.ID, session.ID)
	})
}

func TestTouchDoesNotReviveWhatEndedMeanwhile(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, handle := w.sign(alice)
		w.after(2 * time.Minute)
		w.interrupt = func() { w.ok(second(w.store.EndSession(w.Context(), session.ID))) }
		w.wantSession(handle, false)
		w.wantEnded(session, handle)
	})
}

func TestRaiseRotatesTheSecret(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.sign(alice)
		w.after(time.Second)
		next := authz.Handle{ID: session.ID, Secret: "next"}
		raised, err := w.store.RaiseSession(w.Context(), raise(session, alice, w.store.Now()))
		w.ok(err)
		w.wantSession(handle, false)
		w.wantSession(next, true)
		want := session
		want.SecretHash, want.SeenAt = randid.Hash("next"), w.store.Now()
		want.Proofs = realm.Proofs{
			"password": session.Proofs["password"],
			"phone":    {Realm: "phone", Subject: alice, AMR: []string{"pop"}, Time: w.store.Now()},
		}
		if diff := cmp.Diff(want, raised, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("raised session (-want +got):\n%s", diff)
		}
		stored, err := w.store.Session(w.Context(), session.ID)
		w.ok(err)
		if diff := cmp.Diff(raised, stored); diff != "" {
			w.Errorf("the stored session differs (-returned +stored):\n%s", diff)
		}
	})
}

func TestRaise(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(*authz.Raise)
		refused bool
		expires time.Duration
	}{
		{name: "a proof of the user", expires: sessionTTL},
		{name: "a proof of nobody", change: func(r *authz.Raise) { r.Proof.Subject = "" }, expires: sessionTTL},
		{name: "a proof of somebody else", change: func(r *authz.Raise) { r.Proof.Subject = bob }, refused: true},
		{name: "an unknown session", change: func(r *authz.Raise) { r.SessionID = "ses_unknown" }, refused: true},
		{name: "a longer term", change: func(r *authz.Raise) {
			r.ExpiresAt = storagetest.NewClock().Now().Add(2 * sessionTTL)
		}, expires: 2 * sessionTTL},
		{name: "a shorter term", change: func(r *authz.Raise) {
			r.ExpiresAt = storagetest.NewClock().Now().Add(time.Minute)
		}, expires: sessionTTL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				session, handle := w.draft(alice)
				session.IdleTTL = 1 << 20
				w.ok(w.store.OpenSession(w.Context(), session, nil))
				in := raise(session, alice, w.store.Now())
				if tt.change != nil {
					tt.change(&in)
				}
				got, err := w.store.RaiseSession(w.Context(), in)
				if tt.refused {
					w.wantError("raising", err, storage.ErrNotFound)
					equal(w, "session beside the error", got.ID, "")
					w.wantSession(handle, true)
					stored, err := w.store.Session(w.Context(), session.ID)
					w.ok(err)
					equal(w, "proofs", len(stored.Proofs), 1)
					return
				}
				w.ok(err)
				equal(w, "lifetime", got.ExpiresAt.Sub(got.CreatedAt), tt.expires)
				w.after(tt.expires - time.Millisecond)
				w.ok(second(w.store.Session(w.Context(), session.ID)))
				w.after(time.Millisecond)
				w.wantError("reading after its term", second(w.store.Session(w.Context(), session.ID)), storage.ErrNotFound)
			})
		})
	}
}

func TestRaiseOfASessionWithoutProofs(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.draft(alice)
		session.Proofs = nil
		w.ok(w.store.OpenSession(w.Context(), session, nil))
		got, err := w.store.RaiseSession(w.Context(), raise(session, alice, w.store.Now()))
		w.ok(err)
		equal(w, "proofs", len(got.Proofs), 1)
	})
}

func TestParallelRaisesKeepEveryProof(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		raised := race(w, func(i int) (string, error) {
			in := raise(session, alice, w.store.Now())
			in.Proof.Realm, in.SecretHash = fmt.Sprint("realm", i), randid.Hash(fmt.Sprint(i))
			s, err := w.store.RaiseSession(w.Context(), in)
			return s.ID, err
		})
		equal(w, "raises", len(raised), crowd)
		got, err := w.store.Session(w.Context(), session.ID)
		w.ok(err)
		equal(w, "proofs", len(got.Proofs), crowd+1)
	})
}

func TestReplaceEndsTheOldSession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		old, oldHandle := w.sign(alice)
		w.after(time.Second)
		fresh, freshHandle := w.draft(bob)
		revoked, err := w.store.ReplaceSession(w.Context(), old.ID, fresh, nil)
		w.ok(err)
		w.wantRevoked(revoked, authz.KindSession, old.ID)
		w.wantEnded(old, oldHandle)
		w.wantSession(freshHandle, true)
		if diff := cmp.Diff(revoked, w.log()); diff != "" {
			w.Errorf("the log differs (-returned +log):\n%s", diff)
		}
	})
}

func TestReplaceOfNothing(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		old, _ := w.sign(alice)
		w.ok(second(w.store.EndSession(w.Context(), old.ID)))
		for _, id := range []string{"", "ses_unknown", old.ID} {
			fresh, handle := w.draft(alice)
			revoked, err := w.store.ReplaceSession(w.Context(), id, fresh, nil)
			w.ok(err)
			w.wantRevoked(revoked, authz.KindSession)
			w.wantSession(handle, true)
		}
	})
}

func TestReplaceThatFailsEndsNothing(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		old, oldHandle := w.sign(alice)
		taken, _ := w.sign(bob)
		fresh, _ := w.draft(alice)
		fresh.ID = taken.ID
		revoked, err := w.store.ReplaceSession(w.Context(), old.ID, fresh, nil)
		w.wantError("replacing by a taken id", err, storage.ErrExists)
		w.wantRevoked(revoked, authz.KindSession)
		w.wantSession(oldHandle, true)
		equal(w, "entries in the log", len(w.log()), 0)
	})
}

func TestEndSessionEndsOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.sign(alice)
		_, stays := w.sign(alice)
		ended := race(w, func(int) (string, error) {
			revoked, err := w.store.EndSession(w.Context(), session.ID)
			if len(revoked) == 0 {
				return "", err
			}
			return revoked[0].ID, err
		})
		equal(w, "calls that ended the session", len(ended), 1)
		w.wantSession(handle, false)
		w.wantSession(stays, true)
		equal(w, "entries in the log", len(w.log()), 1)
		revoked, err := w.store.EndSession(w.Context(), "ses_unknown")
		w.ok(err)
		w.wantRevoked(revoked, authz.KindSession)
	})
}

func TestSessionsOfAUser(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		one, _ := w.sign(alice)
		two, _ := w.sign(alice)
		w.sign(bob)
		w.wantSessions(alice, one, two)
		w.wantSessions("usr_ali")
		w.wantSessions("")
		w.ok(second(w.store.EndSession(w.Context(), one.ID)))
		w.wantSessions(alice, two)
		w.after(idleTTL / 2)
		w.ok(second(w.store.TouchSession(w.Context(), two.ID)))
		w.after(idleTTL/2 + time.Millisecond)
		w.wantSessions(alice, two)
		w.wantSessions(bob)
		w.after(time.Millisecond)
		w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, alice)))
		w.wantSessions(alice)
	})
}

func TestSessionsArePaged(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		var want []string
		for i := range 7 {
			session, _ := w.draft(fmt.Sprint("usr_", i))
			session.ID = fmt.Sprint("ses_", i)
			w.ok(w.store.OpenSession(w.Context(), session, nil))
			want = append(want, session.ID)
		}
		w.ok(second(w.store.EndSession(w.Context(), "ses_1")))
		w.after(time.Millisecond)
		w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, "usr_4")))
		want = append(append(want[:1:1], want[2:4]...), want[5:]...)
		for _, limit := range []int{0, 1, 2, 3, 5, 100} {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page, err := w.store.Sessions(w.Context(), after, limit)
				w.ok(err)
				if limit > 0 && len(page) > limit {
					w.Errorf("a page of at most %d holds %d", limit, len(page))
				}
				if len(page) == 0 {
					break
				}
				got = append(got, ids(page)...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("sessions in pages of %d (-want +got):\n%s", limit, diff)
			}
		}
	})
}

func TestSessionRemembersItsClients(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		for _, client := range []string{app, other, app} {
			w.authorize(session, of(client))
		}
		got, err := w.store.Session(w.Context(), session.ID)
		w.ok(err)
		if diff := cmp.Diff([]string{app, other}, got.Clients); diff != "" {
			w.Errorf("clients (-want +got):\n%s", diff)
		}
	})
}

func TestSecondsAreSeconds(t *testing.T) {
	t.Parallel()
	equal(t, "ninety seconds", authz.Seconds(90).Duration(), 90*time.Second)
}

func TestRaiseTakesEarlierProofs(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.sign(alice)
		at := w.store.Now()
		in := raise(session, alice, at)
		in.SecretHash = ""
		in.Earlier = realm.Proofs{
			"app":      {Realm: "app", Time: at},
			"password": {Realm: "password", Time: at.Add(-time.Hour)}, // older than the session's
			"card":     {Realm: "card", Subject: bob, Time: at},       // of somebody
		}
		raised, err := w.store.RaiseSession(w.Context(), in)
		w.ok(err)
		equal(w, "app", raised.Proofs["app"].Time, at)
		equal(w, "password", raised.Proofs["password"].Time, session.Proofs["password"].Time)
		equal(w, "card", raised.Proofs["card"].Realm, "")
		w.wantSession(handle, true) // whoever did not come with the cookie leaves it alone
	})
}
