// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// An app that is signed in is asked for what is missing, and for nothing else.
func TestStepUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		after time.Duration
		ask   []string
		asked []string // none when the code comes at once
	}{
		{"nothing is missing", time.Minute, nil, nil},
		{"another scope", time.Minute, []string{"scope", "payments:write"}, []string{"pin"}},
		{"a level", time.Minute, []string{"acr_values", "gold"}, []string{"pin"}},
		{"a realm", time.Minute, []string{"acr_values", "riddle"}, []string{"riddle"}},
		{"the first level that is known", time.Minute, []string{"acr_values", "platinum gold"}, []string{"pin"}},
		{"a level that need not be met", time.Minute, []string{"scope", "openid", "acr_values", "platinum"}, nil},
		{"a login that is young enough", time.Minute, []string{"max_age", "60"}, nil},
		{"a login that is too old", time.Minute + time.Millisecond, []string{"max_age", "60"}, []string{"password"}},
		{"no age at all", time.Minute, []string{"max_age", "0"}, []string{"password"}},
		{"a fresh login", time.Minute, []string{"prompt", "login"}, []string{"password"}},
		{"another account", time.Minute, []string{"prompt", "select_account"}, []string{"password"}},
		{"at the end of max_age", time.Hour, nil, nil},
		{"after max_age", time.Hour + time.Millisecond, nil, []string{"password"}},
		{"both after max_age", time.Hour + time.Millisecond, []string{"scope", "payments:write"}, []string{"password"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.App(t)
			a.SignIn(faces.AliceLogin)
			w.Clock.Advance(tt.after)
			reply := a.Ask(tt.ask...)
			if tt.asked == nil {
				reply.Granted()
				return
			}
			reply.Asks(tt.asked...)
			right := map[string]faces.Answers{"password": alice, "pin": pin(faces.PIN), "riddle": answer("grail")}
			a.Answer(right[tt.asked[0]])
			wantProven(t, w, faces.Alice, sortedProofs(t, w)...) // one session, whatever was proven
		})
	}
}

func sortedProofs(t *testing.T, w *faces.World) (names []string) {
	t.Helper()
	for _, name := range []string{"password", "pin"} {
		if _, ok := sessions(t, w, faces.Alice)[0].Proofs[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// What the tokens will say is what was proven, and when.
func TestWhatTheCodeStandsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	start := w.Clock.Now()
	a.Ask("scope", "openid offline_access accounts:read", "nonce", "n-7").Asks("password")
	code := a.Answer(alice).Granted()
	result, err := w.Store.Redeem(t.Context(), authz.Redemption{Code: code, ClientID: "mobile", Verifier: faces.Verifier})
	if err != nil || result.Outcome != authz.Redeemed {
		t.Fatalf("redeeming: %q (%v)", result.Outcome, err)
	}
	equal(t, "nonce", result.Code.Nonce, "n-7")
	equal(t, "redirect URI", result.Code.RedirectURI, "")
	equal(t, "offline", result.Grant.Offline, true)
	equal(t, "scopes", result.Grant.Scopes.String(), "openid offline_access accounts:read")
	equal(t, "acr", result.Grant.Authn.ACR, "silver")

	w.Clock.Advance(4 * time.Minute)
	a.Ask("acr_values", "gold").Asks("pin")
	gold := redeem(t, w, "mobile", a.Answer(pin(faces.PIN)).Granted())
	want := realm.Authentication{
		Subject: faces.Alice, Name: "Alice", ACR: "gold", AMR: []string{"pin", "pwd"}, AuthTime: start.Add(4 * time.Minute),
		Realms: map[string]time.Time{"password": start, "pin": start.Add(4 * time.Minute)},
	}
	if diff := cmp.Diff(want, gold.Authn); diff != "" {
		t.Errorf("authentication (-want +got):\n%s", diff)
	}

	w.Clock.Advance(6 * time.Minute) // the pin is too old to be told of
	silver := redeem(t, w, "mobile", a.Ask().Granted())
	equal(t, "acr", silver.Authn.ACR, "silver")
	if _, told := silver.Authn.Realms["pin"]; told {
		t.Errorf("the tokens tell of a proof that is too old: %+v", silver.Authn)
	}
	if got := sessions(t, w, faces.Alice)[0]; !cmp.Equal(got.Clients, []string{"mobile"}) || got.UserAgent != "App/1" || got.ClientIP != "192.0.2.7" {
		t.Errorf("the session is %+v", got)
	}
}

// Whoever logs in anew as somebody else has a session of his own; what the other has proven is not his. The session of the other
// ends, and the gates know it before the answer is sent.
func TestAnotherUserLogsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("scope", "payments:write")
	a.Answer(alice)
	a.Answer(pin(faces.PIN)).Granted()
	w.Clock.Advance(time.Second)
	a.Ask("scope", "payments:write", "prompt", "login").Asks("password")
	first := sessions(t, w, faces.Alice)[0].ID
	a.Answer(bob).Asks("pin")
	equal(t, "sessions of the first user", len(sessions(t, w, faces.Alice)), 0)
	if told := w.Applied(); len(told) != 1 || told[0].Kind != authz.KindSession || told[0].Target != first {
		t.Errorf("the gates were told of %+v, want the session %s", told, first)
	}
	grant := redeem(t, w, "mobile", a.Answer(pin(faces.PIN)).Granted())
	equal(t, "user", grant.Subject, faces.Bob)
	wantProven(t, w, faces.Bob, "password", "pin")
}

// Somebody who has begun has to finish it himself.
func TestNobodyFinishesForAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.SignIn(faces.AliceLogin)
	a.Ask("acr_values", "badge").Asks("badge")
	wantFailure(t, a.Answer(faces.Answers{"badge": {"badge": faces.Bob}}).Asks("badge"), "badge", "refused")
	wantProven(t, w, faces.Bob)
	a.Answer(faces.Answers{"badge": {"badge": faces.Alice}}).Granted()
}

// The words are those of the person's language, and the user name is the one that the app suggests.
func TestWordsAndHints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		locales, sent string
		hint          string
		label, value  string
		failure       string
	}{
		{"none", "", "", "", "User name", "", refusedText},
		{"as the app asks", "nl", "", "alice", "Gebruikersnaam", "alice", "Inloggen met deze gegevens is niet gelukt. Controleer ze en probeer het opnieuw."},
		{"the first that there is", "xx nl", "", "", "Gebruikersnaam", "", "Inloggen met deze gegevens is niet gelukt. Controleer ze en probeer het opnieuw."},
		{"as the app's platform says", "", "nl-BE, en;q=0.5", "", "Gebruikersnaam", "", "Inloggen met deze gegevens is niet gelukt. Controleer ze en probeer het opnieuw."},
		{"a hint that is too long", "en", "nl", strings.Repeat("a", 257), "User name", "", refusedText},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := newWorld(t).App(t)
			if tt.sent != "" {
				a.Header.Set("Accept-Language", tt.sent)
			}
			asked := a.Ask("ui_locales", tt.locales, "login_hint", tt.hint).Asks("password").Challenges["password"]
			want := []faces.AskedField{
				{Name: "username", Label: tt.label, Type: "text", Value: tt.value, Autocomplete: "username", Required: true},
				asked.Fields[1],
			}
			if diff := cmp.Diff(want, asked.Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			equal(t, "type", asked.Fields[1].Type, "password")
			failed := wantFailure(t, a.Answer(faces.ByPassword("alice", "wrong")), "password", "refused")
			equal(t, "message", failed.Failure.Message, tt.failure)
		})
	}
}

// However the session ends, the app is asked anew who is there, and what another has ended does not go on.
func TestASessionThatEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, w *faces.World)
	}{
		{"on the account page", func(t *testing.T, w *faces.World) {
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			for _, s := range sessions(t, w, faces.Alice) {
				if s.UserAgent == "App/1" {
					b.Submit(b.Get("/account"), "end_session", s.ID)
				}
			}
		}},
		{"everywhere", func(t *testing.T, w *faces.World) {
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			b.Submit(b.Get("/account"), "everywhere", "all")
		}},
		{"because the user is locked", func(t *testing.T, w *faces.World) {
			if _, err := w.Store.Revoke(t.Context(), authz.KindSubject, faces.Alice); err != nil {
				t.Fatal(err)
			}
		}},
		{"because nobody uses it", func(_ *testing.T, w *faces.World) { w.Clock.Advance(8*time.Hour + time.Second) }},
	} {
		for _, answering := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{false: "", true: " while the app is asked more"}[answering], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				a := w.App(t)
				a.SignIn(faces.AliceLogin)
				if answering {
					a.Ask("scope", "payments:write").Asks("pin")
				}
				w.Clock.Advance(time.Second)
				tt.end(t, w)
				w.Clock.Advance(time.Second)
				if answering {
					a.Answer(pin(faces.PIN)).Refuses(http.StatusBadRequest, "invalid_session")
				}
				a.Ask().Asks("password")
				a.Answer(alice).Granted()
			})
		}
	}
}

// What ends while an answer is judged ends the answer.
func TestWhatEndsWhileAnAnswerIsJudged(t *testing.T) {
	t.Parallel()
	t.Run("the session", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.App(t)
		a.Ask("scope", "payments:write")
		a.Answer(alice)
		a.Answer(pin(faces.PasswordEnds)).Refuses(http.StatusBadRequest, "invalid_session")
		wantProven(t, w, faces.Alice)
		a.Ask("scope", "payments:write").Asks("password")
	})
	t.Run("the user", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.App(t)
		a.Ask()
		w.Users.Meanwhile(func() {
			if _, err := w.Store.Revoke(t.Context(), authz.KindSubject, faces.Alice); err != nil {
				t.Error(err)
			}
		})
		a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_session")
		wantProven(t, w, faces.Alice)
		wantEvents(t, "stored", w.Trail.Stored(), []audit.Event{
			{Outcome: audit.Refused, Reason: "revoked_meanwhile", Subject: faces.Alice},
		})
		if diff := cmp.Diff([]string{"password:refused"}, w.Observed()); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
	})
	t.Run("the request, by another", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.App(t)
		a.Ask("scope", "payments:write")
		anew := *a
		w.Users.Meanwhile(func() { anew.Ask("scope", "openid") })
		a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_session")
		wantProven(t, w, faces.Alice)
		anew.Answer(alice).Granted()
	})
	t.Run("the session, before the code", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.App(t)
		a.SignIn(faces.AliceLogin)
		w.BeforeUpdate(func() { // the first one begins the request; the code comes with the second
			w.BeforeUpdate(func() {
				if _, err := w.Store.EndSession(t.Context(), sessions(t, w, faces.Alice)[0].ID); err != nil {
					t.Error(err)
				}
			})
		})
		a.Ask().Refuses(http.StatusBadRequest, "invalid_session")
	})
}

// Of the same answer sent many times at once, one counts; the others are told that they are late, or what is asked next.
func TestOneAnswerSentManyTimes(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"accounts:read", "payments:write", "riddle-first"} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.App(t)
			a.Ask("scope", scope)
			if scope == "riddle-first" {
				a.Answer(answer("grail"))
				a.Answer(answer("blue")).Asks("password")
			}
			var group sync.WaitGroup
			replies := make([]*faces.Reply, 8)
			for i := range replies {
				group.Go(func() {
					one := *a
					replies[i] = one.Answer(alice)
				})
			}
			group.Wait()
			good := 0
			for _, r := range replies {
				switch {
				case r.Status == http.StatusOK || r.Error == "insufficient_authorization":
					good++
				case r.Error != "invalid_session" && r.Error != "temporarily_unavailable":
					t.Errorf("a reply is %d: %s", r.Status, r.Body)
				}
			}
			equal(t, "answers that counted", good, 1)
			equal(t, "sessions", len(sessions(t, w, faces.Alice)), 1)
		})
	}
}
