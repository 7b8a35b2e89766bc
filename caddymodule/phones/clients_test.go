// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// TestClients: back ends see what a client may do, and nothing of what it proves itself with.
func TestClients(t *testing.T) {
	t.Parallel()
	secret := randid.Hash("portal-secret-0123456789-0123456789")
	registry, err := authz.NewClients(authz.Sites{},
		&authz.Client{
			ID: "portal", Auth: authz.AuthClientSecretBasic, SecretHashes: []string{secret}, Grants: []authz.GrantType{authz.GrantClientCredentials},
			Scopes: oauth.Scopes{"gatehouse:users"}, Audience: []string{"https://auth.example.com"}, AccessTTL: 5 * time.Minute,
		},
		&authz.Client{
			ID: "app", Name: "The app", Auth: authz.AuthNone, RedirectURIs: []string{"https://app.example.com/cb"},
			Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken}, Audience: []string{"https://api.example.com"},
			AccessTTL: time.Minute, RefreshTTL: 48 * time.Hour, RefreshIdleTTL: time.Hour, Native: true, FirstParty: true,
		})
	must(t, err)
	clients := phones.NewClients(registry, []string{"portal", "app", "gone"})
	want := []wire.Client{
		{
			ID: "app", Name: "The app", Auth: "none", Grants: []string{"authorization_code", "refresh_token"},
			RedirectURIs: []string{"https://app.example.com/cb"}, Scopes: []string{}, Audience: []string{"https://api.example.com"},
			FirstParty: true, Native: true, AccessTTL: 60, RefreshTTL: 172800, RefreshIdleTTL: 3600,
		},
		{
			ID: "portal", Name: "portal", Auth: "client_secret_basic", Grants: []string{"client_credentials"}, Scopes: []string{"gatehouse:users"},
			Audience: []string{"https://auth.example.com"}, AccessTTL: 300,
		},
	}
	if diff := cmp.Diff(want, clients.List()); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(clients.List())
	must(t, err)
	if strings.Contains(string(text), secret) {
		t.Error("the hash of a secret is shown")
	}
}
