// SPDX-License-Identifier: Apache-2.0

package adapterauth_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/adapterauth"
)

// wantGuess holds a challenge against why the answers before it count as a refusal; empty when they do not.
func wantGuess(t *testing.T, got realm.Attempt, reason string) {
	t.Helper()
	if got.Challenge == nil {
		t.Fatalf("nothing is asked: %+v", got.Result)
	}
	var counted string
	if got.Challenge.Refusal != nil {
		counted = got.Challenge.Refusal.Reason
		if got.Challenge.Refusal.Blameless {
			t.Error("the refusal counts against nobody")
		}
	}
	if counted != reason {
		t.Errorf("the answers are refused because of %q, want %q", counted, reason)
	}
}

// Wrong answers are guesses, whether the back end says so or asks the same once more.
func TestGuesses(t *testing.T) {
	t.Parallel()
	const (
		asksCodeOnceMore = `{"challenge":{"fields":[{"name":"code","label":"Code","type":"password","autocomplete":"one-time-code","required":true}],
			"message":"We sent you a code"},"state":"two and a half"}`
		waits = `{"challenge":{"message":"Approve on your phone"}}`
	)
	for _, tt := range []struct {
		name, first, next, reason string
	}{
		{"a mistake", asksCode, asksAgain, "wrong_answers"},
		{"the same once more", asksCode, asksCodeOnceMore, "wrong_answers"},
		{"another question", asksName, asksCode, ""},
		{"the same field in other words", `{"challenge":{"fields":[{"name":"code","label":"1st"}]}}`, `{"challenge":{"fields":[{"name":"code","label":"2nd"}]}}`, ""},
		{"the same field with another message", `{"challenge":{"fields":[{"name":"code","label":"x"}],"message":"1"}}`,
			`{"challenge":{"fields":[{"name":"code","label":"x"}],"message":"2"}}`, ""},
		{"waiting", waits, waits, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := newRealm(t, adapterauth.Config{}, tt.first, tt.next)
			wantGuess(t, p.begin(), "")
			got := p.answer("user", "12345678", "code", "000000")
			wantGuess(t, got, tt.reason)
			wantGuess(t, p.begin(), "") // the page is loaded anew
			if tt.reason != "" && got.Challenge.Further {
				t.Error("answers that are refused look good")
			}
		})
	}
}

// Whoever begins anew after answers that led to nothing may have been guessing.
func TestBeginningAnewIsAGuess(t *testing.T) {
	t.Parallel()
	p, _ := newRealm(t, adapterauth.Config{}, asksCode, "out of order", asksCode, asksCode)
	wantGuess(t, p.begin(), "")
	if _, err := p.attempt("partner", p.fields("code", "000000")); err == nil {
		t.Fatal("the back end is out of order, and answers")
	}
	p.asked = nil
	wantGuess(t, p.begin(), "begun_again")
	wantGuess(t, p.begin(), "")
	p.in.State = nil // what comes with a request of its own
	wantGuess(t, p.begin(), "")
}

// A mistake that a back end finds at once is nobody's guess: nothing was answered.
func TestAMistakeBeforeAnyAnswer(t *testing.T) {
	t.Parallel()
	p, b := newRealm(t, adapterauth.Config{}, asksAgain)
	wantGuess(t, p.begin(), "")
	wantGuess(t, p.answer("code", ""), "") // and what is missing is none either
	if len(b.questions()) != 1 {
		t.Error("the back end was asked about nothing")
	}
}
