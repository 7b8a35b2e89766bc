// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Backchannel knows the requests that people answer on their phones.
type Backchannel interface {
	// Redeem returns what a request of the client has led to, once: a grant, and a refresh token where the client may have one. That there is
	// nothing yet is an *[oauth.Error] as well (OpenID CIBA Core 11). The trail is its own.
	Redeem(ctx context.Context, client *authz.Client, authReqID string) (authz.Grant, string, error)
}

// backchannel fetches what a person has approved on a phone (OpenID CIBA Core 10.1).
var backchannel = grantType{
	name:   authz.GrantCIBA,
	scope:  func(*call) error { return nil },
	settle: fetch,
}

func fetch(ctx context.Context, h *Handler, c *call) (issue, error) {
	id := c.params.Get("auth_req_id")
	switch {
	case id == "":
		return issue{}, oauth.NewError(oauth.InvalidRequest, "auth_req_id is missing")
	case c.params.Get("authorization_details") != "":
		return issue{}, oauth.NewError(oauth.InvalidAuthorizationDetails, "authorization_details are not granted in this way")
	}
	grant, refresh, err := h.Backchannel.Redeem(ctx, c.client, id)
	if err != nil {
		return issue{}, authz.Failure(err)
	}
	if grant.Authn.Application.Barred(h.Applications) {
		return issue{}, barred()
	}
	return issue{scopes: c.allowed(grant.Scopes), grant: &grant, refresh: refresh}, nil
}

// Pushed makes the tokens that are sent to a client (OpenID CIBA Core 10.3.1): the answer that it would have fetched, with its
// auth_req_id beside it and in the ID token. The scopes are those that the client may have now. They are issued as of a moment before the
// grant was looked at, so that a revocation since covers them.
func (h *Handler) Pushed(client *authz.Client, grant authz.Grant, refresh, authReqID string, at time.Time) ([]byte, error) {
	if client == nil || grant.ID == "" || authReqID == "" {
		return nil, errors.New("making the tokens to be sent: a client, a grant and a request are required")
	}
	if client.BoundTokens || client.CertificateBound {
		return nil, errors.New("making the tokens to be sent: the client has its tokens bound, and whoever is sent some shows nothing")
	}
	if grant.Authn.Application.Barred(h.Applications) {
		return nil, barred()
	}
	c := &call{client: client, at: at}
	body, err := h.mint(c, issue{scopes: c.allowed(grant.Scopes), grant: &grant, refresh: refresh, pushed: authReqID})
	if err == nil {
		h.Observe(string(authz.GrantCIBA), "issued")
	}
	return body, err
}
