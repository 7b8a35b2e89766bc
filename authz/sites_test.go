// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

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
