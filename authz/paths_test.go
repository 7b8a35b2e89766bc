// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
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
			err := authz.CheckIssuer(tt.issuer)
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

// An issuer that passes can be put together with every path of ours, parsed and taken apart again.
func FuzzCheckIssuer(f *testing.F) {
	for _, seed := range []string{
		"https://auth.example.com", "http://localhost:8080/a", "https://example.com/a/b", "https://a/..", "https://a/;", "https://a:",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, issuer string) {
		if authz.CheckIssuer(issuer) != nil {
			return
		}
		u, err := url.Parse(issuer)
		if err != nil {
			t.Fatalf("%q passes and does not parse: %v", issuer, err)
		}
		equal(t, "issuer printed again", u.String(), issuer)
		equal(t, "base path", authz.BasePath(issuer), u.Path)
		joined, err := url.Parse(issuer + authz.PathToken)
		if err != nil || joined.Path != authz.BasePath(issuer)+authz.PathToken || joined.Host != u.Host {
			t.Errorf("the token endpoint of %q is %v, %v", issuer, joined, err)
		}
		for _, path := range authz.MetadataPaths(issuer) {
			request := httptest.NewRequest("GET", "https://"+u.Host+path, nil)
			equal(t, "path as a server sees it", request.URL.Path, path)
		}
	})
}

func TestBasePath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ issuer, want string }{
		{"https://auth.example.com", ""},
		{"https://example.com/auth", "/auth"},
		{"https://example.com:8443/a/b", "/a/b"},
		{"\x00", ""},
	} {
		equal(t, "base path of "+tt.issuer, authz.BasePath(tt.issuer), tt.want)
	}
}

func TestMetadataPaths(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, issuer string
		want         []string
	}{
		{"RFC8414/3.1 without a path", "https://auth.example.com", []string{
			"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
		}},
		{"RFC8414/3.1 with a path", "https://example.com/issuer1", []string{
			"/issuer1/.well-known/openid-configuration",       // OpenID Connect Discovery 4
			"/.well-known/oauth-authorization-server/issuer1", // RFC 8414 3.1
			"/issuer1/.well-known/oauth-authorization-server",
			"/.well-known/openid-configuration/issuer1", // RFC 8414 5
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, authz.MetadataPaths(tt.issuer)); diff != "" {
				t.Errorf("metadata paths (-want +got):\n%s", diff)
			}
		})
	}
}

// The faces meet in these paths. Two that fall together would be one endpoint for two things.
func TestPathsAreDistinct(t *testing.T) {
	t.Parallel()
	paths := []string{
		authz.PathAuthorize, authz.PathLogin, authz.PathConsent, authz.PathToken, authz.PathIntrospect, authz.PathRevoke,
		authz.PathUserinfo, authz.PathJWKS, authz.PathLogout, authz.PathAccount, authz.PathStatic, authz.PathOpenID, authz.PathMetadata,
		authz.PathSiteCallback, authz.PathSiteLogout,
	}
	slices.Sort(paths)
	equal(t, "distinct paths", len(slices.Compact(slices.Clone(paths))), len(paths))
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") {
			t.Errorf("the path %q does not begin with a slash", path)
		}
	}
}
