// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// question returns a request of the native app that is not stored yet.
func (w *world) question() authz.Request {
	r := authz.NewRequest(w.store.Now())
	r.ClientID, r.Scopes, r.Challenge = app, scopes, oauth.Challenge(verifier)
	r.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour}, {Realm: "pin", Step: 1, MaxAge: time.Hour}}
	return r
}

// hold is what a native app holds, and the request it is asked about.
type hold struct {
	handle  authz.Handle
	request authz.Request
}

// begin begins a request of a native app that was never here.
func (w *world) begin() hold {
	w.Helper()
	request := w.question()
	a, handle := authz.NewAuthSession(app, request.ExpiresAt)
	w.ok(w.store.BeginNative(w.Context(), a, request))
	return hold{handle, request}
}

// held returns the auth session that the app holds.
func (w *world) held(h hold) authz.AuthSession {
	w.Helper()
	a, err := w.store.AuthSession(w.Context(), h.handle, app)
	w.ok(err)
	return a
}

// answer returns a right answer to the request: of a user, who may then be signed in, or of nobody.
func (w *world) answer(h hold, name, subject string) (authz.NativeProof, hold) {
	next := hold{h.handle.Next(), h.request}
	proof := realm.Proof{Realm: name, Subject: subject, Time: w.store.Now()}
	in := authz.NativeProof{
		Handle: h.handle, ClientID: app, RequestID: h.request.ID, SecretHash: next.handle.Hash(), Raise: authz.Raise{Proof: proof},
	}
	if subject != "" {
		open, _ := w.draft(subject)
		open.Proofs = realm.Proofs{name: proof}
		in.Open, in.Raise.ExpiresAt = &open, open.ExpiresAt
	}
	return in, next
}

// give gives a right answer, and is for answers that end no session of another.
func (w *world) give(in authz.NativeProof) (authz.Session, error) {
	session, ended, err := w.store.ProveNative(w.Context(), in)
	equal(w, "sessions that end", len(ended), 0)
	return session, err
}

// prove gives a right answer.
func (w *world) prove(h hold, name, subject string) (authz.Session, hold) {
	w.Helper()
	in, next := w.answer(h, name, subject)
	session, err := w.give(in)
	w.ok(err)
	return session, next
}

// wantUnchanged checks that the app can go on as if nothing had happened.
func (w *world) wantUnchanged(h hold, before authz.AuthSession) {
	w.Helper()
	if diff := cmp.Diff(before, w.held(h)); diff != "" {
		w.Errorf("the auth session has changed (-before +after):\n%s", diff)
	}
}

// The secret has 256 random bits, is not kept, and is drawn anew each time (draft-ietf-oauth-first-party-apps-04, 5.3.1).
func TestAuthSessionHandlesAreDrawn(t *testing.T) {
	t.Parallel()
	expires := storagetest.NewClock().Now()
	a, handle := authz.NewAuthSession(app, expires)
	_, other := authz.NewAuthSession(app, expires)
	next := handle.Next()
	if parsed, ok := authz.ParseAuthSessionHandle(handle.String()); !ok || parsed != handle {
		t.Errorf("the handle %v reads as %v, %v", handle, parsed, ok)
	}
	if handle.ID == other.ID || handle.Secret == other.Secret || next.ID != handle.ID || next.Secret == handle.Secret {
		t.Errorf("handles are %v, %v, and then %v", handle, other, next)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(handle.Secret); err != nil || len(raw) != 32 {
		t.Errorf("the secret has %d bytes (%v)", len(raw), err)
	}
	want := authz.AuthSession{ID: handle.ID, SecretHash: randid.Hash(handle.Secret), ClientID: app, ExpiresAt: expires}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestAuthSessionIsForWhoeverHoldsIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(w *world, h *authz.Handle, client *string)
		want   error
	}{
		{"the holder", func(*world, *authz.Handle, *string) {}, nil},
		{"at the last moment", func(w *world, _ *authz.Handle, _ *string) { w.after(authz.RequestTTL - time.Millisecond) }, nil},
		{"too late", func(w *world, _ *authz.Handle, _ *string) { w.after(authz.RequestTTL) }, storage.ErrNotFound},
		{"another client", func(_ *world, _ *authz.Handle, client *string) { *client = other }, storage.ErrNotFound},
		{"no client", func(_ *world, _ *authz.Handle, client *string) { *client = "" }, storage.ErrNotFound},
		{"another secret", func(_ *world, h *authz.Handle, _ *string) { *h = h.Next() }, storage.ErrNotFound},
		{"no secret", func(_ *world, h *authz.Handle, _ *string) { h.Secret = "" }, storage.ErrNotFound},
		{"the hash of the secret", func(_ *world, h *authz.Handle, _ *string) { h.Secret = h.Hash() }, storage.ErrNotFound},
		{"another id", func(_ *world, h *authz.Handle, _ *string) { h.ID = "ats_unknown" }, storage.ErrNotFound},
		{"an absurd id", func(_ *world, h *authz.Handle, _ *string) { h.ID = "ats_/#\x00é" }, storage.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				h, client := w.begin(), app
				tt.change(w, &h.handle, &client)
				a, err := w.store.AuthSession(w.Context(), h.handle, client)
				w.wantError("reading", err, tt.want)
				if tt.want == nil {
					equal(w, "request", a.RequestID, h.request.ID)
				} else {
					wantNothing(w, results(a))
				}
				in, _ := w.answer(h, "password", alice)
				in.ClientID = client
				w.wantError("proving", second(w.give(in)), tt.want)
			})
		})
	}
}

// A node judges by its own clock, whatever that of the store has come to.
func TestAuthSessionExpiresByTheClockOfTheNode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h := w.begin()
		ahead := w.node(func() time.Time { return w.clock.Now().Add(authz.RequestTTL) })
		w.wantError("reading too late", second(ahead.AuthSession(w.Context(), h.handle, app)), storage.ErrNotFound)
		w.held(h)
	})
}

func TestClientOfAuthSession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h := w.begin()
		client, err := w.store.ClientOfAuthSession(w.Context(), h.handle.ID)
		w.ok(err)
		equal(w, "client", client, app)
		client, err = w.store.ClientOfAuthSession(w.Context(), "ats_unknown")
		w.wantError("asking for one that is not there", err, storage.ErrNotFound)
		equal(w, "client of one that is not there", client, "")
		w.after(authz.RequestTTL)
		w.wantError("asking too late", second(w.store.ClientOfAuthSession(w.Context(), h.handle.ID)), storage.ErrNotFound)
	})
}

func TestBeginNativeClosesTheRequestBefore(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h := w.begin()
		w.after(time.Minute)
		anew := w.question()
		w.ok(w.store.BeginNative(w.Context(), w.held(h), anew))
		w.wantError("reading the request before", second(w.store.Request(w.Context(), h.request.ID)), authz.ErrRequestEnded)
		_, err := w.store.Request(w.Context(), anew.ID)
		w.ok(err)
		a := w.held(h)
		equal(w, "request", a.RequestID, anew.ID)
		equal(w, "end", a.ExpiresAt, anew.ExpiresAt)

		w.ok(w.store.CloseRequest(w.Context(), anew.ID)) // one that has ended already is no obstacle
		third := w.question()
		w.ok(w.store.BeginNative(w.Context(), w.held(h), third))
		equal(w, "request", w.held(h).RequestID, third.ID)
		w.wantError("beginning with it again", w.store.BeginNative(w.Context(), w.held(h), third), storage.ErrExists)
		_, err = w.store.Request(w.Context(), third.ID)
		w.ok(err) // what failed has closed nothing
	})
}

// Between reading an auth session and beginning with it, an answer may have changed its secret. Writing back what was read
// would make the secret from before good again and lose the session.
func TestBeginNativeLosesToAnAnswer(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h := w.begin()
		read := w.held(h)
		session, next := w.prove(h, "password", alice)
		anew := w.question()
		w.wantError("beginning with what was read before", w.store.BeginNative(w.Context(), read, anew), storage.ErrNotFound)
		w.wantError("reading that request", second(w.store.Request(w.Context(), anew.ID)), authz.ErrRequestEnded)
		w.wantError("the handle from before", second(w.store.AuthSession(w.Context(), h.handle, app)), storage.ErrNotFound)
		equal(w, "session", w.held(next).SessionID, session.ID)
		_, err := w.store.Request(w.Context(), h.request.ID)
		w.ok(err)
	})
}

func TestBeginNativeKeepsTheSession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, h := w.prove(w.begin(), "password", alice)
		ends := w.held(h).ExpiresAt
		w.ok(w.store.BeginNative(w.Context(), w.held(h), w.question()))
		a := w.held(h)
		equal(w, "session", a.SessionID, session.ID)
		equal(w, "end", a.ExpiresAt, ends) // that of the session, which is later than the request's
		read := a
		w.after(sessionTTL)
		w.wantError("beginning too late", w.store.BeginNative(w.Context(), read, w.question()), storage.ErrNotFound)
	})
}

func TestProveNativeOpensASession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h := w.begin()
		w.after(time.Minute)
		in, next := w.answer(h, "password", alice)
		session, err := w.give(in)
		w.ok(err)
		stored, err := w.store.Session(w.Context(), session.ID)
		w.ok(err)
		for _, got := range []authz.Session{session, stored} {
			if diff := cmp.Diff(*in.Open, got, cmpopts.EquateEmpty()); diff != "" {
				w.Errorf("session (-want +got):\n%s", diff)
			}
		}
		want := authz.AuthSession{
			ID: h.handle.ID, SecretHash: next.handle.Hash(), ClientID: app, RequestID: h.request.ID, SessionID: session.ID,
			Subject: alice, ExpiresAt: session.ExpiresAt,
		}
		if diff := cmp.Diff(want, w.held(next)); diff != "" {
			w.Errorf("auth session (-want +got):\n%s", diff)
		}
		w.wantError("the handle from before", second(w.store.AuthSession(w.Context(), h.handle, app)), storage.ErrNotFound)
		_, err = w.store.Request(w.Context(), h.request.ID)
		w.ok(err) // it is not over: the code is another transition
	})
}

func TestProveNativeRaisesTheSession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		opened, h := w.prove(w.begin(), "password", alice)
		w.after(time.Minute)
		in, next := w.answer(h, "pin", "")
		earlier := realm.Proof{Realm: "riddle", Time: opened.CreatedAt}
		in.Raise.Earlier = realm.Proofs{"riddle": earlier, "phone": {Realm: "phone", Subject: bob, Time: opened.CreatedAt}}
		raised, err := w.give(in)
		w.ok(err)
		want := opened
		want.Proofs = realm.Proofs{"password": opened.Proofs["password"], "pin": in.Raise.Proof, "riddle": earlier}
		want.SeenAt = w.store.Now()
		if diff := cmp.Diff(want, raised); diff != "" {
			w.Errorf("session (-want +got):\n%s", diff)
		}
		w.wantError("the handle from before", second(w.store.AuthSession(w.Context(), h.handle, app)), storage.ErrNotFound)
		again, last := w.prove(next, "password", alice) // a login anew begins a new term
		equal(w, "session", again.ID, opened.ID)
		equal(w, "end of the session", again.ExpiresAt, w.store.Now().Add(sessionTTL))
		equal(w, "end of the auth session", w.held(last).ExpiresAt, again.ExpiresAt)
		sessions, err := w.store.SessionsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "sessions", len(sessions), 1)
	})
}

// A session that is shared with a browser keeps the browser's cookie: the app does not come with it.
func TestProveNativeLeavesTheCookieAlone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, cookie := w.sign(alice)
		a, handle := authz.NewAuthSession(app, time.Time{})
		code, _ := w.authorize(session)
		in := w.redemption(code)
		in.AuthSession = &a
		if result := w.redeem(in, authz.Redeemed); !result.Shared {
			w.Fatal("the session is not shared")
		}
		h := hold{handle, w.question()}
		w.ok(w.store.BeginNative(w.Context(), w.held(h), h.request))
		raised, _ := w.prove(h, "pin", "")
		seen, err := w.store.SessionByHandle(w.Context(), cookie)
		w.ok(err)
		equal(w, "session", raised.ID, session.ID)
		equal(w, "what the browser has proven by it", seen.Proofs["pin"].Time, raised.Proofs["pin"].Time)
	})
}

func TestProveNativeRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(w *world, h hold, in *authz.NativeProof)
		want   error
	}{
		{"a proof of nobody where nobody is known", func(_ *world, _ hold, in *authz.NativeProof) { in.Open = nil }, storage.ErrNotFound},
		{"a request that has ended", func(w *world, h hold, _ *authz.NativeProof) {
			w.ok(w.store.CloseRequest(w.Context(), h.request.ID))
		}, authz.ErrRequestEnded},
		{"a request that another took the place of", func(w *world, h hold, _ *authz.NativeProof) {
			w.ok(w.store.BeginNative(w.Context(), w.held(h), w.question()))
		}, authz.ErrRequestEnded},
		{"a request of a browser", func(w *world, _ hold, in *authz.NativeProof) { in.RequestID = w.ask("browser").ID }, authz.ErrRequestEnded},
		{"no request", func(_ *world, _ hold, in *authz.NativeProof) { in.RequestID = "" }, authz.ErrRequestEnded},
		{"a user who was revoked since", func(w *world, _ hold, _ *authz.NativeProof) {
			w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, alice)))
		}, authz.ErrOvertaken},
		{"a user whose logins were cancelled since", func(w *world, _ hold, _ *authz.NativeProof) {
			w.ok(w.store.CancelLogins(w.Context(), alice))
		}, authz.ErrOvertaken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				h := w.begin()
				in, _ := w.answer(h, "password", alice)
				tt.change(w, h, &in)
				before := w.held(h)
				session, err := w.give(in)
				w.wantError("proving", err, tt.want)
				wantNothing(w, results(session))
				w.wantUnchanged(h, before)
				sessions, err := w.store.SessionsOf(w.Context(), alice)
				w.ok(err)
				equal(w, "sessions", len(sessions), 0)
			})
		})
	}
}

func TestProveNativeAfterTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	ends := []struct {
		name string
		end  func(w *world, s authz.Session)
	}{
		{"ended", func(w *world, s authz.Session) { w.ok(second(w.store.EndSession(w.Context(), s.ID))) }},
		{"revoked", func(w *world, _ authz.Session) { w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, alice))) }},
		{"idle", func(w *world, _ authz.Session) { w.after(idleTTL + time.Second) }},
	}
	for _, tt := range ends {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				first, h := w.prove(w.begin(), "password", alice)
				tt.end(w, first)
				w.after(time.Millisecond)
				h.request = w.question()
				w.ok(w.store.BeginNative(w.Context(), w.held(h), h.request))
				before := w.held(h)
				in, _ := w.answer(h, "pin", "")
				w.wantError("a proof of nobody", second(w.give(in)), storage.ErrNotFound)
				w.wantUnchanged(h, before)
				anew, next := w.prove(h, "password", alice)
				if anew.ID == first.ID {
					w.Error("a dead session goes on")
				}
				equal(w, "session", w.held(next).SessionID, anew.ID)
			})
		})
	}
}

// A proof of another user goes into a session of his own; nothing of the one before comes with it, and that one ends, with every
// token that rests on it: an app has one user, as a browser has.
func TestProveNativeOfAnotherUser(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		first, h := w.prove(w.begin(), "password", alice)
		_, grant := w.authorize(first)
		_, lasting := w.authorize(first, offline)
		in, next := w.answer(h, "password", bob)
		theirs, ended, err := w.store.ProveNative(w.Context(), in)
		w.ok(err)
		equal(w, "user", theirs.Subject, bob)
		if diff := cmp.Diff(in.Open.Proofs, theirs.Proofs); diff != "" {
			w.Errorf("what the second user has proven (-want +got):\n%s", diff)
		}
		equal(w, "session", w.held(next).SessionID, theirs.ID)
		w.wantRevoked(ended, authz.KindSession, first.ID)
		w.wantRevoked(w.log(), authz.KindSession, first.ID)
		w.wantError("the first session", second(w.store.Session(w.Context(), first.ID)), storage.ErrNotFound)
		w.wantActive(grant, false)
		w.wantActive(lasting, true)
		again, _ := w.answer(next, "password", alice)
		again.Open = nil
		w.wantError("a proof of another where nobody may be signed in", second(w.give(again)), storage.ErrNotFound)
		w.ok(second(w.store.Session(w.Context(), theirs.ID)))
	})
}

// A session that nobody has used for long is not ended by who logs in anew: its tokens go on, as they do in a browser.
func TestProveNativeAfterTheSessionWentIdle(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		first, h := w.prove(w.begin(), "password", alice)
		_, grant := w.authorize(first)
		w.after(idleTTL + time.Second)
		h.request = w.question()
		w.ok(w.store.BeginNative(w.Context(), w.held(h), h.request))
		anew, _ := w.prove(h, "password", bob)
		equal(w, "user", anew.Subject, bob)
		w.wantRevoked(w.log(), authz.KindSession)
		w.wantActive(grant, true)
	})
}

// Of many right answers that come at once with one handle, one counts.
func TestOneOfManyAnswersCounts(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h := w.begin()
		answers := make([]authz.NativeProof, crowd)
		for i := range answers {
			answers[i], _ = w.answer(h, "password", alice)
		}
		won := race(w, func(i int) (string, error) {
			session, _, err := w.store.ProveNative(w.Context(), answers[i])
			if authz.Gone(err) || errors.Is(err, storage.ErrConflict) {
				return "", nil
			}
			return session.ID, err
		})
		equal(w, "answers that counted", len(won), 1)
		sessions, err := w.store.SessionsOf(w.Context(), alice)
		w.ok(err)
		if len(sessions) != 1 || sessions[0].ID != won[0] {
			w.Errorf("sessions are %+v, want %v", sessions, won)
		}
	})
}

// refuse gives wrong answers to a realm, all of which the auth session survives.
func (w *world) refuse(h hold, name string, times int) {
	w.Helper()
	for n := range times {
		open, err := w.store.RefuseNative(w.Context(), h.handle.ID, name)
		w.ok(err)
		equal(w, fmt.Sprintf("the auth session goes on after %d", n+1), open, true)
	}
}

// wantLast gives one wrong answer more than the auth session survives.
func (w *world) wantLast(h hold, name string) {
	w.Helper()
	open, err := w.store.RefuseNative(w.Context(), h.handle.ID, name)
	w.ok(err)
	equal(w, "the auth session goes on", open, false)
	w.wantError("the auth session", second(w.store.AuthSession(w.Context(), h.handle, app)), storage.ErrNotFound)
	w.wantError("the request", second(w.store.Request(w.Context(), h.request.ID)), authz.ErrRequestEnded)
	in, _ := w.answer(h, "password", alice)
	w.wantError("the right answer after them", second(w.give(in)), storage.ErrNotFound)
	open, err = w.store.RefuseNative(w.Context(), h.handle.ID, name)
	w.wantError("one more", err, storage.ErrNotFound)
	equal(w, "the auth session goes on", open, false)
}

// Wrong answers add up, whatever they were for: neither another request nor another realm begins anew, and only who proves a realm
// has its own forgotten.
func TestWrongAnswersEndTheAuthSession(t *testing.T) {
	t.Parallel()
	again := func(w *world, h hold) hold {
		h.request = w.question()
		w.ok(w.store.BeginNative(w.Context(), w.held(h), h.request))
		return h
	}
	for _, tt := range []struct {
		name string
		run  func(w *world, h hold) hold
	}{
		{"in one request", func(w *world, h hold) hold {
			w.refuse(h, "password", 9)
			return h
		}},
		{"each in a request of its own", func(w *world, h hold) hold {
			for range 9 {
				w.refuse(h, "password", 1)
				h = again(w, h)
			}
			return h
		}},
		{"to several realms", func(w *world, h hold) hold {
			w.refuse(h, "riddle", 3)
			w.refuse(h, "pin", 3)
			w.refuse(h, "password", 3)
			return h
		}},
		{"with another realm proven in between", func(w *world, h hold) hold {
			_, h = w.prove(h, "password", alice)
			w.refuse(h, "pin", 9)
			_, h = w.prove(again(w, h), "password", alice)
			return h
		}},
		{"with a code in between", func(w *world, h hold) hold {
			session, h := w.prove(h, "password", alice)
			w.refuse(h, "pin", 9)
			w.authorize(session, func(c *authz.Completion) { c.RequestID = h.request.ID })
			return again(w, h)
		}},
		{"after those that were forgotten when the realm was proven", func(w *world, h hold) hold {
			w.refuse(h, "password", 9)
			_, h = w.prove(h, "password", alice)
			w.refuse(h, "pin", 9)
			return h
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				h := tt.run(w, w.begin())
				w.held(h)
				w.wantLast(h, "pin")
				w.refuse(w.begin(), "pin", 9) // the app may ask anew
			})
		})
	}
}

// What an app is given up for is not the session: its user is not signed out by a stranger's guesses, nor by his own.
func TestWrongAnswersLeaveTheSession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, h := w.prove(w.begin(), "password", alice)
		_, grant := w.authorize(session)
		w.refuse(h, "pin", 9)
		w.wantLast(h, "pin")
		w.ok(second(w.store.Session(w.Context(), session.ID)))
		w.wantActive(grant, true)
	})
}

// However many wrong answers come at once, each is counted.
func TestEveryRefusalCounts(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h := w.begin()
		survived := race(w, func(int) (bool, error) {
			for {
				open, err := w.store.RefuseNative(w.Context(), h.handle.ID, "password")
				if errors.Is(err, storage.ErrConflict) {
					continue
				}
				if authz.Gone(err) {
					return false, nil
				}
				return open, err
			}
		})
		equal(w, "wrong answers that the auth session survived", len(survived), 9)
	})
}

func TestExpects(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	need := func(notBefore time.Time, names ...string) (all []realm.Requirement) {
		for _, name := range names {
			all = append(all, realm.Requirement{Realm: name, MaxAge: time.Hour, NotBefore: notBefore})
		}
		return all
	}
	proven := func(age time.Duration, names ...string) realm.Proofs {
		proofs := realm.Proofs{}
		for _, name := range names {
			proofs[name] = realm.Proof{Realm: name, Time: now.Add(-age)}
		}
		return proofs
	}
	of := func(subject string, proofs realm.Proofs) authz.Session {
		return authz.Session{Subject: subject, Proofs: proofs}
	}
	for _, tt := range []struct {
		name    string
		request authz.Request
		session authz.Session
		want    string
	}{
		{"nobody is known", authz.Request{Requirements: need(time.Time{}, "password", "pin")}, authz.Session{}, ""},
		{"whom it asks about", authz.Request{Subject: bob, Requirements: need(time.Time{}, "password")}, authz.Session{}, bob},
		{"whom it asks about, although another is signed in", authz.Request{Subject: bob, Requirements: need(time.Time{}, "password")},
			of(alice, proven(0, "password")), bob},
		{"who has proven a part", authz.Request{Requirements: need(time.Time{}, "password", "pin")}, of(alice, proven(0, "password")), alice},
		{"who has proven a later part", authz.Request{Requirements: need(time.Time{}, "password", "pin")}, of(alice, proven(0, "pin")), alice},
		{"who is signed in and has proven nothing of it", authz.Request{Requirements: need(time.Time{}, "card")}, of(alice, proven(0, "password")), ""},
		{"whose proof is too old", authz.Request{Requirements: need(time.Time{}, "password")}, of(alice, proven(time.Hour+1, "password")), ""},
		{"whose proof is from before", authz.Request{Requirements: need(now, "password", "pin")}, of(alice, proven(1, "password")), ""},
		{"who has proven it anew", authz.Request{Requirements: need(now, "password", "pin")}, of(alice, proven(0, "password")), alice},
		{"what was proven before anybody was known is nobody's",
			authz.Request{Requirements: need(time.Time{}, "riddle", "password"), Proven: proven(0, "riddle")}, of(alice, proven(0, "pin")), ""},
		{"nothing is required", authz.Request{}, of(alice, proven(0, "password")), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "the expected user", tt.request.Expects(tt.session, now), tt.want)
		})
	}
}

// What came with a grant's tokens goes with them: who has got hold of a code is left with nothing by its replay, and an app that
// its user has thrown out does not come in again by the browser's session.
func TestSharedAuthSessionEndsWithItsGrant(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(w *world, code string, grant authz.Grant)
	}{
		{"RFC6749/4.1.2 the code is replayed", func(w *world, code string, _ authz.Grant) {
			w.redeem(w.redemption(code), authz.RedeemReplayed)
		}},
		{"the grant is revoked", func(w *world, _ string, grant authz.Grant) {
			w.ok(second(w.store.RevokeGrant(w.Context(), grant.ID, alice)))
		}},
		{"the consent is withdrawn", func(w *world, _ string, grant authz.Grant) {
			w.ok(second(w.store.WithdrawConsent(w.Context(), alice, grant.ClientID)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				session, _ := w.sign(alice)
				share := func() (string, authz.Grant, authz.Handle) {
					code, grant := w.authorize(session)
					record, handle := authz.NewAuthSession(app, session.ExpiresAt)
					in := w.redemption(code)
					in.AuthSession = &record
					w.redeem(in, authz.Redeemed)
					w.ok(second(w.store.AuthSession(w.Context(), handle, app)))
					return code, grant, handle
				}
				code, grant, handle := share()
				tt.end(w, code, grant)
				_, err := w.store.AuthSession(w.Context(), handle, app)
				if !errors.Is(err, storage.ErrNotFound) {
					w.Errorf("the auth session is still there (%v)", err)
				}
				w.ok(second(w.store.Session(w.Context(), session.ID)))
				share() // the next one is untouched
			})
		})
	}
}
