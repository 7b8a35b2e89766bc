// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/adapterauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// backend asks for a card and then for its code, which is 1111.
type backend struct {
	mu    sync.Mutex
	codes []string      // the codes that were judged, guarded by mu
	hold  chan struct{} // when it is there, a code is judged only after it is closed
	fails bool          // guarded by mu
}

func (b *backend) Post(_ context.Context, question any) ([]byte, error) {
	text, err := json.Marshal(question)
	var q struct {
		State   string            `json:"state"`
		Answers map[string]string `json:"answers"`
		Subject string            `json:"subject"`
	}
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	switch {
	case err != nil:
		return nil, err
	case q.Subject != faces.Alice:
		return []byte(`{"refused":{"reason":"unknown"}}`), nil
	case q.State == "":
		return []byte(`{"challenge":{"fields":[{"name":"card","label":"Card number","required":true}]},"state":"card"}`), nil
	case q.State == "card" && q.Answers["card"] == "shut":
		return []byte(`{"refused":{"reason":"shut","message":"Open from nine to five."}}`), nil
	case q.State == "card":
		return []byte(`{"challenge":{"fields":[{"name":"code","label":"Code","type":"password","required":true}],
			"message":"We sent you a code."},"state":"code"}`), nil
	}
	return b.judge(q.Answers["code"])
}

func (b *backend) judge(code string) ([]byte, error) {
	if b.hold != nil {
		<-b.hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.codes = append(b.codes, code)
	switch {
	case b.fails:
		return nil, errors.New("asking the back end: " + faces.Leak)
	case code == "1111":
		return []byte(`{"identity":{"amr":["otp"]}}`), nil
	case code == "2222":
		return []byte(`{"refused":{"reason":"wrong_code"}}`), nil
	}
	return []byte(`{"challenge":{"fields":[{"name":"code","label":"Code","type":"password","required":true}],
		"message":"That code is wrong.","error":true},"state":"code"}`), nil
}

func (b *backend) judged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.codes, " ")
}

// atCard returns a browser that is asked for the card.
func atCard(t *testing.T, b *backend, o faces.Options) (*faces.World, *faces.Browser, *faces.Page) {
	t.Helper()
	steps, err := adapterauth.New(adapterauth.Config{Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	o.Seed = 11
	o.Realms = append(o.Realms, &realm.Realm{Name: "steps", Authenticator: steps, LoginModule: steps, MaxAge: time.Hour, Audit: true})
	w := faces.New(t, o)
	browser := w.Browser(t)
	browser.SignIn(faces.AliceLogin)
	page := browser.Authorize(faces.Params("acr_values", "steps"))
	wantForm(t, page, http.StatusOK, "Card number")
	return w, browser, page
}

// Each round has its own page, on whichever node it is shown; a mistake looks like one and the next question does not.
func TestAnAdapterInRounds(t *testing.T) {
	t.Parallel()
	b := &backend{}
	w, browser, card := atCard(t, b, faces.Options{})
	if strings.Contains(card.Body, "round</label>") || !strings.Contains(card.Body, `<input type="hidden" name="round"`) {
		t.Errorf("the mark is shown:\n%s", card.Body)
	}
	wantForm(t, browser.Submit(card, "card", ""), http.StatusOK, "fill in every field")
	code := browser.Submit(card, "card", "4711")
	wantForm(t, code, http.StatusOK, `role="status">We sent you a code.`)
	wantForm(t, browser.Get(code.At+"?"+reload(code)), http.StatusOK, "We sent you a code.")
	wrong := browser.Submit(code, "code", "0000")
	wantForm(t, wrong, http.StatusOK, `role="alert">That code is wrong.`)
	late := browser.Submit(code, "code", "1111")
	wantForm(t, late, http.StatusOK, "sent this already")
	if fields := strings.Join(late.Fields(), " "); fields != "code" {
		t.Errorf("the page asks for %q", fields)
	}
	browser.Submit(late, "code", "1111").Code()
	if got := b.judged(); got != "0000 1111" {
		t.Errorf("the codes %q were judged", got)
	}
	if got := strings.Join(w.Observed(), " "); got != "password:accepted steps:refused steps:accepted" {
		t.Errorf("metrics were told %q", got)
	}
}

// reload is the query with which the page of a request is loaded anew.
func reload(p *faces.Page) string {
	_, form := p.Form()
	return "req=" + form.Get("req")
}

// After a refusal it begins anew, with what the back end says about it.
func TestAnAdapterThatRefuses(t *testing.T) {
	t.Parallel()
	_, browser, card := atCard(t, &backend{}, faces.Options{})
	shut := browser.Submit(card, "card", "shut")
	wantForm(t, shut, http.StatusForbidden, "could not sign you in")
	wantForm(t, shut, http.StatusForbidden, `<div class="notice" role="status"><p>Open from nine to five.`)
	wantForm(t, shut, http.StatusForbidden, "Card number")
	code := browser.Submit(shut, "card", "4711")
	again := browser.Submit(code, "code", "2222")
	wantForm(t, again, http.StatusForbidden, "could not sign you in")
	wantForm(t, again, http.StatusForbidden, "Card number")
	wantForm(t, browser.Submit(code, "code", "1111"), http.StatusOK, "sent this already")
	browser.Submit(browser.Submit(again, "card", "4711"), "code", "1111").Code()
}

// Of many guesses that are sent at once one is judged.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	b := &backend{hold: make(chan struct{})}
	w, browser, card := atCard(t, b, faces.Options{})
	code := browser.Submit(card, "card", "4711")
	action, form := code.Form()
	pages := make([]*faces.Page, 8)
	var group sync.WaitGroup
	answered := make(chan struct{}, len(pages))
	for i := range pages {
		copied := w.Browser(t)
		copied.Plant(browser.Cookies())
		guess := map[string][]string{"code": {string(rune('0'+i)) + "000"}}
		for name := range form {
			if name != "code" {
				guess[name] = form[name]
			}
		}
		group.Go(func() {
			pages[i] = copied.Post(action, guess)
			answered <- struct{}{}
		})
	}
	for range len(pages) - 1 {
		<-answered // all but the one that is being judged
	}
	close(b.hold)
	group.Wait()
	if got := b.judged(); len(strings.Fields(got)) != 1 {
		t.Errorf("the codes %q were judged", got)
	}
	told := 0
	for _, p := range pages {
		if strings.Contains(p.Body, "sent this already") {
			told++
			if !strings.Contains(p.Body, ">Try again</button>") {
				t.Errorf("there is no way on:\n%s", p.Body)
			}
			code = p
		}
	}
	if told != len(pages)-1 {
		t.Errorf("%d were told that they came late", told)
	}
	browser.Submit(browser.Submit(code), "code", "1111").Code()
}

// A back end that breaks lets nobody in, and the page leads on when it works again.
func TestAnAdapterThatBreaks(t *testing.T) {
	t.Parallel()
	b := &backend{}
	w, browser, card := atCard(t, b, faces.Options{})
	code := browser.Submit(card, "card", "4711")
	b.mu.Lock()
	b.fails = true
	b.mu.Unlock()
	if p := browser.Submit(code, "code", "1111"); p.Status < 500 || p.Left != nil || strings.Contains(p.Body, faces.Leak) {
		t.Errorf("left %v, status %d:\n%s", p.Left, p.Status, p.Body)
	}
	b.mu.Lock()
	b.fails = false
	b.mu.Unlock()
	twice := browser.Submit(code, "code", "1111") // the browser sends it again
	wantForm(t, twice, http.StatusOK, "sent this already")
	begun := browser.Submit(twice)
	wantForm(t, begun, http.StatusOK, "Card number")
	browser.Submit(browser.Submit(begun, "card", "4711"), "code", "1111").Code()

	other := browser.Authorize(faces.Params("acr_values", "steps", "prompt", "login"))
	w.Clock.Advance(time.Second)
	code = browser.Submit(browser.Login(other, faces.AliceLogin), "card", "4711")
	w.DB.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrFull})
	wantForm(t, browser.Submit(code, "code", "1111"), http.StatusServiceUnavailable, "Back in a moment")
	w.DB.Clear()
}

// A check may have a page of its own and words of its own, and people are told what it has to tell.
func TestOwnPageWordsAndNotice(t *testing.T) {
	t.Parallel()
	theme := fstest.MapFS{"templates/login/pin.html": {Data: []byte(
		`{{define "main"}}<h1>Your card</h1>{{template "told" .Page}}{{template "form" .Page}}{{end}}`,
	)}}
	pages, err := web.New(web.Config{Theme: theme, Logins: []web.OwnLogin{{Template: "pin.html"}}})
	if err != nil {
		t.Fatal(err)
	}
	form, err := formauth.New(formauth.Config{
		Fields:   []realm.Field{{Name: "card", Label: "Card number", Required: true}},
		Template: "pin.html", Message: "Have your card at hand.", Refused: "That is not your card.",
	})
	if err != nil {
		t.Fatal(err)
	}
	notice := &realm.Notice{Text: "Cards < 2020 end in May.", URL: "https://example.com/cards"}
	w := faces.New(t, faces.Options{Seed: 12, Pages: pages, Realms: []*realm.Realm{{
		Name: "card", MaxAge: time.Hour, Authenticator: noticed{form, notice}, LoginModule: verify(func(c realm.Credentials) realm.Result {
			if c.Values["card"] == "4711" {
				return realm.Result{Status: realm.Accepted}
			}
			return realm.Result{Status: realm.Refused}
		}),
	}}})
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	page := b.Authorize(faces.Params("acr_values", "card"))
	for _, says := range []string{
		"<h1>Your card</h1>", `role="status">Have your card at hand.`, "<p>Cards &lt; 2020 end in May.</p>", `href="https://example.com/cards"`,
	} {
		wantForm(t, page, http.StatusOK, says)
	}
	page = b.Submit(page, "card", "1")
	wantForm(t, page, http.StatusForbidden, `role="alert">That is not your card.`)
	wantForm(t, page, http.StatusForbidden, "Cards &lt; 2020")
	if strings.Contains(page.Body, "could not sign you in") {
		t.Error("the usual words are there as well")
	}
	b.Submit(page, "card", "4711").Code()
}

// A check that asks again after a wrong answer, by itself and without a word, says what it says after every refusal. One that goes
// on says nothing.
func TestAskedAgainWithoutAWord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, refused string
		further       bool
		says, not     string
	}{
		{"in words of its own", "That is not your card.", false, `role="alert">That is not your card.`, "could not sign you in"},
		{"in the usual words", "", false, `role="alert">`, "role=\"status\""},
		{"going on", "That is not your card.", true, "", "That is not your card."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := faces.New(t, faces.Options{Seed: 13, Realms: []*realm.Realm{{
				Name: "card", MaxAge: time.Hour, LoginModule: verify(func(realm.Credentials) realm.Result { return realm.Result{} }),
				Authenticator: asks{refused: tt.refused, further: tt.further},
			}}})
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			page := b.Authorize(faces.Params("acr_values", "card"))
			if strings.Contains(page.Body, `role="alert"`) {
				t.Errorf("something is wrong before there are answers:\n%s", page.Body)
			}
			page = b.Submit(page, "card", "1")
			wantForm(t, page, http.StatusOK, tt.says)
			if strings.Contains(page.Body, tt.not) {
				t.Errorf("the page says %q:\n%s", tt.not, page.Body)
			}
		})
	}
}

// asks is an authenticator that asks whatever the answers.
type asks struct {
	refused string
	further bool
}

func (a asks) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	c := &realm.Challenge{Fields: []realm.Field{{Name: "card", Label: "Card number"}}, Refused: a.refused}
	if in.Fields != nil {
		c.Further = a.further
		if !a.further {
			c.Refusal = &realm.Refusal{Reason: "wrong_card"}
		}
	}
	return realm.Credentials{}, c, nil
}

// noticed adds a notice to what a form asks.
type noticed struct {
	realm.Authenticator
	notice *realm.Notice
}

func (n noticed) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	credentials, challenge, err := n.Authenticator.Collect(ctx, in)
	if challenge != nil {
		challenge.Notice = n.notice
	}
	return credentials, challenge, err
}

type verify func(realm.Credentials) realm.Result

func (v verify) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	return v(c), nil
}
