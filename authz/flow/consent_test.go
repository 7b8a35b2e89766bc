// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// atConsent signs Alice in and brings her to the consent page.
func atConsent(t *testing.T, b *faces.Browser, params map[string]string) *faces.Page {
	t.Helper()
	page := b.Authorize(params)
	if strings.Contains(page.At, "/login") {
		page = b.Login(page, faces.AliceLogin)
	}
	wantConsent(t, page)
	return page
}

func TestConsentIsAskedAndRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := atConsent(t, b, third("scope", "openid email accounts:read"))
	for _, text := range []string{
		"Third &lt;Party&gt;", "Know who you are", "See your email address", "See your accounts", "third.example.org", "Alice",
	} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q:\n%s", text, page.Body)
		}
	}
	redeem(t, w, third(), b.Submit(page, "decision", "allow").Code())

	w.Clock.Advance(time.Minute)
	redeem(t, w, third(), b.Authorize(third("scope", "openid email accounts:read")).Code())
	redeem(t, w, third(), b.Authorize(third("scope", "openid", "prompt", "none")).Code())
	atConsent(t, b, third("scope", "openid profile"))      // more than was agreed to
	atConsent(t, b, third("prompt", "consent"))            // OIDC Core 3.1.2.1
	atConsent(t, w.Browser(t), third("prompt", "consent")) // with a login before it

	other := w.Browser(t) // nobody else has agreed
	wantConsent(t, other.Login(other.Authorize(third()), faces.BobLogin))

	if _, err := w.Store.WithdrawConsent(t.Context(), faces.Alice, "third"); err != nil {
		t.Fatal(err)
	}
	atConsent(t, b, third())
}

// The consent is withdrawn in another tab after it was looked at and before the code is made: the user is asked, and where
// nobody may be asked there is no code. Trusted clients rest on no consent.
func TestConsentIsWithdrawnMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		params map[string]string
		check  func(*testing.T, *faces.Page)
	}{
		{"asked", third(), func(t *testing.T, p *faces.Page) { wantConsent(t, p) }},
		{"not to be asked", third("prompt", "none"), func(t *testing.T, p *faces.Page) {
			wantError(t, p, oauth.ConsentRequired, third()["state"])
		}},
		{"trusted", faces.Params(), func(_ *testing.T, p *faces.Page) { p.Code() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.Submit(atConsent(t, b, third()), "decision", "allow").Code()
			w.BeforeUpdate(func() {
				if _, err := w.Store.WithdrawConsent(t.Context(), faces.Alice, "third"); err != nil {
					t.Error(err)
				}
			})
			tt.check(t, b.Authorize(tt.params))
			if grants, err := w.Store.GrantsOf(t.Context(), faces.Alice); err != nil || len(grants) != 0 && tt.name != "trusted" {
				t.Errorf("grants are left: %v (%v)", grants, err)
			}
		})
	}
}

func TestConsentOfTrustedClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	redeem(t, w, faces.Params(), b.Authorize(faces.Params()).Code())
	page := atConsent(t, b, faces.Params("prompt", "consent")) // but where the client wants it asked
	redeem(t, w, faces.Params(), b.Submit(page, "decision", "allow").Code())
}

// RFC 8252 8.6: what anybody on the device could claim to be is asked for each time.
func TestRFC8252_8_6_NoSilentConsent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, uri string
		again     bool
	}{
		{"loopback", "http://127.0.0.1:4711/cb", true},
		{"private-use scheme", "com.example.native:/cb", true},
		{"claimed https", "https://native.example.org/cb", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			params := faces.Params("client_id", "native", "redirect_uri", tt.uri)
			redeem(t, w, params, b.Submit(atConsent(t, b, params), "decision", "allow").Code())
			if !tt.again {
				redeem(t, w, params, b.Authorize(params).Code())
				return
			}
			atConsent(t, b, params)
			params["prompt"] = "none"
			wantError(t, b.Authorize(params), oauth.ConsentRequired, params["state"])
		})
	}
	t.Run("the operator's own app", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		b.SignIn(faces.AliceLogin)
		params := faces.Params("client_id", "own-app", "redirect_uri", "com.example.own:/cb")
		redeem(t, w, params, b.Authorize(params).Code())
	})
}

func TestConsentDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := atConsent(t, b, third())
	action, form := page.Form()
	wantError(t, b.Submit(page, "decision", "deny"), oauth.AccessDenied, third()["state"])
	form.Set("decision", "allow") // too late
	wantPage(t, b.Post(action, form), http.StatusBadRequest, "expired")
	if consents, err := w.Store.ConsentsOf(t.Context(), faces.Alice); err != nil || len(consents) != 0 {
		t.Errorf("a refusal left %v (%v)", consents, err)
	}
}

// RFC 6749 10.12: no other site can agree for the user.
func TestRFC6749_10_12_ForgedConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, eve := w.Browser(t), w.Browser(t)
	page := atConsent(t, b, third())
	_, theirs := atConsent(t, eve, third()).Form()
	_, earlier := atConsent(t, b, third()).Form()
	action, form := page.Form()
	for _, tt := range []struct{ name, token string }{
		{"no token", ""},
		{"a made up token", strings.Repeat("A", 43)},
		{"the token of another browser", theirs.Get("step")},
		{"the token of another request", earlier.Get("step")},
		{"half a token", form.Get("step")[:20]},
	} {
		for _, decision := range []string{"allow", "deny"} {
			got := b.Post(action, url.Values{"req": form["req"], "step": {tt.token}, "decision": {decision}})
			wantConsent(t, got) // asked again, and nothing happened
		}
	}
	for _, decision := range []string{"", "perhaps"} {
		got := b.Post(action, url.Values{"req": form["req"], "step": form["step"], "decision": {decision}})
		wantConsent(t, got)
	}
	wantPage(t, eve.Post(action, url.Values{"req": form["req"], "step": form["step"], "decision": {"allow"}}),
		http.StatusForbidden, "cookie")
	redeem(t, w, third(), b.Submit(page, "decision", "allow").Code())
}

// A form that was shown to one user does not act for the next one in the same browser.
func TestConsentOfTheUserBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := atConsent(t, b, third())
	anew := b.Authorize(faces.Params("prompt", "login"))
	w.Clock.Advance(time.Second)
	b.Login(anew, faces.BobLogin).Code()
	again := b.Submit(page, "decision", "allow")
	wantConsent(t, again)
	if !strings.Contains(again.Body, "Bob") {
		t.Error("the question is not put to Bob")
	}
	if got := redeem(t, w, third(), b.Submit(again, "decision", "allow").Code()).Grant.Subject; got != faces.Bob {
		t.Errorf("the grant is %s's", got)
	}
}

// What is proven may lapse while the question is on the screen.
func TestConsentAfterALongPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	params := third("max_age", "60", "scope", "payments:write")
	page := b.Submit(b.Login(b.Authorize(params), faces.AliceLogin), "pin", faces.PIN)
	wantConsent(t, page)
	w.Clock.Advance(5*time.Minute + time.Second)
	page = b.Submit(page, "decision", "allow")
	wantLogin(t, page) // the PIN counts for five minutes
	page = b.Submit(page, "pin", faces.PIN)
	wantConsent(t, page)
	redeem(t, w, params, b.Submit(page, "decision", "allow").Code())
}

func TestConsentPageOutOfTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	_, form := b.Authorize(third()).Form()
	wantLogin(t, b.Get("/consent?req="+form.Get("req"))) // nobody is signed in yet
	b.SignIn(faces.AliceLogin)
	wantConsent(t, b.Get("/consent?req="+form.Get("req")))
	_, own := b.Authorize(faces.Params("prompt", "login")).Form()
	wantLogin(t, b.Get("/consent?req="+own.Get("req")))

	local := b.Get("/account")
	if local.Status != http.StatusOK {
		t.Fatalf("status %d", local.Status)
	}
	_, request := w.Browser(t).Get("/account").Form()
	wantPage(t, b.Get("/consent?req="+request.Get("req")), http.StatusForbidden, "cookie")
}

func TestALocalRequestAsksForNoConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	_, form := b.Get("/account").Form()
	wantPage(t, b.Get("/consent?req="+form.Get("req")), http.StatusBadRequest, "expired")
}

func TestConsentIsOnTheTrail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ decision, outcome string }{{"allow", audit.Accepted}, {"deny", audit.Refused}} {
		t.Run(tt.decision, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.Submit(atConsent(t, b, third()), "decision", tt.decision)
			events := w.Trail.Stored()
			got := events[len(events)-1]
			want := audit.Event{
				Name: "consent", Outcome: tt.outcome, Reason: "openid accounts:read", Subject: faces.Alice, ClientID: "third",
				SessionID: strings.Split(b.Cookie("session"), ".")[0], ClientIP: "192.0.2.7", RequestID: "rid-test",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("unexpected event (-want +got):\n%s", diff)
			}
		})
	}
}

// What could not be put on the trail does not happen.
func TestNoConsentWithoutTheTrail(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{"allow", "deny"} {
		w := newWorld(t)
		b := w.Browser(t)
		page := atConsent(t, b, third())
		w.Trail.Fail(errors.New("no trail: " + faces.Leak))
		wantError(t, b.Submit(page, "decision", decision), oauth.ServerError, third()["state"])
		if consents, err := w.Store.ConsentsOf(t.Context(), faces.Alice); err != nil || len(consents) != 0 {
			t.Errorf("%s: there is a consent: %v (%v)", decision, consents, err)
		}
	}
}
