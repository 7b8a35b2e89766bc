// SPDX-License-Identifier: Apache-2.0

package hold_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/payer"
)

// window is a browser's, with what it shows.
type window struct {
	*httptest.ResponseRecorder
	page *hold.Page
}

// withPages has browsers be answered with pages.
func withPages(c *hold.Config) {
	c.Page = func(w http.ResponseWriter, _ *http.Request, p *hold.Page) {
		w.(*window).page = p
		w.WriteHeader(p.Status)
	}
}

const transfer = "amount=10&to=J%C3%BCrgen+%26+Ann&tag=&tag=b&tag=a"

// forms has the payments of a form confirmed.
func forms(t testing.TB, change ...func(*hold.Rule)) *hold.Rule {
	return rule(t, append([]func(*hold.Rule){func(r *hold.Rule) {
		var err error
		r.Message, err = confirm.ParseTemplate("Pay {form.amount} to {form.to}")
		must(t, err)
	}}, change...)...)
}

// links has what a link leads to confirmed.
func links(t testing.TB) *hold.Rule {
	return rule(t, func(r *hold.Rule) {
		var err error
		r.Message, err = confirm.ParseTemplate("Fetch {query.year}")
		must(t, err)
	})
}

// submits is the form of a page of the site, as a browser sends it.
func submits(t testing.TB, body string, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/transfers?a=1&b=2", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	navigation(r, "same-origin")
	for _, fn := range change {
		fn(r)
	}
	return r
}

func navigation(r *http.Request, from string) {
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for name, value := range map[string]string{"Site": from, "Mode": "navigate", "Dest": "document", "User": "?1"} {
		r.Header.Set("Sec-Fetch-"+name, value)
	}
}

// follows is a link, as a browser follows it.
func follows(t testing.TB, from string, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/statement?year=2026", http.NoBody)
	navigation(r, from)
	for _, fn := range change {
		fn(r)
	}
	return r
}

// browse has the request of a browser admitted, and returns by what it passes or what is shown.
func (w *world) browse(r *http.Request, rule *hold.Rule, change ...func(*hold.Caller)) (*hold.Passed, *window) {
	shown := &window{ResponseRecorder: httptest.NewRecorder()}
	c := caller()
	c.Asked, c.ByCookie = r.URL.RequestURI(), true
	for _, fn := range change {
		fn(c)
	}
	return w.holder.Admit(shown, r, rule, c), shown
}

// asked is the operation of a page that asks.
func (w *world) asked(t testing.TB, passed *hold.Passed, shown *window) string {
	t.Helper()
	if p := shown.page; passed != nil || p == nil || p.State != hold.StateAsked || p.Status != http.StatusUnauthorized || len(p.Number) != 2 || !p.Expires.After(w.Clock.Now()) {
		t.Fatalf("passed %v, shown %+v", passed, p)
	}
	return strings.TrimPrefix(shown.page.StatusPath, "/_gatehouse/confirm/")
}

// again is what the page puts behind an address that has a query, to have it asked about once more after an operation.
func again(id string) string { return "&_gatehouse=again." + id }

// asks sends a request that is asked about.
func (w *world) asks(t testing.TB, r *http.Request, rule *hold.Rule) string {
	t.Helper()
	passed, shown := w.browse(r, rule)
	return w.asked(t, passed, shown)
}

// TestForm: a form is asked about once, however often it is sent; after the approval it passes once, byte for byte, and whoever sends it
// then is told so, and asked once more only when they say so.
func TestForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	first, shown := w.browse(submits(t, transfer), forms(t))
	id := w.asked(t, first, shown)
	want := &hold.Page{
		Status: http.StatusUnauthorized, Code: "confirmation_required", Detail: shown.page.Detail, State: hold.StateAsked,
		Message: "Pay 10 to Jürgen & Ann", Number: shown.page.Number, Expires: shown.page.Expires, Path: "/transfers?a=1&b=2", Post: true,
		Fields:     []hold.Field{{"amount", "10"}, {"to", "Jürgen & Ann"}, {"tag", ""}, {"tag", "b"}, {"tag", "a"}},
		StatusPath: "/_gatehouse/confirm/" + id,
	}
	if diff := cmp.Diff(want, shown.page); diff != "" || shown.Header().Get("WWW-Authenticate") == "" {
		t.Error(diff)
	}
	reloaded, shown := w.browse(submits(t, transfer, func(r *http.Request) { r.Header.Set("Prefer", "wait=60") }), forms(t, func(r *hold.Rule) { r.Wait = time.Minute }))
	if again := w.asked(t, reloaded, shown); again != id {
		t.Errorf("it is asked again: %s and %s", id, again)
	}
	w.Approve(id)
	r := submits(t, transfer)
	passed, shown := w.browse(r, forms(t))
	if passed == nil || passed.Operation.ID != id {
		t.Fatalf("it does not pass: %+v", shown.page)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != transfer || r.ContentLength != int64(len(transfer)) {
		t.Errorf("what passes is %q, %v", body, err)
	}
	over, shown := w.browse(submits(t, transfer), forms(t))
	if p := shown.page; over != nil || p.State != hold.StatePassed || p.Status != http.StatusForbidden || p.Number != "" || p.StatusPath != "" ||
		p.Path != "/transfers?a=1&b=2" || p.AgainPath != "/transfers?a=1&b=2"+again(id) || len(p.Fields) != 5 {
		t.Errorf("once more: %v, %+v", over, p)
	}
	more := submits(t, transfer, func(r *http.Request) { r.URL.RawQuery += again(id) })
	anew, shown := w.browse(more, forms(t))
	if next := w.asked(t, anew, shown); next == id || shown.page.Path != "/transfers?a=1&b=2" {
		t.Errorf("nobody is asked anew: %+v", shown.page)
	}
}

// TestFormOutcomes: what has become of a question is told apart, and nothing is asked again until the person says so.
func TestFormOutcomes(t *testing.T) {
	t.Parallel()
	deny := func(reason string) func(*testing.T, *world, string) {
		return func(t *testing.T, w *world, id string) { must(t, w.Refuse(id, reason)) }
	}
	for _, test := range []struct {
		state  hold.State
		happen func(t *testing.T, w *world, id string)
	}{
		{hold.StateDenied, deny(envelope.Denied)},
		{hold.StateDenied, deny(envelope.IncorrectData)},
		{hold.StateNotMe, deny(envelope.NotMe)},
		{hold.StateExpired, func(_ *testing.T, w *world, _ string) { w.Clock.Advance(2 * time.Minute) }},
		{hold.StateExpired, func(_ *testing.T, w *world, id string) { w.Approve(id); w.Clock.Advance(time.Minute) }},
		{hold.StateCancelled, func(t *testing.T, w *world, id string) {
			_, err := w.Operations.Cancel(t.Context(), id, "withdrawn")
			must(t, err)
		}},
	} {
		t.Run(string(test.state), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, withPages)
			passed, shown := w.browse(submits(t, transfer), forms(t))
			id := w.asked(t, passed, shown)
			test.happen(t, w, id)
			for range 2 {
				passed, shown = w.browse(submits(t, transfer), forms(t))
				if p := shown.page; passed != nil || p.State != test.state || p.Status != http.StatusForbidden || p.AgainPath == "" || p.Message == "" || p.Number != "" {
					t.Fatalf("passed %v, shown %+v", passed, p)
				}
			}
			if test.state == hold.StateNotMe {
				return // whoever goes on is slowed down
			}
			more := submits(t, transfer, func(r *http.Request) { r.URL.RawQuery += again(id) })
			if next := w.asks(t, more, forms(t)); next == id {
				t.Error("it is not asked again")
			}
		})
	}
}

// TestLink: where a link comes from another site, or from nowhere, nobody is asked, and no approval is used, before the person says so.
func TestLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	without := func(referer string) func(*http.Request) {
		return func(r *http.Request) {
			for _, name := range []string{"Site", "Mode", "Dest", "User"} {
				r.Header.Del("Sec-Fetch-" + name)
			}
			r.Header.Set("Referer", referer)
		}
	}
	strangers := map[string]*http.Request{
		"another site": follows(t, "cross-site"), "a neighbour": follows(t, "same-site"), "a mail": follows(t, "none"),
		"an old browser": follows(t, "", without("")), "an old browser, elsewhere": follows(t, "", without("https://evil.example/?https://api.example.com")),
		"an old browser, on another port": follows(t, "", without("https://api.example.com:8443/")),
		"a browser, ahead":                follows(t, "same-origin", func(r *http.Request) { r.Header.Set("Sec-Purpose", "prefetch;prerender") }),
		"an old browser, ahead":           follows(t, "", without("https://api.example.com/"), func(r *http.Request) { r.Header.Set("X-Moz", "prefetch") }),
		"again, from another site":        follows(t, "cross-site", func(r *http.Request) { r.URL.RawQuery += again("op_x") }),
	}
	for name, r := range strangers {
		passed, shown := w.browse(r.Clone(t.Context()), links(t))
		if p := shown.page; passed != nil || p.State != hold.StateFirst || p.Status != http.StatusUnauthorized || p.Path != "/statement?year=2026" || p.Message != "Fetch 2026" || p.StatusPath != "" {
			t.Errorf("%s: passed %v, shown %+v", name, passed, p)
		}
	}
	id := w.asks(t, follows(t, "same-origin"), links(t))
	if again := w.asks(t, follows(t, "", without("https://API.example.com/menu")), links(t)); again != id {
		t.Errorf("an old browser is asked about %s, not %s", again, id)
	}
	if again := w.asks(t, follows(t, "cross-site"), links(t)); again != id {
		t.Errorf("another site is asked about %s, not %s", again, id)
	}
	w.Approve(id)
	for name, r := range strangers {
		if passed, shown := w.browse(r, links(t)); passed != nil || shown.page.State != hold.StateApproved || shown.page.Number != "" {
			t.Errorf("%s, approved: passed %v, shown %+v", name, passed, shown.page)
		}
	}
	if passed, shown := w.browse(follows(t, "same-origin"), links(t)); passed == nil || passed.Operation.ID != id {
		t.Errorf("it does not pass: %+v", shown.page)
	}
}

// TestNoPage: whoever is no person in a window of a browser gets the problem, as ever.
func TestNoPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	for name, test := range map[string]struct {
		request *http.Request
		change  func(*hold.Caller)
	}{
		"a script":             {submits(t, transfer, func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") }), nil},
		"a frame":              {submits(t, transfer, func(r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "iframe") }), nil},
		"a token":              {submits(t, transfer), func(c *hold.Caller) { c.ByCookie = false }},
		"one that wants JSON":  {submits(t, transfer, func(r *http.Request) { r.Header = http.Header{"Content-Type": r.Header["Content-Type"]} }), nil},
		"another method":       {submits(t, transfer, func(r *http.Request) { r.Method = http.MethodPut }), nil},
		"one that knows a way": {submits(t, transfer), func(c *hold.Caller) { c.Operations = []string{"op_x"} }},
	} {
		var change []func(*hold.Caller)
		if test.change != nil {
			change = append(change, test.change)
		}
		passed, shown := w.browse(test.request, forms(t), change...)
		if passed != nil || shown.page != nil || !strings.HasPrefix(shown.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: passed %v, shown %+v, %s", name, passed, shown.page, shown.Body)
		}
	}
	plain := newWorld(t)
	if passed, shown := plain.browse(submits(t, transfer), forms(t)); passed != nil || shown.Code != http.StatusUnauthorized || shown.Body.Len() == 0 {
		t.Errorf("without pages: passed %v, %d", passed, shown.Code)
	}
}

// TestElsewhere: what a page of another origin fetches with the person's cookie asks nobody, nor does what is a part of a page.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	fetches := func(from, method, dest string) *http.Request {
		return follows(t, from, func(r *http.Request) {
			r.Method = method
			r.Header.Set("Sec-Fetch-Mode", "no-cors")
			r.Header.Set("Sec-Fetch-Dest", dest)
		})
	}
	for _, r := range []*http.Request{
		fetches("cross-site", http.MethodGet, "empty"), fetches("same-site", http.MethodGet, "empty"), fetches("same-site", http.MethodHead, ""),
		fetches("unheard-of", http.MethodGet, "empty"), fetches("same-origin", http.MethodGet, "image"), fetches("same-origin", http.MethodHead, "image"),
		fetches("same-origin", http.MethodGet, "iframe"), fetches("same-origin", http.MethodGet, "style"), fetches("none", http.MethodGet, "unheard-of"),
		fetches("", http.MethodGet, "image"),
		follows(t, "same-origin", func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "no-cors"); r.Header.Set("Purpose", "prefetch") }),
	} {
		if passed, shown := w.browse(r, links(t)); passed != nil || shown.Code != http.StatusForbidden || !strings.Contains(shown.Body.String(), "other_origin") {
			t.Errorf("%s %s: passed %v, %d %s", r.Method, r.Header.Get("Sec-Fetch-Site"), passed, shown.Code, shown.Body)
		}
	}
	if standing, err := w.Operations.Standing(t.Context(), user); err != nil || len(standing.Open) != 0 {
		t.Errorf("somebody is asked: %v, %v", standing.Open, err)
	}
	for _, dest := range []string{"", "empty", "document"} {
		if passed, shown := w.browse(fetches("same-origin", http.MethodGet, dest), links(t)); passed != nil || shown.Code != http.StatusUnauthorized {
			t.Errorf("the site itself, %q: passed %v, %d", dest, passed, shown.Code)
		}
	}
	token := fetches("same-origin", http.MethodGet, "image")
	if passed, shown := w.browse(token, links(t), func(c *hold.Caller) { c.ByCookie = false }); passed != nil || shown.Code != http.StatusUnauthorized {
		t.Errorf("with a token: passed %v, %d", passed, shown.Code)
	}
}

// TestFormRefusals: what a browser would not send again as it was, or what cannot be shown, is refused in words, and nobody is asked.
func TestFormRefusals(t *testing.T) {
	t.Parallel()
	typed := func(types ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Content-Type"] = types }
	}
	w := newWorld(t, withPages)
	for _, test := range []struct {
		name    string
		request *http.Request
		rule    *hold.Rule
		status  int
		code    string
	}{
		{"parts", submits(t, "x", typed("multipart/form-data; boundary=x")), forms(t), 400, "not_confirmable"},
		{"plain text", submits(t, "amount=10\r\n", typed("text/plain")), forms(t), 400, "not_confirmable"},
		{"two types", submits(t, transfer, typed("application/x-www-form-urlencoded", "text/plain")), forms(t), 400, "not_confirmable"},
		{"of a script", submits(t, transfer, typed("application/x-www-form-urlencoded; charset=UTF-8")), forms(t), 400, "not_confirmable"},
		{"encoded", submits(t, transfer, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }), forms(t), 400, "not_confirmable"},
		{"Latin-1", submits(t, "amount=10&to=J%FCrgen"), forms(t), 400, "not_confirmable"},
		{"a field that is missing", submits(t, "amount=10"), forms(t), 422, "field_not_showable"},
		{"a field that is there twice", submits(t, "amount=10&to=Ann&amount=11"), forms(t), 422, "field_not_showable"},
		{"too much", submits(t, "amount=10&to=Ann&x="+strings.Repeat("x", hold.DefaultBody)), forms(t), 413, "body_too_large"},
		{"bound to where it came from", submits(t, transfer, func(r *http.Request) { r.Header.Set("Referer", "https://api.example.com/") }),
			forms(t, func(r *hold.Rule) { r.Headers = []string{"Referer"} }), 400, "not_confirmable"},
		{"bound to what a browser decides", submits(t, transfer), forms(t, func(r *hold.Rule) { r.Headers = []string{"Sec-Fetch-User"} }), 400, "not_confirmable"},
		{"a link with a body", follows(t, "same-origin", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) }), links(t), 400, "not_confirmable"},
	} {
		passed, shown := w.browse(test.request, test.rule)
		if p := shown.page; passed != nil || p.Status != test.status || p.Code != test.code || p.State != "" || p.Detail == "" || p.Path != "" || p.Fields != nil {
			t.Errorf("%s: passed %v, shown %+v", test.name, passed, p)
		}
	}
	for _, asked := range []string{"//evil.example/", "https://api.example.com/", "/\\evil", "/a b", "/a\u00fc"} {
		passed, shown := w.browse(submits(t, transfer), forms(t), func(c *hold.Caller) { c.Asked = asked })
		if passed != nil || shown.page.Code != "not_confirmable" {
			t.Errorf("%s: passed %v, shown %+v", asked, passed, shown.page)
		}
	}
	if passed, shown := w.browse(submits(t, transfer), forms(t), func(c *hold.Caller) { c.UserID = "usr_2" }); passed != nil || shown.page.Code != "user_not_reachable" || shown.page.State != "" {
		t.Errorf("a user without a phone: passed %v, shown %+v", passed, shown.page)
	}
}

// TestFormAtTheLimit: the largest form that may be is in the page, and passes.
func TestFormAtTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	body := "amount=10&to=Ann&x="
	body += strings.Repeat("x", hold.DefaultBody-len(body))
	w.Approve(w.asks(t, submits(t, body), forms(t)))
	if passed, shown := w.browse(submits(t, body), forms(t)); passed == nil {
		t.Errorf("it does not pass: %+v", shown.page)
	}
}

// TestFormOfOthers: an approval is of no use to another user, another login, another client or another form, all of whom are asked.
func TestFormOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	id := w.asks(t, submits(t, transfer), forms(t))
	w.Approve(id)
	for name, change := range map[string]func(*hold.Caller){
		"another login": func(c *hold.Caller) { c.Session = "session:2" }, "another client": func(c *hold.Caller) { c.ClientID = "other" },
	} {
		if passed, shown := w.browse(submits(t, transfer), forms(t), change); passed != nil || shown.page.State != hold.StateAsked || strings.HasSuffix(shown.page.StatusPath, id) {
			t.Errorf("%s: passed %v, shown %+v", name, passed, shown.page)
		}
	}
	if passed, shown := w.browse(submits(t, transfer), forms(t), func(c *hold.Caller) { c.UserID = "usr_2" }); passed != nil || shown.page.State != "" {
		t.Errorf("another user: passed %v, shown %+v", passed, shown.page)
	}
	if other := w.asks(t, submits(t, strings.Replace(transfer, "10", "11", 1)), forms(t)); other == id {
		t.Error("another form has the same operation")
	}
	passed, shown := w.browse(submits(t, transfer), forms(t), func(c *hold.Caller) { c.Good = func() bool { return false } })
	if passed != nil || shown.page.Code != "invalid_token" {
		t.Errorf("a login that has ended meanwhile: passed %v, shown %+v", passed, shown.page)
	}
	if passed, shown := w.browse(submits(t, transfer), forms(t)); passed == nil {
		t.Errorf("it does not pass: %+v", shown.page)
	}
}

// TestTwoWindows: of any number of windows that send the form when it is approved, one is let through, and the others say that it was.
func TestTwoWindows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	w.Approve(w.asks(t, submits(t, transfer), forms(t)))
	states := make([]hold.State, 16)
	mobiletest.Together(len(states), func(i int) error {
		if passed, shown := w.browse(submits(t, transfer), forms(t)); passed == nil {
			states[i] = shown.page.State
		}
		return nil
	})
	through := 0
	for _, state := range states {
		switch state {
		case "":
			through++
		case hold.StatePassed:
		default:
			t.Errorf("a window shows %s", state)
		}
	}
	if through != 1 {
		t.Errorf("%d pass", through)
	}
}

// TestMark: the word that has a question asked again is no part of the request, wherever it has got to.
func TestMark(t *testing.T) {
	t.Parallel()
	anything := rule(t, func(r *hold.Rule) {
		var err error
		r.Message, err = confirm.ParseTemplate("Go on")
		must(t, err)
	})
	at := func(asked, query string) (*http.Request, func(*hold.Caller)) {
		r := submits(t, transfer)
		r.URL = &url.URL{Path: "/pay", RawQuery: query, ForceQuery: query == "" && strings.HasSuffix(asked, "?")}
		return r, func(c *hold.Caller) { c.Asked = asked }
	}
	for _, test := range []struct{ asked, query, again, marked, forwarded string }{ // with # in the place of the mark
		{"/pay", "", "/pay?#", "#", "/pay"},
		{"/pay?", "", "/pay?&#", "&#", "/pay?"},
		{"/pay?&", "&", "/pay?&&#", "&&#", "/pay?&"},
		{"/pay?_gatehouse=against", "_gatehouse=against", "/pay?_gatehouse=against&#", "_gatehouse=against&#", "/pay?_gatehouse=against"},
		{"/pay?_gatehouse=again", "_gatehouse=again", "/pay?_gatehouse=again&#", "_gatehouse=again&#", "/pay?_gatehouse=again"},
		{"/pay?a=?_gatehouse=again.x", "a=?_gatehouse=again.x", "/pay?a=?_gatehouse=again.x&#", "a=?_gatehouse=again.x&#", "/pay?a=?_gatehouse=again.x"},
		{"/pay?a=1", "b=2&a=1&c=3", "/pay?a=1&#", "b=2&a=1&#&c=3", "/pay?b=2&a=1&c=3"}, // Caddy has added to it
		{"/pay?a=1", "", "/pay?a=1&#", "", "/pay"}, // and has taken all of it off
	} {
		w := newWorld(t, withPages)
		r, change := at(test.asked, test.query)
		passed, shown := w.browse(r, anything, change)
		id := w.asked(t, passed, shown)
		must(t, w.Refuse(id, envelope.Denied))
		mark := func(address string) string { return strings.ReplaceAll(address, "#", "_gatehouse=again."+id) }
		r, change = at(test.asked, test.query)
		if _, shown = w.browse(r, anything, change); shown.page.Path != test.asked || shown.page.AgainPath != mark(test.again) {
			t.Errorf("%s: %+v", test.asked, shown.page)
		}
		r, change = at(mark(test.again), mark(test.marked))
		passed, shown = w.browse(r, anything, change)
		next := w.asked(t, passed, shown)
		if next == id || shown.page.Path != test.asked || r.URL.RequestURI() != test.forwarded {
			t.Errorf("%s: %s is asked about at %s", test.again, next, r.URL.RequestURI())
		}
		w.Approve(next)
		r, change = at(test.asked, test.query)
		if passed, shown = w.browse(r, anything, change); passed == nil || r.URL.RequestURI() != test.forwarded {
			t.Errorf("%s does not pass: %+v", test.asked, shown.page)
		}
	}
}

// TestMarkEnds: a mark counts for the one question that it names. An address that is kept with it asks nobody later, and nothing passes
// there.
func TestMarkEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	sent := func(mark string) (*hold.Passed, *window) {
		return w.browse(submits(t, transfer, func(r *http.Request) { r.URL.RawQuery += mark }), forms(t))
	}
	shows := func(mark string, state hold.State, leads string) {
		t.Helper()
		passed, shown := sent(mark)
		if passed != nil || shown.page.State != state || shown.page.AgainPath != leads || shown.page.Path != "/transfers?a=1&b=2" {
			t.Errorf("%s: passed %v, shown %+v", mark, passed, shown.page)
		}
	}
	first := w.asks(t, submits(t, transfer), forms(t))
	must(t, w.Refuse(first, envelope.Denied))
	shows(again("op_other"), hold.StateDenied, "/transfers?a=1&b=2"+again(first))
	passed, shown := sent(again(first))
	second := w.asked(t, passed, shown)
	if passed, shown = sent(again(first)); w.asked(t, passed, shown) != second {
		t.Error("it is asked twice")
	}
	w.Approve(second)
	shows(again(first), hold.StateApproved, "")
	shows(again(second), hold.StateApproved, "")
	if passed, shown := sent(""); passed == nil || passed.Operation.ID != second {
		t.Fatalf("it does not pass: %+v", shown.page)
	}
	for range 2 {
		shows(again(first), hold.StatePassed, "/transfers?a=1&b=2"+again(second))
	}
}

// TestMarkLost: what stands where a mark does not is a part of the request, and a mark that Caddy has made another word of goes no further.
func TestMarkLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	id := w.asks(t, submits(t, transfer), forms(t))
	must(t, w.Refuse(id, envelope.Denied))
	for _, query := range []string{
		"a=1&b=2?_gatehouse=again." + id, "a=1&b=2&_gatehouse=again.", "a=1&b=2&_gatehouse=again", "a=1&b=2&_gatehouse=again.a%20b",
		"a=1&b=2&x_gatehouse=again." + id, "a=1&b=2" + again(strings.Repeat("x", 129)),
	} {
		r := submits(t, transfer, func(r *http.Request) { r.URL.RawQuery = query })
		passed, shown := w.browse(r, forms(t))
		if w.asked(t, passed, shown) == id || shown.page.Path != "/transfers?"+query || r.URL.RawQuery != query {
			t.Errorf("%s: %+v, %s", query, shown.page, r.URL.RawQuery)
		}
	}
	for _, query := range []string{"a=1&b=2", "a=1&b=2&_gatehouse=AGAIN." + id, "q=_gatehouse%3Dagain." + id} {
		passed, shown := w.browse(submits(t, transfer, func(r *http.Request) { r.URL.RawQuery = query }), forms(t), func(c *hold.Caller) {
			c.Asked = "/transfers?a=1&b=2" + again(id)
		})
		if p := shown.page; passed != nil || p.Status != http.StatusBadRequest || p.Code != "not_confirmable" || p.State != "" {
			t.Errorf("rewritten to %s: passed %v, shown %+v", query, passed, p)
		}
	}
}

// TestTakeBack: a button takes a question back, for whoever it was put to.
func TestTakeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	id := w.asks(t, submits(t, transfer), forms(t))
	press := func(change ...func(*hold.Caller)) *window {
		shown := &window{ResponseRecorder: httptest.NewRecorder()}
		c := caller()
		c.ByCookie = true
		for _, fn := range change {
			fn(c)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/_gatehouse/confirm/"+id, http.NoBody)
		w.holder.ServeStatus(shown, r, id, c)
		return shown
	}
	if shown := press(func(c *hold.Caller) { c.Session = "session:2" }); shown.page.Status != http.StatusNotFound || shown.page.State != "" {
		t.Errorf("another login: %+v", shown.page)
	}
	if shown := press(func(c *hold.Caller) { c.ByCookie = false }); shown.page != nil || shown.Code != http.StatusMethodNotAllowed {
		t.Errorf("a token: %d", shown.Code)
	}
	w.DB.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 1, Err: payer.ErrDown})
	if shown := press(); shown.page.Status != http.StatusServiceUnavailable {
		t.Errorf("while the store is down: %+v", shown.page)
	}
	w.DB.Clear()
	for range 2 {
		if shown := press(); shown.page.Status != http.StatusOK || shown.page.State != hold.StateCancelled || shown.page.Path != "" {
			t.Errorf("it is shown %+v", shown.page)
		}
	}
	if passed, shown := w.browse(submits(t, transfer), forms(t)); passed != nil || shown.page.State != hold.StateCancelled {
		t.Errorf("passed %v, shown %+v", passed, shown.page)
	}
}

// TestStaleCancel: a page from before the approval takes that back, as long as nothing has passed by it.
func TestStaleCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	press := func(id string) *hold.Page {
		shown := &window{ResponseRecorder: httptest.NewRecorder()}
		c := caller()
		c.ByCookie = true
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/_gatehouse/confirm/"+id, http.NoBody)
		w.holder.ServeStatus(shown, r, id, c)
		return shown.page
	}
	id := w.asks(t, submits(t, transfer), forms(t))
	w.Approve(id)
	if page := press(id); page.Status != http.StatusOK || page.State != hold.StateCancelled {
		t.Errorf("it is shown %+v", page)
	}
	passed, shown := w.browse(submits(t, transfer), forms(t))
	if passed != nil || shown.page.State != hold.StateCancelled || shown.page.AgainPath == "" {
		t.Errorf("passed %v, shown %+v", passed, shown.page)
	}
	again := w.asks(t, submits(t, transfer, func(r *http.Request) { r.URL.RawQuery += "&_gatehouse=again." + id }), forms(t))
	if again == id {
		t.Error("what was taken back is asked again")
	}
	w.Approve(again)
	if passed, shown := w.browse(submits(t, transfer), forms(t)); passed == nil {
		t.Errorf("it does not pass: %+v", shown.page)
	}
	if page := press(again); page.Status != http.StatusOK || page.State != hold.StatePassed {
		t.Errorf("what has passed is taken back: %+v", page)
	}
}

// TestFormStoreDown: what cannot be read or written lets nothing through, and the form is kept to be sent once more.
func TestFormStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPages)
	down := func(op storagetest.Op) {
		t.Helper()
		w.DB.Inject(storagetest.Fault{Op: op, Err: payer.ErrDown})
		defer w.DB.Clear()
		passed, shown := w.browse(submits(t, transfer), forms(t))
		if p := shown.page; passed != nil || p.State != hold.StateBusy || p.Status != http.StatusServiceUnavailable || len(p.Fields) != 5 || p.Path == "" || p.AgainPath != "" {
			t.Errorf("%v: passed %v, shown %+v", op, passed, p)
		}
	}
	down(storagetest.OnView)
	down(storagetest.OnUpdate)
	w.Approve(w.asks(t, submits(t, transfer), forms(t)))
	down(storagetest.OnUpdate)
	if passed, shown := w.browse(submits(t, transfer), forms(t)); passed == nil {
		t.Errorf("afterwards: %+v", shown.page)
	}
}
