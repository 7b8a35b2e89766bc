// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/session"
)

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, issuer, prefix, path string
		secure                     bool
	}{
		{"https", "https://auth.example.com", "__Host-gatehouse-", "/", true},
		{"https with a path", "https://example.com/auth", "__Secure-gatehouse-", "/auth", true},
		{"loopback", "http://localhost:8080", "gatehouse-", "/", false},
		{"loopback with a path", "http://127.0.0.1:8080/auth", "gatehouse-", "/auth", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *session.Config) { c.Issuer = tt.issuer })
			_, browser := w.browser(t)
			_, login := w.login(t, w.proof("password", "usr_a"))
			for _, c := range []*http.Cookie{browser, login} {
				if !strings.HasPrefix(c.Name, tt.prefix) || c.Path != tt.path || c.Secure != tt.secure {
					t.Errorf("cookie %s, path %s, secure %v", c.Name, c.Path, c.Secure)
				}
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() {
					t.Errorf("cookie %v is not HttpOnly, Lax, of this host alone and for this run of the browser", c)
				}
			}
			if browser.Name == login.Name {
				t.Error("both cookies have one name")
			}
		})
	}
}

// The ports of a host share their cookies.
func TestIssuersOnOneLoopbackHostDoNotShareCookies(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, port := range []string{"8080", "8081"} {
		w := newWorld(t, func(c *session.Config) { c.Issuer = "http://localhost:" + port })
		_, browser := w.browser(t)
		names[browser.Name] = true
	}
	if len(names) != 2 {
		t.Errorf("two issuers use %d names", len(names))
	}
}

func TestBadSessionCookiesCountAsAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	s, good := w.login(t, w.proof("password", "usr_a"))
	id, secret, _ := strings.Cut(good.Value, ".")
	for _, tt := range []struct{ name, header string }{
		{"empty", good.Name + "="},
		{"no secret", good.Name + "=" + id + "."},
		{"no dot", good.Name + "=" + id},
		{"wrong secret", good.Name + "=" + id + "." + strings.Repeat("A", len(secret))},
		{"shortened secret", good.Name + "=" + good.Value[:len(good.Value)-1]},
		{"the hash as secret", good.Name + "=" + id + "." + s.SecretHash},
		{"unknown session", good.Name + "=ses_aaaaaaaaaaaaaaaaaaaaaaaaaa." + secret},
		{"another record's id", good.Name + "=grt_" + id[4:] + "." + secret},
		{"oversized", good.Name + "=" + id + "." + secret + strings.Repeat("A", 4096)},
		{"sent twice", good.Name + "=" + good.Value + "; " + good.Name + "=" + good.Value},
		{"another name", "gatehouse-session=" + good.Value},
		{"name in another case", strings.ToLower(good.Name) + "=" + good.Value},
		{"no name", "=" + good.Value},
		{"garbage", strings.Repeat(";=\x7f", 50)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := visit(t)
			r.Header.Set("Cookie", tt.header)
			if got, ok, err := w.Current(r); ok || err != nil {
				t.Errorf("Current = %q, %v, %v, want nobody", got.ID, ok, err)
			}
		})
	}
}

func TestBadBrowserCookiesAreReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, good := w.browser(t)
	for _, tt := range []struct{ name, header string }{
		{"absent", ""},
		{"empty", good.Name + "="},
		{"short", good.Name + "=" + good.Value[1:]},
		{"long", good.Name + "=" + good.Value + "A"},
		{"padded", good.Name + "=" + good.Value + "="},
		{"stray bits at the end", good.Name + "=" + good.Value[:42] + "_"},
		{"guessable", good.Name + "=0"},
		{"sent twice", good.Name + "=" + good.Value + "; " + good.Name + "=" + good.Value},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := visit(t)
			r.Header.Set("Cookie", tt.header)
			if b := w.Browser(r); b.Known() {
				t.Error("the browser counts as known")
			}
			rec := httptest.NewRecorder()
			b := w.EnsureBrowser(rec, r)
			if !b.Known() || len(rec.Result().Cookies()) != 1 {
				t.Error("the browser got no cookie")
			}
		})
	}
	t.Run("a good one is kept", func(t *testing.T) {
		t.Parallel()
		rec := httptest.NewRecorder()
		if b := w.EnsureBrowser(rec, visit(t, good)); !b.Known() || len(rec.Result().Cookies()) != 0 {
			t.Error("the cookie was replaced")
		}
	})
}

func TestUserAgentIsKeptPrintableAndShort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sent, kept string }{
		{"plain", "curl/8", "curl/8"},
		{"long", strings.Repeat("x", 5000), strings.Repeat("x", 256)},
		{"control characters", "a\tb\x1b[31mc", "ab[31mc"},
		{"cut in the middle of a character", strings.Repeat("é", 300), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			r := visit(t)
			r.Header.Set("User-Agent", tt.sent)
			s, err := w.Establish(httptest.NewRecorder(), r, w.now(t, w.proof("password", "usr_a")))
			if err != nil || s.UserAgent != tt.kept {
				t.Errorf("kept %q (%v), want %q", s.UserAgent, err, tt.kept)
			}
		})
	}
}

// Whatever stands in the Cookie header, it names a session only where it holds the very cookie that was set.
func FuzzCookieHeader(f *testing.F) {
	for _, seed := range []string{
		"", "a=b", "__Host-gatehouse-session=", "__Host-gatehouse-session=ses_a.b", "__Host-gatehouse-browser=x",
		"__Host-gatehouse-session=\"ses_a.b\"", "; ;=;", "__Host-gatehouse-session=ses_a.b; __Host-gatehouse-session=ses_a.b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		w := newWorld(t, nil)
		_, cookie := w.login(t, w.proof("password", "usr_a"))
		r := visit(t)
		r.Header["Cookie"] = []string{header}
		if s, ok, err := w.Current(r); ok || err != nil {
			t.Errorf("%q names session %q (%v)", header, s.ID, err)
		}
		if b := w.Browser(r); b.Known() && !strings.Contains(header, "__Host-gatehouse-browser=") {
			t.Errorf("%q names a browser", header)
		}
		rec := httptest.NewRecorder()
		if _, err := w.Establish(rec, r, w.now(t, w.proof("password", "usr_b"))); err != nil {
			t.Errorf("logging in with %q: %v", header, err)
		}
		if got := w.current(t, cookie); got == "" {
			t.Errorf("%q ended somebody's session", header)
		}
	})
}

func TestSecretsStayOutOfTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b, cookie := w.browser(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, b); strings.Contains(text, cookie.Value) {
			t.Errorf("%s prints the browser's secret: %s", verb, text)
		}
	}
}
