// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// clientCredentials gives a client a token of its own (RFC 6749 4.4). It touches no store: the client was authenticated
// from configuration, the key is in memory and the token stands for itself. A public client cannot be registered for it.
var clientCredentials = grantType{
	name:   authz.GrantClientCredentials,
	scope:  ownScopes,
	settle: own,
}

// ofUsers are scopes that speak of a user; a client's own token is about none.
var ofUsers = []string{
	oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopePhone, oauth.ScopeAddress, oauth.ScopeOfflineAccess,
}

// ownScopes takes the client's default scopes where none are named; without any the request says nothing (RFC 6749 3.3).
func ownScopes(c *call) error {
	if err := withinClient(c); err != nil {
		return err
	}
	if len(c.scopes) == 0 {
		c.scopes = c.client.DefaultScopes.Without(ofUsers...)
	}
	if len(c.scopes) == 0 {
		return oauth.NewError(oauth.InvalidScope, "scope is missing, and the client has no default")
	}
	if len(c.scopes.Without(ofUsers...)) < len(c.scopes) {
		return oauth.NewError(oauth.InvalidScope, "a scope about a user needs a user")
	}
	return nil
}

// own mints no authorization_details: there is nobody who could have approved them (RFC 9396 5 leaves that to the server).
func own(ctx context.Context, h *Handler, c *call) (issue, error) {
	if c.params.Get("authorization_details") != "" {
		return issue{}, oauth.NewError(oauth.InvalidAuthorizationDetails, "authorization_details need a user who approves them")
	}
	h.Trail.Log(ctx, c.event(ctx, "token.issued"))
	return issue{scopes: c.scopes}, nil
}
