// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// The model that requests are held against. It knows nothing of the engine.
var (
	ages     = map[string]time.Duration{"password": time.Hour, "pin": 5 * time.Minute, "riddle": time.Hour}
	byScope  = map[string][]string{"accounts:read": {"password"}, "payments:write": {"password", "pin"}, "riddles": {"password", "riddle"}, "riddle-first": {"riddle", "password", "pin"}}
	byLevel  = map[string][]string{"": nil, "silver": {"password"}, "gold": {"password", "pin"}, "password": {"password"}, "pin": {"pin"}, "riddle": {"riddle"}}
	logins   = map[string]string{faces.AliceLogin: faces.Alice, faces.BobLogin: faces.Bob}
	prompts  = []string{"", "login", "select_account"}
	maxAges  = []string{"", "0", "60"}
	pauses   = []time.Duration{time.Millisecond, time.Second, 2 * time.Minute, 6 * time.Minute, 20 * time.Minute, 61 * time.Minute}
	subjects = []string{faces.Alice, faces.Bob}
)

// event is a right answer that the server did not turn away.
type event struct {
	realm, who string // who is empty while nobody is known
	at         time.Time
	request    int
}

// actor is one app, and what its person has rightly answered.
type actor struct {
	*faces.App
	w       *faces.World
	old     []string // handles from before
	asked   *faces.Reply
	request int
	needs   []string
	since   time.Time // proofs from before do not count
	events  []event
	who     string
}

func (a *actor) now() time.Time { return a.w.Store.Now() }

// begin asks for something at random.
func (a *actor) begin(t *rapid.T) {
	scope := rapid.SampledFrom([]string{"accounts:read", "payments:write", "riddles", "riddle-first"}).Draw(t, "scope")
	level := rapid.SampledFrom([]string{"", "gold", "riddle"}).Draw(t, "level")
	prompt, age := rapid.SampledFrom(prompts).Draw(t, "prompt"), rapid.SampledFrom(maxAges).Draw(t, "max_age")
	a.request++
	a.needs, a.since = slices.Concat([]string{"password"}, byScope[scope], byLevel[level]), time.Time{}
	switch {
	case prompt != "" || age == "0":
		a.since = a.now()
	case age == "60":
		a.since = a.now().Add(-time.Minute)
	}
	a.took(t, a.Ask("scope", scope, "acr_values", level, "prompt", prompt, "max_age", age), nil)
}

// answer answers what was asked last, rightly or wrongly.
func (a *actor) answer(t *rapid.T) {
	if a.asked == nil || len(a.asked.Challenges) == 0 {
		t.Skip("nothing is asked")
	}
	right := rapid.Bool().Draw(t, "right")
	login := rapid.SampledFrom([]string{faces.AliceLogin, faces.BobLogin}).Draw(t, "login")
	answers, wrong := faces.Answers{}, []string(nil)
	for name := range a.asked.Challenges {
		given := right || rapid.Bool().Draw(t, "right "+name)
		answers[name] = reply(name, login, given)
		if !given {
			wrong = append(wrong, name)
		}
	}
	who := []string{logins[login]}
	if asked := a.asked.Challenges["password"]; asked != nil && len(asked.Fields) == 1 {
		// The name is not asked of somebody who is known, and does not count as long as he is.
		who = append(who, a.session(t).Subject)
	}
	got := a.Answer(answers)
	for _, name := range wrong {
		// The first question of the riddle takes any answer; what is wrong is asked again all the same.
		if got.Status == http.StatusOK || got.Status == http.StatusForbidden && got.Challenges[name] == nil {
			t.Fatalf("a wrong answer to %s leads on: %s", name, got.Body)
		}
	}
	a.took(t, got, answers, who...)
}

func reply(name, login string, right bool) map[string]string {
	switch {
	case name == "password" && right:
		return faces.ByPassword(login, faces.Password)["password"]
	case name == "password":
		return map[string]string{"username": login, "password": "wrong"}
	case name == "pin":
		return map[string]string{"pin": map[bool]string{true: faces.PIN, false: "9999"}[right]}
	}
	return map[string]string{"answer": map[bool]string{true: "blue", false: "red"}[right]}
}

// took records what the server made of a call, and holds a code against it.
func (a *actor) took(t *rapid.T, got *faces.Reply, answers faces.Answers, who ...string) {
	if got.Status >= http.StatusInternalServerError {
		t.Fatalf("it is not the app's fault: %d %s", got.Status, got.Body)
	}
	if got.Status != http.StatusOK && got.Status != http.StatusForbidden {
		a.asked = nil
		return
	}
	session := a.session(t)
	a.asked, a.who = got, session.Subject
	if _, login := answers["password"]; login && got.Challenges["password"] == nil {
		if a.who == "" || !slices.Contains(who, a.who) {
			t.Fatalf("%q is signed in by the password of %q", a.who, who)
		}
		a.login()
	}
	for name := range answers {
		if got.Challenges[name] == nil {
			e := event{name, a.who, a.now(), a.request}
			if !session.Proofs[name].Time.Equal(e.at) {
				e.who = "" // it waits with the request, since nobody was expected
			}
			a.events = append(a.events, e)
		}
	}
	if got.Code != "" {
		a.judge(t, got.Code)
	}
}

// session returns the session that the app has, if it lives.
func (a *actor) session(t *rapid.T) authz.Session {
	handle, _ := authz.ParseAuthSessionHandle(a.Held)
	held, err := a.w.Store.AuthSession(t.Context(), handle, a.Client)
	if err != nil {
		t.Fatalf("the app holds nothing: %v", err)
	}
	session, err := a.w.Store.Session(t.Context(), held.SessionID)
	if err != nil && !authz.Gone(err) {
		t.Fatal(err)
	}
	return session
}

// login makes what was proven before anybody was known, in this request, that of whoever it is now.
func (a *actor) login() {
	for i := range a.events {
		if a.events[i].who == "" && a.events[i].request == a.request {
			a.events[i].who = a.who
		}
	}
}

// judge holds a code against what was rightly answered.
func (a *actor) judge(t *rapid.T, code string) {
	result, err := a.w.Store.Redeem(t.Context(), authz.Redemption{Code: code, ClientID: a.Client, Verifier: faces.Verifier})
	if err != nil || result.Outcome != authz.Redeemed {
		t.Fatalf("the code is %q (%v)", result.Outcome, err)
	}
	authn := result.Grant.Authn
	proven := func(name string, at time.Time) bool {
		return slices.ContainsFunc(a.events, func(e event) bool { return e.realm == name && e.who == authn.Subject && e.at.Equal(at) })
	}
	for name, at := range authn.Realms {
		if !proven(name, at) || a.now().Sub(at) > ages[name] || at.Before(a.since) {
			t.Fatalf("the code claims %s at %s, which was not proven then: %+v", name, at, a.events)
		}
	}
	levels, known := byLevel[authn.ACR]
	for _, name := range slices.Concat(a.needs, levels) {
		if authn.Realms[name].IsZero() {
			t.Fatalf("the code for %v at %q came without %s: %+v", a.needs, authn.ACR, name, authn)
		}
	}
	if !known || authn.ACR == "" {
		t.Fatalf("the code claims the level %q", authn.ACR)
	}
}

// forget has the app begin as one that was never here.
func (a *actor) forget() { a.Held, a.asked, a.events, a.who = "", nil, nil, "" }

// intrude tries handles that are not this app's present one: they lead nowhere.
func (a *actor) intrude(t *rapid.T, other *actor) {
	handles := slices.DeleteFunc(append(slices.Clone(a.old), other.Held), func(h string) bool { return h == "" || h == a.Held })
	if len(handles) == 0 {
		t.Skip("there is none")
	}
	foreign := *a.App
	foreign.Held = rapid.SampledFrom(handles).Draw(t, "handle")
	for _, got := range []*faces.Reply{foreign.Ask(), foreign.Answer(alice), foreign.Answer(pin(faces.PIN))} {
		if got.Status != http.StatusBadRequest || got.Error != "invalid_session" {
			t.Fatalf("a handle that is not good leads to %d %s", got.Status, got.Body)
		}
	}
}

// finish answers everything rightly: whatever happened before, there is a way to a code.
func (a *actor) finish(t *rapid.T) {
	if a.begin(t); a.asked == nil { // its handle is too old
		a.forget()
		a.begin(t)
	}
	who := a.who
	if who == "" {
		who = faces.Alice
	}
	for range 8 {
		if a.asked == nil {
			t.Fatal("a right answer is turned away")
		}
		if a.asked.Code != "" {
			return
		}
		answers := faces.Answers{}
		for name := range a.asked.Challenges {
			answers[name] = reply(name, strings.TrimPrefix(who, "usr_"), true)
		}
		a.took(t, a.Answer(answers), answers, who)
	}
	t.Fatalf("there is no way to a code: %s", a.asked.Body)
}

// Whatever apps send in whatever order, no code is issued before every realm that it needs was rightly answered in that
// session, and none claims more than was proven.
func TestNoCodeBeforeEveryRealmIsProven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		actors := []*actor{{App: w.App(t), w: w}, {App: w.App(t), w: w}}
		actors[1].Client = "tablet"
		some := func(rt *rapid.T) (one, other *actor) {
			i := rapid.IntRange(0, 1).Draw(rt, "app")
			return actors[i], actors[1-i]
		}
		// one lets an app act and keeps the handle that it had, when another one has taken its place.
		one := func(act func(a *actor, rt *rapid.T)) func(*rapid.T) {
			return func(rt *rapid.T) {
				a, _ := some(rt)
				before := a.Held
				act(a, rt)
				id, _, _ := strings.Cut(before, ".")
				if before != a.Held && before != "" && strings.HasPrefix(a.Held, id+".") {
					a.old = append(a.old, before)
				}
			}
		}
		forget := func(subject string) {
			for _, a := range actors {
				a.events = slices.DeleteFunc(a.events, func(e event) bool { return e.who == subject })
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"begin":   one((*actor).begin),
			"answer":  one((*actor).answer),
			"answer2": one((*actor).answer), // as often again
			"forget":  one(func(a *actor, _ *rapid.T) { a.forget() }),
			"intrude": func(rt *rapid.T) { a, b := some(rt); a.intrude(rt, b) },
			"wait":    func(rt *rapid.T) { w.Clock.Advance(rapid.SampledFrom(pauses).Draw(rt, "pause")) },
			"end": func(rt *rapid.T) {
				subject := rapid.SampledFrom(subjects).Draw(rt, "user")
				for _, s := range sessions(t, w, subject) {
					if _, err := w.Store.EndSession(t.Context(), s.ID); err != nil {
						rt.Fatal(err)
					}
				}
				forget(subject)
			},
			"revoke": func(rt *rapid.T) {
				subject := rapid.SampledFrom(subjects).Draw(rt, "user")
				if _, err := w.Store.Revoke(t.Context(), authz.KindSubject, subject); err != nil {
					rt.Fatal(err)
				}
				forget(subject)
			},
		})
		w.Clock.Advance(time.Second)
		for _, a := range actors {
			a.finish(rt)
		}
	})
}
