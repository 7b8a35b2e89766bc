// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

func confirmPage(change ...func(*web.ConfirmPage)) web.ConfirmPage {
	p := web.ConfirmPage{
		State: web.WaitAsked, Message: "Pay 10 to Ann", Number: "42", Expires: when, Path: "/pay?a=1&b=2", AgainPath: "/pay?a=1&b=2&again", Post: true,
		Fields: []web.Field{{Name: "to", Value: "Ann"}, {Name: "to", Value: ""}}, WatchURL: "/kept/op_1", CancelURL: "/kept/op_1",
		Refresh: 5 * time.Second,
	}
	for _, fn := range change {
		fn(&p)
	}
	return p
}

func confirmsLink(p *web.ConfirmPage) { p.Post, p.Fields = false, nil }

func confirmsIn(state web.WaitState) func(*web.ConfirmPage) {
	return func(p *web.ConfirmPage) { p.State = state }
}

// TestConfirmPage: a page sends the same request again as long as that can lead anywhere, and the question once more when it has come to
// an end; it looks for news while there is something to wait for.
func TestConfirmPage(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	for _, tt := range []struct {
		name             string
		page             web.ConfirmPage
		leads            string
		watches, refetch bool
		says             string
	}{
		{"asks", confirmPage(), "/pay?a=1&b=2", true, false, "I have answered"},
		{"asks about a link", confirmPage(confirmsLink), "/pay?a=1&b=2", true, true, "I have answered"},
		{"asks, and cannot be watched", confirmPage(confirmsLink, func(p *web.ConfirmPage) { p.WatchURL = "" }), "/pay?a=1&b=2", false, false, "I have answered"},
		{"is approved", confirmPage(confirmsIn(web.ConfirmApproved)), "/pay?a=1&b=2", true, false, "You said yes"},
		{"has asked nobody", confirmPage(confirmsLink, confirmsIn(web.ConfirmFirst)), "/pay?a=1&b=2", false, false, "Ask me on my phone"},
		{"cannot ask", confirmPage(confirmsIn(web.ConfirmBusy)), "/pay?a=1&b=2", false, false, "Try again"},
		{"was passed on", confirmPage(confirmsIn(web.ConfirmPassed)), "/pay?a=1&b=2&again", false, false, "was sent already"},
		{"was denied", confirmPage(confirmsIn(web.WaitDenied)), "/pay?a=1&b=2&again", false, false, "You said no on your phone"},
		{"was begun by somebody else", confirmPage(confirmsIn(web.WaitNotMe)), "/pay?a=1&b=2&again", false, false, "it was not you who began"},
		{"is over", confirmPage(confirmsIn(web.WaitExpired)), "/pay?a=1&b=2&again", false, false, "in time"},
		{"has failed", confirmPage(confirmsIn(web.WaitFailed)), "/pay?a=1&b=2&again", false, false, "answers were wrong"},
		{"was taken back", web.ConfirmPage{State: web.WaitCancelled}, "", false, false, "You took the question back"},
	} {
		rec := render(t, r, http.StatusUnauthorized, tt.page)
		h, body := rec.Header(), rec.Body.String()
		doc := parse(t, body)
		repeat := byID(doc, "repeat")
		if leads := attr(repeat, "action") + attr(repeat, "href"); rec.Code != http.StatusUnauthorized || leads != tt.leads {
			t.Errorf("a page that %s: %d, leads to %q", tt.name, rec.Code, leads)
		}
		want := policyStart + " https:"
		if tt.watches {
			want = policyStart + " https:" + policyEnd + "; connect-src 'self'"
		}
		if got := h.Get("Content-Security-Policy"); !strings.HasPrefix(got, want) || strings.Contains(got, "connect") != tt.watches {
			t.Errorf("a page that %s has the policy %q", tt.name, got)
		}
		if h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "same-origin" || !strings.Contains(h.Get("Cache-Control"), "no-store") {
			t.Errorf("a page that %s has %v", tt.name, h)
		}
		if strings.Contains(body, "/static/confirm.") != tt.watches || strings.Contains(body, `content="5;url=/pay?a=1&amp;b=2"`) != tt.refetch {
			t.Errorf("a page that %s looks for news otherwise:\n%s", tt.name, body)
		}
		if !strings.Contains(text(doc), tt.says) || strings.Contains(body, ">42<") != tt.page.Open() {
			t.Errorf("a page that %s says\n%s", tt.name, text(doc))
		}
	}
}

// TestConfirmPageKeepsBytes: no character of a path or of a field becomes another one, or part of the page.
func TestConfirmPageKeepsBytes(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	fields := []web.Field{
		{Name: "submit", Value: `"><script>alert(1)</script>`}, {Name: "action", Value: "/elsewhere"}, {Name: "method", Value: "get"},
		{Name: `"><img src=x onerror=alert(1)>`, Value: "a+b c&amp;d"}, {Name: "requestSubmit", Value: "'`{{.}}"},
		{Name: "ümlaut", Value: "Grüße\n\u2028\x01 ende"}, {Name: "id", Value: ""}, {Name: "id", Value: " "},
	}
	for _, path := range []string{
		"/a'(b)|c`d\"?x=<b>&y=%c3%bc&z='[]{}^", "/pay?&", "/pay?", `/x"onmouseover="alert(1)`, "/%27%28?a=%zz", "/javascript:alert(1)", "/a;b@c:d,e$!*+~",
	} {
		for _, post := range []bool{true, false} {
			page := confirmPage(func(p *web.ConfirmPage) { p.Path, p.Post, p.Fields = path, post, fields })
			doc := parse(t, render(t, r, http.StatusUnauthorized, page).Body.String())
			repeat := byID(doc, "repeat")
			if got := attr(repeat, "action") + attr(repeat, "href"); got != path {
				t.Errorf("%s is sent to %s", path, got)
			}
			var got []web.Field
			for _, input := range find(repeat, "input") {
				got = append(got, web.Field{Name: attr(input, "name"), Value: attr(input, "value")})
			}
			if diff := cmp.Diff(fields, got); post && diff != "" {
				t.Errorf("%s: %s", path, diff)
			}
			if scripts := len(find(doc, "script")); scripts != 2 || len(find(doc, "img")) != 0 || has(repeat, "onmouseover") {
				t.Errorf("%s: the page has %d scripts", path, scripts)
			}
		}
	}
}

// FuzzConfirmPage: what stands in the page is what was given, whatever that is.
func FuzzConfirmPage(f *testing.F) {
	f.Add("/pay?a=1", "to", "Ann", "Pay")
	f.Add("/'\"<>&", "'\"<>&", "'\"<>&", "'\"<>&")
	r := newRenderer(f, web.Config{})
	f.Fuzz(func(t *testing.T, path, name, value, message string) {
		for _, s := range []string{path, name, value, message} {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\r") {
				t.Skip("no page has that")
			}
		}
		page := confirmPage(func(p *web.ConfirmPage) {
			p.Path, p.Fields, p.Message = path, []web.Field{{Name: name, Value: value}}, message
		})
		rec := render(t, r, http.StatusUnauthorized, page)
		if rec.Code != http.StatusUnauthorized || path == "" {
			return // it is no path, or there is no name
		}
		doc := parse(t, rec.Body.String())
		repeat := byID(doc, "repeat")
		inputs := find(repeat, "input")
		if attr(repeat, "action") != path || len(inputs) != 1 || attr(inputs[0], "name") != name || attr(inputs[0], "value") != value {
			t.Errorf("%q, %q, %q are in the page as %q, %v", path, name, value, attr(repeat, "action"), inputs)
		}
		if message != "" && text(find(doc, "blockquote")[0]) != strings.TrimSpace(message) || len(find(doc, "script")) > 2 {
			t.Errorf("%q is in the page as %q", message, text(find(doc, "blockquote")[0]))
		}
	})
}

func TestConfirmPageRefuses(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	for name, page := range map[string]web.ConfirmPage{
		"no state":                 confirmPage(confirmsIn("")),
		"a state that is none":     confirmPage(confirmsIn(web.WaitScan)),
		"a request to elsewhere":   confirmPage(func(p *web.ConfirmPage) { p.Path = "//evil.example/" }),
		"a question to elsewhere":  confirmPage(func(p *web.ConfirmPage) { p.AgainPath = "https://evil.example/" }),
		"a place to watch":         confirmPage(func(p *web.ConfirmPage) { p.WatchURL = `/\evil.example` }),
		"a place to take it back":  confirmPage(func(p *web.ConfirmPage) { p.CancelURL = "javascript:alert(1)" }),
		"a field without any name": confirmPage(func(p *web.ConfirmPage) { p.Fields = []web.Field{{Value: "x"}} }),
	} {
		if rec := render(t, r, http.StatusOK, page); rec.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
}

// confirmPages are the pages that confirm as people meet them.
func confirmPages(locale string) []sample {
	in := func(change ...func(*web.ConfirmPage)) web.ConfirmPage {
		return confirmPage(append(change, func(p *web.ConfirmPage) { p.Locale = locale })...)
	}
	return []sample{
		{name: "confirm", form: true, page: in()},
		{name: "confirm-first", page: in(confirmsLink, confirmsIn(web.ConfirmFirst), func(p *web.ConfirmPage) { p.CancelURL, p.Number = "", "" })},
		{name: "confirm-denied", form: true, page: in(confirmsIn(web.WaitDenied), func(p *web.ConfirmPage) { p.CancelURL = "" })},
		{name: "confirm-passed", form: true, page: in(confirmsIn(web.ConfirmPassed), func(p *web.ConfirmPage) { p.CancelURL = "" })},
	}
}
