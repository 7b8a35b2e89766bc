// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// A security test may ask for something before it is known who is there. What was proven then goes into the session of
// whoever signs in, and into his tokens; it is not asked again while it is fresh.
func TestProofsBeforeAnybodyIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	riddle := atLogin(t, b, "scope", "riddle-first")
	wantForm(t, riddle, http.StatusOK, "your quest")
	password := b.Submit(b.Submit(riddle, "answer", "grail"), "answer", "blue")
	wantForm(t, password, http.StatusOK, "User name")
	pin := b.Login(password, faces.AliceLogin)
	wantForm(t, pin, http.StatusOK, "pin")
	b.Submit(pin, "pin", faces.PIN).Code()

	sessions, err := w.Store.SessionsOf(t.Context(), faces.Alice)
	if err != nil || len(sessions) != 1 {
		t.Fatalf("sessions are %v (%v)", sessions, err)
	}
	for _, name := range []string{"riddle", "password", "pin"} {
		if sessions[0].Proofs[name].Realm != name {
			t.Errorf("%s is not in the session", name)
		}
	}
	b.Authorize(faces.Params("scope", "riddles", "prompt", "none")).Code()
}

// What was proven before belongs to that request and that browser alone.
func TestEarlyProofsStayWithTheirRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, eve := w.Browser(t), w.Browser(t)
	password := b.Submit(b.Submit(atLogin(t, b, "scope", "riddle-first"), "answer", "grail"), "answer", "blue")
	wantForm(t, password, http.StatusOK, "User name")
	wantForm(t, atLogin(t, b, "scope", "riddle-first"), http.StatusOK, "your quest")
	if page := eve.Get(password.At); page.Status == http.StatusOK && strings.Contains(page.Body, "User name") {
		t.Errorf("another browser goes on with it:\n%s", page.Body)
	}
	// Too late, it is asked again.
	w.Clock.Advance(14 * time.Minute)
	wantForm(t, b.Get(password.At), http.StatusOK, "User name")
}

// While somebody is signed in, a proof that names nobody is his, and nobody else's.
func TestProofsOfSomebodyAreNotTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	b.Submit(b.Submit(atLogin(t, b, "scope", "riddles"), "answer", "grail"), "answer", "blue").Code()
	anew := b.Authorize(faces.Params("scope", "accounts:read", "prompt", "login"))
	w.Clock.Advance(time.Second)
	b.Login(anew, faces.BobLogin).Code()
	sessions, err := w.Store.SessionsOf(t.Context(), faces.Bob)
	if err != nil || len(sessions) != 1 {
		t.Fatalf("sessions are %v (%v)", sessions, err)
	}
	if _, taken := sessions[0].Proofs["riddle"]; taken {
		t.Error("Bob has proven what Alice did")
	}
}

// Whoever is asked to sign in anew may be somebody else than who is signed in: what he proves before it is known who he is goes
// into his own session, and neither into the other's nor against him.
func TestEarlyProofsAreNotOfWhoWasThereBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	w.Clock.Advance(time.Second)
	riddle := b.Authorize(faces.Params("scope", "riddle-first", "prompt", "login"))
	w.Clock.Advance(time.Second)
	password := b.Submit(b.Submit(riddle, "answer", "grail"), "answer", "blue")
	wantForm(t, password, http.StatusOK, "User name")
	sessions, err := w.Store.SessionsOf(t.Context(), faces.Alice)
	if err != nil || len(sessions) != 1 {
		t.Fatalf("sessions are %v (%v)", sessions, err)
	}
	if _, taken := sessions[0].Proofs["riddle"]; taken {
		t.Error("Alice has proven what nobody knows who has proven")
	}
	wantForm(t, b.Login(password, faces.BobLogin), http.StatusOK, "pin")
}
