// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// A step is asked when the one before is over, and the code comes with the last of them.
func TestOneStepAfterTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	first := a.Ask("scope", "riddle-first").Asks("riddle").Challenges["riddle"]
	equal(t, "question", first.Fields[0].Label, "What is your quest?")
	second := a.Answer(answer("grail")).Asks("riddle").Challenges["riddle"]
	equal(t, "question", second.Fields[0].Label, "What is your favourite colour?")
	wrong := wantFailure(t, a.Answer(answer("red")).Asks("riddle"), "riddle", "refused")
	equal(t, "question", wrong.Fields[0].Label, "What is your favourite colour?")
	wantProven(t, w, faces.Alice)
	a.Answer(answer("blue")).Asks("password")
	wantProven(t, w, faces.Alice) // nobody is known yet
	a.Answer(alice).Asks("pin")
	wantProven(t, w, faces.Alice, "password", "riddle")
	grant := redeem(t, w, "mobile", a.Answer(pin(faces.PIN)).Granted())
	wantProven(t, w, faces.Alice, "password", "pin", "riddle")
	for _, name := range []string{"password", "pin", "riddle"} {
		if grant.Authn.Realms[name].IsZero() {
			t.Errorf("the tokens do not tell of %s: %+v", name, grant.Authn)
		}
	}
	a.Ask("scope", "riddles").Granted() // what was proven before anybody was known is not asked again either
}

// What was proven before anybody was known belongs to that request alone.
func TestEarlyProofsStayWithTheirRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, eve := w.App(t), w.App(t)
	a.Ask("scope", "riddle-first")
	a.Answer(answer("grail"))
	a.Answer(answer("blue")).Asks("password")
	eve.Ask("scope", "riddle-first").Asks("riddle")
	a.Ask("scope", "riddle-first").Asks("riddle")
}

// The realms of one step are asked at once, and answered together or one by one.
func TestSeveralRealmsAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		rounds []faces.Answers
		asked  [][]string // after each but the last
	}{
		{"together", []faces.Answers{together(pin(faces.PIN), answer("grail")), answer("blue")}, [][]string{{"riddle"}}},
		{"both last rounds together", []faces.Answers{answer("grail"), together(pin(faces.PIN), answer("blue"))}, [][]string{{"pin", "riddle"}}},
		{"one by one", []faces.Answers{pin(faces.PIN), answer("grail"), answer("blue")}, [][]string{{"riddle"}, {"riddle"}}},
		{"the other way round", []faces.Answers{answer("grail"), answer("blue"), pin(faces.PIN)}, [][]string{{"pin", "riddle"}, {"pin"}}},
		{"one of them wrong", []faces.Answers{answer("grail"), together(pin("9999"), answer("blue")), pin(faces.PIN)}, [][]string{{"pin", "riddle"}, {"pin"}}},
		{"both wrong", []faces.Answers{answer("grail"), together(pin("9999"), answer("red")), together(pin(faces.PIN), answer("blue"))},
			[][]string{{"pin", "riddle"}, {"pin", "riddle"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.App(t)
			a.Ask("scope", "payments:write riddles").Asks("password")
			a.Answer(alice).Asks("pin", "riddle")
			last := len(tt.rounds) - 1
			for i, answers := range tt.rounds[:last] {
				a.Answer(answers).Asks(tt.asked[i]...)
			}
			a.Answer(tt.rounds[last]).Granted()
			wantProven(t, w, faces.Alice, "password", "pin", "riddle")
		})
	}
}

// A realm that breaks says so, and the others go on.
func TestABrokenRealmHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for _, password := range []string{faces.PasswordBroken, faces.PasswordPanic} {
		t.Run(password, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.App(t)
			a.Ask("acr_values", "badge").Asks("badge", "password")
			both := together(faces.ByPassword(faces.AliceLogin, password), faces.Answers{"badge": {"badge": faces.Alice}})
			wantFailure(t, a.Answer(both).Asks("password"), "password", "unavailable")
			wantProven(t, w, faces.Alice, "badge")
			a.Answer(alice).Granted()
			wantProven(t, w, faces.Alice, "badge", "password")
		})
	}
}

// Two realms that both say who it is must say the same.
func TestTwoUsersInOneStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("acr_values", "badge").Asks("badge", "password")
	reply := a.Answer(together(alice, faces.Answers{"badge": {"badge": faces.Bob}})).Asks("badge")
	wantFailure(t, reply, "badge", "refused")
	wantProven(t, w, faces.Alice, "password")
	wantProven(t, w, faces.Bob)
	a.Answer(faces.Answers{"badge": {"badge": faces.Alice}}).Granted()
	wantProven(t, w, faces.Alice, "badge", "password")
	if diff := cmp.Diff([]string{"password:accepted", "badge:refused", "badge:accepted"}, w.Observed()); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}

// What proves itself is not asked: it goes along with whatever the app sends.
func TestRealmsThatAskNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	silent := wantFailure(t, a.Ask("scope", "device-first").Asks("device"), "device", "refused")
	if len(silent.Fields) != 0 {
		t.Errorf("it asks %v", silent.Fields)
	}
	a.Header.Set("Test-Device", faces.Device)
	a.Answer(faces.Answers{"device": {}}).Asks("password") // an app may answer with nothing
	a.Answer(alice).Granted()
	wantProven(t, w, faces.Alice, "device", "password")

	fresh := w.App(t)
	fresh.Header.Set("Test-Device", faces.Device)
	fresh.Ask("scope", "device-first").Asks("password")
	fresh.Answer(bob).Granted()
	wantProven(t, w, faces.Bob, "device", "password")

	badge := w.App(t)
	badge.Header.Set("Test-Badge", "usr_carol")
	badge.Ask("scope", "openid", "acr_values", "header").Granted() // with nothing to ask, the code comes at once
	wantProven(t, w, "usr_carol", "header")
}

// A fresh login is not too late for what proves itself in the same moment.
func TestAnewAtTheSameMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Header.Set("Test-Device", faces.Device)
	a.Ask("scope", "device-first", "prompt", "login").Asks("password")
	a.Answer(alice).Granted()
	before := sessions(t, w, faces.Alice)[0].Proofs
	w.Clock.Advance(time.Minute)
	a.Ask("scope", "device-first", "prompt", "login").Asks("password")
	a.Answer(alice).Granted()
	for name, proof := range sessions(t, w, faces.Alice)[0].Proofs {
		if !proof.Time.After(before[name].Time) {
			t.Errorf("%s is from before", name)
		}
	}
}

// An app may ask about one user while another is signed in. What names nobody is proven for whoever is asked about, and
// does not go round and round.
func TestAskedAboutAnotherUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.SignIn(faces.AliceLogin)
	a.Header.Set("Test-Device", faces.Device)
	a.Ask("scope", "device-first", "id_token_hint", "token-of-bob").Asks("password")
	wantProven(t, w, faces.Alice, "password")
	wantFailure(t, a.Answer(alice).Asks("password"), "password", "refused") // it is not whom it asked about
	grant := redeem(t, w, "mobile", a.Answer(bob).Granted())
	equal(t, "user", grant.Subject, faces.Bob)
	wantProven(t, w, faces.Bob, "device", "password")
	wantProven(t, w, faces.Alice) // signed out by who came after
	a.Ask("id_token_hint", "nonsense").Refuses(http.StatusBadRequest, "invalid_request")
}

// A realm whose challenges nobody can ask twice keeps what it needs between rounds, on whatever node they come.
func TestStateOfARealmIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("scope", "riddles")
	a.Answer(alice).Asks("riddle")
	a.Answer(answer("grail"))
	for range 3 { // nothing is answered: the same is asked again
		asked := a.Answer(faces.Answers{}).Asks("riddle").Challenges["riddle"]
		equal(t, "question", asked.Fields[0].Label, "What is your favourite colour?")
	}
	handle, _ := authz.ParseAuthSessionHandle(a.Held)
	held, err := w.Store.AuthSession(t.Context(), handle, "mobile")
	if err != nil {
		t.Fatal(err)
	}
	request, err := w.Store.Request(t.Context(), held.RequestID)
	if err != nil || !bytes.HasSuffix(request.RealmState["riddle"], []byte("second:")) {
		t.Errorf("what is kept is %q (%v)", request.RealmState, err)
	}
	a.Answer(answer("blue")).Granted()
}

// A proof that grows too old while the next one is asked is asked for again before the code.
func TestAProofGrowsTooOldMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("scope", "payments:write")
	a.Answer(alice).Asks("pin")
	w.Clock.Advance(59 * time.Minute)
	a.Ask("scope", "payments:write").Asks("pin")
	w.Clock.Advance(2 * time.Minute) // the password is too old now, while the pin is being asked
	a.Answer(pin(faces.PIN)).Refuses(http.StatusBadRequest, "invalid_request")
	a.Answer(faces.Answers{}).Asks("password")
	a.Answer(alice).Asks("pin")
	a.Answer(pin(faces.PIN)).Granted()
}

// What is asked is what is missing when the answers have been judged, however long that took.
func TestAProofGrowsTooOldWhileAnotherIsJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("scope", "payments:write riddles")
	a.Answer(alice).Asks("pin", "riddle")
	w.Clock.Advance(time.Hour)
	a.Ask("scope", "payments:write riddles").Asks("pin", "riddle")
	w.BeforeUpdate(func() { w.Clock.Advance(time.Second) })
	a.Answer(pin(faces.PIN)).Asks("password")
	a.Answer(alice).Asks("riddle")
}
