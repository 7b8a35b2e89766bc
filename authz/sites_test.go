// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

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
			equal(t, "CheckOrigin", authz.CheckOrigin(tt.origin), tt.want)
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
		if !authz.CheckOrigin(text) {
			return
		}
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%q passes and does not parse: %v", text, err)
		}
		equal(t, "origin printed again", u.String(), text)
		equal(t, "origin of its parts", u.Scheme+"://"+u.Host, text)
		equal(t, "origin in lower case", strings.ToLower(text), text)
		for _, bad := range []string{"/", "?", "#", "@", "\\", "%", "*", " ", "\"", "<", ";", ","} {
			if strings.Contains(strings.TrimPrefix(text, u.Scheme+"://"), bad) {
				t.Errorf("%q passes and holds %q", text, bad)
			}
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && oauth.IsLoopback(u.Hostname())) {
			t.Errorf("%q passes without https", text)
		}
		if err := oauth.CheckRedirectURI(text + authz.PathSiteCallback); err != nil {
			t.Errorf("the callback of %q may not be registered: %v", text, err)
		}
		if err := authz.CheckIssuer(text); err != nil {
			t.Errorf("%q is an origin and no issuer: %v", text, err)
		}
	})
}

func TestSitesAreClients(t *testing.T) {
	t.Parallel()
	const ours = "https://app.example.com"
	sites := authz.Sites{
		Allowed: func(origin string) bool {
			return origin == ours || origin == "http://localhost:8080" || origin == "https://APP"
		},
		Scopes: oauth.Scopes{"openid", "accounts:read"}, Audience: []string{"https://auth.example.com"},
	}
	registry, err := authz.NewClients(sites, newClient(app))
	if err != nil {
		t.Fatal(err)
	}
	got, ok := registry.Find(authz.SiteClientID(ours))
	if !ok {
		t.Fatal("the client of an allowed site is not found")
	}
	want := &authz.Client{
		ID: "site:" + ours, Name: "app.example.com", Auth: authz.AuthNone,
		RedirectURIs: []string{ours + "/_gatehouse/callback"}, PostLogoutRedirectURIs: []string{ours + "/"},
		Grants: []authz.GrantType{authz.GrantAuthorizationCode},
		Scopes: sites.Scopes, DefaultScopes: oauth.Scopes{"openid"}, Audience: sites.Audience,
		FirstParty: true, Site: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the client of a site (-want +got):\n%s", diff)
	}
	if local, ok := registry.Find("site:http://localhost:8080"); !ok || local.DisplayName() != "localhost:8080" {
		t.Errorf("the client of a local site is %+v, %v", local, ok)
	}
	for _, id := range []string{
		"", "site:", ours, "site:https://evil.example.com", "site:" + ours + "/", "site:" + ours + ":443", "site:https://APP",
		"SITE:" + ours, " site:" + ours, "site:site:" + ours, "site:https://app.example.com@evil.example", "site:null",
	} {
		if c, ok := registry.Find(id); ok {
			t.Errorf("a client is found under %q: %+v", id, c)
		}
	}
}

func TestNoSitesAreAllowedByDefault(t *testing.T) {
	t.Parallel()
	registry, err := authz.NewClients(authz.Sites{})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := registry.Find(authz.SiteClientID("https://app.example.com")); ok {
		t.Errorf("a site that nobody allowed is a client: %+v", c)
	}
}

func TestSitesDoNotShareTheirClient(t *testing.T) {
	t.Parallel()
	registry, err := authz.NewClients(authz.Sites{Allowed: func(string) bool { return true }, Scopes: oauth.Scopes{"openid"}})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := registry.Find("site:https://one.example.com")
	one.RedirectURIs[0] = "https://evil.example.com"
	again, _ := registry.Find("site:https://one.example.com")
	equal(t, "redirect URI", again.RedirectURIs[0], "https://one.example.com/_gatehouse/callback")
}
