// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func remembering(scopes ...string) func(*authz.Completion) {
	return func(c *authz.Completion) { c.RememberConsent, c.Grant.Scopes = true, scopes }
}

func remembered(scopes ...string) func(*authz.Completion) {
	return func(c *authz.Completion) { c.Remembered, c.Grant.Scopes = true, scopes }
}

// wantConsent checks whether a user has agreed to scopes for a client.
func (w *world) wantConsent(subject, client string, scopes oauth.Scopes, want bool) {
	w.Helper()
	got, err := w.store.Consented(w.Context(), subject, client, scopes)
	w.ok(err)
	if got != want {
		w.Errorf("consent of %s for %s to %q is %v, want %v", subject, client, scopes, got, want)
	}
}

func TestConsentIsTheUnionOfWhatWasAgreedTo(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		w.wantConsent(alice, app, nil, false)
		w.authorize(session)
		w.wantConsent(alice, app, oauth.Scopes{"openid"}, false) // asked for and not remembered
		w.authorize(session, remembering("openid", "accounts:read"))
		w.after(time.Hour / 2)
		w.authorize(session, remembering("payments:write"))
		w.wantConsent(alice, app, oauth.Scopes{"payments:write", "openid", "accounts:read"}, true)
		w.wantConsent(alice, app, oauth.Scopes{"openid"}, true)
		w.wantConsent(alice, app, nil, true)
		w.wantConsent(alice, app, oauth.Scopes{"openid", "admin"}, false)
		w.wantConsent(alice, other, oauth.Scopes{"openid"}, false)
		w.wantConsent(bob, app, oauth.Scopes{"openid"}, false)
		w.wantConsent("", app, nil, false)
		w.wantConsent(alice, "", nil, false)

		got, err := w.store.ConsentsOf(w.Context(), alice)
		w.ok(err)
		want := []authz.Consent{{
			Subject: alice, ClientID: app, Scopes: oauth.Scopes{"openid", "accounts:read", "payments:write"}, GrantedAt: w.store.Now(),
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("consents (-want +got):\n%s", diff)
		}
	})
}

func TestConsentOutlivesItsSession(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		w.authorize(session, remembering("openid"))
		w.ok(second(w.store.EndSession(w.Context(), session.ID)))
		w.after(authz.MaxRefreshTTL)
		w.wantConsent(alice, app, oauth.Scopes{"openid"}, true)
	})
}

func TestConsentForAnyClientID(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		clients := []string{"a", "a/b", "/", "#", "site:https://app.example.com", strings.Repeat("c", 128)}
		for _, client := range clients {
			w.authorize(session, of(client), remembering("openid", "for:"+client[:1]))
		}
		for _, client := range clients {
			w.wantConsent(alice, client, oauth.Scopes{"for:" + client[:1]}, true)
		}
		w.wantConsent(alice, "b", nil, false)
		w.wantConsent(alice+"/a", "b", nil, false)
		got, err := w.store.ConsentsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "consents", len(got), len(clients))
	})
}

func TestWithdrawalRevokesTheClientsGrants(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		theirs, _ := w.sign(bob)
		one, oneToken := w.line(session, remembering("openid"))
		two, twoToken := w.line(session, offline, remembering("accounts:read"))
		kept, _ := w.line(session, of(other), remembering("openid"))
		bobs, bobsToken := w.line(theirs, remembering("openid"))

		revoked, err := w.store.WithdrawConsent(w.Context(), alice, app)
		w.ok(err)
		want := []string{one.ID, two.ID}
		if one.ID > two.ID {
			want = []string{two.ID, one.ID}
		}
		w.wantRevoked(revoked, authz.KindGrant, want...)
		w.wantConsent(alice, app, nil, false)
		for _, grant := range []authz.Grant{one, two} {
			w.wantActive(grant, false)
		}
		w.refresh(oneToken, authz.RefreshRevoked)
		w.refresh(twoToken, authz.RefreshRevoked)

		w.wantConsent(alice, other, oauth.Scopes{"openid"}, true)
		w.wantConsent(bob, app, oauth.Scopes{"openid"}, true)
		w.wantActive(kept, true)
		w.wantActive(bobs, true)
		w.refresh(bobsToken, authz.Rotated)

		revoked, err = w.store.WithdrawConsent(w.Context(), alice, app)
		w.ok(err)
		w.wantRevoked(revoked, authz.KindGrant)
		consents, err := w.store.ConsentsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "consents left", len(consents), 1)
	})
}

func TestWithdrawalOfManyGrants(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		const grants = storage.MaxWrites + 10 // more than one transaction may write
		for range grants {
			w.authorize(session, remembering("openid"))
		}
		revoked, err := w.store.WithdrawConsent(w.Context(), alice, app)
		w.ok(err)
		equal(w, "revocations", len(revoked), grants)
	})
}

func TestWithdrawalTakesWhatIsGrantedMeanwhile(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		w.authorize(session, remembering("openid"))
		var late authz.Grant
		w.interrupt = func() { _, late = w.authorize(session, remembering("openid")) }
		revoked, err := w.store.WithdrawConsent(w.Context(), alice, app)
		w.ok(err)
		equal(w, "revocations", len(revoked), 2)
		w.wantActive(late, false)
		w.wantConsent(alice, app, oauth.Scopes{"openid"}, false)
	})
}

// A completion that rests on a remembered consent needs it at its very commit, and all of it.
func TestARememberedConsentMustStand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*world, *authz.Completion)
		want   error
	}{
		{"it stands", func(*world, *authz.Completion) {}, nil},
		{"for fewer scopes", func(_ *world, c *authz.Completion) { c.Grant.Scopes = c.Grant.Scopes[:1] }, nil},
		{"for more scopes", func(_ *world, c *authz.Completion) { c.Grant.Scopes = scopes }, authz.ErrConsentWithdrawn},
		{"for another client", func(_ *world, c *authz.Completion) { c.Grant.ClientID = other }, authz.ErrConsentWithdrawn},
		{"withdrawn before", func(w *world, _ *authz.Completion) {
			w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app)))
		}, authz.ErrConsentWithdrawn},
		{"withdrawn in another tab meanwhile", func(w *world, _ *authz.Completion) {
			w.interrupt = func() { w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app))) }
		}, authz.ErrConsentWithdrawn},
		{"withdrawn for another client meanwhile", func(w *world, _ *authz.Completion) {
			w.interrupt = func() { w.ok(second(w.store.WithdrawConsent(w.Context(), alice, other))) }
		}, nil},
		{"withdrawn meanwhile, and agreed to anew", func(w *world, c *authz.Completion) {
			c.RememberConsent, c.Remembered = true, false
			w.interrupt = func() { w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app))) }
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				session, _ := w.sign(alice)
				w.authorize(session, remembering("openid", "accounts:read"))
				request := w.ask("browser")
				code, c := w.completion(session, remembered("openid", "accounts:read"), func(c *authz.Completion) {
					c.RequestID = request.ID
				})
				tt.change(w, &c)
				w.wantError("completing", second(w.store.Complete(w.Context(), c)), tt.want)
				w.wantActive(c.Grant, tt.want == nil)
				if tt.want != nil {
					w.redeem(w.redemption(code), authz.RedeemUnknown)
					w.ok(second(w.store.Request(w.Context(), request.ID))) // for the user to be asked
				}
			})
		})
	}
}

// Of a withdrawal and a completion at the same time the withdrawal wins: it takes the grant with it, or there is none.
func TestWithdrawalBesideCompletions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		w.authorize(session, remembering("openid"))
		race(w, func(i int) (string, error) {
			if i == crowd/2 {
				_, err := w.store.WithdrawConsent(w.Context(), alice, app)
				return "", err
			}
			_, c := w.completion(session, remembered("openid"))
			_, err := w.store.Complete(w.Context(), c)
			if errors.Is(err, authz.ErrConsentWithdrawn) {
				return "", nil
			}
			return c.Grant.ID, err
		})
		grants, err := w.store.GrantsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "grants left", len(grants), 0)
	})
}

func TestWithdrawalGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		for range 3 {
			w.authorize(session, remembering("openid"))
		}
		w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 3, Err: storage.ErrFull}) // of the consent and three grants
		some, err := w.store.WithdrawConsent(w.Context(), alice, app)
		w.wantError("withdrawing", err, storage.ErrFull)
		equal(w, "revocations before the error", len(some), 1)
		w.wantConsent(alice, app, nil, false)
		rest, err := w.store.WithdrawConsent(w.Context(), alice, app)
		w.ok(err)
		equal(w, "revocations after the error", len(rest), 2)
		grants, err := w.store.GrantsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "grants left", len(grants), 0)
	})
}

func TestWithdrawalDoesNotMindAGrantThatExpires(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		w.authorize(session, remembering("openid"), func(c *authz.Completion) { c.Grant.ExpiresAt = w.store.Now().Add(time.Minute) })
		w.interrupt = func() { // the consent is deleted, then the grants are listed, then one of them expires
			w.interrupt = func() { w.after(time.Minute) }
		}
		revoked, err := w.store.WithdrawConsent(w.Context(), alice, app)
		w.ok(err)
		w.wantRevoked(revoked, authz.KindGrant)
	})
}

// What an app has begun itself it loses with the consent, whether or not it has got tokens already; nobody else loses anything.
func TestWithdrawalEndsWhatTheAppHolds(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		_, open := w.prove(w.begin(), "password", alice) // it still has to answer
		session, done := w.prove(w.begin(), "password", alice)
		_, completion := w.completion(session, func(c *authz.Completion) { c.RequestID = done.request.ID })
		w.ok(second(w.store.Complete(w.Context(), completion)))
		_, theirs := w.prove(w.begin(), "password", bob)
		nobody := w.begin()
		w.ok(second(w.store.WithdrawConsent(w.Context(), alice, other)))
		w.held(open)

		w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app)))
		for what, h := range map[string]hold{"that is open": open, "with tokens": done} {
			w.wantError("the auth session "+what, second(w.store.AuthSession(w.Context(), h.handle, app)), storage.ErrNotFound)
			w.wantError("the request "+what, second(w.store.Request(w.Context(), h.request.ID)), authz.ErrRequestEnded)
		}
		for _, h := range []hold{theirs, nobody} {
			w.held(h)
			w.ok(second(w.store.Request(w.Context(), h.request.ID)))
		}
		w.ok(second(w.store.Session(w.Context(), session.ID))) // they are signed in, and say so to the app when they want
	})
}

// An app that is about to get its code gets none, or one that is worth nothing.
func TestWithdrawalBesideAnApp(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, h := w.prove(w.begin(), "password", alice)
		_, completion := w.completion(session, func(c *authz.Completion) { c.RequestID = h.request.ID })
		w.interrupt = func() { w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app))) }
		w.wantError("completing", second(w.store.Complete(w.Context(), completion)), authz.ErrRequestEnded)
		w.wantActive(completion.Grant, false)

		session, h = w.prove(w.begin(), "password", alice)
		_, completion = w.completion(session, func(c *authz.Completion) { c.RequestID = h.request.ID })
		w.interrupt = func() { w.ok(second(w.store.Complete(w.Context(), completion))) }
		w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app)))
		w.wantActive(completion.Grant, false)
	})
}
