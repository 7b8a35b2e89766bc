// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

func theme(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i+1 < len(files); i += 2 {
		out[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return out
}

func TestThemeReplacesTemplatesAndVariables(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{
		Service: "Example Bank",
		Theme: theme(
			"templates/parts/logo.html", `{{define "logo"}}<img class="logo" src="data:image/png;base64,AA==" alt="">{{end}}`,
			"templates/pages/signedout.html",
			`{{define "title"}}Bye{{end}}{{define "main"}}<h1>Goodbye from {{.Service}} ({{.Lang}})</h1>{{end}}`,
			"css/theme.css", ":root { --accent: #123456; }\n",
		),
	})
	body := render(t, r, http.StatusOK, web.SignedOutPage{}).Body.String()
	for _, want := range []string{`<img class="logo"`, "<h1>Goodbye from Example Bank (en)</h1>", "<title>Bye · Example Bank</title>"} {
		if !strings.Contains(body, want) {
			t.Errorf("page does not hold %q: %s", want, body)
		}
	}
	if login := render(t, r, http.StatusOK, web.LoginPage{Action: "/", Fields: fields}).Body.String(); !strings.Contains(login, "<h1>Sign in</h1>") {
		t.Errorf("page without a replacement: %s", login)
	}
	themed, plain := assetPaths(t, r)["app.css"], assetPaths(t, newRenderer(t, web.Config{}))["app.css"]
	if themed == plain {
		t.Error("the style sheet kept its name")
	}
	css := get(t, r, http.MethodGet, themed, "").Body.String()
	if !strings.HasSuffix(css, ":root { --accent: #123456; }\n") || !strings.Contains(css, "--on-accent: #ffffff") {
		t.Error("the theme's variables do not follow the built-in ones")
	}
}

func TestEmptyThemeChangesNothing(t *testing.T) {
	t.Parallel()
	plain, themed := newRenderer(t, web.Config{}), newRenderer(t, web.Config{Theme: fstest.MapFS{}})
	page := web.LoginPage{Action: "/", Fields: fields}
	if render(t, plain, 200, page).Body.String() != render(t, themed, 200, page).Body.String() {
		t.Error("page differs")
	}
}

// TestEveryTemplateMayBeReplacedByItself proves that a theme may start as a copy of the built-in files.
func TestEveryTemplateMayBeReplacedByItself(t *testing.T) {
	t.Parallel()
	copied := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS("."), "templates", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		copied[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil || len(copied) < 12 {
		t.Fatalf("%d templates, %v", len(copied), err)
	}
	newRenderer(t, web.Config{Theme: copied})
}

func TestThemeThatDoesNotWorkIsRefusedByName(t *testing.T) {
	t.Parallel()
	const form = `<form method="post" action="{{.Page.Action}}">`
	login := func(main string) fstest.MapFS {
		return theme("templates/pages/login.html", `{{define "title"}}x{{end}}{{define "main"}}`+main+`{{end}}`)
	}
	consent := func(main string) fstest.MapFS {
		return theme("templates/pages/consent.html", `{{define "title"}}x{{end}}{{define "main"}}`+main+`{{end}}`)
	}
	const fieldsHTML = `{{range .Page.Fields}}<input name="{{.Name}}">{{end}}`
	const hiddenHTML = `{{template "hidden" .Page.Hidden}}`
	const buttons = `<button>go</button><button name="cancel">no</button>`
	tests := []struct {
		name  string
		theme fs.FS
		want  []string
	}{
		{name: "unknown file", theme: theme("templates/pages/logon.html", "x"), want: []string{"templates/pages/logon.html"}},
		{name: "script", theme: theme("static/app.js", "x"), want: []string{"static/app.js"}},
		{name: "locale", theme: theme("locales/de.json", "{}"), want: []string{"locales/de.json"}},
		{name: "readme", theme: theme("README.md", "x"), want: []string{"README.md"}},
		{name: "syntax", theme: login(`{{if}}`), want: []string{"templates/pages/login.html"}},
		{name: "unclosed attribute", theme: login(`<a href="{{.Lang}}>`), want: []string{"templates/pages/login.html"}},
		{name: "unknown function", theme: login(`{{env "HOME"}}`), want: []string{"templates/pages/login.html", "env"}},
		{name: "unknown field", theme: login(`{{.Page.Secret}}`), want: []string{"templates/pages/login.html", "Secret"}},
		{name: "unknown key", theme: login(`{{t "no.such"}}`), want: []string{"templates/pages/login.html", "no.such"}},
		{name: "unknown phrase", theme: login(`{{template "phrase" (phrase "no.such")}}`), want: []string{"no.such"}},
		{name: "unknown asset", theme: login(`{{asset "jquery.js"}}`), want: []string{"templates/pages/login.html", "jquery.js"}},
		{name: "unknown part", theme: login(`{{template "footer"}}`), want: []string{"templates/pages/login.html", "footer"}},
		{name: "no main", theme: theme("templates/pages/login.html", `{{define "title"}}{{end}}`), want: []string{"login.html", "main"}},
		{name: "no form", theme: login(`<p>hello`), want: []string{"templates/pages/login.html", "no form"}},
		{name: "get form", theme: login(`<form action="{{.Page.Action}}">`), want: []string{"templates/pages/login.html", "no form"}},
		{name: "own action", theme: login(`<form method="post" action="/elsewhere">`), want: []string{"no form"}},
		{name: "no hidden fields", theme: login(form + fieldsHTML + buttons), want: []string{"login.html", "sample_step"}},
		{name: "no fields", theme: login(form + hiddenHTML + buttons), want: []string{"login.html", "sample_user"}},
		{name: "fields outside the form", theme: login(form + hiddenHTML + buttons + `</form>` + fieldsHTML), want: []string{"sample_user"}},
		{name: "no cancel", theme: login(form + hiddenHTML + fieldsHTML + `<button>go</button>`), want: []string{"login.html", "cancel"}},
		{
			name:  "no deny",
			theme: consent(form + hiddenHTML + `<button name="decision" value="allow">ok</button>`),
			want:  []string{"templates/pages/consent.html", "decision=deny"},
		},
		{
			name:  "no button",
			theme: theme("templates/pages/formpost.html", `{{define "title"}}{{end}}{{define "main"}}`+form+`{{template "hidden" .Page.Fields}}</form>{{end}}`),
			want:  []string{"templates/pages/formpost.html", "no button"},
		},
		{name: "inline script", theme: theme("templates/parts/logo.html", `{{define "logo"}}<script>x()</script>{{end}}`), want: []string{"<script>"}},
		{name: "inline style", theme: theme("templates/parts/logo.html", `{{define "logo"}}<style>b{}</style>{{end}}`), want: []string{"<style>"}},
		{name: "style attribute", theme: theme("templates/parts/logo.html", `{{define "logo"}}<b style="color:red">x</b>{{end}}`), want: []string{`"style"`}},
		{name: "handler attribute", theme: theme("templates/parts/logo.html", `{{define "logo"}}<b onclick="x()">x</b>{{end}}`), want: []string{`"onclick"`}},
		{name: "broken layout", theme: theme("templates/layout.html", `{{template "main"`), want: []string{"templates/layout.html"}},
		{name: "broken part", theme: theme("templates/parts/hidden.html", `{{define "hidden"}}{{end}}`), want: []string{"sample_step"}},
		{name: "import", theme: theme("css/theme.css", `@IMPORT "x.css";`), want: []string{"css/theme.css", "@import"}},
		{name: "open brace", theme: theme("css/theme.css", `:root { --accent: red;`), want: []string{"css/theme.css", "braces"}},
		{name: "large style sheet", theme: theme("css/theme.css", strings.Repeat(" ", 32<<10+1)), want: []string{"css/theme.css", "32768"}},
		{name: "missing directory", theme: os.DirFS("testdata/no-such-theme"), want: []string{"reading theme"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := web.New(web.Config{Theme: tt.theme})
			if err == nil {
				t.Fatal("theme is accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %q", err, want)
				}
			}
		})
	}
}
