// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/native"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// script is a realm that asks and judges as it is told.
type script struct {
	challenge *realm.Challenge // asked until there are answers
	result    realm.Result
	judged    int
	falls     bool // its proofs do not stand
	stands    int  // how often it is asked before they fall; zero is for ever
	mute      error
	further   bool // the challenge is asked whatever the answers
}

func (s *script) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if in.Fields == nil && s.mute != nil {
		return realm.Credentials{}, nil, s.mute
	}
	if s.challenge != nil && (in.Fields == nil || s.further) {
		return realm.Credentials{}, s.challenge, nil
	}
	return realm.Credentials{Values: in.Fields}, nil, nil
}

func (s *script) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	s.judged++
	return s.result, nil
}

func (s *script) Stands(realm.Proof) bool {
	if s.stands > 0 {
		s.stands--
		s.falls = s.stands == 0
		return true
	}
	return !s.falls
}

// scripted returns an app of an issuer that has one realm, and asks for it.
func scripted(t *testing.T, s *script) *faces.App {
	t.Helper()
	w := newWorld(t)
	engine, err := realm.New(realm.Config{
		Realms:   []*realm.Realm{{Name: "only", Authenticator: s, LoginModule: s, MaxAge: time.Hour}},
		Identity: []string{"only"},
	})
	if err != nil {
		t.Fatal(err)
	}
	judge, err := attempt.New(attempt.Config{Engine: engine, Trail: w.Trail, States: w.Store, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	h, err := native.New(native.Config{
		Store:   w.Store,
		Clients: &clientauth.Authenticator{Clients: w.Clients, Store: w.Store, Issuer: w.Issuer, Now: w.Clock.Now},
		Intake:  &intake.Reader{Engine: engine, Now: w.Store.Now}, Judge: judge, Sessions: w.Sessions, Texts: w.Pages,
		Logger: slog.New(slog.NewTextHandler(w.Log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return faces.AppOf(t, h, w.Issuer+authz.PathChallenge)
}

// What a realm asks arrives as it is meant: texts in the person's language, and no secret that was filled in.
func TestChallengeOnTheWire(t *testing.T) {
	t.Parallel()
	s := &script{
		challenge: &realm.Challenge{
			Fields: []realm.Field{
				{Name: "name", Label: "field.username", Value: "alice", Autocomplete: "username", InputMode: "email", Required: true},
				{Name: "code", Label: "The code on your card", Type: "number"},
				{Name: "secret", Label: "field.password", Type: "password", Value: "a secret that somebody filled in"},
				{Name: "kept", Type: "hidden", Value: "goes back as it came"},
			},
			Message: "login.missing", Refused: "That is not what your card says.", Template: "card.html",
			Data:   map[string]string{"challenge": "4711"},
			Notice: &realm.Notice{ID: "n-1", Text: "There is an update.", URL: "https://example.com/get"},
		},
		result: realm.Result{Status: realm.Refused},
	}
	a := scripted(t, s)
	got := a.Ask("scope", "openid", "ui_locales", "nl").Asks("only").Challenges["only"]
	want := &faces.Asked{
		Fields: []faces.AskedField{
			{Name: "name", Label: "Gebruikersnaam", Type: "text", Value: "alice", Autocomplete: "username", InputMode: "email", Required: true},
			{Name: "code", Label: "The code on your card", Type: "number"},
			{Name: "secret", Label: "Wachtwoord", Type: "password"},
			{Name: "kept", Type: "hidden", Value: "goes back as it came"},
		},
		Message: "Vul alle velden in.", Data: map[string]string{"challenge": "4711"},
		Notice: &faces.AskedNotice{ID: "n-1", Text: "There is an update.", URL: "https://example.com/get"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("challenge (-want +got):\n%s", diff)
	}
	failed := wantFailure(t, a.Answer(faces.Answers{"only": {}}), "only", "refused")
	equal(t, "message after a refusal", failed.Failure.Message, "That is not what your card says.")
	equal(t, "notice after a refusal", failed.Notice.ID, "n-1")
	s.result = realm.Result{Status: realm.Busy, RetryAfter: 1500 * time.Millisecond, Notice: &realm.Notice{Text: "We are closed."}}
	busy := wantFailure(t, a.Answer(faces.Answers{"only": {}}), "only", "busy")
	want.Failure = &faces.AskedFailure{
		Code: "busy", Message: "Het is nu erg druk. Probeer het zo meteen opnieuw.", RetryAfter: 2,
	}
	want.Notice = &faces.AskedNotice{Text: "We are closed."}
	if diff := cmp.Diff(want, busy); diff != "" {
		t.Errorf("challenge while it is busy (-want +got):\n%s", diff)
	}
}

// What a realm tells people whom it accepts reaches them: beside the code, and beside what the next realm asks.
func TestNoticeOfARealmThatAccepts(t *testing.T) {
	t.Parallel()
	s := &script{result: realm.Result{
		Status: realm.Accepted, Identity: realm.Identity{Subject: faces.Alice},
		Notice: &realm.Notice{ID: "n-1", Text: "There is an update.", URL: "https://example.com/get"},
	}}
	a := scripted(t, s)
	want := []faces.AskedNotice{{Realm: "only", ID: "n-1", Text: "There is an update.", URL: "https://example.com/get"}}
	s.falls = true
	reply := a.Ask("scope", "openid").Asks("only")
	if diff := cmp.Diff(want, reply.Notices); diff != "" {
		t.Errorf("notices beside a challenge (-want +got):\n%s", diff)
	}
	s.falls, a.Held = false, ""
	reply = a.Ask("scope", "openid")
	reply.Granted()
	if diff := cmp.Diff(want, reply.Notices); diff != "" {
		t.Errorf("notices beside the code (-want +got):\n%s", diff)
	}
	reply = a.Ask("scope", "openid") // nothing was judged
	reply.Granted()
	if len(reply.Notices) > 0 || strings.Contains(reply.Body, "notices") {
		t.Errorf("notices of nobody: %s", reply.Body)
	}
}

// A proof that falls in the instant before the code is asked for again: nothing is broken.
func TestAProofThatFallsBeforeTheCode(t *testing.T) {
	t.Parallel()
	s := &script{result: realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: faces.Alice}}, stands: 1}
	a := scripted(t, s)
	a.Ask("scope", "openid").Asks("only")
	equal(t, "its proofs fall", s.falls, true)
	s.falls = false
	a.Answer(faces.Answers{}).Granted()
}

// Whoever has an app that is switched off asks as often as he likes, and is told each time: that is no guessing.
func TestRefusalsThatAreNobodysFault(t *testing.T) {
	t.Parallel()
	off := realm.Result{Status: realm.Refused, Blameless: true, Notice: &realm.Notice{ID: "off", Text: "Please update."}}
	a := scripted(t, &script{result: off})
	a.Ask("scope", "openid")
	for range 12 {
		told := wantFailure(t, a.Answer(faces.Answers{"only": {"version": "1"}}).Asks("only"), "only", "refused")
		equal(t, "notice", told.Notice.ID, "off")
	}
}

// A proof that does not say who somebody is determines nobody, whatever the realm is called.
func TestAnIdentityRealmThatNamesNobody(t *testing.T) {
	t.Parallel()
	a := scripted(t, &script{result: realm.Result{Status: realm.Accepted}})
	wantFailure(t, a.Ask("scope", "openid").Asks("only"), "only", "refused")
	wantFailure(t, a.Answer(faces.Answers{"only": {}}).Asks("only"), "only", "refused")
}

// A proof that does not count leads to no code, and is not given over and over again within one call.
func TestAProofThatNeverCounts(t *testing.T) {
	t.Parallel()
	s := &script{result: realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: faces.Alice}}, falls: true}
	a := scripted(t, s)
	for n := 1; n <= 3; n++ {
		told := a.Ask("scope", "openid").Asks("only").Challenges["only"]
		if diff := cmp.Diff(&faces.Asked{}, told); diff != "" {
			t.Errorf("what it asks (-want +got):\n%s", diff)
		}
		equal(t, "judgements", s.judged, n)
	}
	s.falls = false
	a.Ask("scope", "openid").Granted()
}

// A realm that has refused and then cannot say what it asks is unavailable, and the app goes on with the others.
func TestARealmThatCannotAskAgain(t *testing.T) {
	t.Parallel()
	s := &script{challenge: &realm.Challenge{Message: "login.missing"}, result: realm.Result{Status: realm.Refused}}
	a := scripted(t, s)
	a.Ask("scope", "openid").Asks("only")
	s.mute = errors.New(mark)
	told := a.Answer(faces.Answers{"only": {}}).Asks("only")
	wantFailure(t, told, "only", "unavailable")
	if strings.Contains(told.Body, mark) {
		t.Errorf("the app is told what went wrong inside:\n%s", told.Body)
	}
}

// Wrong answers count against the app's session although the realm asks on, unless they are nobody's fault.
func TestWrongAnswersThatAreAskedFurther(t *testing.T) {
	t.Parallel()
	for _, blameless := range []bool{false, true} {
		s := &script{challenge: &realm.Challenge{Message: "Again.", Refusal: &realm.Refusal{Blameless: blameless}}, further: true}
		a := scripted(t, s)
		a.Ask("scope", "openid").Asks("only") // which counts here, as when a conversation begins anew
		for range 8 {
			a.Answer(faces.Answers{"only": {"code": "000000"}}).Asks("only")
		}
		if last := a.Answer(faces.Answers{"only": {"code": "000000"}}); blameless {
			last.Asks("only")
		} else {
			last.Refuses(http.StatusBadRequest, "invalid_session")
		}
		equal(t, "judgements", s.judged, 0)
	}
}
