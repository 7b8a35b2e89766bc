// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

// ownForm is a login page as a theme may have it.
const ownForm = `{{define "main"}}<h1>Your card</h1><p class="card-help">It is on the back.</p>{{template "told" .Page}}{{template "form" .Page}}{{end}}`

var pin = []web.Field{{Name: "pin", Label: "PIN", Type: "password", InputMode: "numeric", Required: true}}

// withLogin is a theme with one login page of its own.
func withLogin(text string) fstest.MapFS { return theme("templates/login/pin.html", text) }

func TestOwnLoginPage(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{Theme: withLogin(ownForm), Logins: []web.OwnLogin{{Template: "pin.html", Fields: pin}}})
	page := web.LoginPage{
		Template: "pin.html", Client: "Portal", Action: "/login", Hidden: hidden, Fields: pin, Cancel: true, Message: "That PIN is wrong",
	}
	own := render(t, r, http.StatusForbidden, page).Body.String()
	for _, want := range []string{
		"<h1>Your card</h1>", "It is on the back.", `name="pin"`, `inputmode="numeric"`, "That PIN is wrong", `name="cancel"`,
		`name="step" value="st_1"`, "<title>Error: Sign in · Gatehouse</title>",
	} {
		if !strings.Contains(own, want) {
			t.Errorf("the page does not hold %q:\n%s", want, own)
		}
	}
	page.Template = ""
	if common := render(t, r, http.StatusForbidden, page).Body.String(); strings.Contains(common, "Your card") {
		t.Error("the common page is the own one")
	}
}

// A page that names the fields itself is held to those of the check that it is for, and to no others.
func TestOwnLoginPageWithFieldsOfItsOwn(t *testing.T) {
	t.Parallel()
	const text = `{{define "main"}}<h1>PIN</h1>{{template "told" .Page}}<form method="post" action="{{.Page.Action}}">` +
		`{{template "hidden" .Page.Hidden}}<input name="pin" type="password" aria-label="PIN"><button>Go</button>` +
		`<button name="cancel" value="cancel">Stop</button></form>{{end}}`
	config := web.Config{Theme: withLogin(text), Logins: []web.OwnLogin{{Template: "pin.html", Fields: pin}}}
	newRenderer(t, config)
	newRenderer(t, web.Config{Theme: config.Theme}) // a server of which no check has the page
	for name, logins := range map[string][]web.OwnLogin{
		"another check with other fields": {{Template: "pin.html", Fields: pin}, {Template: "pin.html", Fields: fields}},
		"a check that asks anything":      {{Template: "pin.html"}},
	} {
		config.Logins = logins
		if _, err := web.New(config); err == nil || !strings.Contains(err.Error(), "templates/login/pin.html") {
			t.Errorf("%s: New = %v", name, err)
		}
	}
}

func TestOwnLoginPagesThatDoNotWork(t *testing.T) {
	t.Parallel()
	main := func(text string) fstest.MapFS { return withLogin(`{{define "main"}}` + text + `{{end}}`) }
	uses := []web.OwnLogin{{Template: "pin.html", Fields: pin}}
	for _, tt := range []struct {
		name   string
		theme  fstest.MapFS
		logins []web.OwnLogin
		says   []string
	}{
		{"not there", theme(), uses, []string{"templates/login/pin.html", "no file"}},
		{"no theme", nil, uses, []string{"templates/login/pin.html", "no file"}},
		{"another one", theme("templates/login/card.html", ownForm), uses, []string{"templates/login/pin.html", "no file"}},
		{"outside its folder", withLogin(ownForm), []web.OwnLogin{{Template: "../pages/login.html"}}, []string{"../pages/login.html", "no file"}},
		{"no name", withLogin(ownForm), []web.OwnLogin{{}}, []string{"templates/login/", "no file"}},
		{"no template", theme("templates/login/pin.txt", ownForm), nil, []string{"templates/login/pin.txt", "replaces nothing"}},
		{"a folder deeper", theme("templates/login/a/pin.html", ownForm), nil, []string{"templates/login/a/pin.html", "replaces nothing"}},
		{"a name with a dot", theme("templates/login/.pin.html", ownForm), nil, []string{"templates/login/.pin.html", "replaces nothing"}},
		{"syntax", withLogin(`{{if}}`), uses, []string{"templates/login/pin.html"}},
		{"unknown field", main(`{{.Page.Secret}}`), uses, []string{"templates/login/pin.html", "Secret"}},
		{"no form", main(`{{template "told" .Page}}`), uses, []string{"templates/login/pin.html", "no form"}},
		{"nothing told", main(`{{template "form" .Page}}`), uses, []string{"templates/login/pin.html", "Sample message"}},
		{"no notice", main(`<p>{{.Page.Message}}</p>{{template "form" .Page}}`), uses, []string{"templates/login/pin.html", "Sample notice"}},
		{"no link of a notice", main(`<p>{{.Page.Message}}</p>{{with .Page.Notice}}<p>{{.Text}}</p>{{end}}{{template "form" .Page}}`), uses,
			[]string{"templates/login/pin.html", "https://app.example"}},
		{"inline script", main(`<script>x()</script>{{template "told" .Page}}{{template "form" .Page}}`), uses, []string{"<script>"}},
		{"the common page without what is told", theme("templates/pages/login.html",
			`{{define "title"}}x{{end}}{{define "main"}}{{template "form" .Page}}{{end}}`), nil, []string{"templates/pages/login.html", "Sample message"}},
		{"unused and broken", main(`<p>hello`), nil, []string{"templates/login/pin.html", "no form"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := web.Config{Logins: tt.logins}
			if tt.theme != nil {
				config.Theme = tt.theme
			}
			_, err := web.New(config)
			if err == nil {
				t.Fatal("the theme is accepted")
			}
			for _, want := range tt.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %q", err, want)
				}
			}
		})
	}
}

// The pages that the documentation shows work as they stand.
func TestDocumentedLoginPages(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/theme.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := regexp.MustCompile("(?ms)^```html\n(.*?)^```").FindAllSubmatch(text, -1)
	if len(pages) < 2 {
		t.Fatalf("%d pages are shown", len(pages))
	}
	for _, page := range pages {
		newRenderer(t, web.Config{Theme: withLogin(string(page[1])), Logins: []web.OwnLogin{{Template: "pin.html", Fields: pin}}})
	}
}

// A notice leads to the web or nowhere: neither into this server, nor into an app, nor into a script.
func TestLinksOfNotices(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	for _, tt := range []struct{ url, want string }{
		{"https://example.com/get?a=1&b=2", "https://example.com/get?a=1&b=2"},
		{"http://example.com/", "http://example.com/"},
		{"HTTPS://example.com/", "HTTPS://example.com/"},
		{"", ""}, {"/account", ""}, {"//example.com/", ""}, {"com.example.app:/open", ""}, {"http.example:/open", ""},
		{"javascript:alert(1)", ""}, {"data:text/html,x", ""}, {"https:example.com", ""}, {"https://a@example.com/", ""}, {"https://", ""},
		{"https://a b/", ""},
	} {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			rec := render(t, r, http.StatusOK, web.LoginPage{Action: "/", Fields: fields, Notice: &web.Notice{Text: "Sample", URL: tt.url}})
			doc := parse(t, rec.Body.String())
			var got string
			for _, a := range find(doc, "a") {
				got += attr(a, "href")
			}
			if rec.Code != http.StatusOK || got != tt.want || !strings.Contains(text(find(doc, "main")[0]), "Sample") {
				t.Errorf("status %d, link %q, want %q", rec.Code, got, tt.want)
			}
		})
	}
}
