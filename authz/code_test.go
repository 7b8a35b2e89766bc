// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

func TestCodesAreDrawnApart(t *testing.T) {
	t.Parallel()
	w := solo(t)
	now := w.store.Now()
	one, record := authz.NewCode(now)
	two, _ := authz.NewCode(now)
	if one == two || len(one) < 43 {
		t.Errorf("codes are %q and %q", one, two)
	}
	if strings.Contains(fmt.Sprintf("%+v", record), one) {
		t.Error("the record holds the code itself")
	}
	if record.ExpiresAt.Sub(record.CreatedAt) != authz.CodeTTL || authz.CodeTTL > 10*time.Minute { // RFC 6749 4.1.2
		t.Errorf("the code lives from %s to %s", record.CreatedAt, record.ExpiresAt)
	}
}

func TestRedeemedCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		code, grant := w.authorized()
		w.after(time.Second)
		in := w.redemption(code)
		got := w.redeem(in, authz.Redeemed)
		want := authz.RedeemResult{Outcome: authz.Redeemed, Grant: grant, Code: authz.Code{
			Hash: got.Code.Hash, ClientID: app, RedirectURI: redirect, Challenge: oauth.Challenge(verifier), Nonce: "n",
			GrantID: grant.ID, CreatedAt: grant.CreatedAt, ExpiresAt: grant.CreatedAt.Add(authz.CodeTTL), SpentAt: w.store.Now(),
		}}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("redemption (-want +got):\n%s", diff)
		}
		family, familyGrant, ok, err := w.store.FamilyByToken(w.Context(), in.Family.Token())
		w.ok(err)
		equal(w, "the family is there", ok, true)
		equal(w, "grant of the family", family.GrantID, grant.ID)
		equal(w, "client of the family", family.ClientID, app)
		equal(w, "grant beside the family", familyGrant.ID, grant.ID)
		equal(w, "grant in the caller's family", in.Family.GrantID, "")
	})
}

func TestACodeWithoutRefreshLeavesNoFamily(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		code, _ := w.authorized()
		in := w.redemption(code)
		family := in.Family
		in.Family = nil
		w.redeem(in, authz.Redeemed)
		w.refresh(family.Token(), authz.RefreshUnknown)
	})
}

// RFC 6749 4.1.2: a code is used once, and when it is used again everything issued for it is revoked.
func TestReplayedCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		later  time.Duration
		change func(*authz.Redemption)
	}{
		{"RFC6749/4.1.2 at once", 0, nil},
		{"RFC6749/4.1.2 after the code expired", authz.CodeTTL, nil},
		{"RFC6749/4.1.2 as long as an access token may live", authz.MaxAccessTTL - time.Millisecond, nil},
		{"RFC6749/4.1.2 with a wrong verifier", 0, func(r *authz.Redemption) { r.Verifier = strings.Repeat("x", 43) }},
		{"RFC6749/4.1.2 with another redirect URI", 0, func(r *authz.Redemption) { r.RedirectURI = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				session, _ := w.sign(alice)
				code, grant := w.authorize(session)
				untouched, _ := w.line(session)
				first := w.redemption(code)
				w.redeem(first, authz.Redeemed)
				w.after(tt.later)
				again := w.redemption(code)
				if tt.change != nil {
					tt.change(&again)
				}
				got := w.redeem(again, authz.RedeemReplayed)
				w.wantRevoked(got.Revocations, authz.KindGrant, grant.ID)
				equal(w, "grant of a replayed code", got.Grant.ID, "")
				equal(w, "replayed code", got.Code.Hash, "")
				w.wantActive(grant, false)
				w.refresh(first.Family.Token(), authz.RefreshRevoked)
				w.refresh(again.Family.Token(), authz.RefreshUnknown)
				w.wantActive(untouched, true)

				got = w.redeem(again, authz.RedeemReplayed)
				w.wantRevoked(got.Revocations, authz.KindGrant)
				w.wantRevoked(w.log(), authz.KindGrant, grant.ID)
			})
		})
	}
}

func TestReplayOfACodeWhoseGrantIsGone(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		code, _ := w.authorized(func(c *authz.Completion) { c.Grant.ExpiresAt = w.store.Now().Add(time.Hour) })
		w.redeem(w.redemption(code), authz.Redeemed)
		w.after(time.Hour)
		got := w.redeem(w.redemption(code), authz.RedeemReplayed)
		w.wantRevoked(got.Revocations, authz.KindGrant)
		equal(w, "entries in the log", len(w.log()), 0)
	})
}

func TestAStrangersReplayRevokesNothing(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		code, grant := w.authorized()
		first := w.redemption(code)
		w.redeem(first, authz.Redeemed)
		theirs := w.redemption(code)
		theirs.ClientID = other
		for range 10 {
			got := w.redeem(theirs, authz.RedeemMismatch)
			w.wantRevoked(got.Revocations, authz.KindGrant)
		}
		w.wantActive(grant, true)
		w.refresh(first.Family.Token(), authz.Rotated)
	})
}

func TestCodesExpire(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		inTime, _ := w.authorize(session)
		late, grant := w.authorize(session)
		w.after(authz.CodeTTL - time.Millisecond)
		w.redeem(w.redemption(inTime), authz.Redeemed)
		w.after(time.Millisecond)
		got := w.redeem(w.redemption(late), authz.RedeemUnknown)
		w.wantRevoked(got.Revocations, authz.KindGrant)
		w.wantActive(grant, true)
		w.after(authz.MaxAccessTTL)
		w.redeem(w.redemption(inTime), authz.RedeemUnknown)
	})
}

func TestUnknownCodes(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		code, c := w.completion(session)
		w.ok(second(w.store.Complete(w.Context(), c)))
		for _, guess := range []string{"", "x", code + "x", code[1:], c.Code.Hash, strings.Repeat("x", 10000)} {
			got := w.redeem(w.redemption(guess), authz.RedeemUnknown)
			equal(w, "grant of an unknown code", got.Grant.ID, "")
		}
		w.redeem(w.redemption(code), authz.Redeemed)
	})
}

// RFC 6749 4.1.3 and RFC 7636 4.6: the code is bound to client, redirect URI and verifier.
func TestMismatchedCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*authz.Redemption)
	}{
		{"RFC6749/4.1.3 another client", func(r *authz.Redemption) { r.ClientID = other }},
		{"RFC6749/4.1.3 no client", func(r *authz.Redemption) { r.ClientID = "" }},
		{"RFC6749/4.1.3 another redirect URI", func(r *authz.Redemption) { r.RedirectURI += "/" }},
		{"RFC6749/4.1.3 no redirect URI", func(r *authz.Redemption) { r.RedirectURI = "" }},
		{"RFC7636/4.6 another verifier", func(r *authz.Redemption) { r.Verifier = strings.Repeat("x", 43) }},
		{"RFC7636/4.6 no verifier", func(r *authz.Redemption) { r.Verifier = "" }},
		{"RFC7636/4.6 the challenge itself", func(r *authz.Redemption) { r.Verifier = oauth.Challenge(verifier) }},
		{"RFC7636/4.6 the verifier and more", func(r *authz.Redemption) { r.Verifier += "x" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				code, grant := w.authorized()
				wrong := w.redemption(code)
				tt.change(&wrong)
				for range 4 {
					got := w.redeem(wrong, authz.RedeemMismatch)
					equal(w, "grant beside a mismatch", got.Grant.ID, "")
					w.wantRevoked(got.Revocations, authz.KindGrant)
				}
				w.wantActive(grant, true)
				w.redeem(w.redemption(code), authz.Redeemed) // a stranger has not burned it
			})
		})
	}
}

func TestTheFifthMismatchBurnsTheCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		code, grant := w.authorized()
		wrong := w.redemption(code)
		wrong.ClientID = other
		for range 3 {
			w.redeem(wrong, authz.RedeemMismatch)
		}
		wrong.ClientID, wrong.Verifier = app, strings.Repeat("x", 43) // whoever it is, it is counted
		w.redeem(wrong, authz.RedeemMismatch)
		w.redeem(wrong, authz.RedeemMismatch)
		got := w.redeem(w.redemption(code), authz.RedeemReplayed)
		w.wantRevoked(got.Revocations, authz.KindGrant, grant.ID)
		w.wantActive(grant, false)
	})
}

func TestParallelGuessesAreAllCounted(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		code, _ := w.authorized()
		outcomes := race(w, func(i int) (authz.RedeemOutcome, error) {
			wrong := w.redemption(code)
			wrong.ClientID = other
			result, err := w.store.Redeem(w.Context(), wrong)
			return result.Outcome, err
		})
		for _, outcome := range outcomes {
			equal(w, "outcome", outcome, authz.RedeemMismatch)
		}
		w.redeem(w.redemption(code), authz.RedeemReplayed)
	})
}

func TestOneOfManyRedeemsACode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		code, grant := w.authorized()
		type answer struct {
			outcome     authz.RedeemOutcome
			revocations int
		}
		count := map[answer]int{}
		for _, a := range race(w, func(int) (answer, error) {
			result, err := w.store.Redeem(w.Context(), w.redemption(code))
			return answer{result.Outcome, len(result.Revocations)}, err
		}) {
			count[a]++
		}
		want := map[answer]int{{authz.Redeemed, 0}: 1, {authz.RedeemReplayed, 1}: 1, {authz.RedeemReplayed, 0}: crowd - 2}
		if diff := cmp.Diff(want, count, cmp.AllowUnexported(answer{})); diff != "" {
			w.Errorf("outcomes (-want +got):\n%s", diff)
		}
		w.wantActive(grant, false)
	})
}

func TestWhatEndedBeforeRedemptionSpendsTheCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*world, authz.Session, authz.Grant)
	}{
		{"the session ended", func(w *world, s authz.Session, _ authz.Grant) { w.ok(second(w.store.EndSession(w.Context(), s.ID))) }},
		{"the grant was revoked", func(w *world, _ authz.Session, g authz.Grant) {
			w.ok(second(w.store.RevokeGrant(w.Context(), g.ID, alice)))
		}},
		{"the user was locked", func(w *world, _ authz.Session, _ authz.Grant) { w.lock(alice) }},
		{"the client was revoked", func(w *world, _ authz.Session, _ authz.Grant) {
			w.ok(second(w.store.Revoke(w.Context(), authz.KindClient, app)))
		}},
		{"consent was withdrawn", func(w *world, _ authz.Session, _ authz.Grant) {
			w.ok(second(w.store.WithdrawConsent(w.Context(), alice, app)))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				session, _ := w.sign(alice)
				code, grant := w.authorize(session)
				w.after(time.Second)
				tt.end(w, session, grant)
				in := w.redemption(code)
				got := w.redeem(in, authz.RedeemRevoked)
				equal(w, "grant beside the refusal", got.Grant.ID, "")
				w.refresh(in.Family.Token(), authz.RefreshUnknown)
				w.redeem(w.redemption(code), authz.RedeemReplayed)
			})
		})
	}
}

func TestAnOfflineCodeOutlivesLogout(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		code, _ := w.authorize(session, offline)
		w.ok(second(w.store.EndSession(w.Context(), session.ID)))
		w.redeem(w.redemption(code), authz.Redeemed)
	})
}

func TestWithinIsPartOfTheRedemption(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		code, grant := w.authorized()
		broken := errors.New("the trail is full")
		in := w.redemption(code)
		var told authz.RedeemResult
		in.Within = func(tx storage.Tx, result authz.RedeemResult) error {
			told = result
			return errors.Join(tx.Put(storage.Item{Key: "trail", Value: []byte(result.Outcome)}), broken)
		}
		got, err := w.store.Redeem(w.Context(), in)
		w.wantError("redeeming", err, broken)
		if diff := cmp.Diff(authz.RedeemResult{}, got); diff != "" {
			w.Errorf("the error came with a result:\n%s", diff)
		}
		equal(w, "outcome that the trail was told", told.Outcome, authz.Redeemed)
		equal(w, "grant that the trail was told", told.Grant.ID, grant.ID)
		w.wantTrail("")

		broken = nil
		w.redeem(in, authz.Redeemed) // the failure had spent nothing
		w.wantTrail(string(authz.Redeemed))
		w.redeem(in, authz.RedeemReplayed)
		w.wantTrail(string(authz.RedeemReplayed))
		equal(w, "revocations that the trail was told", len(told.Revocations), 1)
		in.Code = "unknown"
		w.redeem(in, authz.RedeemUnknown)
		w.wantTrail(string(authz.RedeemUnknown))
	})
}

// wantTrail checks what a Within has written; "" is nothing.
func (w *world) wantTrail(want string) {
	w.Helper()
	w.ok(w.db.View(w.Context(), func(tx storage.Tx) error {
		item, err := tx.Get("trail")
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		equal(w, "what the trail holds", string(item.Value), want)
		return nil
	}))
}

func TestCompleteTakesALiveSessionOfTheUser(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*world, *authz.Completion)
		want   error
	}{
		{"live", func(*world, *authz.Completion) {}, nil},
		{"none", func(_ *world, c *authz.Completion) { c.Grant.SessionID = "" }, authz.ErrSessionEnded},
		{"unknown", func(_ *world, c *authz.Completion) { c.Grant.SessionID = "ses_unknown" }, authz.ErrSessionEnded},
		{"another user's", func(w *world, c *authz.Completion) {
			theirs, _ := w.sign(bob)
			c.Grant.SessionID = theirs.ID
		}, authz.ErrSessionEnded},
		{"ended", func(w *world, c *authz.Completion) {
			w.ok(second(w.store.EndSession(w.Context(), c.Grant.SessionID)))
		}, authz.ErrSessionEnded},
		{"idle", func(w *world, c *authz.Completion) {
			w.after(idleTTL + time.Millisecond)
			c.RequestID = "" // which has ended as well
		}, authz.ErrSessionEnded},
		{"of a locked user", func(w *world, _ *authz.Completion) { w.lock(alice) }, authz.ErrSessionEnded},
		{"ends during the transition", func(w *world, c *authz.Completion) {
			w.interrupt = func() { w.ok(second(w.store.EndSession(w.Context(), c.Grant.SessionID))) }
		}, authz.ErrSessionEnded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				session, _ := w.sign(alice)
				request := w.ask("browser")
				code, c := w.completion(session, func(c *authz.Completion) { c.RequestID, c.RememberConsent = request.ID, true })
				tt.change(w, &c)
				w.wantError("completing", second(w.store.Complete(w.Context(), c)), tt.want)
				_, err := w.store.Request(w.Context(), request.ID)
				consented, consentErr := w.store.Consented(w.Context(), alice, app, scopes)
				w.ok(consentErr)
				equal(w, "consent is remembered", consented, tt.want == nil)
				if tt.want == nil {
					w.wantError("reading the completed request", err, authz.ErrRequestEnded)
					w.redeem(w.redemption(code), authz.Redeemed)
					return
				}
				w.wantActive(c.Grant, false)
				w.redeem(w.redemption(code), authz.RedeemUnknown)
				if !errors.Is(err, authz.ErrRequestEnded) {
					w.ok(err) // the request is open still, for whoever logs in anew
				}
			})
		})
	}
}

func TestOneOfManyTabsCompletesARequest(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		request := w.ask("browser")
		won := race(w, func(int) (string, error) {
			code, c := w.completion(session, func(c *authz.Completion) { c.RequestID = request.ID })
			_, err := w.store.Complete(w.Context(), c)
			if errors.Is(err, authz.ErrRequestEnded) {
				return "", nil
			}
			return code, err
		})
		equal(w, "codes for one request", len(won), 1)
		grants, err := w.store.GrantsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "grants for one request", len(grants), 1)
		w.redeem(w.redemption(won[0]), authz.Redeemed)
	})
}

func TestParallelCompletionsRememberEverything(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		race(w, func(i int) (string, error) {
			_, c := w.completion(session, of(fmt.Sprint("app", i%5)), func(c *authz.Completion) {
				c.RememberConsent, c.Grant.Scopes = true, oauth.Scopes{"openid", fmt.Sprint("s", i/5)}
			})
			return c.Grant.ID, second(w.store.Complete(w.Context(), c))
		})
		consents, err := w.store.ConsentsOf(w.Context(), alice)
		w.ok(err)
		equal(w, "consents", len(consents), 5)
		for _, c := range consents {
			equal(w, "scopes consented for "+c.ClientID, len(c.Scopes), crowd/5+1)
		}
		got, err := w.store.Session(w.Context(), session.ID)
		w.ok(err)
		equal(w, "clients of the session", len(got.Clients), 5)
	})
}

func TestCompleteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		request := w.ask("browser")
		_, first := w.completion(session)
		w.ok(second(w.store.Complete(w.Context(), first)))
		code, c := w.completion(session, of(other), func(c *authz.Completion) { c.RequestID, c.RememberConsent = request.ID, true })
		c.Code.Hash = first.Code.Hash // the last thing written is refused
		w.wantError("completing", second(w.store.Complete(w.Context(), c)), storage.ErrExists)
		w.ok(second(w.store.Request(w.Context(), request.ID)))
		w.wantActive(c.Grant, false)
		w.redeem(w.redemption(code), authz.RedeemUnknown)
		got, err := w.store.Session(w.Context(), session.ID)
		w.ok(err)
		if diff := cmp.Diff([]string{app}, got.Clients); diff != "" {
			w.Errorf("clients of the session (-want +got):\n%s", diff)
		}
		consented, err := w.store.Consented(w.Context(), alice, other, nil)
		w.ok(err)
		equal(w, "consented", consented, false)
	})
}
