// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if h, err := native.New(native.Config{}); err == nil || h != nil {
		t.Errorf("New returned %v, %v", h, err)
	}
}

// answered sends a text as the answers.
func answered(a *faces.App, text string) *faces.Reply {
	return a.Send(url.Values{"client_id": {a.Client}, "auth_session": {a.Held}, "answers": {text}})
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	many := func(n int, member string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(member, i))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	for _, tt := range []struct{ name, text string }{
		{"no JSON", `password`},
		{"null", `null`},
		{"a text", `"password"`},
		{"a list", `[{"password":{}}]`},
		{"cut off", `{"password":{"username":"alice"`},
		{"something after them", `{"password":{}} {}`},
		{"a comma too many", `{"password":{},}`},
		{"no colon", `{"password" {}}`},
		{"no quotes", `{password:{}}`},
		{"a realm that is a text", `{"password":"x"}`},
		{"a realm that is null", `{"password":null}`},
		{"a realm that is a list", `{"password":["x"]}`},
		{"a field that is a number", `{"password":{"username":1}}`},
		{"a field that is null", `{"password":{"username":null}}`},
		{"a field that is an object", `{"password":{"username":{"a":"b"}}}`},
		{"a field that is a list", `{"password":{"username":["alice"]}}`},
		{"a realm twice", `{"password":{"username":"alice"},"password":{"username":"bob"}}`},
		{"a realm twice, spelled differently", `{"password":{},"p\u0061ssword":{}}`},
		{"a field twice", `{"password":{"username":"alice","username":"bob"}}`},
		{"too many realms", many(17, `"r%d":{}`)},
		{"too many fields", `{"password":` + many(33, `"f%d":""`) + `}`},
		{"a control character", `{"password":{"username":"alice\u0000"}}`},
		{"a line break", `{"password":{"username":"al\nice"}}`},
		{"a control character in a name", `{"password":{"user\u0000name":"alice"}}`},
		{"a control character in a realm", `{"pass\u007fword":{"username":"alice"}}`},
		{"too long", `{"password":{"username":"` + strings.Repeat("a", 8<<10) + `"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.App(t)
			a.Ask().Asks("password")
			answered(a, tt.text).Refuses(http.StatusBadRequest, "invalid_request")
			if tries := w.Users.Tries(); len(tries) != 0 {
				t.Errorf("somebody judged %v", tries)
			}
			a.Answer(alice).Granted() // and no harm is done
		})
	}
}

func TestAnswersThatAreGood(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text string }{
		{"plain", `{"password":{"username":"alice","password":"correct horse"}}`},
		{"with room", " {\t\"password\" : {\r\n \"username\":\"alice\",\"password\":\"correct horse\" } } "},
		{"escaped", `{"p\u0061ssword":{"username":"\u0061lice","password":"correct\u0020horse"}}`},
		{"with a field that nobody asked for", `{"password":{"username":"alice","password":"correct horse","step":"x"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := newWorld(t).App(t)
			a.Ask().Asks("password")
			if tt.name == "with room" {
				// A tab or a line break has no place in any parameter, so that it has to be sent without.
				answered(a, tt.text).Refuses(http.StatusBadRequest, "invalid_request")
				tt.text = strings.NewReplacer("\t", "", "\r\n", "").Replace(tt.text)
			}
			answered(a, tt.text).Granted()
		})
	}
}

// Answers that are not enough are no wrong ones: what is missing is asked, and nothing counts.
func TestAnswersThatAreNotEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask()
	for range 12 {
		for _, text := range []string{"", "{}", `{"password":{}}`, `{"password":{"username":"alice"}}`, `{"password":{"username":"","password":""}}`} {
			asked := answered(a, text).Asks("password").Challenges["password"]
			if asked.Failure != nil || len(asked.Fields) != 2 {
				t.Fatalf("%q is told %+v", text, asked)
			}
		}
	}
	if tries := w.Users.Tries(); len(tries) != 0 {
		t.Errorf("somebody judged %v", tries)
	}
	a.Answer(alice).Granted()
}

// No answer is judged for a realm that is not being asked, and none of those that come with it either.
func TestAnswersToWhatWasNotAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		answers faces.Answers
	}{
		{"a later step", pin(faces.PIN)},
		{"with the one that is asked", together(alice, pin(faces.PIN))},
		{"a realm of no step", faces.Answers{"badge": {"badge": faces.Alice}}},
		{"a realm that does not exist", faces.Answers{"unknown": {}}},
		{"no name", faces.Answers{"": {}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.App(t)
			a.Ask("scope", "payments:write").Asks("password")
			refused := a.Answer(tt.answers).Refuses(http.StatusBadRequest, "invalid_request")
			for name := range tt.answers {
				if name != "" && strings.Contains(refused.Body, name) {
					t.Errorf("the answer is told to the app again: %s", refused.Body)
				}
			}
			if tries := w.Users.Tries(); len(tries) != 0 {
				t.Errorf("somebody judged %v", tries)
			}
			wantProven(t, w, faces.Alice)
			a.Answer(alice).Asks("pin")
		})
	}
}

// An answer counts once: it proves nothing in another request, and nothing a second time.
func TestReplayedAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("scope", "payments:write").Asks("password")
	before := a.Held
	a.Answer(alice).Asks("pin")
	a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_request") // the password is not being asked any more
	a.Answer(pin(faces.PIN)).Granted()
	a.Answer(pin(faces.PIN)).Refuses(http.StatusBadRequest, "invalid_request") // nothing is
	a.Held = before
	a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_session")
	equal(t, "sessions", len(sessions(t, w, faces.Alice)), 1)
}

const (
	refusedText = "We could not sign you in with those details. Check them and try again."
	busyText    = "We are very busy right now. Please try again in a moment."
)

// What an answer can lead to, what the app is told, and what is kept of it. Nobody is signed in by any of them.
func TestAnswersThatAreNotAccepted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, username, password string
		code, message            string
		retry                    int64
		stored, logged           []audit.Event
		observed                 string
	}{
		{"wrong password", "alice", "wrong", "refused", refusedText, 0,
			[]audit.Event{{Outcome: audit.Refused, Reason: "wrong_password", Subject: faces.Alice}}, nil, "refused"},
		{"nobody", "nobody", faces.Password, "refused", refusedText, 0,
			[]audit.Event{{Outcome: audit.Refused, Reason: "wrong_password"}}, nil, "refused"},
		{"throttled", "alice", faces.PasswordThrottled, "throttled", "", 30,
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "too_many"}}, "throttled"},
		{"busy", "alice", faces.PasswordBusy, "busy", busyText, 2,
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "queue_full"}}, "busy"},
		{"broken", "alice", faces.PasswordBroken, "unavailable", busyText, 0,
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "error"}}, "error"},
		{"panics", "alice", faces.PasswordPanic, "unavailable", busyText, 0,
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "error"}}, "error"},
		{"no judgement", "alice", faces.PasswordStrange, "refused", refusedText, 0,
			[]audit.Event{{Outcome: audit.Refused}}, nil, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.App(t)
			a.Ask()
			reply := a.Answer(faces.ByPassword(tt.username, tt.password)).Asks("password")
			asked := wantFailure(t, reply, "password", tt.code)
			equal(t, "retry_after", asked.Failure.RetryAfter, tt.retry)
			equal(t, "message", asked.Failure.Message, tt.message)
			if strings.Contains(reply.Body, faces.Leak) {
				t.Errorf("the reply tells too much:\n%s", reply.Body)
			}
			wantProven(t, w, faces.Alice)
			wantEvents(t, "stored", w.Trail.Stored(), tt.stored)
			wantEvents(t, "logged", w.Trail.Logged(), tt.logged)
			if diff := cmp.Diff([]string{"password:" + tt.observed}, w.Observed()); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
			a.Answer(alice).Granted()
		})
	}
}

// wantEvents compares events by what differs between attempts.
func wantEvents(t *testing.T, what string, got, want []audit.Event) {
	t.Helper()
	for i := range got {
		e := got[i]
		if e.Name != "login.attempt" || e.ClientID != "mobile" || e.ClientIP != "192.0.2.7" || e.RequestID == "" {
			t.Errorf("%s event is %+v", what, e)
		}
		got[i] = audit.Event{Outcome: e.Outcome, Reason: e.Reason, Subject: e.Subject}
	}
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s events (-want +got):\n%s", what, diff)
	}
}

// The count goes on through every request of one auth_session: asking anew is no way around it.
func TestTenWrongAnswersEndTheAuthSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	for range 9 {
		a.Ask().Asks("password")
		wantFailure(t, a.Answer(faces.ByPassword(faces.AliceLogin, "wrong")).Asks("password"), "password", "refused")
	}
	a.Answer(faces.ByPassword(faces.AliceLogin, "wrong")).Refuses(http.StatusBadRequest, "invalid_session")
	tries := len(w.Users.Tries())
	a.Ask().Refuses(http.StatusBadRequest, "invalid_session")
	a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_session")
	equal(t, "judged answers", len(w.Users.Tries()), tries)
	wantProven(t, w, faces.Alice)
	a.Held = ""
	a.Ask().Asks("password") // anew, it may begin
	a.Answer(alice).Granted()
}

// Who knows the password has no more guesses at the rest for proving it each time.
func TestGuessesAtTheSecondRealmAddUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	for range 9 {
		w.Clock.Advance(time.Second)
		a.Ask("scope", "payments:write", "prompt", "login").Asks("password")
		a.Answer(alice).Asks("pin")
		wantFailure(t, a.Answer(pin("0000")).Asks("pin"), "pin", "refused")
	}
	a.Ask("scope", "payments:write").Asks("pin")
	a.Answer(pin("0000")).Refuses(http.StatusBadRequest, "invalid_session")
	equal(t, "sessions", len(sessions(t, w, faces.Alice)), 1) // the person is not signed out
}

// Answers that were sent before the tenth wrong one was counted are too late when they are judged.
func TestARightAnswerAfterTheLimitIsTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("scope", "payments:write")
	for range 9 {
		a.Answer(faces.ByPassword(faces.AliceLogin, "wrong")).Asks("password")
	}
	last := *a
	w.Users.Meanwhile(func() {
		last.Answer(faces.ByPassword(faces.AliceLogin, "wrong")).Refuses(http.StatusBadRequest, "invalid_session")
	})
	a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_session")
	wantProven(t, w, faces.Alice)
}

// Answers that no login module has judged do not count: the request is not over because the server is busy.
func TestOnlyWrongAnswersCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask()
	for range 12 {
		for _, password := range []string{faces.PasswordThrottled, faces.PasswordBusy, faces.PasswordBroken} {
			a.Answer(faces.ByPassword(faces.AliceLogin, password)).Asks("password")
		}
	}
	a.Answer(alice).Granted()
}

// The limit by address is one with the pages': whatever the face, refused attempts add up.
func TestAddressThatIsRefusedTooOften(t *testing.T) {
	t.Parallel()
	w := faces.New(t, faces.Options{Failures: 3})
	a := w.App(t)
	a.Ask()
	for range 3 {
		wantFailure(t, a.Answer(faces.ByPassword(faces.AliceLogin, "wrong")), "password", "refused")
	}
	tries := len(w.Users.Tries())
	failed := wantFailure(t, a.Answer(alice), "password", "throttled")
	equal(t, "retry_after", failed.Failure.RetryAfter, 60)
	equal(t, "judged answers", len(w.Users.Tries()), tries)
	if page := w.Browser(t).Authorize(faces.Params()); page.Status != http.StatusOK {
		t.Fatalf("the page is %d", page.Status)
	}
	elsewhere := w.App(t)
	elsewhere.Header.Set("Test-Client-IP", "192.0.2.8")
	elsewhere.SignIn(faces.AliceLogin)
	w.Clock.Advance(time.Minute)
	a.Answer(alice).Granted()
}

func TestTooManyRequestsOfOneAddress(t *testing.T) {
	t.Parallel()
	limiter, err := limit.New(limit.Config{Burst: 2, Every: time.Minute, Keys: 10, Now: storagetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	w := faces.New(t, faces.Options{Limiter: limiter})
	a := w.App(t)
	a.Ask().Asks("password")
	a.Ask().Asks("password")
	held := a.Held
	refused := a.Ask().Refuses(http.StatusTooManyRequests, "temporarily_unavailable")
	equal(t, "Retry-After", refused.Header.Get("Retry-After"), "60")
	equal(t, "auth_session", a.Held, held)
	a.Answer(alice).Granted() // what was begun goes on
}

// What the client authenticates with is not taken for a person's by a realm that reads the same field.
func TestTheClientsSecretIsNotAPersons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Client = "till"
	a.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("till:secret")))
	asked := a.Ask("client_id", "", "scope", "openid", "acr_values", "basic").Asks("basic").Challenges["basic"]
	if asked.Failure != nil || len(asked.Fields) != 2 {
		t.Errorf("the realm says %+v", asked)
	}
	if tries := w.Users.Tries(); len(tries) != 0 {
		t.Errorf("somebody judged %v", tries)
	}
	a.Answer(faces.Answers{"basic": alice["password"]}, "client_id", "").Granted()
}
