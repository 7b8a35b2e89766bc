// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// counter is a site where people send forms, and follow links, that are confirmed.
const counter = `SPARE {
	@form {
		method POST
		path /form*
	}
	protect @form {
		scope payments:write
		session on
		confirm push_pin {
			message "Pay {form.amount}"
		}
	}
	@link path /link*
	protect @link {
		scope payments:write
		session on
		confirm push_pin {
			message "Fetch {path.2}"
		}
	}
	protect payments:write {
		session on
	}
	uri @form strip_prefix /form
	reverse_proxy UPSTREAM
}`

var (
	statusPath = regexp.MustCompile(`/_gatehouse/confirm/op_[a-z0-9]+`)
	bigNumber  = regexp.MustCompile(`<strong>([0-9]+)</strong>`)
	filesOf    = regexp.MustCompile(`"(/_gatehouse/confirm/static/[^"]+)"`)
)

// posts sends the form of a site.
func (b *browser) posts(address, body string, change ...func(*http.Request)) *answer {
	b.t.Helper()
	own := func(r *http.Request) {
		navigate(r)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		setBody(r, "application/x-www-form-urlencoded", body)
	}
	return sendWith(b.t, b.client, http.MethodPost, address, append([]func(*http.Request){own}, change...)...)
}

// number is what a page has people type on their phones.
func (a *answer) number(t *testing.T) string {
	t.Helper()
	found := bigNumber.FindStringSubmatch(a.Body)
	if a.Status != http.StatusUnauthorized || a.reached() || found == nil {
		t.Fatalf("no page asks: %d %s", a.Status, a.Body)
	}
	return found[1]
}

func silent(t *testing.T, phone *device.Device, whom string) {
	t.Helper()
	if open, err := phone.Pending(t.Context(), 0); err != nil || len(open) != 0 {
		t.Errorf("%s has the phone asked: %v, %v", whom, open, err)
	}
}

// TestConfirmPages: the form of a site's own page passes by its approval, once; other sites, other people and other logins neither
// ask, nor learn, nor end, nor use anything.
func TestConfirmPages(t *testing.T) {
	t.Parallel()
	h := start(t, confirming, counter)
	phone := h.register(t, subject(t, h.user(t, "alice", "openid").Access))
	site := h.url(siteSpare)
	alice, again, bob := newBrowser(t), newBrowser(t), newBrowser(t)
	alice.enter(site+"/", "alice")
	again.enter(site+"/", "alice")
	bob.enter(site+"/", "bob")
	const body = "amount=10&to=J%C3%BCrgen&to="
	for name, change := range map[string]func(*http.Request){
		"another site": header("Sec-Fetch-Site", "cross-site"), "a neighbour": header("Sec-Fetch-Site", "same-site"),
		"an old browser on another site": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example.com")
		},
		"an old browser that hides its site": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
	} {
		if got := alice.posts(site+"/form/pay", body, change); got.Status != http.StatusForbidden || got.reached() {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
		silent(t, phone, name)
	}
	link := alice.get(site+"/link/a", header("Sec-Fetch-Site", "cross-site"))
	if link.Status != http.StatusUnauthorized || link.reached() || !strings.Contains(link.Body, `href="/link/a"`) {
		t.Errorf("a link elsewhere: %d %s", link.Status, link.Body)
	}
	silent(t, phone, "a link elsewhere")

	page := alice.posts(site+"/form/pay", body)
	number, status := page.number(t), site+statusPath.FindString(page.Body)
	h.looksAtPage(t, page)
	h.meddles(t, bob, again, status)
	if shown := approve(t, phone, number); shown != "Pay 10" {
		t.Errorf("the phone shows %q", shown)
	}
	if got := bob.posts(site+"/form/pay", body); got.reached() || got.Status != http.StatusForbidden || !strings.Contains(got.Body, "no phone") {
		t.Errorf("somebody else passes: %d %s", got.Status, got.Body)
	}
	if got := again.posts(site+"/form/pay", body); got.number(t) == "" || site+statusPath.FindString(got.Body) == status {
		t.Errorf("another login has the same question: %s", got.Body)
	}
	if got := alice.posts(site+"/form/pay", body+"x"); got.number(t) == "" {
		t.Errorf("another form: %s", got.Body)
	}
	if got := alice.posts(site+"/form/pay?", body); got.number(t) == "" {
		t.Errorf("another address: %s", got.Body)
	}
	if got := alice.posts(site+"/form/pay", body, header("Sec-Fetch-Site", "cross-site")); got.reached() {
		t.Errorf("another site uses the approval: %d %s", got.Status, got.Body)
	}
	passed := alice.posts(site+"/form/pay", body)
	if got := passed.heard(t); !passed.reached() || got.URI != "/pay" || got.Header.Get("Gatehouse-Operation") == "" || got.Header.Get("Cookie") != "" {
		t.Errorf("the upstream hears %+v", got)
	}
	if got := alice.posts(site+"/form/pay", body); got.reached() || !strings.Contains(got.Body, "was sent already") {
		t.Errorf("once more: %d %s", got.Status, got.Body)
	}
}

// looksAtPage: a page is shown in no frame, runs no script but its own, and has what it needs on the site itself.
func (h *house) looksAtPage(t *testing.T, page *answer) {
	t.Helper()
	csp := page.Header.Get("Content-Security-Policy")
	if page.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "script-src 'self';") ||
		strings.Contains(csp, "unsafe") || page.Header.Get("Referrer-Policy") != "same-origin" || !strings.Contains(page.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("the page has %v", page.Header)
	}
	files := filesOf.FindAllStringSubmatch(page.Body, -1)
	if len(files) != 4 {
		t.Errorf("the page needs %v", files)
	}
	for _, file := range files {
		if got := send(t, http.MethodGet, h.url(siteSpare)+file[1]); got.Status != http.StatusOK || got.Body == "" {
			t.Errorf("%s is %d", file[1], got.Status)
		}
	}
	if got := send(t, http.MethodGet, h.url(siteSpare)+"/_gatehouse/confirm/static/../../../form"); got.reached() {
		t.Errorf("a file above is %d %s", got.Status, got.Body)
	}
}

// meddles: nobody but who was asked learns how it stands, or takes it back, and no other site has them do so.
func (h *house) meddles(t *testing.T, bob, again *browser, status string) {
	t.Helper()
	for name, b := range map[string]*browser{"bob": bob, "another login": again} {
		if got := sendWith(t, b.client, http.MethodGet, status); got.Status != http.StatusNotFound {
			t.Errorf("%s learns %d %s", name, got.Status, got.Body)
		}
		if got := b.posts(status, ""); got.Status != http.StatusNotFound || strings.Contains(got.Body, "took the question back") {
			t.Errorf("%s takes it back: %d %s", name, got.Status, got.Body)
		}
	}
	if got := send(t, http.MethodPost, status); got.Status != http.StatusUnauthorized {
		t.Errorf("a stranger takes it back: %d %s", got.Status, got.Body)
	}
}

// TestConfirmPagesEnd: cancel by another site's form is none; the person's own is; and after a logout nothing passes.
func TestConfirmPagesEnd(t *testing.T) {
	t.Parallel()
	h := start(t, confirming, counter)
	phone := h.register(t, subject(t, h.user(t, "alice", "openid").Access))
	site := h.url(siteSpare)
	alice := newBrowser(t)
	alice.enter(site+"/", "alice")
	page := alice.posts(site+"/form/pay", "amount=1")
	status := site + statusPath.FindString(page.Body)
	if got := alice.posts(status, "", header("Sec-Fetch-Site", "cross-site")); got.Status != http.StatusForbidden {
		t.Errorf("another site takes it back: %d %s", got.Status, got.Body)
	}
	if got := alice.posts(site+"/form/pay", "amount=1"); got.number(t) != page.number(t) {
		t.Errorf("it is asked about in another way: %s", got.Body)
	}
	if got := alice.posts(status, ""); got.Status != http.StatusOK || !strings.Contains(got.Body, "took the question back") {
		t.Errorf("it is taken back: %d %s", got.Status, got.Body)
	}
	silent(t, phone, "what was taken back")
	approve(t, phone, alice.posts(site+"/form/pay", "amount=2").number(t))
	asked := alice.get(site + "/_gatehouse/logout")
	alice.submit(asked, "decision", "allow")
	if got := alice.posts(site+"/form/pay", "amount=2"); got.reached() || got.Status != http.StatusUnauthorized {
		t.Errorf("after the logout: %d %s", got.Status, got.Body)
	}
	alice.enter(site+"/", "alice")
	if got := alice.posts(site+"/form/pay", "amount=2"); got.number(t) == "" {
		t.Errorf("after the next login: %s", got.Body)
	}
}
