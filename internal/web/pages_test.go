// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"bytes"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func newRenderer(t testing.TB, cfg web.Config) *web.Renderer {
	t.Helper()
	r, err := web.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

// render answers a GET with page and returns what a browser would get.
func render(t testing.TB, r *web.Renderer, status int, page web.Page) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Render(rec, req, status, page)
	return rec
}

type sample struct {
	name string
	page web.Page
	// buttons are the names and values that a form must offer, besides its plain submit.
	buttons []string
	form    bool
}

var (
	hidden = []web.Field{{Name: "step", Value: "st_1"}, {Name: "req", Value: "req_1"}}
	fields = []web.Field{
		{Name: "username", Label: web.LabelUsername, Autocomplete: "username", Required: true},
		{Name: "password", Label: web.LabelPassword, Type: "password", Required: true},
	}
	filled = []web.Field{
		{Name: "username", Label: web.LabelUsername, Autocomplete: "username", Value: "sanne", Required: true},
		{Name: "password", Label: web.LabelPassword, Type: "password", Value: "hunter2", Required: true},
	}
	code = []web.Field{{
		Name: "code", Label: "Code from the app", InputMode: "numeric", Autocomplete: "one-time-code",
		Help: "Six digits.", Error: "That code is not right.", Value: "123",
	}}
	decide = []string{"decision=allow", "decision=deny"}
	when   = time.Date(2026, time.March, 14, 9, 30, 0, 0, time.FixedZone("CET", 3600))
)

// samples are the pages as people meet them, in the language of locale.
func samples(r *web.Renderer, locale string) []sample {
	scopes := []web.ScopeLine{
		{Name: "openid", Text: r.ScopeText(locale, "openid")},
		{Name: "offline_access", Text: r.ScopeText(locale, "offline_access")},
		{Name: "payments:write"},
	}
	account := web.AccountPage{
		Locale: locale, User: "Sanne de Vries", Action: "/account", Hidden: hidden,
		Message: web.MessageSessionEnded, Kind: web.KindSuccess,
		Sessions: []web.Session{
			{ID: "ses_1", Name: "Firefox on Linux", Address: "192.0.2.7", Started: when, Seen: when.Add(time.Hour), Current: true},
			{ID: "ses_2", Name: "Safari on iPhone"},
		},
		Grants: []web.Grant{{ID: "gra_1", Client: "Example Portal", Scopes: scopes, Since: when}},
	}
	return append([]sample{
		{name: "login", form: true, buttons: []string{"cancel=cancel"}, page: web.LoginPage{
			Locale: locale, Client: "Example Portal", Action: "/login", Hidden: hidden, Fields: fields, Cancel: true,
			FormTargets: []string{"https://portal.example.com/callback"},
		}},
		{name: "login-refused", form: true, page: web.LoginPage{
			Locale: locale, Client: "Example Portal", Action: "/login", Hidden: hidden, Fields: filled, Message: web.MessageRefused,
		}},
		{name: "login-throttled", form: true, page: web.LoginPage{
			Locale: locale, Action: "/login", Fields: fields, Message: web.MessageThrottled, RetryAfter: 90 * time.Second,
		}},
		{name: "login-again", form: true, buttons: []string{"cancel=cancel"}, page: web.LoginPage{
			Locale: locale, Client: "Example Portal", User: "sanne", Action: "/login", Hidden: hidden, Fields: fields[1:],
			Message: web.MessageReauthAge, Kind: web.KindInfo, Cancel: true,
		}},
		{name: "login-code", form: true, page: web.LoginPage{
			Locale: locale, Action: "/login", Fields: code, Title: "Enter your code", Text: "We sent it.", Submit: "Check",
			Message: "Your own words", Kind: web.KindSuccess,
		}},
		{name: "login-notice", form: true, buttons: []string{"cancel=cancel"}, page: web.LoginPage{
			Locale: locale, Client: "Example Portal", Action: "/login", Hidden: hidden, Fields: fields, Cancel: true,
			Notice: &web.Notice{Text: "Version 3 is there.", URL: "https://example.com/get?app=1&v=3"},
		}},
		{name: "login-nothing", form: true, page: web.LoginPage{
			Locale: locale, Action: "/login", Hidden: hidden, Message: web.MessageAnswered, Kind: web.KindInfo,
			Submit: web.LabelAgain,
			Notice: &web.Notice{Text: "We are closed on Sunday."},
		}},
		{name: "login-stuck", form: true, buttons: []string{"cancel=cancel"}, page: web.LoginPage{
			Locale: locale, Client: "Example Portal", Action: "/login", Hidden: hidden, Message: web.MessageApplication, Kind: web.KindInfo,
			Cancel: true, Stuck: true,
		}},
		{name: "consent", form: true, buttons: decide, page: web.ConsentPage{
			Locale: locale, Client: "Example Portal", User: "Sanne de Vries", Scopes: scopes, Action: "/consent", Hidden: hidden,
			Destination: "portal.example.com",
		}},
		{name: "consent-details", form: true, buttons: decide, page: web.ConsentPage{
			Locale: locale, Client: "Example Portal", User: "Sanne de Vries", Action: "/consent", Hidden: hidden,
			Details: []string{"Pay 12.50 EUR to <Ann & Co>", "See your accounts: list, read"}, Destination: "portal.example.com",
		}},
		{name: "error", page: web.ErrorPage{
			Locale: locale, Message: web.ErrorRedirectURI, Detail: "redirect_uri is not registered", RequestID: "req_1",
			BackURL: "https://portal.example.com/",
		}},
		{name: "error-server", page: web.ErrorPage{Locale: locale}},
		{name: "error-own", page: web.ErrorPage{Locale: locale, Title: "Closed", Message: "We are closed.", Next: "Come back tomorrow."}},
		{name: "logout", form: true, buttons: decide, page: web.LogoutPage{
			Locale: locale, User: "Sanne de Vries", Client: "Example Portal", Action: "/logout", Hidden: hidden,
		}},
		{name: "continue", form: true, buttons: decide, page: web.ContinuePage{
			Locale: locale, User: "Sanne de Vries", Client: "Example Bank", Other: "Jan Jansen", Action: "/continue", Hidden: hidden,
		}},
		{name: "continue-nobody", form: true, buttons: decide, page: web.ContinuePage{
			Locale: locale, User: "Sanne de Vries", Client: "Example Bank", Action: "/continue", Hidden: hidden,
		}},
		{name: "told", page: web.ToldPage{
			Locale: locale, ContinueURL: "/authorize?req=req_1&step=st_1",
			Notice: web.Notice{Text: "Version <3> is there.", URL: "https://example.com/get?app=1&v=3"},
		}},
		{name: "told-plain", page: web.ToldPage{
			Locale: locale, ContinueURL: "/authorize?req=req_1&step=st_1", Notice: web.Notice{Text: "We close.", URL: "javascript:alert(1)"},
		}},
		{name: "signedout", page: web.SignedOutPage{
			Locale: locale, Client: "Example Portal", ContinueURL: "com.example.app:/out", LoginURL: "/login",
		}},
		{name: "signedout-plain", page: web.SignedOutPage{Locale: locale}},
		{name: "formpost", form: true, page: web.FormPostPage{
			Locale: locale, Client: "Example Portal", Action: "https://portal.example.com/callback?tenant=1",
			Fields: []web.Field{{Name: "code", Value: "c_1"}, {Name: "state", Value: `"><script>`}, {Name: "submit", Value: "1"}},
		}},
		{name: "api", page: web.APIPage{
			Locale: locale, Title: "Example", Lead: "What programs ask.", Text: []string{"First.", "Second."}, Server: "https://auth.example.com/api/v1", Download: "/api/v1/openapi.json",
			Groups: []web.APIGroup{{Name: "Users", Calls: []web.APICall{{
				ID: "addUser", Method: "POST", Path: "/users", Summary: "Add a user", Scopes: []string{"gatehouse:users"},
				Inputs: []web.APIMember{{Name: "Idempotency-Key", Type: "header, string", Text: "Once."}}, Body: "NewUser",
				BodyType: "application/json", Answers: []web.APIAnswer{{Status: "201", Text: "Added.", Body: "User"}, {Status: "400", Text: "Malformed."}},
			}}}},
			Schemas:  []web.APISchema{{Name: "NewUser", Members: []web.APIMember{{Name: "logins", Type: "array of string", Required: true}}}},
			Problems: []web.APIProblem{{Code: "not_found", Status: "404", Title: "There is no such thing"}},
		}},
		{name: "account", form: true, page: account, buttons: []string{
			"end_session=ses_1", "end_session=ses_2", "revoke_grant=gra_1", "everywhere=all",
		}},
		{name: "account-empty", form: true, buttons: []string{"everywhere=all"}, page: web.AccountPage{
			Locale: locale, User: "Sanne de Vries", Action: "/account",
		}},
	}, slices.Concat(phoneSamples(locale), certificateSamples(locale), confirmPages(locale))...)
}

// eachSample runs check over every sample in every language.
func eachSample(t *testing.T, check func(t *testing.T, s sample, locale, body string)) {
	r := newRenderer(t, web.Config{})
	for _, locale := range r.Locales() {
		for _, s := range samples(r, locale) {
			t.Run(s.name+"."+locale, func(t *testing.T) {
				t.Parallel()
				rec := render(t, r, http.StatusOK, s.page)
				if rec.Code != http.StatusOK {
					t.Fatalf("status %d, want 200", rec.Code)
				}
				check(t, s, locale, rec.Body.String())
			})
		}
	}
}

var hashed = regexp.MustCompile(`\.[0-9a-f]{16}\.`)

func TestPagesMatchGolden(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, s sample, locale, body string) {
		got := hashed.ReplaceAllString(body, ".HASH.")
		file := filepath.Join("testdata", "golden", s.name+"."+locale+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("page differs from %s (-want +got):\n%s", file, diff)
		}
	})
}

func TestGoldenFilesAllBelongToASample(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	var want []string
	for _, locale := range r.Locales() {
		for _, s := range samples(r, locale) {
			want = append(want, s.name+"."+locale+".html")
		}
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(want, entry.Name()) {
			t.Errorf("%s belongs to no sample", entry.Name())
		}
	}
}

func TestPagesWorkWithoutScript(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, s sample, _, body string) {
		doc := parse(t, body)
		forms := find(doc, "form")
		if s.form != (len(forms) > 0) {
			t.Fatalf("page has %d forms, want any: %v", len(forms), s.form)
		}
		var buttons []string
		for _, form := range forms {
			if attr(form, "method") != "post" || attr(form, "action") == "" {
				t.Errorf("form method %q action %q", attr(form, "method"), attr(form, "action"))
			}
			submit := find(form, "button")
			if len(submit) == 0 {
				t.Error("form has no button")
			}
			for _, b := range submit {
				if attr(b, "type") != "submit" || has(b, "hidden") || has(b, "disabled") {
					t.Errorf("button %q is of no use without script", text(b))
				}
				buttons = append(buttons, attr(b, "name")+"="+attr(b, "value"))
			}
		}
		for _, want := range s.buttons {
			if !slices.Contains(buttons, want) {
				t.Errorf("no button sends %q, only %q", want, buttons)
			}
		}
		if find(doc, "noscript") != nil {
			t.Error("page tells script from no script")
		}
	})
}

func TestFormsCarryEveryHiddenField(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	pages := []web.Page{
		web.LoginPage{Action: "/x", Hidden: hidden},
		web.ConsentPage{Action: "/x", Hidden: hidden},
		web.LogoutPage{Action: "/x", Hidden: hidden},
		web.ContinuePage{Action: "/x", Hidden: hidden},
		web.FormPostPage{Action: "https://a.example/", Fields: hidden},
		web.AccountPage{Action: "/x", Hidden: hidden, Sessions: []web.Session{{ID: "1"}}, Grants: []web.Grant{{ID: "1"}}},
	}
	for _, page := range pages {
		for _, form := range find(parse(t, render(t, r, http.StatusOK, page).Body.String()), "form") {
			var got []web.Field
			for _, input := range find(form, "input") {
				got = append(got, web.Field{Name: attr(input, "name"), Value: attr(input, "value")})
			}
			if diff := cmp.Diff(hidden, got); diff != "" {
				t.Errorf("%T: hidden fields (-want +got):\n%s", page, diff)
			}
		}
	}
}

func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, s sample, locale, body string) {
		doc := parse(t, body)
		if got := attr(find(doc, "html")[0], "lang"); got != locale {
			t.Errorf("lang %q, want %q", got, locale)
		}
		for _, tag := range []string{"title", "h1", "main", "header"} {
			if n := len(find(doc, tag)); n != 1 {
				t.Errorf("%d <%s>, want 1", n, tag)
			}
		}
		// Whoever hears the title first hears at once that something went wrong.
		want := text(find(doc, "h1")[0]) + " · Gatehouse"
		if s.name == "login-refused" || s.name == "login-throttled" {
			want = map[string]string{"en": "Error: ", "nl": "Fout: "}[locale] + want
		}
		if title := text(find(doc, "title")[0]); title != want {
			t.Errorf("title %q, want %q", title, want)
		}
		ids := map[string]bool{}
		focused := 0
		walk(doc, func(n *html.Node) {
			if id := attr(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("id %q is used twice", id)
				}
				ids[id] = true
			}
			if has(n, "autofocus") {
				focused++
			}
		})
		walk(doc, func(n *html.Node) {
			for _, key := range []string{"aria-describedby", "aria-labelledby", "for"} {
				for _, id := range strings.Fields(attr(n, key)) {
					if !ids[id] {
						t.Errorf("<%s %s=%q> points nowhere", n.Data, key, id)
					}
				}
			}
		})
		inputs := visibleInputs(doc)
		for _, input := range inputs {
			labelled := slices.ContainsFunc(find(doc, "label"), func(l *html.Node) bool {
				return attr(l, "for") == attr(input, "id") && text(l) != ""
			})
			if !labelled {
				t.Errorf("input %q has no label", attr(input, "name"))
			}
		}
		if want := min(len(inputs), 1); focused != want {
			t.Errorf("%d elements take the focus, want %d", focused, want)
		}
	})
}

func TestMessageIsAnnouncedWithTheFocusedField(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		name    string
		kind    web.Kind
		fields  []web.Field
		role    string
		focused string
	}{
		{name: "error by default", fields: filled, role: "alert", focused: "password"},
		{name: "error", kind: web.KindError, fields: fields, role: "alert", focused: "username"},
		{name: "information", kind: web.KindInfo, fields: fields, role: "status", focused: "username"},
		{name: "success", kind: web.KindSuccess, fields: code, role: "status", focused: "code"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page := web.LoginPage{Action: "/login", Fields: tt.fields, Message: web.MessageRefused, Kind: tt.kind}
			doc := parse(t, render(t, r, http.StatusOK, page).Body.String())
			message := byID(doc, "message")
			if message == nil || attr(message, "role") != tt.role {
				t.Fatalf("message role %q, want %q", attr(message, "role"), tt.role)
			}
			for _, input := range visibleInputs(doc) {
				focused := attr(input, "name") == tt.focused
				described := slices.Contains(strings.Fields(attr(input, "aria-describedby")), "message")
				if has(input, "autofocus") != focused || described != focused {
					t.Errorf("input %q: focus %v, described %v, want %v", attr(input, "name"), has(input, "autofocus"), described, focused)
				}
			}
		})
	}
}

func TestPasswordIsNeverWrittenBack(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	body := render(t, r, http.StatusOK, web.LoginPage{Action: "/login", Fields: filled}).Body.String()
	if strings.Contains(body, "hunter2") {
		t.Error("page holds the password")
	}
	for _, input := range visibleInputs(parse(t, body)) {
		if attr(input, "type") == "password" && attr(input, "autocomplete") != "current-password" {
			t.Errorf("autocomplete %q", attr(input, "autocomplete"))
		}
	}
}

func TestWaitingTimeIsRoundedUpAndSpelledOut(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		name string
		wait time.Duration
		en   string
		nl   string
	}{
		{name: "none", en: "Try again in a moment.", nl: "Probeer het zo meteen opnieuw."},
		{name: "a fraction", wait: time.Millisecond, en: "Try again in 1 second.", nl: "Probeer het over 1 seconde opnieuw."},
		{name: "seconds", wait: 29*time.Second + 1, en: "Try again in 30 seconds.", nl: "Probeer het over 30 seconden opnieuw."},
		{name: "just under two minutes", wait: 119 * time.Second, en: "in 119 seconds.", nl: "over 119 seconden"},
		{name: "two minutes", wait: 2 * time.Minute, en: "in 2 minutes.", nl: "over 2 minuten"},
		{name: "over two minutes", wait: 2*time.Minute + 1, en: "in 3 minutes.", nl: "over 3 minuten"},
		{name: "negative", wait: -time.Hour, en: "in a moment.", nl: "zo meteen"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for locale, want := range map[string]string{"en": tt.en, "nl": tt.nl} {
				page := web.LoginPage{Locale: locale, Action: "/login", Message: web.MessageThrottled, RetryAfter: tt.wait}
				doc := parse(t, render(t, r, http.StatusTooManyRequests, page).Body.String())
				if got := text(byID(doc, "message")); !strings.Contains(got, want) {
					t.Errorf("message %q, want %q", got, want)
				}
			}
		})
	}
}

func TestEveryErrorHasTitleTextAndNextStep(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	keys := []string{
		web.ErrorRequest, web.ErrorClient, web.ErrorRedirectURI, web.ErrorExpired, web.ErrorCookie, web.ErrorForbidden,
		web.ErrorInsufficient, web.ErrorNotFound, web.ErrorMethod, web.ErrorTooLarge, web.ErrorThrottled,
		web.ErrorUnavailable, web.ErrorServer,
	}
	for _, key := range keys {
		for _, locale := range r.Locales() {
			doc := parse(t, render(t, r, http.StatusBadRequest, web.ErrorPage{Locale: locale, Message: key}).Body.String())
			main := find(doc, "main")[0]
			if strings.Contains(text(main), "error.") || len(find(main, "p")) != 2 || text(find(main, "h1")[0]) == "" {
				t.Errorf("%s in %s: %q", key, locale, text(main))
			}
		}
	}
}

func TestRenderRefusesPagesThatMustNotBeSent(t *testing.T) {
	t.Parallel()
	ok := web.Field{Name: "a", Label: "A"}
	tests := []struct {
		name string
		page web.Page
	}{
		{name: "no page"},
		{name: "no action", page: web.LoginPage{}},
		{name: "script action", page: web.LoginPage{Action: "javascript:alert(1)"}},
		{name: "foreign action", page: web.ConsentPage{Action: "https://evil.example/"}},
		{name: "protocol-relative action", page: web.LogoutPage{Action: "//evil.example/"}},
		{name: "an action elsewhere", page: web.ContinuePage{Action: "https://evil.example/"}},
		{name: "backslash action", page: web.AccountPage{Action: `/\evil.example/`}},
		{name: "tab in action", page: web.LoginPage{Action: "/\t/evil.example/"}},
		{name: "script form post", page: web.FormPostPage{Action: "javascript:alert(1)"}},
		{name: "form post to an app scheme", page: web.FormPostPage{Action: "com.example.app:/cb"}},
		{name: "form post without host", page: web.FormPostPage{Action: "https:///cb"}},
		{name: "form post with user", page: web.FormPostPage{Action: "https://a@b.example/"}},
		{name: "unnamed form post field", page: web.FormPostPage{Action: "https://a.example/", Fields: []web.Field{{Value: "x"}}}},
		{name: "script target", page: web.LoginPage{Action: "/", FormTargets: []string{"javascript:alert(1)"}}},
		{name: "data target", page: web.ConsentPage{Action: "/", FormTargets: []string{"data:text/html,x"}}},
		{name: "unnamed field", page: web.LoginPage{Action: "/", Fields: []web.Field{{Label: "A"}}}},
		{name: "unlabelled field", page: web.LoginPage{Action: "/", Fields: []web.Field{ok, {Name: "b"}}}},
		{name: "field named like the cancel button", page: web.LoginPage{Action: "/", Fields: []web.Field{{Name: "cancel", Label: "A"}}}},
		{name: "field type image", page: web.LoginPage{Action: "/", Fields: []web.Field{{Name: "a", Label: "A", Type: "image"}}}},
		{name: "unnamed hidden field", page: web.LoginPage{Action: "/", Hidden: []web.Field{{Value: "x"}}}},
		{name: "unknown login page", page: web.LoginPage{Action: "/", Template: "other.html"}},
		{name: "login page elsewhere", page: web.LoginPage{Action: "/", Template: "../pages/consent.html"}},
		{name: "unknown kind", page: web.LoginPage{Action: "/", Message: "x", Kind: "shout"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			r := newRenderer(t, web.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			rec := render(t, r, http.StatusOK, tt.page)
			if rec.Code != http.StatusInternalServerError {
				t.Fatalf("status %d, want 500", rec.Code)
			}
			body := rec.Body.String()
			if !strings.Contains(body, "Something went wrong") || strings.Contains(body, "evil") || strings.Contains(body, "alert(") {
				t.Errorf("body: %s", body)
			}
			if !strings.Contains(rec.Header().Get("Content-Security-Policy"), "form-action 'self';") {
				t.Errorf("policy %q", rec.Header().Get("Content-Security-Policy"))
			}
			if !strings.Contains(log.String(), "rendering page") || strings.Contains(log.String(), "evil") {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

func TestLinksThatAreNotSafeAreLeftOut(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		url  string
		want string
	}{
		{url: "https://portal.example.com/?a=1&b=2", want: "https://portal.example.com/?a=1&b=2"},
		{url: "http://127.0.0.1:9/x", want: "http://127.0.0.1:9/x"},
		{url: "/account", want: "/account"},
		{url: "com.example.app:/out", want: "com.example.app:/out"},
		{url: ""},
		{url: "javascript:alert(1)"},
		{url: "JavaScript:alert(1)"},
		{url: " javascript:alert(1)"},
		{url: "java\tscript:alert(1)"},
		{url: "data:text/html,x"},
		{url: "vbscript:x"},
		{url: "blob:https://a.example/x"},
		{url: "//evil.example/"},
		{url: `/\evil.example/`},
		{url: `\\evil.example/`},
		{url: "https:evil.example"},
		{url: "https://portal.example.com@evil.example/"},
		{url: "relative"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			pages := []web.Page{
				web.ErrorPage{BackURL: tt.url},
				web.SignedOutPage{Client: "A", ContinueURL: tt.url},
				web.SignedOutPage{LoginURL: tt.url},
			}
			for _, page := range pages {
				rec := render(t, r, http.StatusOK, page)
				var got string
				for _, a := range find(parse(t, rec.Body.String()), "a") {
					got += attr(a, "href")
				}
				if rec.Code != http.StatusOK || got != tt.want {
					t.Errorf("%T: status %d, link %q, want %q", page, rec.Code, got, tt.want)
				}
			}
		})
	}
}

func TestForeignTextIsEscaped(t *testing.T) {
	t.Parallel()
	const attack = `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}`
	r := newRenderer(t, web.Config{Service: attack})
	field := web.Field{
		Name: attack, Label: attack, Value: attack, Autocomplete: attack, InputMode: attack, Help: attack, Error: attack,
	}
	scopes := []web.ScopeLine{{Name: attack}, {Name: "x", Text: attack}}
	pages := []web.Page{
		web.LoginPage{
			Client: attack, User: attack, Title: attack, Text: attack, Submit: attack, Message: attack, Action: `/"><script>`[:2],
			Notice: &web.Notice{Text: attack, URL: `https://a.example/"onclick="x`},
			Hidden: []web.Field{field}, Fields: []web.Field{field},
		},
		web.LoginPage{Action: `/"onclick="x`, Locale: attack},
		web.ConsentPage{Client: attack, User: attack, Destination: attack, Scopes: scopes, Details: []string{attack}, Action: "/", Hidden: []web.Field{field}},
		web.ErrorPage{Title: attack, Message: attack, Next: attack, Detail: attack, RequestID: attack, BackURL: `https://a.example/"><script>`},
		web.LogoutPage{User: attack, Client: attack, Action: "/", Hidden: []web.Field{field}},
		web.ContinuePage{User: attack, Client: attack, Other: attack, Action: "/", Hidden: []web.Field{field}},
		web.SignedOutPage{Client: attack, ContinueURL: `https://a.example/"onclick="x`},
		web.FormPostPage{Client: attack, Action: `https://a.example/"onclick="x`, Fields: []web.Field{field}},
		web.AccountPage{
			User: attack, Message: attack, Action: "/", Hidden: []web.Field{field},
			Sessions: []web.Session{{ID: attack, Name: attack, Address: attack}},
			Grants:   []web.Grant{{ID: attack, Client: attack, Scopes: scopes}},
		},
	}
	for _, page := range pages {
		rec := render(t, r, http.StatusOK, page)
		if rec.Code != http.StatusOK {
			t.Errorf("%T: status %d", page, rec.Code)
		}
		doc := parse(t, rec.Body.String())
		if n := len(find(doc, "script")); n != 1 || len(find(doc, "img")) != 0 {
			t.Errorf("%T: %d scripts, %d images", page, n, len(find(doc, "img")))
		}
		walk(doc, func(n *html.Node) {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("%T: <%s> has attribute %q", page, n.Data, a.Key)
				}
			}
		})
	}
}

// TestNamesAreIsolated keeps a name with its own writing direction from turning around the words beside it.
func TestNamesAreIsolated(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	const name = "\u202elatroP"
	body := render(t, r, http.StatusOK, web.ConsentPage{Client: name, User: name, Destination: name, Action: "/"}).Body.String()
	doc := parse(t, body)
	if n := len(find(doc, "bdi")); n != 3 {
		t.Errorf("%d names are isolated, want 3", n)
	}
	if strings.Count(body, name) != strings.Count(body, `<bdi class="name">`+name+`</bdi>`) {
		t.Error("a name stands outside its isolation")
	}
}

// TestTextOfOthersIsNotLookedUp keeps a client from borrowing our words by calling itself by one of our keys.
func TestTextOfOthersIsNotLookedUp(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	page := web.ConsentPage{Client: "login.title", User: "login.title", Destination: "login.title", Action: "/"}
	if body := render(t, r, http.StatusOK, page).Body.String(); strings.Contains(body, "Sign in<") {
		t.Error("a name was taken for a key")
	}
}
