// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// onward is where the button of a page leads that only tells something.
var onward = regexp.MustCompile(`<a class="button" href="([^"]+)">Continue</a>`)

// tells returns a realm that accepts the card 4711 and has something to say then.
func tells(t *testing.T, notice *realm.Notice) *realm.Realm {
	t.Helper()
	form, err := formauth.New(formauth.Config{Fields: []realm.Field{{Name: "card", Label: "Card number", Required: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return &realm.Realm{Name: "card", MaxAge: time.Hour, Authenticator: form, LoginModule: verify(func(c realm.Credentials) realm.Result {
		if c.Values["card"] == "4711" {
			return realm.Result{Status: realm.Accepted, Notice: notice}
		}
		return realm.Result{Status: realm.Refused}
	})}
}

// People read what a check says that accepts them, once, and go on from there.
func TestNoticeWithAnAcceptance(t *testing.T) {
	t.Parallel()
	w := faces.New(t, faces.Options{Seed: 14, Realms: []*realm.Realm{
		tells(t, &realm.Notice{ID: "n-1", Text: "Cards < 2020 end in May.", URL: "https://example.com/cards"}),
	}})
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	form := b.Authorize(faces.Params("acr_values", "card"))
	told := b.Submit(form, "card", "4711")
	wantForm(t, told, http.StatusOK, "<p>Cards &lt; 2020 end in May.</p>")
	wantForm(t, told, http.StatusOK, `href="https://example.com/cards"`)
	way := onward.FindStringSubmatch(told.Body)
	if way == nil {
		t.Fatalf("there is no way on:\n%s", told.Body)
	}
	other := w.Browser(t)
	other.SignIn(faces.BobLogin)
	if p := other.Get(html.UnescapeString(way[1])); p.Left != nil {
		t.Errorf("the button is good in another browser: it leads to %v", p.Left)
	}
	b.Get(html.UnescapeString(way[1])).Code()
	b.Authorize(faces.Params("acr_values", "card")).Code() // it is fresh, and nobody is told again
}

// A page that is sent again after the acceptance leads on, and tells nothing twice.
func TestNoticeIsNotToldTwice(t *testing.T) {
	t.Parallel()
	w := faces.New(t, faces.Options{Seed: 15, Realms: []*realm.Realm{tells(t, &realm.Notice{Text: "We move."})}})
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	form := b.Authorize(faces.Params("acr_values", "card"))
	wantForm(t, b.Submit(form, "card", "4711"), http.StatusOK, "We move.")
	b.Submit(form, "card", "4711").Code()
}

// fixed is an authenticator that asks one thing, whatever happens.
type fixed realm.Challenge

func (f fixed) Collect(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
	c := realm.Challenge(f)
	return realm.Credentials{}, &c, nil
}

// The button says what the check wants it to, and is not there where it would lead nowhere.
func TestButtons(t *testing.T) {
	t.Parallel()
	fields := []realm.Field{{Name: "card", Label: "Card number"}}
	for _, tt := range []struct {
		name      string
		challenge realm.Challenge
		want      string // empty for none
	}{
		{"the usual one", realm.Challenge{Fields: fields}, "Sign in"},
		{"with words of its own", realm.Challenge{Fields: fields, Submit: "login.continue"}, "Continue"},
		{"for a form that asks nothing", realm.Challenge{Message: "Insert it."}, "Try again"},
		{"for one that does and has words", realm.Challenge{Message: "Insert it.", Submit: "Done"}, "Done"},
		{"for nothing that a page can answer", realm.Challenge{Message: "Insert it.", Stuck: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := faces.New(t, faces.Options{Seed: 16, Realms: []*realm.Realm{{
				Name: "card", MaxAge: time.Hour, Authenticator: fixed(tt.challenge),
				LoginModule: verify(func(realm.Credentials) realm.Result { return realm.Result{} }),
			}}})
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			page := b.Authorize(faces.Params("acr_values", "card"))
			wantForm(t, page, http.StatusOK, ">Cancel</button>")
			const plain = `<button type="submit">`
			want := tt.want != ""
			if strings.Contains(page.Body, plain) != want || want && !strings.Contains(page.Body, plain+tt.want+"</button>") {
				t.Errorf("want the button %q:\n%s", tt.want, page.Body)
			}
		})
	}
}
