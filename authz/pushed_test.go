// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// hash is what a browser is known by.
const hash = "hash-of-the-cookie"

// push has the app of alice offer its session, and returns what it holds, its session, and the request with its handle.
func (w *world) push() (hold, authz.Session, authz.Request, authz.Handle) {
	w.Helper()
	session, h := w.prove(w.begin(), "password", alice)
	request, handle := w.offer(h, session)
	return h, session, request, handle
}

// offer pushes a request that offers a session.
func (w *world) offer(h hold, session authz.Session) (authz.Request, authz.Handle) {
	w.Helper()
	request := authz.NewRequest(w.store.Now())
	request.ClientID = app
	request.Handover = &authz.Handover{AuthSessionID: h.handle.ID, SessionID: session.ID}
	handle := request.Push()
	w.ok(w.store.InsertRequest(w.Context(), request))
	return request, handle
}

// Whatever is wrong is told in one way, and leaves the request to whom it is for.
func TestOpenPushed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(w *world, h *authz.Handle, client *string)
		ok     bool
	}{
		{"RFC9126/4 the browser that comes first", func(*world, *authz.Handle, *string) {}, true},
		{"at the last moment", func(w *world, _ *authz.Handle, _ *string) { w.after(authz.PushedTTL - time.Millisecond) }, true},
		{"too late", func(w *world, _ *authz.Handle, _ *string) { w.after(authz.PushedTTL) }, false},
		{"another client", func(_ *world, _ *authz.Handle, client *string) { *client = other }, false},
		{"no client", func(_ *world, _ *authz.Handle, client *string) { *client = "" }, false},
		{"another secret", func(_ *world, h *authz.Handle, _ *string) { *h = h.Next() }, false},
		{"no secret", func(_ *world, h *authz.Handle, _ *string) { h.Secret = "" }, false},
		{"the hash of the secret", func(_ *world, h *authz.Handle, _ *string) { h.Secret = h.Hash() }, false},
		{"another request", func(w *world, h *authz.Handle, _ *string) { h.ID = w.ask("").ID }, false},
		{"no request", func(_ *world, h *authz.Handle, _ *string) { h.ID = "req_unknown" }, false},
		{"RFC9126/7.3 a browser that comes second", func(w *world, h *authz.Handle, _ *string) {
			w.ok(second(w.store.OpenPushed(w.Context(), *h, app, "somebody else's cookie")))
		}, false},
		{"a browser that knows the id of the request came before", func(w *world, h *authz.Handle, _ *string) {
			got, err := w.store.BindRequest(w.Context(), h.ID, "somebody else's cookie")
			w.ok(err)
			equal(w, "bound to", got.Browser, "")
		}, true},
		{"it was closed", func(w *world, h *authz.Handle, _ *string) { w.ok(w.store.CloseRequest(w.Context(), h.ID)) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				_, _, request, handle := w.push()
				client := app
				tt.change(w, &handle, &client)
				got, err := w.store.OpenPushed(w.Context(), handle, client, hash)
				if tt.ok {
					w.ok(err)
					equal(w, "request", got.ID, request.ID)
					equal(w, "it is this browser's", got.BelongsTo(hash), true)
					return
				}
				w.wantError("opening", err, authz.ErrRequestEnded)
				wantNothing(w, results(got))
			})
		})
	}
}

// What is kept of a handle does not open the request, and is no text that anybody would take for one.
func TestPushedHandle(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		_, _, request, handle := w.push()
		equal(w, "kept", request.Pushed.SecretHash, randid.Hash(handle.Secret))
		equal(w, "until", request.Pushed.ExpiresAt, request.CreatedAt.Add(time.Minute))
		got, ok := authz.ParsePushedHandle(handle.String())
		equal(w, "it is read as it was printed", ok && got == handle, true)
		for _, text := range []string{"", handle.ID, handle.Secret, "ats_" + handle.String()} {
			_, ok := authz.ParsePushedHandle(text)
			equal(w, text, ok, false)
		}
	})
}

// Of many browsers that come at once one has the request.
func TestOneBrowserHasAPushedRequest(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		_, _, _, handle := w.push()
		won := race(w, func(int) (string, error) {
			cookie := randid.Secret()
			r, err := w.store.OpenPushed(w.Context(), handle, app, cookie)
			if authz.Gone(err) || errors.Is(err, storage.ErrConflict) {
				return "", nil
			}
			return r.Browser, err
		})
		equal(w, "browsers", len(won), 1)
	})
}

// The browser holds the session as it is, by a secret of its own; whoever held a cookie of it before holds none any more.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		h, session, request, handle := w.push()
		w.ok(second(w.store.OpenPushed(w.Context(), handle, app, hash)))
		before, err := w.store.Offered(w.Context(), request)
		w.ok(err)
		equal(w, "offered", before.ID, session.ID)
		mine, mineHandle := w.sign(bob)
		_, grant := w.authorize(mine)
		w.after(time.Minute)
		cookie := authz.Handle{ID: session.ID, Secret: randid.Secret()}
		in := authz.Takeover{RequestID: request.ID, Browser: hash, SecretHash: cookie.Hash(), Current: mine.ID}
		got, ended, err := w.store.TakeOver(w.Context(), in)
		w.ok(err)
		want := session
		want.SecretHash, want.SeenAt = cookie.Hash(), w.store.Now()
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("session (-want +got):\n%s", diff)
		}
		w.wantSession(cookie, true)
		w.wantSession(mineHandle, false)
		w.wantRevoked(ended, authz.KindSession, mine.ID)
		w.wantActive(grant, false)
		equal(w, "the app still holds it", w.held(h).SessionID, session.ID)
		_, _, err = w.store.TakeOver(w.Context(), in)
		w.wantError("once more", err, storage.ErrNotFound)
		w.wantSession(cookie, true)
		w.ok(second(w.store.Request(w.Context(), request.ID))) // the browser goes on with it

		again, handle := w.offer(h, session) // the next browser has it, and the first one no more
		w.ok(second(w.store.OpenPushed(w.Context(), handle, app, hash)))
		in = authz.Takeover{RequestID: again.ID, Browser: hash, SecretHash: "another", Current: ""}
		_, ended, err = w.store.TakeOver(w.Context(), in)
		w.ok(err)
		equal(w, "sessions that end", len(ended), 0)
		w.wantSession(cookie, false)
	})
}

// An offer is worth nothing as soon as what it rests on is not there, and nothing has changed then.
func TestOffersThatAreGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(w *world, h hold, s authz.Session, in *authz.Takeover)
	}{
		{"the session has ended", func(w *world, _ hold, s authz.Session, _ *authz.Takeover) {
			w.ok(second(w.store.EndSession(w.Context(), s.ID)))
		}},
		{"the session went idle", func(w *world, _ hold, _ authz.Session, _ *authz.Takeover) { w.after(idleTTL + time.Second) }},
		{"the user was locked", func(w *world, _ hold, _ authz.Session, _ *authz.Takeover) {
			w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, alice)))
		}},
		{"the consent was withdrawn", func(w *world, _ hold, _ authz.Session, _ *authz.Takeover) {
			w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app)))
		}},
		{"the app was given up", func(w *world, h hold, _ authz.Session, _ *authz.Takeover) {
			w.refuse(h, "pin", 9)
			w.wantLast(h, "pin")
		}},
		{"somebody else has logged in in the app", func(w *world, h hold, _ authz.Session, _ *authz.Takeover) {
			in, _ := w.answer(h, "password", bob)
			_, _, err := w.store.ProveNative(w.Context(), in)
			w.ok(err)
		}},
		{"the request was closed", func(w *world, _ hold, _ authz.Session, in *authz.Takeover) {
			w.ok(w.store.CloseRequest(w.Context(), in.RequestID))
		}},
		{"it is another browser's", func(_ *world, _ hold, _ authz.Session, in *authz.Takeover) { in.Browser = "another" }},
		{"it is no browser's", func(_ *world, _ hold, _ authz.Session, in *authz.Takeover) { in.Browser = "" }},
		{"it is of a request that offers nothing", func(w *world, _ hold, _ authz.Session, in *authz.Takeover) {
			in.RequestID = w.ask(hash).ID
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				h, session, request, handle := w.push()
				w.ok(second(w.store.OpenPushed(w.Context(), handle, app, hash)))
				in := authz.Takeover{RequestID: request.ID, Browser: hash, SecretHash: "new"}
				tt.end(w, h, session, &in)
				mine, mineHandle := w.sign("usr_carol")
				in.Current = mine.ID
				got, ended, err := w.store.TakeOver(w.Context(), in)
				w.wantError("taking it over", err, storage.ErrNotFound)
				wantNothing(w, results(got, ended))
				w.wantSession(mineHandle, true)
			})
		})
	}
}

// An app of one client cannot offer what is another's, whatever it knows of it.
func TestOfferOfAnotherClientsSession(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		_, _, request, _ := w.push()
		request.ClientID = other
		w.wantError("reading the offer", second(w.store.Offered(w.Context(), request)), storage.ErrNotFound)
		request.ClientID, request.Handover.SessionID = app, "ses_another"
		w.wantError("of another session", second(w.store.Offered(w.Context(), request)), storage.ErrNotFound)
	})
}

// Of a session that ends and a browser that takes it over at the same time nothing is left that lives.
func TestTakeOverBesideTheEnd(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		_, session, request, handle := w.push()
		w.ok(second(w.store.OpenPushed(w.Context(), handle, app, hash)))
		cookie := authz.Handle{ID: session.ID, Secret: randid.Secret()}
		w.interrupt = func() { w.ok(second(w.store.EndSession(w.Context(), session.ID))) }
		_, _, err := w.store.TakeOver(w.Context(), authz.Takeover{RequestID: request.ID, Browser: hash, SecretHash: cookie.Hash()})
		w.wantError("taking it over", err, storage.ErrNotFound)
		w.wantSession(cookie, false)
	})
}

// What was pushed is asked about as it was: nothing that the browser brings counts.
func TestPushedRequestIsKept(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		request := authz.NewRequest(w.store.Now())
		request.ClientID, request.Scopes, request.State = app, oauth.Scopes{"openid"}, "st-1"
		request.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour}}
		handle := request.Push()
		w.ok(w.store.InsertRequest(w.Context(), request))
		got, err := w.store.OpenPushed(w.Context(), handle, app, hash)
		w.ok(err)
		request.Browser = hash
		if diff := cmp.Diff(request, got); diff != "" {
			w.Errorf("request (-want +got):\n%s", diff)
		}
	})
}
