// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// revoke ends a token of the caller (RFC 7009). Whatever is not there to be revoked, another client's token among it, is
// answered with the same 200 and left as it is: the answer tells nothing about tokens of others. That a token could not be
// revoked is 503, never 200: the client then knows that it still lives.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) {
	if httpx.CORS(w, r, http.MethodPost) {
		return
	}
	if err := h.end(r); err != nil {
		h.Clients.Refuse(w, r, err, h.Logger)
		return
	}
	httpx.NoStore(w)
	w.WriteHeader(http.StatusOK)
}

func (h *Handler) end(r *http.Request) error {
	params, err := httpx.Form(r)
	if err != nil {
		return err
	}
	client, err := h.Clients.Authenticate(r.Context(), r, params)
	if err != nil {
		return err
	}
	token := params.Get("token")
	switch {
	case token == "":
		return oauth.NewError(oauth.InvalidRequest, "token is missing")
	case authz.LooksLikeRefreshToken(token):
		return h.endGrant(r, client, token)
	}
	return h.endToken(r, client, token)
}

// endGrant revokes a refresh token and, with its grant, every access token that was issued beside it (RFC 7009 2.1).
func (h *Handler) endGrant(r *http.Request, client *authz.Client, token string) error {
	revocations, err := h.Store.RevokeRefreshToken(r.Context(), token, client.ID)
	if err != nil {
		return oauth.Unavailable(fmt.Errorf("revoking a refresh token: %w", err))
	}
	return h.ended(r, client, "grant.revoked", revocations)
}

// endToken revokes one access token; the refresh token beside it goes on.
func (h *Handler) endToken(r *http.Request, client *authz.Client, token string) error {
	p, err := h.Tokens.Inspect(r.Context(), token)
	if err != nil {
		return unlessInvalid(err) // what is not valid needs no revocation
	}
	if p.ClientID != client.ID {
		return nil
	}
	revocation, err := h.Store.Revoke(r.Context(), authz.KindToken, p.TokenID)
	if err != nil {
		return oauth.Unavailable(fmt.Errorf("revoking an access token: %w", err))
	}
	return h.ended(r, client, "token.revoked", []authz.Revocation{revocation})
}

// ended makes a revocation known: to this node's gates before anything else, and to the trail.
func (h *Handler) ended(r *http.Request, client *authz.Client, name string, revocations []authz.Revocation) error {
	h.Apply(revocations...)
	for _, revocation := range revocations {
		e := event(r, name)
		e.ClientID, e.Reason = client.ID, "client"
		if revocation.Kind == authz.KindGrant {
			e.GrantID = revocation.Target
		}
		if err := h.Trail.Record(r.Context(), e); err != nil {
			return oauth.Unavailable(err)
		}
	}
	return nil
}
