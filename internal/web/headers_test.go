// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

const (
	policyStart = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; form-action 'self'"
	policyEnd   = "; frame-ancestors 'none'; base-uri 'none'"
)

// TestRFC9700 holds the headers of sections 4.16 (clickjacking) and 4.2.4 (referrer) on every page.
func TestRFC9700(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	for _, s := range samples(r, "en") {
		t.Run("4.16 and 4.2.4 "+s.name, func(t *testing.T) {
			t.Parallel()
			h := render(t, r, http.StatusForbidden, s.page).Header()
			referrer := "no-referrer"
			if _, repeats := s.page.(web.ConfirmPage); repeats {
				referrer = "same-origin" // a site may ask where its own forms come from
			}
			want := map[string]string{
				"X-Frame-Options":              "DENY",
				"Referrer-Policy":              referrer,
				"X-Content-Type-Options":       "nosniff",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Content-Type":                 "text/html; charset=utf-8",
				"Content-Language":             "en",
				"Vary":                         "Accept-Language",
			}
			got := make(map[string]string, len(want))
			for name := range want {
				got[name] = h.Get(name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			csp := h.Get("Content-Security-Policy")
			if !strings.HasPrefix(csp, policyStart) || !strings.HasSuffix(strings.TrimSuffix(csp, "; connect-src 'self'"), policyEnd) {
				t.Errorf("policy %q", csp)
			}
			for _, word := range []string{"unsafe", "*", "http://", "nonce"} {
				if strings.Contains(csp, word) {
					t.Errorf("policy %q holds %q", csp, word)
				}
			}
		})
	}
}

// TestFormPostResponseMode holds section 2 of OAuth 2.0 Form Post Response Mode: an answer that nobody keeps, a form
// that posts the parameters to the redirect URI, values escaped, and a policy under which that works.
func TestFormPostResponseMode(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{Base: "/auth"})
	rec := render(t, r, http.StatusOK, web.FormPostPage{
		Action: "https://client.example:8443/cb?x=1&y=2",
		Fields: []web.Field{{Name: "code", Value: "c"}, {Name: "state", Value: `"><script>`}, {Name: "iss", Value: "https://as.example"}},
	})
	if got := rec.Header().Get("Cache-Control"); got != "no-cache, no-store" {
		t.Errorf("2 no-store: Cache-Control %q", got)
	}
	if got := rec.Header().Get("Pragma"); got != "no-cache" {
		t.Errorf("2 no-store: Pragma %q", got)
	}
	want := policyStart + " https://client.example:8443" + policyEnd
	if got := rec.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("2 csp: %q, want %q", got, want)
	}
	doc := parse(t, rec.Body.String())
	form := find(doc, "form")[0]
	if attr(form, "action") != "https://client.example:8443/cb?x=1&y=2" || attr(form, "method") != "post" {
		t.Errorf("2 form: %s %s", attr(form, "method"), attr(form, "action"))
	}
	got := map[string]string{}
	for _, input := range find(form, "input") {
		got[attr(input, "name")] = attr(input, "value")
	}
	if diff := cmp.Diff(map[string]string{"code": "c", "state": `"><script>`, "iss": "https://as.example"}, got); diff != "" {
		t.Errorf("2 form: parameters (-want +got):\n%s", diff)
	}
	if src := attr(find(doc, "script")[0], "src"); !strings.HasPrefix(src, "/auth/static/submit.") {
		t.Errorf("2 csp: script %q", src)
	}
}

func TestFormTargets(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		name    string
		targets []string
		want    string
		refused bool
	}{
		{name: "none"},
		{name: "https", targets: []string{"https://a.example/cb?x=1#y"}, want: " https://a.example"},
		{name: "port", targets: []string{"https://a.example:8443/"}, want: " https://a.example:8443"},
		{name: "upper case", targets: []string{"HTTPS://A.Example/"}, want: " https://a.example"},
		{name: "loopback (RFC 8252, 7.3)", targets: []string{"http://127.0.0.1:51004/cb"}, want: " http://127.0.0.1:51004"},
		{name: "localhost", targets: []string{"http://localhost:9001/cb"}, want: " http://localhost:9001"},
		{name: "IPv6 loopback cannot be said", targets: []string{"http://[::1]:51004/cb"}, want: " http:"},
		{name: "private-use scheme (RFC 8252, 7.1)", targets: []string{"com.example.app:/cb"}, want: " com.example.app:"},
		{name: "twice the same", targets: []string{"https://a.example/1", "https://a.example/2"}, want: " https://a.example"},
		{name: "two", targets: []string{"https://a.example/", "https://b.example/"}, want: " https://a.example https://b.example"},
		{name: "international name", targets: []string{"https://bücher.example/"}, want: " https://xn--bcher-kva.example"},
		{name: "every HTTPS origin", targets: []string{"https:"}, want: " https:"},
		{name: "every HTTP origin", targets: []string{"http:"}, refused: true},
		{name: "wildcard", targets: []string{"https://*.example/"}, refused: true},
		{name: "wildcard alone", targets: []string{"*"}, refused: true},
		{name: "end of directive", targets: []string{"https://a.example;script-src *"}, refused: true},
		{name: "semicolon in host", targets: []string{"https://a;b/"}, refused: true},
		{name: "comma in host", targets: []string{"https://a,b/"}, refused: true},
		{name: "quote in host", targets: []string{"https://'unsafe-inline'/"}, refused: true},
		{name: "space in host", targets: []string{"https://a b/"}, refused: true},
		{name: "user", targets: []string{"https://a@b.example/"}, refused: true},
		{name: "no host", targets: []string{"https:///cb"}, refused: true},
		{name: "no scheme", targets: []string{"/cb"}, refused: true},
		{name: "empty", targets: []string{""}, refused: true},
		{name: "javascript", targets: []string{"javascript:alert(1)"}, refused: true},
		{name: "data", targets: []string{"data:text/html,x"}, refused: true},
		{name: "scheme without a dot", targets: []string{"myapp:/cb"}, refused: true},
		{name: "one good, one bad", targets: []string{"https://a.example/", "javascript:x"}, refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pages := []web.Page{
				web.LoginPage{Action: "/", FormTargets: tt.targets},
				web.ConsentPage{Action: "/", FormTargets: tt.targets},
				web.LogoutPage{Action: "/", FormTargets: tt.targets},
			}
			for _, page := range pages {
				rec := render(t, r, http.StatusOK, page)
				if refused := rec.Code == http.StatusInternalServerError; refused != tt.refused {
					t.Fatalf("%T: status %d, want refused: %v", page, rec.Code, tt.refused)
				}
				if got := rec.Header().Get("Content-Security-Policy"); got != policyStart+tt.want+policyEnd {
					t.Errorf("%T: policy %q, want %q", page, got, tt.want)
				}
			}
		})
	}
}

// FuzzFormTarget looks for a target that says more in the policy than one source.
func FuzzFormTarget(f *testing.F) {
	for _, seed := range []string{
		"https://a.example/cb", "http://[::1]:1/", "com.example.app:/x", "https:", "https://a.example; script-src *", "*",
		"https://a%3bb/", "https://a\u2024b/", "x.y:", "https://a.example:/", "HTTP://A", "https://a\n.example/",
	} {
		f.Add(seed)
	}
	r := newRenderer(f, web.Config{})
	f.Fuzz(func(t *testing.T, target string) {
		rec := render(t, r, http.StatusOK, web.LoginPage{Action: "/", FormTargets: []string{target}})
		csp := rec.Header().Get("Content-Security-Policy")
		rest, ok := strings.CutPrefix(csp, policyStart)
		source, tail := strings.CutSuffix(rest, policyEnd)
		if !ok || !tail {
			t.Fatalf("target %q: policy %q", target, csp)
		}
		if (rec.Code == http.StatusOK) == (source == "") || strings.ContainsAny(strings.TrimPrefix(source, " "), " ;,*'\"\r\n\t") {
			t.Errorf("target %q: status %d, source %q", target, rec.Code, source)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		name   string
		status int
		page   web.Page
		want   string
	}{
		{name: "throttled login", status: 429, page: web.LoginPage{Action: "/", RetryAfter: 1500 * time.Millisecond}, want: "2"},
		{name: "unavailable", status: 503, page: web.ErrorPage{RetryAfter: time.Minute}, want: "60"},
		{name: "no time", status: 503, page: web.ErrorPage{}},
		{name: "negative time", status: 429, page: web.ErrorPage{RetryAfter: -time.Minute}},
		{name: "status without the header", status: 400, page: web.ErrorPage{RetryAfter: time.Minute}},
		{name: "refused page", status: 429, page: web.LoginPage{RetryAfter: time.Minute}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := render(t, r, tt.status, tt.page).Header().Get("Retry-After"); got != tt.want {
				t.Errorf("Retry-After %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRenderAnswersHeadWithoutBody(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	page := web.ErrorPage{Message: web.ErrorNotFound}
	full := render(t, r, http.StatusNotFound, page)
	rec := httptest.NewRecorder()
	r.Render(rec, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", nil), http.StatusNotFound, page)
	if rec.Code != http.StatusNotFound || rec.Body.Len() != 0 {
		t.Errorf("status %d, %d bytes", rec.Code, rec.Body.Len())
	}
	if got := rec.Header().Get("Content-Length"); got != strconv.Itoa(full.Body.Len()) {
		t.Errorf("Content-Length %q, want %d", got, full.Body.Len())
	}
}

// TestRenderKeepsNothingOfThePageBefore runs large and small pages through the same buffers.
func TestRenderKeepsNothingOfThePageBefore(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	big := web.ErrorPage{Detail: strings.Repeat("secret ", 20000)}
	small := web.ErrorPage{Message: web.ErrorClient}
	want := render(t, r, http.StatusOK, small).Body.String()
	for range 50 {
		render(t, r, http.StatusOK, big)
		render(t, r, http.StatusOK, web.LoginPage{Action: "bad"})
		if got := render(t, r, http.StatusOK, small).Body.String(); got != want {
			t.Fatalf("page changed: %s", got)
		}
	}
}
