// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// sessions returns the ids of a user's sessions.
func sessions(t *testing.T, w *faces.World, subject string) (ids []string) {
	t.Helper()
	all, err := w.Store.SessionsOf(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return ids
}

// signedIn returns an app in which alice is signed in.
func signedIn(t *testing.T, w *faces.World) *faces.App {
	t.Helper()
	a := w.App(t)
	a.SignIn(faces.AliceLogin)
	return a
}

// wantOffer checks that the browser is asked whether to go on as alice.
func wantOffer(t *testing.T, p *faces.Page, says ...string) {
	t.Helper()
	if !strings.Contains(p.At, authz.PathContinue+"?") {
		t.Fatalf("the browser is at %s (%d, left %v), want the page that asks", p.At, p.Status, p.Left)
	}
	for _, text := range append(says, "Alice", "mobile") {
		wantPage(t, p, http.StatusOK, text)
	}
}

// What was proven in the app counts in the browser from the moment the person says so: one session, and nothing asked again that is
// fresh. What is missing is asked, and then counts in the app.
func TestHandover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := signedIn(t, w)
	sid := sessions(t, w, faces.Alice)[0]
	b := w.Browser(t)
	page := b.Get(a.Pushed(a.Push()))
	wantOffer(t, page)
	if strings.Contains(page.Body, "signed out") || b.Cookie("session") != "" {
		t.Errorf("somebody is signed in before the answer:\n%s", page.Body)
	}
	page = b.Submit(page, "decision", "allow")
	if got := page.Answer(); page.Left.Scheme != "com.example.mobile" || got.Get("state") != "st-1" || got.Get("code") == "" {
		t.Fatalf("the browser was sent to %v", page.Left)
	}
	if id, _, _ := strings.Cut(b.Cookie("session"), "."); id != sid || !slices.Equal(sessions(t, w, faces.Alice), []string{sid}) {
		t.Errorf("the browser holds %q, the sessions are %v, want %q", id, sessions(t, w, faces.Alice), sid)
	}
	b.Authorize(faces.Params()).Code() // another application, and nothing is asked
	w.Clock.Advance(time.Minute)
	page = b.Authorize(faces.Params("scope", "payments:write"))
	wantPage(t, page, http.StatusOK, `name="pin"`)
	b.Submit(page, "pin", faces.PIN).Code()
	a.Ask("scope", "payments:write").Granted() // proven in the browser
	stored := w.Trail.Stored()
	var told []audit.Event
	for _, e := range stored {
		if e.Name == "session.continued" {
			told = append(told, e)
		}
	}
	if len(told) != 1 || told[0].Outcome != audit.Accepted || told[0].Subject != faces.Alice || told[0].SessionID != sid || told[0].ClientID != "mobile" {
		t.Errorf("the trail tells %+v", told)
	}
}

// What the request needs beyond what the app has proven is asked after the page, in the same session.
func TestHandoverToMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := signedIn(t, w)
	b := w.Browser(t)
	page := b.Get(a.Pushed(a.Push("scope", "payments:write")))
	wantOffer(t, page)
	page = b.Submit(page, "decision", "allow")
	wantPage(t, page, http.StatusOK, `name="pin"`)
	b.Submit(page, "pin", faces.PIN).Code()
	if got := sessions(t, w, faces.Alice); len(got) != 1 {
		t.Errorf("the sessions are %v", got)
	}
}

// A browser that somebody else is signed in with says so; the session of that person ends, and the gates know.
func TestHandoverInSomebodyElsesBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := signedIn(t, w)
	b := w.Browser(t)
	b.SignIn(faces.BobLogin)
	theirs := sessions(t, w, faces.Bob)
	page := b.Get(a.Pushed(a.Push()))
	wantOffer(t, page, "Bob", "signed out")
	if got := sessions(t, w, faces.Bob); !slices.Equal(got, theirs) {
		t.Errorf("the session ends before the answer: %v", got)
	}
	b.Submit(page, "decision", "allow").Code()
	if got := sessions(t, w, faces.Bob); len(got) > 0 {
		t.Errorf("the sessions left are %v", got)
	}
	if told := w.Applied(); len(told) != 1 || told[0].Kind != authz.KindSession || told[0].Target != theirs[0] {
		t.Errorf("the gates were told of %+v", told)
	}
}

// Nobody is signed in without saying so: not by the link, not by a form from elsewhere, and not by no.
func TestNobodyIsHandedOverSilently(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		send func(b *faces.Browser, action string, form url.Values) *faces.Page
		want func(t *testing.T, p *faces.Page)
	}{
		{"without a token", func(b *faces.Browser, action string, form url.Values) *faces.Page {
			form.Del("step")
			return b.Post(action, form)
		}, func(t *testing.T, p *faces.Page) { wantOffer(t, p) }},
		{"with the token of another step", func(b *faces.Browser, action string, form url.Values) *faces.Page {
			form.Set("step", strings.Repeat("A", 43))
			return b.Post(action, form)
		}, func(t *testing.T, p *faces.Page) { wantOffer(t, p) }},
		{"with the answer in the address", func(b *faces.Browser, action string, form url.Values) *faces.Page {
			return b.Get(action + "?" + form.Encode())
		}, func(t *testing.T, p *faces.Page) { wantOffer(t, p) }},
		{"from another site", func(b *faces.Browser, action string, form url.Values) *faces.Page {
			b.Header.Set("Sec-Fetch-Site", "cross-site")
			defer b.Header.Del("Sec-Fetch-Site")
			return b.Post(action, form)
		}, func(t *testing.T, p *faces.Page) { wantPage(t, p, http.StatusForbidden, "access_denied") }},
		{"with a form from before somebody signed in", func(b *faces.Browser, action string, form url.Values) *faces.Page {
			b.SignIn(faces.BobLogin)
			return b.Post(action, form)
		}, func(t *testing.T, p *faces.Page) { wantOffer(t, p, "Bob") }},
		{"with no answer", func(b *faces.Browser, action string, form url.Values) *faces.Page {
			form.Del("decision")
			return b.Post(action, form)
		}, func(t *testing.T, p *faces.Page) { wantOffer(t, p) }},
		{"with a no", func(b *faces.Browser, action string, form url.Values) *faces.Page {
			form.Set("decision", "deny")
			return b.Post(action, form)
		}, func(t *testing.T, p *faces.Page) { wantError(t, p, oauth.AccessDenied, "st-1") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := signedIn(t, w)
			b := w.Browser(t)
			page := b.Get(a.Pushed(a.Push()))
			wantOffer(t, page)
			action, form := page.Form()
			form.Set("decision", "allow")
			before := sessions(t, w, faces.Alice)
			tt.want(t, tt.send(b, action, form))
			if id, _, _ := strings.Cut(b.Cookie("session"), "."); slices.Contains(before, id) {
				t.Error("the browser is signed in")
			}
		})
	}
}

// An offer that is gone says so, whatever has ended it, and signs nobody in; neither when the page is opened nor when it is answered.
func TestOffersThatAreGone(t *testing.T) {
	t.Parallel()
	ends := map[string]func(t *testing.T, w *faces.World, a *faces.App){
		"logged out": func(t *testing.T, w *faces.World, _ *faces.App) {
			if _, err := w.Store.EndSession(t.Context(), sessions(t, w, faces.Alice)[0]); err != nil {
				t.Fatal(err)
			}
		},
		"locked": func(t *testing.T, w *faces.World, _ *faces.App) {
			w.Clock.Advance(time.Second)
			if _, err := w.Store.Revoke(t.Context(), authz.KindSubject, faces.Alice); err != nil {
				t.Fatal(err)
			}
		},
		"withdrawn": func(t *testing.T, w *faces.World, _ *faces.App) {
			if _, err := w.Store.WithdrawConsent(t.Context(), faces.Alice, "mobile"); err != nil {
				t.Fatal(err)
			}
		},
		"somebody else in the app": func(_ *testing.T, w *faces.World, a *faces.App) {
			w.Clock.Advance(time.Second)
			a.Ask("prompt", "login")
			a.Answer(faces.ByPassword(faces.BobLogin, faces.Password)).Granted()
		},
	}
	for name, end := range ends {
		for _, when := range []string{"before it is opened", "before it is answered"} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				a := signedIn(t, w)
				address := a.Pushed(a.Push())
				b := w.Browser(t)
				var page *faces.Page
				if when == "before it is opened" {
					end(t, w, a)
					page = b.Get(address)
				} else {
					page = b.Get(address)
					wantOffer(t, page)
					end(t, w, a)
					page = b.Submit(page, "decision", "allow")
				}
				wantPage(t, page, http.StatusBadRequest, "This page has expired")
				if b.Cookie("session") != "" {
					t.Error("the browser has a session")
				}
				wantPage(t, b.Get(address), http.StatusBadRequest, "This page has expired")
			})
		}
	}
}

// What ends between the page and the answer's transaction is gone as well.
func TestOfferThatEndsWhileItIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := signedIn(t, w)
	b := w.Browser(t)
	page := b.Get(a.Pushed(a.Push()))
	w.BeforeUpdate(func() {
		if _, err := w.Store.EndSession(t.Context(), sessions(t, w, faces.Alice)[0]); err != nil {
			t.Error(err)
		}
	})
	wantPage(t, b.Submit(page, "decision", "allow"), http.StatusBadRequest, "This page has expired")
	if b.Cookie("session") != "" {
		t.Error("the browser has a session")
	}
}

// Of two browsers that open one address one is asked; of two answers of that one, one counts.
func TestOneBrowserIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := signedIn(t, w)
	address := a.Pushed(a.Push())
	asked := make(chan *faces.Page, 8)
	browsers := make([]*faces.Browser, cap(asked))
	var group sync.WaitGroup
	for i := range browsers {
		browsers[i] = w.Browser(t)
		group.Go(func() { asked <- browsers[i].Get(address) })
	}
	group.Wait()
	close(asked)
	open := 0
	for page := range asked {
		if page.Status == http.StatusOK {
			wantOffer(t, page)
			open++
		} else {
			wantPage(t, page, http.StatusBadRequest, "This page has expired")
		}
	}
	if open != 1 {
		t.Errorf("%d browsers are asked", open)
	}

	b := w.Browser(t)
	page := b.Get(a.Pushed(a.Push()))
	action, form := page.Form()
	form.Set("decision", "allow")
	b.Post(action, form).Code()
	wantPage(t, b.Post(action, form), http.StatusBadRequest, "This page has expired")
}

// The next browser has the session, and the one before has none any more: one cookie is good at a time.
func TestHandoverFromBrowserToBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := signedIn(t, w)
	first, second := w.Browser(t), w.Browser(t)
	for _, b := range []*faces.Browser{first, second} {
		b.Submit(b.Get(a.Pushed(a.Push())), "decision", "allow").Code()
	}
	wantLogin(t, first.Authorize(faces.Params()))
	second.Authorize(faces.Params()).Code()
	second.Get(a.Pushed(a.Push())).Code() // it is there already, and nobody is asked
	second.Authorize(faces.Params()).Code()
}

// Whatever is wrong with what an app wants to hand over, it hears the same.
func TestOffersThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, w *faces.World, a *faces.App) []string
		code   oauth.Code
	}{
		{"malformed", func(*testing.T, *faces.World, *faces.App) []string { return []string{"auth_session", "nonsense"} }, oauth.InvalidSession},
		{"of another client", func(_ *testing.T, _ *faces.World, a *faces.App) []string {
			a.Client = "tablet"
			return nil
		}, oauth.InvalidSession},
		{"with a secret from before", func(_ *testing.T, w *faces.World, a *faces.App) []string {
			old := a.Held
			w.Clock.Advance(time.Second)
			a.Ask("prompt", "login")
			a.Answer(faces.ByPassword(faces.AliceLogin, faces.Password)).Granted()
			return []string{"auth_session", old}
		}, oauth.InvalidSession},
		{"of nobody", func(_ *testing.T, _ *faces.World, a *faces.App) []string {
			a.Held = ""
			a.Ask().Asks("password")
			return nil
		}, oauth.InvalidSession},
		{"of a session that has ended", func(t *testing.T, w *faces.World, _ *faces.App) []string {
			if _, err := w.Store.EndSession(t.Context(), sessions(t, w, faces.Alice)[0]); err != nil {
				t.Error(err)
			}
			return nil
		}, oauth.InvalidSession},
		{"where nobody may be asked", func(*testing.T, *faces.World, *faces.App) []string { return []string{"prompt", "none"} }, oauth.InvalidRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := signedIn(t, w)
			got := a.Push(tt.change(t, w, a)...)
			got.Refuses(http.StatusBadRequest, string(tt.code))
			if tt.code == oauth.InvalidSession && got.Description != "auth_session is not valid any more" {
				t.Errorf("the app hears %q", got.Description)
			}
		})
	}
}

// Nothing of the address or the page gets into the log.
func TestTheLogHoldsNoHandover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := signedIn(t, w)
	pushed := a.Push()
	b := w.Browser(t)
	b.Submit(b.Get(a.Pushed(pushed)), "decision", "allow").Code()
	b.Get(a.Pushed(pushed))
	_, secret, _ := strings.Cut(pushed.RequestURI, ".")
	_, held, _ := strings.Cut(a.Held, ".")
	for _, s := range []string{secret, held, b.Cookie("session"), b.Cookie("browser")} {
		if s == "" || strings.Contains(w.Log.String(), s) {
			t.Errorf("the log holds %q:\n%s", s, w.Log)
		}
	}
}
