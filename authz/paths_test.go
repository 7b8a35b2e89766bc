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
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// An issuer that passes can be put together with every path of ours, parsed and taken apart again.
func FuzzCheckIssuer(f *testing.F) {
	for _, seed := range []string{
		"https://auth.example.com", "http://localhost:8080/a", "https://example.com/a/b", "https://a/..", "https://a/;", "https://a:",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, issuer string) {
		if oauth.CheckIssuer(issuer) != nil {
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
