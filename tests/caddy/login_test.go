// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// enter logs a user in at a page of a site and returns what the browser then sees.
func (b *browser) enter(address, user string) *answer {
	b.t.Helper()
	return b.login(b.get(address), user)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	h := common(t)
	for _, page := range []string{
		h.web + "/deep/link?a=1&b=%2F&c=%20", h.web + "/prefix/deep?x=1", h.issuer + "/site/deep?x=1", h.nested + "/session/deep?x=1",
	} {
		t.Run(strings.TrimPrefix(page, "http://localhost:"), func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t)
			form := b.get(page)
			if !strings.HasPrefix(form.URL.String(), h.issuer+"/login") {
				t.Fatalf("the browser is sent to %s: %d", form.URL, form.Status)
			}
			seen := b.login(form, "alice")
			if seen.Status != http.StatusOK || seen.URL.String() != page {
				t.Fatalf("the browser ends at %s with %d: %s", seen.URL, seen.Status, seen.Body)
			}
			heard := seen.heard(t)
			if want := strings.TrimPrefix(page, "http://"+seen.URL.Host); heard.URI != want && "/prefix"+heard.URI != want {
				t.Errorf("the upstream was asked for %q, want %q", heard.URI, want)
			}
			if !strings.HasPrefix(heard.Header.Get("Gatehouse-Subject"), "usr_") || heard.Header.Get("Gatehouse-Name") != "Alice Liddell" {
				t.Errorf("the upstream hears %v", heard.Header)
			}
			if cookie := heard.Header.Get("Cookie"); strings.Contains(cookie, "gh_") || strings.Contains(cookie, "gatehouse-") {
				t.Errorf("the upstream gets our cookies: %q", cookie)
			}
			if again := b.get(page); again.Status != http.StatusOK || again.URL.String() != page {
				t.Errorf("the second time the browser ends at %s with %d", again.URL, again.Status)
			}
		})
	}
}

// TestOneLoginForAllSites: the second site asks for nothing.
func TestOneLoginForAllSites(t *testing.T) {
	t.Parallel()
	h := common(t)
	b := newBrowser(t)
	b.enter(h.web+"/", "bob")
	if got := b.get(h.nested + "/session"); got.Status != http.StatusOK || !got.reached() {
		t.Errorf("the second site answers %d at %s", got.Status, got.URL)
	}
}

// TestHeadersSetBetweenTheRulesStay: what a site's own directives put in place of the token is for the upstream.
func TestHeadersSetBetweenTheRulesStay(t *testing.T) {
	t.Parallel()
	h := common(t)
	heard := send(t, http.MethodGet, h.nested+"/session", bearer(h.machine(t, "accounts:read"))).heard(t)
	if got := heard.Header.Get("Authorization"); !strings.HasPrefix(got, "Basic ") {
		t.Errorf("the upstream's own credential is %q", got)
	}
}

// TestScriptsAreNotRedirected: a script gets a status, since it can do nothing with a login page.
func TestScriptsAreNotRedirected(t *testing.T) {
	t.Parallel()
	h := common(t)
	for _, change := range []func(*http.Request){
		header("Sec-Fetch-Mode", "cors"), header("Accept", "application/json"), header("X-Requested-With", "XMLHttpRequest"),
	} {
		if got := send(t, http.MethodGet, h.web+"/", change); got.Status != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("a script gets %d", got.Status)
		}
	}
}

// TestMalformedCookiesAreNobody (CVE-2026-25748): a request with a cookie that makes no sense is one without.
func TestMalformedCookiesAreNobody(t *testing.T) {
	t.Parallel()
	h := common(t)
	b := newBrowser(t)
	b.enter(h.web+"/", "alice")
	site, err := url.Parse(h.web)
	if err != nil {
		t.Fatal(err)
	}
	cookies := b.client.Jar.Cookies(site)
	for _, c := range cookies {
		good := c.Name + "=" + c.Value
		for _, line := range []string{good + "x", good + "; " + good, c.Name + "=", c.Name, c.Name + `="` + c.Value[:len(c.Value)/2], strings.Repeat(good+"; ", 30)} {
			got := send(t, http.MethodGet, h.web+"/", header("Cookie", line))
			if got.Status != http.StatusUnauthorized && got.Status != http.StatusRequestHeaderFieldsTooLarge || got.reached() {
				t.Errorf("a request with the cookie %.60q gets %d", line, got.Status)
			}
		}
	}
}

// TestCookiesDoNotActForOtherSites: what changes something, or opens a socket, comes from the site's own pages.
func TestCookiesDoNotActForOtherSites(t *testing.T) {
	t.Parallel()
	h := common(t)
	b := newBrowser(t)
	b.enter(h.web+"/", "alice")
	for name, c := range map[string]struct {
		method, origin string
		upgrade        bool
		status         int
	}{
		"own form":          {method: http.MethodPost, origin: h.web, status: 200},
		"foreign form":      {method: http.MethodPost, origin: "https://evil.example.com", status: 403},
		"form of the API":   {method: http.MethodPost, origin: h.api, status: 403},
		"form of nowhere":   {method: http.MethodPost, origin: "null", status: 403},
		"own socket":        {method: http.MethodGet, origin: h.web, upgrade: true, status: 101},
		"foreign socket":    {method: http.MethodGet, origin: "https://evil.example.com", upgrade: true, status: 403},
		"socket of the API": {method: http.MethodGet, origin: h.api, upgrade: true, status: 403},
	} {
		got := sendWith(t, b.client, c.method, h.web+"/", header("Origin", c.origin), func(r *http.Request) {
			if c.upgrade {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", "websocket")
			}
		})
		if got.Status != c.status {
			t.Errorf("%s: status %d, want %d", name, got.Status, c.status)
		}
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	h := common(t)
	b := newBrowser(t)
	b.enter(h.web+"/", "alice")
	b.get(h.nested + "/session")
	asked := b.get(h.web + "/_gatehouse/logout") // a link: anybody can make one
	if got := b.get(h.web + "/"); !got.reached() {
		t.Errorf("a link logs a person out: %s", got.URL)
	}
	if _, fields := formOf(t, asked); len(fields) == 0 {
		t.Error("the page that asks has nothing to confirm with")
	}
	out := sendWith(t, b.client, http.MethodPost, h.web+"/_gatehouse/logout", header("Origin", h.web))
	if out.Status != http.StatusOK || out.reached() {
		t.Errorf("after logging out the browser is at %s with %d", out.URL, out.Status)
	}
	for _, page := range []string{h.web + "/", h.nested + "/session"} {
		if got := b.get(page); got.reached() || !strings.HasPrefix(got.URL.String(), h.issuer+"/login") {
			t.Errorf("%s is still open: %d at %s", page, got.Status, got.URL)
		}
	}
}

// TestOwnPathsAreNotTheUpstreams: what a site keeps for itself is nothing that an upstream gets to see.
func TestOwnPathsAreNotTheUpstreams(t *testing.T) {
	t.Parallel()
	h := common(t)
	for _, path := range []string{
		"/_gatehouse/", "/_gatehouse/callback", "/_gatehouse/callback?code=x&state=y", "/_gatehouse/nothing", "/_gatehouse/../page",
	} {
		for _, site := range []string{h.web, h.nested} {
			got := send(t, http.MethodGet, site+path)
			if got.reached() || got.Status < 400 || got.Status > 404 {
				t.Errorf("%s: %d", site+path, got.Status)
			}
		}
	}
}

// TestCodeOfAnotherBrowser: a login that was begun elsewhere ends nowhere (CVE-2022-39222).
func TestCodeOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	h := common(t)
	mallory, victim := newBrowser(t), newBrowser(t)
	mallory.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		navigate(r)
		if r.URL.Path == "/_gatehouse/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	stopped := mallory.enter(h.web+"/", "bob")
	callback := stopped.Header.Get("Location")
	if !strings.Contains(callback, "/_gatehouse/callback?") {
		t.Fatalf("the login does not come to its end: %d %s", stopped.Status, stopped.URL)
	}
	if got := victim.get(callback); got.Status != http.StatusBadRequest {
		t.Errorf("another browser ends the login: %d", got.Status)
	}
	if got := victim.get(h.web + "/"); got.reached() {
		t.Error("the victim is logged in as somebody else")
	}
}
