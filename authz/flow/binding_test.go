// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// CVE-2022-39222: whoever sees an address of the flow cannot finish it in another browser, signed in or not.
func TestCVE_2022_39222_AnotherBrowserCannotGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	victim, thief := w.Browser(t), w.Browser(t)
	thief.SignIn(faces.BobLogin)
	login := victim.Authorize(third())
	_, form := login.Form()
	consent := victim.Login(login, faces.AliceLogin)
	wantConsent(t, consent)
	_, agreed := consent.Form()
	newcomer := w.Browser(t)
	for _, address := range []string{
		login.At, consent.At, "/authorize?req=" + form.Get("req"), "/authorize?req=" + form.Get("req") + "&step=" + form.Get("step"),
		"/authorize?req=" + form.Get("req") + "&stop=" + agreed.Get("step"),
	} {
		wantPage(t, thief.Get(address), http.StatusForbidden, "cookie")
		wantPage(t, newcomer.Get(address), http.StatusForbidden, "cookie")
	}
	if len(newcomer.Cookies()) != 0 {
		t.Error("a stranger's visit to the flow left a cookie")
	}
	form.Set("username", faces.BobLogin)
	form.Set("password", faces.Password)
	wantPage(t, thief.Post("/login", form), http.StatusForbidden, "cookie")
	agreed.Set("decision", "allow")
	wantPage(t, thief.Post("/consent", agreed), http.StatusForbidden, "cookie")
	redeem(t, w, third(), victim.Submit(consent, "decision", "allow").Code()) // and the victim is not disturbed
}

// Two browsers come for a request that is bound to nobody at the same moment: one gets it.
func TestARequestIsBoundOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := url.Values{}
	for name, value := range faces.Params() {
		form.Set(name, value)
	}
	parked := w.Browser(t).Send(http.MethodPost, "/authorize", form).Header.Get("Location")
	first, second := w.Browser(t), w.Browser(t)
	second.SignIn(faces.BobLogin)
	var page *faces.Page
	w.BeforeUpdate(func() { page = first.Get(parked) })
	wantPage(t, second.Get(parked), http.StatusForbidden, "cookie")
	redeem(t, w, faces.Params(), first.Login(page, faces.AliceLogin).Code())
}

// GHSA-f24x-5g9q-753f: what an attacker put into the browser before is worth nothing after the login.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	attacker, victim := w.Browser(t), w.Browser(t)
	attacker.SignIn(faces.BobLogin)
	planted := attacker.Cookie("session")
	// The victim's browser holds the attacker's cookies and signs in as somebody else.
	victim.Plant(attacker.Cookies())
	page := victim.Authorize(faces.Params("prompt", "login"))
	w.Clock.Advance(time.Second)
	victim.Login(page, faces.AliceLogin).Code()
	if got := victim.Cookie("session"); got == "" || got == planted || strings.Split(got, ".")[0] == strings.Split(planted, ".")[0] {
		t.Errorf("the login went into the planted session: %q", got)
	}
	wantError(t, attacker.Authorize(faces.Params("prompt", "none")), oauth.LoginRequired, faces.Params()["state"])
	if len(w.Applied()) != 1 {
		t.Errorf("the gates were told of %d revocations, want the end of the planted session", len(w.Applied()))
	}
}

func TestSecretRotatesWithEachFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	pin := b.Login(b.Authorize(faces.Params("scope", "payments:write")), faces.AliceLogin)
	before := b.Cookie("session")
	b.Submit(pin, "pin", faces.PIN).Code()
	after := b.Cookie("session")
	if before == after || strings.Split(before, ".")[0] != strings.Split(after, ".")[0] {
		t.Errorf("the cookie went from %q to %q, want the same session with another secret", before, after)
	}
}

// A request is answered once, whoever asks for it again and however.
func TestARequestEndsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	login := b.Authorize(faces.Params())
	action, form := login.Form()
	form.Set("username", faces.AliceLogin)
	form.Set("password", faces.Password)
	back := b.Send(http.MethodPost, action, form).Header.Get("Location")
	b.Get(back).Code()
	for _, address := range []string{back, login.At, "/consent?req=" + form.Get("req")} {
		wantPage(t, b.Get(address), http.StatusBadRequest, "expired")
	}
	wantPage(t, b.Post(action, form), http.StatusBadRequest, "expired")
}

func TestARequestExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Authorize(faces.Params())
	w.Clock.Advance(authz.RequestTTL)
	wantPage(t, b.Login(page, faces.AliceLogin), http.StatusBadRequest, "expired")
	wantPage(t, b.Get(page.At), http.StatusBadRequest, "expired")
}

// Ids that cannot be ours are never looked up.
func TestImpossibleRequestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	for _, id := range []string{"x", "req_", "req_unknown", "ses_a", "req_" + strings.Repeat("a", 600), "../req_a"} {
		for _, path := range []string{"/authorize", "/consent", "/login"} {
			wantPage(t, b.Get(path+"?"+url.Values{"req": {id}}.Encode()), http.StatusBadRequest, "expired")
		}
	}
}

// Cancel is an answer to the client, and it is final.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Authorize(faces.Params())
	action, form := page.Form()
	form.Set("cancel", "cancel")
	sent := b.Send(http.MethodPost, action, form)
	back := sent.Header.Get("Location")
	wantError(t, b.Get(back), oauth.AccessDenied, faces.Params()["state"])
	wantPage(t, b.Get(back), http.StatusBadRequest, "expired")
	if len(w.Users.Tries()) != 0 {
		t.Error("a cancelled form was tried")
	}
}

// Another site cannot cancel either.
func TestForgedCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Authorize(faces.Params())
	action, form := page.Form()
	got := b.Post(action, url.Values{"req": form["req"], "cancel": {"cancel"}, "step": {"forged"}})
	if got.Left != nil {
		t.Fatalf("a forged cancel led to %v", got.Left)
	}
	wantLogin(t, b.Get("/authorize?req="+form.Get("req")+"&stop="+form.Get("step")))
	redeem(t, w, faces.Params(), b.Login(page, faces.AliceLogin).Code())
}

// Two tabs begin two requests; a login in one serves both.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	one := b.Authorize(faces.Params("state", "one"))
	two := b.Authorize(faces.Params("state", "two"))
	if got := b.Login(one, faces.AliceLogin).Answer().Get("state"); got != "one" {
		t.Errorf("the first tab's state is %q", got)
	}
	// The second tab still shows the form from before the login. What was typed there does not count; the session does.
	if got := b.Login(two, faces.BobLogin).Answer(); got.Get("state") != "two" || got.Get("code") == "" {
		t.Errorf("the second tab got %v", got)
	}
	if tries := len(w.Users.Tries()); tries != 1 {
		t.Errorf("%d forms were tried, want the first only", tries)
	}
}

// Steps return to the dispatcher with a token of their own. Without a good one the browser takes the way round, by the page
// that looks at what is missing.
func TestWithoutAStepToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	for _, token := range []string{"", "forged"} {
		_, form := b.Authorize(faces.Params("prompt", "login")).Form()
		w.Clock.Advance(time.Second)
		b.Login(b.Authorize(faces.Params("prompt", "login")), faces.AliceLogin) // in another tab
		page := b.Get("/authorize?req=" + form.Get("req") + "&step=" + token)
		if diff := cmp.Diff([]string{"/login", "/authorize"}, page.Path); diff != "" {
			t.Errorf("the browser went another way (-want +got):\n%s", diff)
		}
		page.Code()
	}
}

// Many tabs finish one request at the same moment: one gets the code.
func TestConcurrentCompletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	login := b.Authorize(faces.Params())
	action, form := login.Form()
	form.Set("username", faces.AliceLogin)
	form.Set("password", faces.Password)
	back := b.Send(http.MethodPost, action, form).Header.Get("Location")
	cookies := b.Cookies()

	const tabs = 16
	var mu sync.Mutex
	var group sync.WaitGroup
	codes := 0
	for range tabs {
		group.Go(func() {
			tab := w.Browser(t)
			tab.Plant(cookies)
			page := tab.Get(back)
			mu.Lock()
			defer mu.Unlock()
			if page.Left != nil && page.Left.Query().Has("code") {
				codes++
			} else if page.Status != http.StatusBadRequest {
				t.Errorf("a late tab got status %d at %s", page.Status, page.At)
			}
		})
	}
	group.Wait()
	if codes != 1 {
		t.Errorf("%d codes for one request", codes)
	}
}

// The session may end at any moment: the browser begins again, and prompt=none is told.
func TestTheSessionEndsMeanwhile(t *testing.T) {
	t.Parallel()
	end := func(t *testing.T, w *faces.World, b *faces.Browser) {
		t.Helper()
		if _, err := w.Store.EndSession(t.Context(), strings.Split(b.Cookie("session"), ".")[0]); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("before the consent is sent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		page := atConsent(t, b, third())
		end(t, w, b)
		page = b.Submit(page, "decision", "allow")
		wantLogin(t, page)
		page = b.Login(page, faces.AliceLogin)
		wantConsent(t, page)
		redeem(t, w, third(), b.Submit(page, "decision", "allow").Code())
	})
	t.Run("before the return to the dispatcher", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		login := b.Authorize(faces.Params())
		action, form := login.Form()
		form.Set("username", faces.AliceLogin)
		form.Set("password", faces.Password)
		back := b.Send(http.MethodPost, action, form).Header.Get("Location")
		end(t, w, b)
		wantLogin(t, b.Get(back))
	})
	for _, prompt := range []string{"", "none"} {
		t.Run("while the code is made, prompt "+prompt, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			w.BeforeUpdate(func() { end(t, w, b) })
			page := b.Authorize(faces.Params("prompt", prompt))
			if prompt == "none" {
				wantError(t, page, oauth.LoginRequired, faces.Params()["state"])
				return
			}
			wantLogin(t, page)
			redeem(t, w, faces.Params(), b.Login(page, faces.AliceLogin).Code())
		})
	}
}

// A reload may take a client out of the configuration, or a redirect URI out of a client.
func TestTheClientGoesMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	for _, tt := range []struct{ name, client, uri, says string }{
		{"client", "gone", "https://gone.example/cb", "Unknown app"},
		{"redirect URI", "portal", "https://gone.example/cb", "Unknown destination"},
	} {
		_, form := b.Authorize(faces.Params("prompt", "login")).Form()
		request, err := w.Store.Request(t.Context(), form.Get("req"))
		if err != nil {
			t.Fatal(err)
		}
		request.ID, request.ClientID, request.RedirectURI = request.ID+"2", tt.client, tt.uri
		if err := w.Store.InsertRequest(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/authorize", "/consent"} {
			wantPage(t, b.Get(path+"?req="+request.ID), http.StatusBadRequest, tt.says)
		}
	}
}

// A request that is stored is a write that anybody can cause, so it is limited by address; who is signed in writes none.
func TestStrangersAreLimited(t *testing.T) {
	t.Parallel()
	clock := newWorld(t).Clock
	limiter, err := limit.New(limit.Config{Burst: 3, Every: time.Minute, Keys: 100, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w := faces.New(t, faces.Options{Limiter: limiter})
	known := w.Browser(t)
	known.SignIn(faces.AliceLogin)
	stranger := w.Browser(t)
	for range 2 {
		wantLogin(t, stranger.Authorize(faces.Params()))
	}
	form := url.Values{}
	for name, value := range faces.Params() {
		form.Set(name, value)
	}
	for _, page := range []*faces.Page{stranger.Authorize(faces.Params()), w.Browser(t).Post("/authorize", form), w.Browser(t).Get("/account")} {
		wantPage(t, page, http.StatusTooManyRequests, "Too many requests")
		if page.Header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After is %q", page.Header.Get("Retry-After"))
		}
	}
	known.Authorize(faces.Params()).Code()
	wantError(t, stranger.Authorize(faces.Params("prompt", "none")), oauth.LoginRequired, faces.Params()["state"])
	elsewhere := w.Browser(t)
	elsewhere.Header.Set("Test-Client-IP", "198.51.100.1")
	wantLogin(t, elsewhere.Authorize(faces.Params()))
	clock.Advance(time.Minute)
	wantLogin(t, stranger.Authorize(faces.Params()))
}
