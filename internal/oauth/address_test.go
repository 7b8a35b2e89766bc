// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, issuer, want string // want is part of the error; empty is none
	}{
		{"RFC8414/2 https", "https://auth.example.com", ""},
		{"RFC8414/2 port", "https://auth.example.com:8443", ""},
		{"RFC8414/2 path", "https://example.com/auth", ""},
		{"RFC8414/2 longer path", "https://example.com/auth/v2.0/tenant-1_a~b", ""},
		{"the first and last of what a path may hold", "https://example.com/azAZ09-._~", ""},
		{"a hidden segment", "https://example.com/.auth", ""},
		{"development", "http://localhost:8080", ""},
		{"development on an address", "http://127.0.0.1:8080/auth", ""},
		{"development on IPv6", "http://[::1]:8080", ""},

		{"empty", "", "absolute"},
		{"no scheme", "auth.example.com", "absolute"},
		{"no host", "https:///auth", "absolute"},
		{"port alone", "https://:443", "absolute"},
		{"not a URL", "https://auth example.com", "absolute"},
		{"RFC8414/2 http", "http://auth.example.com", "https"},
		{"another scheme", "ftp://auth.example.com", "https"},
		{"RFC8414/2 query", "https://auth.example.com?x=1", "query"},
		{"RFC8414/2 empty query", "https://auth.example.com?", "query"},
		{"RFC8414/2 fragment", "https://auth.example.com#x", "fragment"},
		{"RFC8414/2 empty fragment", "https://auth.example.com/a#", "fragment"},
		{"user", "https://user@auth.example.com", "user"},
		{"trailing slash", "https://auth.example.com/", "slash"},
		{"trailing slash of a path", "https://example.com/auth/", "slash"},
		{"escaped path", "https://example.com/a%2fb", "plain"},
		{"escaped letter", "https://example.com/%61uth", "plain"},
		{"space in the path", "https://example.com/a b", "plain"},
		{"not ASCII in the path", "https://example.com/ä", "plain"},
		{"dot segment", "https://example.com/./auth", "plain"},
		{"dots at the end", "https://example.com/auth/..", "plain"},
		{"dots in between", "https://example.com/a/../b", "plain"},
		{"empty segment", "https://example.com//auth", "plain"},
		{"what would end a cookie's path", "https://example.com/a;b", "plain"},
		{"a comma in the path", "https://example.com/a,b", "plain"},
		{"a quote in the path", "https://example.com/a'b", "plain"},
		{"a brace in the path", "https://example.com/{a}", "plain"},
		{"upper-case host", "https://Auth.example.com", "lower case"},
		{"upper-case scheme", "HTTPS://auth.example.com", "lower case"},
		{"empty port", "https://auth.example.com:", "spelling"},
		{"port with a zero", "https://auth.example.com:08443", "spelling"},
		{"port beyond the last", "https://auth.example.com:99999", "spelling"},
		{"not ASCII in the host", "https://bücher.example", "spelling"},
		{"trailing dot", "https://auth.example.com.", "spelling"},
		{"a quote in the host", "https://a\"b", "spelling"},
		{"short address", "http://[0:0:0:0:0:0:0:1]", "spelling"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := oauth.CheckIssuer(tt.issuer)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%q is refused: %v", tt.issuer, err)
			case tt.want != "" && err == nil:
				t.Errorf("%q passes", tt.issuer)
			case tt.want != "" && !strings.Contains(err.Error(), tt.want):
				t.Errorf("%q is refused with %q, want a word on %q", tt.issuer, err, tt.want)
			}
		})
	}
}

func TestCheckOrigin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, origin string
		want         bool
	}{
		{"https", "https://app.example.com", true},
		{"one label", "https://intranet", true},
		{"an underscore", "https://my_app.example.com", true},
		{"a hyphen and digits", "https://app-2.example.com", true},
		{"the first and last of letters and digits", "https://az-09.az", true},
		{"punycode", "https://xn--bcher-kva.example", true},
		{"port", "https://app.example.com:8443", true},
		{"https on http's port", "https://app.example.com:80", true},
		{"highest port", "https://app.example.com:65535", true},
		{"IPv4", "https://192.0.2.1", true},
		{"IPv6", "https://[2001:db8::1]", true},
		{"IPv6 and port", "https://[2001:db8::1]:8443", true},
		{"http on localhost", "http://localhost", true},
		{"http on localhost, port", "http://localhost:8080", true},
		{"http on 127.0.0.1", "http://127.0.0.1:8080", true},
		{"http on another 127", "http://127.1.2.3", true},
		{"http on ::1", "http://[::1]:8080", true},

		{"empty", "", false},
		{"null", "null", false},
		{"no scheme", "app.example.com", false},
		{"no host", "https://", false},
		{"port alone", "https://:8443", false},
		{"http elsewhere", "http://app.example.com", false},
		{"http on a name that looks like localhost", "http://localhost.example.com", false},
		{"another scheme", "ftp://localhost", false},
		{"no authority", "https:app.example.com", false},
		{"upper-case scheme", "HTTPS://app.example.com", false},
		{"upper-case host", "https://App.example.com", false},
		{"upper-case IPv6", "https://[2001:DB8::1]", false},
		{"slash", "https://app.example.com/", false},
		{"path", "https://app.example.com/x", false},
		{"query", "https://app.example.com?x", false},
		{"empty query", "https://app.example.com?", false},
		{"fragment", "https://app.example.com#x", false},
		{"user", "https://user@app.example.com", false},
		{"empty user", "https://@app.example.com", false},
		{"default port", "https://app.example.com:443", false},
		{"default port in disguise", "https://app.example.com:0443", false},
		{"http's default port", "http://localhost:80", false},
		{"http's default port in disguise", "http://localhost:080", false},
		{"empty port", "https://app.example.com:", false},
		{"port zero", "https://app.example.com:0", false},
		{"port beyond the last", "https://app.example.com:65536", false},
		{"port in letters", "https://app.example.com:https", false},
		{"negative port", "https://app.example.com:-1", false},
		{"space", "https://app.example.com ", false},
		{"space in front", " https://app.example.com", false},
		{"line break", "https://app.example.com\n", false},
		{"backslash", "https://app.example.com\\@evil.example", false},
		{"quote", "https://app\"example.com", false},
		{"angle brackets", "https://<app>", false},
		{"wildcard", "https://*.example.com", false},
		{"comma", "https://a,b", false},
		{"semicolon", "https://a;b", false},
		{"percent in the host", "https://%61pp.example.com", false},
		{"not ASCII", "https://bücher.example", false},
		{"a letter that folds to ASCII", "https://\u212aelvin.example", false},
		{"empty label", "https://app..example.com", false},
		{"leading dot", "https://.example.com", false},
		{"trailing dot", "https://app.example.com.", false},
		{"long IPv6", "https://[2001:db8:0:0:0:0:0:1]", false},
		{"IPv6 with a zone", "https://[fe80::1%25eth0]", false},
		{"IPv6 without brackets", "https://2001:db8::1", false},
		{"a name in brackets", "https://[app.example.com]", false},
		{"short IPv4", "https://127.1", false},
		{"shorter IPv4", "https://0", false},
		{"a last label that begins with a digit", "https://app.9a", false},
		{"octal IPv4", "https://127.0.0.01", false},
		{"IPv4 as a number", "https://2130706433", false},
		{"IPv4 in hexadecimal", "https://0x7f.0x0.0x0.0x1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := oauth.CheckOrigin(tt.origin); got != tt.want {
				t.Errorf("CheckOrigin(%q) = %v", tt.origin, got)
			}
		})
	}
}

// Whatever passes is the only spelling of itself: a browser, this package and net/url name it alike.
func FuzzCheckOrigin(f *testing.F) {
	for _, seed := range []string{
		"https://app.example.com", "http://localhost:8080", "https://[::1]", "https://a:0443", "https://a.", "https://%61",
		"https://a\\b", "https://A", "https://a:", "http://127.0.0.1:80", "https://1.2.3", "https://a?", "https://u@a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !oauth.CheckOrigin(text) {
			return
		}
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%q passes and does not parse: %v", text, err)
		}
		for what, spelling := range map[string]string{
			"printed again": u.String(), "of its parts": u.Scheme + "://" + u.Host, "in lower case": strings.ToLower(text),
		} {
			if spelling != text {
				t.Errorf("%q %s is %q", text, what, spelling)
			}
		}
		for _, bad := range []string{"/", "?", "#", "@", "\\", "%", "*", " ", "\"", "<", ";", ","} {
			if strings.Contains(strings.TrimPrefix(text, u.Scheme+"://"), bad) {
				t.Errorf("%q passes and holds %q", text, bad)
			}
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && oauth.IsLoopback(u.Hostname())) {
			t.Errorf("%q passes without https", text)
		}
		if err := oauth.CheckRedirectURI(text + "/_gatehouse/callback"); err != nil {
			t.Errorf("the callback of %q may not be registered: %v", text, err)
		}
		if err := oauth.CheckIssuer(text); err != nil {
			t.Errorf("%q is an origin and no issuer: %v", text, err)
		}
	})
}
