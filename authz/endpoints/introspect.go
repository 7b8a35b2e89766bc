// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"errors"
	"net/http"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// active is what an authorized caller learns about a live token (RFC 7662 2.2, RFC 9470 6.2). The members are the claims of
// the token under their own names.
type active struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id"`
	TokenType string   `json:"token_type,omitempty"`
	Use       string   `json:"token_use"`
	Expires   int64    `json:"exp"`
	IssuedAt  int64    `json:"iat,omitempty"`
	Subject   string   `json:"sub"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss"`
	ID        string   `json:"jti,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`

	GrantID   string           `json:"gid,omitempty"`
	SessionID string           `json:"sid,omitempty"`
	Realms    map[string]int64 `json:"realms,omitempty"`
}

// inactive is the one answer about every token that is not live or not the caller's business: byte for byte the same.
var inactive = []byte(`{"active":false}`)

// errPublic says that a caller proves nothing about itself.
var errPublic = errors.New("a public client cannot introspect")

// introspect tells a resource server or a token's own client about a token. The hint about its type is not needed: one look
// tells what it is, so a wrong hint finds it all the same.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) {
	answer, err := h.examine(r)
	switch {
	case err != nil:
		h.Clients.Refuse(w, r, err, h.Logger)
	case answer == nil:
		httpx.NoStore(w)
		httpx.WriteBody(w, http.StatusOK, inactive)
	default:
		httpx.NoStore(w)
		httpx.WriteJSON(w, http.StatusOK, answer)
	}
}

// examine returns what the caller may know; nil when that is nothing.
func (h *Handler) examine(r *http.Request) (*active, error) {
	params, err := httpx.Form(r)
	if err != nil {
		return nil, err
	}
	caller, err := h.Clients.Authenticate(r.Context(), r, params)
	if err != nil {
		return nil, err
	}
	if !caller.Confidential() {
		return nil, oauth.NewError(oauth.InvalidClient, "the client could not be authenticated").WithCause(errPublic)
	}
	token := params.Get("token")
	switch {
	case token == "":
		return nil, oauth.NewError(oauth.InvalidRequest, "token is missing")
	case authz.LooksLikeRefreshToken(token):
		return h.examineRefresh(r, caller, token)
	}
	p, err := h.Tokens.Validate(r.Context(), token)
	if err != nil {
		return nil, unlessInvalid(err)
	}
	if !mayKnow(caller, p) {
		return nil, nil
	}
	return describe(p), nil
}

// unlessInvalid lets a token that is not valid pass for inactive; that it could not be judged is an error.
func unlessInvalid(err error) error {
	if e := oauth.AsError(err); e.HTTPStatus() >= http.StatusInternalServerError {
		return e
	}
	return nil
}

// mayKnow reports whether a token is the caller's business: it was issued to the caller, or the caller is a resource
// server and the token is for a resource of its own.
func mayKnow(caller *authz.Client, p *validation.Principal) bool {
	if p.ClientID == caller.ID {
		return true
	}
	return caller.Introspect && (len(caller.Resources) == 0 || slices.ContainsFunc(p.Audience, func(audience string) bool {
		return slices.Contains(caller.Resources, audience)
	}))
}

func describe(p *validation.Principal) *active {
	a := &active{
		Active: true, Scope: p.Scopes.String(), ClientID: p.ClientID, TokenType: "Bearer", Use: "access_token",
		Expires: p.ExpiresAt.Unix(), IssuedAt: p.IssuedAt.Unix(), Subject: p.Subject, Audience: p.Audience, Issuer: p.Issuer,
		ID: p.TokenID, ACR: p.ACR, AMR: p.AMR, GrantID: p.GrantID, SessionID: p.SessionID,
	}
	if !p.AuthTime.IsZero() {
		a.AuthTime = p.AuthTime.Unix()
	}
	for _, proof := range p.Realms {
		if a.Realms == nil {
			a.Realms = map[string]int64{}
		}
		a.Realms[proof.Realm] = proof.At.Unix()
	}
	return a
}

// examineRefresh describes a refresh token to its own client and to nobody else: a resource server has no use for one.
func (h *Handler) examineRefresh(r *http.Request, caller *authz.Client, token string) (*active, error) {
	family, grant, ok, err := h.Store.FamilyByToken(r.Context(), token)
	if err != nil {
		return nil, authz.Failure(err)
	}
	if !ok || family.ClientID != caller.ID {
		return nil, nil
	}
	expires := family.ExpiresAt
	if family.IdleExpiresAt.Before(expires) {
		expires = family.IdleExpiresAt
	}
	return &active{
		Active: true, Scope: grant.Scopes.String(), ClientID: family.ClientID, Use: "refresh_token", Expires: expires.Unix(),
		IssuedAt: family.RotatedAt.Unix(), Subject: grant.Subject, Issuer: h.Issuer, GrantID: grant.ID,
	}, nil
}
