// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// newClient returns a public client of the code flow that may be registered.
func newClient(id string, change ...func(*authz.Client)) *authz.Client {
	c := &authz.Client{
		ID: id, Auth: authz.AuthNone, RedirectURIs: []string{redirect},
		Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken},
		Scopes: scopes, DefaultScopes: scopes[:1], Audience: []string{"https://api.example.com"},
		AccessTTL: 5 * time.Minute, RefreshTTL: familyTTL, RefreshIdleTTL: familyIdle,
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func withSecret(c *authz.Client) {
	c.Auth, c.SecretHashes = authz.AuthClientSecretBasic, []string{randid.Hash("secret")}
}

func TestClientCheck(t *testing.T) {
	t.Parallel()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*authz.Client)
		want   string // part of the error; empty is none
	}{
		{"public", func(*authz.Client) {}, ""},
		{"secret", withSecret, ""},
		{"secret by post", func(c *authz.Client) { withSecret(c); c.Auth = authz.AuthClientSecretPost }, ""},
		{"key", func(c *authz.Client) { c.Auth, c.Keys = authz.AuthPrivateKeyJWT, []jose.PublicKey{key.Public()} }, ""},
		{"machine", func(c *authz.Client) {
			withSecret(c)
			c.Grants, c.RedirectURIs, c.RefreshTTL = []authz.GrantType{authz.GrantClientCredentials}, nil, 0
		}, ""},
		{"resource server", func(c *authz.Client) { withSecret(c); c.Grants, c.Introspect = nil, true }, ""},
		{"longest tokens", func(c *authz.Client) { c.AccessTTL, c.RefreshTTL = authz.MaxAccessTTL, authz.MaxRefreshTTL }, ""},
		{"shortest tokens", func(c *authz.Client) {
			c.AccessTTL, c.RefreshTTL, c.RefreshIdleTTL = time.Second, time.Second, time.Second
		}, ""},
		{"no refresh tokens, no lifetime", func(c *authz.Client) {
			c.Grants, c.RefreshTTL, c.RefreshIdleTTL = c.Grants[:1], 0, 0
		}, ""},
		{"every algorithm", func(c *authz.Client) { c.IDTokenAlg, c.AccessTokenAlg = jose.RS256, jose.EdDSA }, ""},
		{"almost an anonymous subject", func(c *authz.Client) { c.ID = "anonymous" }, ""},
		{"longest id", func(c *authz.Client) { c.ID = strings.Repeat("i", 128) }, ""},
		{"RFC6749/A.1 every kind of character", func(c *authz.Client) { c.ID = "a b:c/d.e~!\"\\" }, ""},

		{"CIBA/4 a back end that refreshes", func(c *authz.Client) {
			withSecret(c)
			c.Grants, c.RedirectURIs = []authz.GrantType{authz.GrantCIBA, authz.GrantRefreshToken}, nil
		}, ""},

		{"no id", func(c *authz.Client) { c.ID = "" }, "no id"},
		{"id too long", func(c *authz.Client) { c.ID = strings.Repeat("i", 129) }, "128"},
		{"RFC6749/A.1 not ASCII", func(c *authz.Client) { c.ID = "ä" }, "printable"},
		{"RFC6749/A.1 control character", func(c *authz.Client) { c.ID = "a\nb" }, "printable"},
		{"RFC6749/A.1 delete", func(c *authz.Client) { c.ID = "a\x7f" }, "printable"},
		{"space at the end", func(c *authz.Client) { c.ID = "app " }, "printable"},
		{"RFC9068/5 a user's id", func(c *authz.Client) { c.ID = alice }, "usr_"},
		{"RFC9068/5 an anonymous subject", func(c *authz.Client) { c.ID = "anon_x" }, "anon_"},

		{"no method", func(c *authz.Client) { c.Auth = "" }, "method"},
		{"unknown method", func(c *authz.Client) { c.Auth = "client_secret_jwt" }, "client_secret_jwt"},
		{"public with a secret", func(c *authz.Client) { withSecret(c); c.Auth = authz.AuthNone }, "public"},
		{"public with a key", func(c *authz.Client) { c.Keys = []jose.PublicKey{key.Public()} }, "public"},
		{"basic without a secret", func(c *authz.Client) { c.Auth = authz.AuthClientSecretBasic }, "no secret"},
		{"post without a secret", func(c *authz.Client) { c.Auth = authz.AuthClientSecretPost }, "no secret"},
		{"an empty secret", func(c *authz.Client) { withSecret(c); c.SecretHashes = []string{randid.Hash("")} }, "empty"},
		{"an empty secret beside a good one", func(c *authz.Client) {
			withSecret(c)
			c.SecretHashes = append(c.SecretHashes, randid.Hash(""))
		}, "empty"},
		{"private_key_jwt without a key", func(c *authz.Client) { c.Auth = authz.AuthPrivateKeyJWT }, "no key"},
		{"an unfit key", func(c *authz.Client) {
			c.Auth, c.Keys = authz.AuthPrivateKeyJWT, []jose.PublicKey{{KID: "k", Alg: jose.ES256}}
		}, "key"},
		{"RFC6749/4.4 public machine", func(c *authz.Client) { c.Grants = append(c.Grants, authz.GrantClientCredentials) }, "client_credentials"},
		{"RFC7662/2.1 public resource server", func(c *authz.Client) { c.Introspect = true }, "introspect"},
		{"public with networks", func(c *authz.Client) { c.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, "allowed_networks"},

		{"no redirect URI", func(c *authz.Client) { c.RedirectURIs = nil }, "redirect_uri"},
		{"RFC6749/3.1.2 redirect URI with a fragment", func(c *authz.Client) { c.RedirectURIs = []string{redirect + "#x"} }, "fragment"},
		{"RFC9700/2.6 redirect URI without https", func(c *authz.Client) { c.RedirectURIs = []string{"http://app.example.com/cb"} }, "loopback"},
		{"post-logout redirect URI", func(c *authz.Client) { c.PostLogoutRedirectURIs = []string{"javascript:alert(1)"} }, "javascript:alert(1)"},
		{"CIBA/7.1 public", func(c *authz.Client) { c.Grants = append(c.Grants, authz.GrantCIBA) }, "cannot ask people"},
		{"RFC10027/5 native", func(c *authz.Client) {
			withSecret(c)
			c.Native, c.FirstParty, c.Grants = true, true, append(c.Grants, authz.GrantCIBA)
		}, "cannot ask people"},
		{"refresh without code", func(c *authz.Client) { c.Grants = c.Grants[1:] }, "refresh_token"},
		{"RFC9700/2.4 password", func(c *authz.Client) { c.Grants = append(c.Grants, "password") }, "password"},
		{"RFC9700/2.1.2 implicit", func(c *authz.Client) { c.Grants = append(c.Grants, "implicit") }, "implicit"},

		{"no audience", func(c *authz.Client) { c.Audience = nil }, "audience"},
		{"empty audience", func(c *authz.Client) { c.Audience = []string{"a", ""} }, "audience"},
		{"no access lifetime", func(c *authz.Client) { c.AccessTTL = 0 }, "access tokens"},
		{"negative access lifetime", func(c *authz.Client) { c.AccessTTL = -time.Minute }, "access tokens"},
		{"access tokens beyond the log", func(c *authz.Client) { c.AccessTTL = authz.MaxAccessTTL + 1 }, "access tokens"},
		{"no refresh lifetime", func(c *authz.Client) { c.RefreshTTL = 0 }, "refresh tokens"},
		{"refresh tokens beyond the cut-offs", func(c *authz.Client) { c.RefreshTTL = authz.MaxRefreshTTL + 1 }, "refresh tokens"},
		{"no idle lifetime", func(c *authz.Client) { c.RefreshIdleTTL = 0 }, "idle"},
		{"a default scope beyond its own", func(c *authz.Client) { c.DefaultScopes = oauth.Scopes{"admin"} }, "default scope"},
		{"a scope of two words", func(c *authz.Client) { c.Scopes = append(c.Scopes[:2:2], "a b") }, "a b"},
		{"unknown algorithm of ID tokens", func(c *authz.Client) { c.IDTokenAlg = "none" }, "none"},
		{"unknown algorithm of access tokens", func(c *authz.Client) { c.AccessTokenAlg = "HS256" }, "HS256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(app, tt.change)
			err := c.Check()
			_, registered := authz.NewClients(authz.Sites{}, c)
			equal(t, "registry agrees", registered == nil, err == nil)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("the client is refused: %v", err)
			case tt.want != "" && err == nil:
				t.Error("the client passes")
			case tt.want != "" && !strings.Contains(err.Error(), tt.want):
				t.Errorf("the error %q says nothing of %q", err, tt.want)
			case err != nil && c.ID != "" && c.ID == app && !strings.Contains(err.Error(), `"app"`):
				t.Errorf("the error %q does not name the client", err)
			}
		})
	}
}

func TestNewClients(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		clients []*authz.Client
		want    string
	}{
		{"none", nil, ""},
		{"several", []*authz.Client{newClient(app), newClient(other)}, ""},
		{"ids differ by case", []*authz.Client{newClient("app"), newClient("APP")}, ""},
		{"twice the same id", []*authz.Client{newClient(app), newClient(app)}, "twice"},
		{"a site's id", []*authz.Client{newClient("site:https://app.example.com")}, "protected sites"},
		{"the beginning of a site's id", []*authz.Client{newClient("site:")}, "protected sites"},
		{"one that must not be registered", []*authz.Client{newClient(app), newClient("")}, "no id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			registry, err := authz.NewClients(authz.Sites{}, tt.clients...)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || registry != nil {
					t.Errorf("registry is %v, error is %v, want a word on %q", registry, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("the clients are refused: %v", err)
			}
			for _, c := range tt.clients {
				if got, ok := registry.Find(c.ID); !ok || got != c {
					t.Errorf("under %q there is %+v", c.ID, got)
				}
			}
			for _, id := range []string{"", "unknown", "app ", "App"} {
				if got, ok := registry.Find(id); ok {
					t.Errorf("under %q there is %+v", id, got)
				}
			}
		})
	}
}

func TestAudiences(t *testing.T) {
	t.Parallel()
	sites := authz.Sites{Audience: []string{"https://auth.example.com"}}
	registry, err := authz.NewClients(sites, newClient(app), newClient(other, func(c *authz.Client) {
		c.Audience = []string{"https://z.example.com", "https://api.example.com", "https://a.example.com"}
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"https://a.example.com", "https://api.example.com", "https://auth.example.com", "https://z.example.com"}
	for range 2 { // asking changes nothing
		if diff := cmp.Diff(want, registry.Audiences()); diff != "" {
			t.Errorf("audiences (-want +got):\n%s", diff)
		}
	}
	equal(t, "audiences of the sites", len(sites.Audience), 1)
}

func TestSecretMatches(t *testing.T) {
	t.Parallel()
	old, next := randid.Secret(), randid.Secret()
	none, one := newClient("none"), newClient("one", withSecret)
	one.SecretHashes = []string{randid.Hash(old)}
	both := newClient("both", withSecret)
	both.SecretHashes = []string{randid.Hash(old), randid.Hash(next)}
	same := newClient("same", withSecret)
	same.SecretHashes = []string{randid.Hash(old), randid.Hash(old)}
	tests := []struct {
		name   string
		client *authz.Client
		secret string
		want   bool
	}{
		{"no secret registered", none, "", false},
		{"no secret registered, one presented", none, old, false},
		{"the one", one, old, true},
		{"not yet registered", one, next, false},
		{"empty", one, "", false},
		{"the first of two", both, old, true},
		{"the second of two", both, next, true},
		{"neither of two", both, randid.Secret(), false},
		{"twice the same", same, old, true},
		{"one letter more", one, old + "x", false},
		{"one letter less", one, old[1:], false},
		{"its hash", one, randid.Hash(old), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "SecretMatches", tt.client.SecretMatches(tt.secret), tt.want)
		})
	}
}

func TestClientSays(t *testing.T) {
	t.Parallel()
	c := newClient(app)
	equal(t, "name of a client without one", c.DisplayName(), app)
	c.Name = "The App"
	equal(t, "name", c.DisplayName(), "The App")
	equal(t, "a public client authenticates", c.Confidential(), false)
	equal(t, "a client with a secret authenticates", newClient(app, withSecret).Confidential(), true)
	equal(t, "may refresh", c.May(authz.GrantRefreshToken), true)
	equal(t, "may act alone", c.May(authz.GrantClientCredentials), false)
	equal(t, "may do nothing", c.May(""), false)
}

func TestMatchRedirectURI(t *testing.T) {
	t.Parallel()
	c := newClient(app, func(c *authz.Client) { c.RedirectURIs = []string{redirect, "http://127.0.0.1/cb"} })
	tests := []struct {
		name, uri string
		want      bool
	}{
		{"RFC9700/2.1 the registered one", redirect, true},
		{"RFC8252/7.3 loopback", "http://127.0.0.1/cb", true},
		{"RFC8252/7.3 loopback, any port", "http://127.0.0.1:5000/cb", true},
		{"empty", "", false},
		{"a slash more", redirect + "/", false},
		{"a query more", redirect + "?x=1", false},
		{"the default port", "https://app.example.com:443/cb", false},
		{"dot segments", "https://app.example.com/../cb", false},
		{"another host", "https://app.example.com.evil/cb", false},
		{"another case", "https://APP.example.com/cb", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "match", c.MatchRedirectURI(tt.uri), tt.want)
		})
	}
	equal(t, "match of nothing registered", (&authz.Client{}).MatchRedirectURI(""), false)
}
