// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/session"
)

func TestStepTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	mine, _ := w.browser(t)
	other, _ := w.browser(t)
	token := mine.Token(session.StepConsent, "req_a", "ses_a")
	for _, tt := range []struct {
		name             string
		browser          session.Browser
		token            string
		step             session.Step
		request, session string
		want             bool
	}{
		{"its own", mine, token, session.StepConsent, "req_a", "ses_a", true},
		{"another browser", other, token, session.StepConsent, "req_a", "ses_a", false},
		{"no browser", session.Browser{}, token, session.StepConsent, "req_a", "ses_a", false},
		{"the token of no browser", session.Browser{}, session.Browser{}.Token(session.StepConsent, "req_a", "ses_a"),
			session.StepConsent, "req_a", "ses_a", false},
		{"another step", mine, token, session.StepContinue, "req_a", "ses_a", false},
		{"a narrower step", mine, token, session.StepConsent.For("x"), "req_a", "ses_a", false},
		{"another request", mine, token, session.StepConsent, "req_b", "ses_a", false},
		{"another session", mine, token, session.StepConsent, "req_a", "ses_b", false},
		{"after the session", mine, token, session.StepConsent, "req_a", "", false},
		{"parts moved", mine, token, session.StepConsent, "req_", "ases_a", false},
		{"no token", mine, "", session.StepConsent, "req_a", "ses_a", false},
		{"shortened", mine, token[:len(token)-1], session.StepConsent, "req_a", "ses_a", false},
		{"lengthened", mine, token + "A", session.StepConsent, "req_a", "ses_a", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.browser.Allows(tt.token, tt.step, tt.request, tt.session); got != tt.want {
				t.Errorf("Allows = %v, want %v", got, tt.want)
			}
		})
	}
}

// A token stands for one step, one request and one session: no two of them, however cut, share a token.
func TestStepTokensAreInjective(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b, _ := w.browser(t)
	part := rapid.StringMatching(`[a:_|]{0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		one := [3]string{part.Draw(t, "step"), part.Draw(t, "request"), part.Draw(t, "session")}
		two := [3]string{part.Draw(t, "step"), part.Draw(t, "request"), part.Draw(t, "session")}
		token := b.Token(session.Step(one[0]), one[1], one[2])
		if got := b.Allows(token, session.Step(two[0]), two[1], two[2]); got != (one == two) {
			t.Fatalf("the token of %q allows %q: %v", one, two, got)
		}
	})
}

func TestAnUnknownBrowserOwnsNothing(t *testing.T) {
	t.Parallel()
	if got := (session.Browser{}).Hash(); got != "" {
		t.Errorf("Hash = %q, want nothing", got)
	}
}
