// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

const (
	app      = "app"
	redirect = "https://app.example.com/cb"
)

// newClient returns a public client of the code flow that may be registered.
func newClient(id string, change ...func(*client.Client)) *client.Client {
	c := &client.Client{
		ID: id, Auth: client.AuthNone, RedirectURIs: []string{redirect},
		Grants: []client.GrantType{client.GrantAuthorizationCode, client.GrantRefreshToken},
		Scopes: oauth.Scopes{"openid", "read", "pay"}, DefaultScopes: oauth.Scopes{"openid"}, Audience: []string{"https://api.example.com"},
		AccessTTL: 5 * time.Minute, RefreshTTL: 30 * 24 * time.Hour, RefreshIdleTTL: 14 * 24 * time.Hour,
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func withSecret(c *client.Client) {
	c.Auth, c.SecretHashes = client.AuthClientSecretBasic, []string{randid.Hash("secret")}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestClientCheck(t *testing.T) {
	t.Parallel()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*client.Client)
		want   string // part of the error; empty is none
	}{
		{"public", func(*client.Client) {}, ""},
		{"secret", withSecret, ""},
		{"secret by post", func(c *client.Client) { withSecret(c); c.Auth = client.AuthClientSecretPost }, ""},
		{"key", func(c *client.Client) { c.Auth, c.Keys = client.AuthPrivateKeyJWT, []jose.PublicKey{key.Public()} }, ""},
		{"machine", func(c *client.Client) {
			withSecret(c)
			c.Grants, c.RedirectURIs, c.RefreshTTL = []client.GrantType{client.GrantClientCredentials}, nil, 0
		}, ""},
		{"resource server", func(c *client.Client) { withSecret(c); c.Grants, c.Introspect = nil, true }, ""},
		{"longest tokens", func(c *client.Client) { c.AccessTTL, c.RefreshTTL = client.MaxAccessTTL, client.MaxRefreshTTL }, ""},
		{"shortest tokens", func(c *client.Client) {
			c.AccessTTL, c.RefreshTTL, c.RefreshIdleTTL = time.Second, time.Second, time.Second
		}, ""},
		{"no refresh tokens, no lifetime", func(c *client.Client) {
			c.Grants, c.RefreshTTL, c.RefreshIdleTTL = c.Grants[:1], 0, 0
		}, ""},
		{"every algorithm", func(c *client.Client) { c.IDTokenAlg, c.AccessTokenAlg = jose.RS256, jose.EdDSA }, ""},
		{"almost an anonymous subject", func(c *client.Client) { c.ID = "anonymous" }, ""},
		{"longest id", func(c *client.Client) { c.ID = strings.Repeat("i", 128) }, ""},
		{"RFC6749/A.1 every kind of character", func(c *client.Client) { c.ID = "a b:c/d.e~!\"\\" }, ""},

		{"CIBA/4 a back end that refreshes", func(c *client.Client) {
			withSecret(c)
			c.Grants, c.RedirectURIs = []client.GrantType{client.GrantCIBA, client.GrantRefreshToken}, nil
		}, ""},

		{"no id", func(c *client.Client) { c.ID = "" }, "no id"},
		{"id too long", func(c *client.Client) { c.ID = strings.Repeat("i", 129) }, "128"},
		{"RFC6749/A.1 not ASCII", func(c *client.Client) { c.ID = "ä" }, "printable"},
		{"RFC6749/A.1 control character", func(c *client.Client) { c.ID = "a\nb" }, "printable"},
		{"RFC6749/A.1 delete", func(c *client.Client) { c.ID = "a\x7f" }, "printable"},
		{"space at the end", func(c *client.Client) { c.ID = "app " }, "printable"},
		{"RFC9068/5 a user's id", func(c *client.Client) { c.ID = "usr_alice" }, "usr_"},
		{"RFC9068/5 an anonymous subject", func(c *client.Client) { c.ID = "anon_x" }, "anon_"},

		{"no method", func(c *client.Client) { c.Auth = "" }, "method"},
		{"unknown method", func(c *client.Client) { c.Auth = "client_secret_jwt" }, "client_secret_jwt"},
		{"public with a secret", func(c *client.Client) { withSecret(c); c.Auth = client.AuthNone }, "public"},
		{"public with a key", func(c *client.Client) { c.Keys = []jose.PublicKey{key.Public()} }, "public"},
		{"basic without a secret", func(c *client.Client) { c.Auth = client.AuthClientSecretBasic }, "no secret"},
		{"post without a secret", func(c *client.Client) { c.Auth = client.AuthClientSecretPost }, "no secret"},
		{"an empty secret", func(c *client.Client) { withSecret(c); c.SecretHashes = []string{randid.Hash("")} }, "empty"},
		{"an empty secret beside a good one", func(c *client.Client) {
			withSecret(c)
			c.SecretHashes = append(c.SecretHashes, randid.Hash(""))
		}, "empty"},
		{"private_key_jwt without a key", func(c *client.Client) { c.Auth = client.AuthPrivateKeyJWT }, "no key"},
		{"an unfit key", func(c *client.Client) {
			c.Auth, c.Keys = client.AuthPrivateKeyJWT, []jose.PublicKey{{KID: "k", Alg: jose.ES256}}
		}, "key"},
		{"RFC6749/4.4 public machine", func(c *client.Client) { c.Grants = append(c.Grants, client.GrantClientCredentials) }, "client_credentials"},
		{"RFC7662/2.1 public resource server", func(c *client.Client) { c.Introspect = true }, "introspect"},
		{"public with networks", func(c *client.Client) { c.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, "allowed_networks"},

		{"no redirect URI", func(c *client.Client) { c.RedirectURIs = nil }, "redirect_uri"},
		{"RFC6749/3.1.2 redirect URI with a fragment", func(c *client.Client) { c.RedirectURIs = []string{redirect + "#x"} }, "fragment"},
		{"RFC9700/2.6 redirect URI without https", func(c *client.Client) { c.RedirectURIs = []string{"http://app.example.com/cb"} }, "loopback"},
		{"post-logout redirect URI", func(c *client.Client) { c.PostLogoutRedirectURIs = []string{"javascript:alert(1)"} }, "javascript:alert(1)"},
		{"CIBA/7.1 public", func(c *client.Client) { c.Grants = append(c.Grants, client.GrantCIBA) }, "cannot ask people"},
		{"RFC10027/5 native", func(c *client.Client) {
			withSecret(c)
			c.Native, c.FirstParty, c.Grants = true, true, append(c.Grants, client.GrantCIBA)
		}, "cannot ask people"},
		{"refresh without code", func(c *client.Client) { c.Grants = c.Grants[1:] }, "refresh_token"},
		{"RFC9700/2.4 password", func(c *client.Client) { c.Grants = append(c.Grants, "password") }, "password"},
		{"RFC9700/2.1.2 implicit", func(c *client.Client) { c.Grants = append(c.Grants, "implicit") }, "implicit"},

		{"no audience", func(c *client.Client) { c.Audience = nil }, "audience"},
		{"empty audience", func(c *client.Client) { c.Audience = []string{"a", ""} }, "audience"},
		{"no access lifetime", func(c *client.Client) { c.AccessTTL = 0 }, "access tokens"},
		{"negative access lifetime", func(c *client.Client) { c.AccessTTL = -time.Minute }, "access tokens"},
		{"access tokens beyond the log", func(c *client.Client) { c.AccessTTL = client.MaxAccessTTL + 1 }, "access tokens"},
		{"no refresh lifetime", func(c *client.Client) { c.RefreshTTL = 0 }, "refresh tokens"},
		{"refresh tokens beyond the cut-offs", func(c *client.Client) { c.RefreshTTL = client.MaxRefreshTTL + 1 }, "refresh tokens"},
		{"no idle lifetime", func(c *client.Client) { c.RefreshIdleTTL = 0 }, "idle"},
		{"a default scope beyond its own", func(c *client.Client) { c.DefaultScopes = oauth.Scopes{"admin"} }, "default scope"},
		{"a scope of two words", func(c *client.Client) { c.Scopes = append(c.Scopes[:2:2], "a b") }, "a b"},
		{"unknown algorithm of ID tokens", func(c *client.Client) { c.IDTokenAlg = "none" }, "none"},
		{"unknown algorithm of access tokens", func(c *client.Client) { c.AccessTokenAlg = "HS256" }, "HS256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(app, tt.change)
			err := c.Check()
			if terms := c.CheckTerms(); err == nil && terms != nil {
				t.Errorf("its terms alone are refused: %v", terms)
			}
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
		client *client.Client
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
	equal(t, "may refresh", c.May(client.GrantRefreshToken), true)
	equal(t, "may act alone", c.May(client.GrantClientCredentials), false)
	equal(t, "may do nothing", c.May(""), false)
}

func TestMatchRedirectURI(t *testing.T) {
	t.Parallel()
	c := newClient(app, func(c *client.Client) { c.RedirectURIs = []string{redirect, "http://127.0.0.1/cb"} })
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
	equal(t, "match of nothing registered", (&client.Client{}).MatchRedirectURI(""), false)
}
