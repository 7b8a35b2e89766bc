// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
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

	Details json.RawMessage `json:"authorization_details,omitempty"` // RFC 9396 9.2

	Application *application `json:"application,omitempty"`
	Device      []string     `json:"device,omitempty"`
	Attestation string       `json:"attestation,omitempty"`

	ClientAttestation string `json:"client_attestation,omitempty"`

	Confirmation *confirmation `json:"cnf,omitempty"` // RFC 9449 6.2, RFC 8705 3.2
}

// confirmation is what the sender of a token must show to hold (RFC 7800 3.1).
type confirmation struct {
	Key         string `json:"jkt,omitempty"`
	Certificate string `json:"x5t#S256,omitempty"`
}

// application is the app that the user authenticated with.
type application struct {
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
}

// inactive is the one answer about every token that is not live or not the caller's business: byte for byte the same.
var inactive = []byte(`{"active":false}`)

// errPublic says that a caller proves nothing about itself.
var errPublic = errors.New("a public client cannot introspect")

// typeSigned is the media type of a signed response (RFC 9701 4).
const typeSigned = "application/token-introspection+jwt"

// scopeIntrospect lets the bearer of an access token introspect, where a resource server has no credentials of its own at
// hand.
const scopeIntrospect = "gatehouse:introspect"

// introspect tells a resource server or a token's own client about a token, in JSON or, if it asks so, signed (RFC 9701). The
// hint about its type is not needed: one look tells what it is, so a wrong hint finds it all the same.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) {
	caller, answer, err := h.examine(r)
	if err != nil {
		h.refuseIntrospection(w, r, err)
		return
	}
	body := inactive
	if answer != nil {
		if body, err = json.Marshal(answer); err != nil {
			h.Clients.Refuse(w, r, oauth.Internal(err), h.Logger)
			return
		}
	}
	httpx.NoStore(w)
	if !wantsSigned(r) {
		httpx.WriteBody(w, http.StatusOK, body)
		return
	}
	signed, err := h.Signer.Introspection(caller.ID, body, caller.IntrospectionAlg)
	if err != nil {
		h.Clients.Refuse(w, r, oauth.Unavailable(err), h.Logger)
		return
	}
	w.Header().Set("Content-Type", typeSigned)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(signed)) // nobody is left to tell
}

// aboutToken are the errors of a caller that presents an access token.
var aboutToken = []oauth.Code{oauth.InvalidToken, oauth.InvalidDPoPProof, oauth.UseDPoPNonce, oauth.InsufficientScope}

// refuseIntrospection answers who may not ask. Who asks for a signed response without any credentials gets 400 (RFC 9701 5);
// in all other cases it is 401 (RFC 7662 2.3, RFC 6750 3).
func (h *Handler) refuseIntrospection(w http.ResponseWriter, r *http.Request, err error) {
	e := oauth.AsError(err)
	switch {
	case slices.Contains(aboutToken, e.Code):
		w.Header()["Www-Authenticate"] = h.challenges(r, e)
		httpx.WriteError(w, r, e, h.Logger)
		return
	case wantsSigned(r) && (errors.Is(err, clientauth.ErrNoCredentials) || errors.Is(err, errPublic)):
		refused := *e
		refused.Status = http.StatusBadRequest
		httpx.WriteError(w, r, &refused, h.Logger)
		return
	}
	h.Clients.Refuse(w, r, err, h.Logger)
}

// wantsSigned reports whether a caller names the media type of signed responses among those it accepts. It has to name it: a
// caller that accepts anything wants JSON.
func wantsSigned(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			name, parameters, err := mime.ParseMediaType(part)
			if err == nil && name == typeSigned && parameters["q"] != "0" {
				return true
			}
		}
	}
	return false
}

// examine returns who asks, and what that caller may know; nil when that is nothing.
func (h *Handler) examine(r *http.Request) (*authz.Client, *active, error) {
	params, err := httpx.Form(r)
	if err != nil {
		return nil, nil, err
	}
	caller, err := h.introspector(r, params)
	if err != nil {
		return nil, nil, err
	}
	answer, err := h.look(r, caller, params)
	return caller, answer, err
}

// introspector authorizes the caller (RFC 7662 2.1): by the credentials of a client, or by an access token with the scope for
// it, which must be for the issuer itself and speak for a client alone.
func (h *Handler) introspector(r *http.Request, params oauth.Params) (*authz.Client, error) {
	credential, presented, err := h.DPoP.FromRequest(r)
	if err != nil {
		return nil, err
	}
	if !presented {
		caller, err := h.Clients.Authenticate(r.Context(), r, params)
		if err == nil && !caller.Confidential() {
			err = oauth.NewError(oauth.InvalidClient, "the client could not be authenticated").WithCause(errPublic)
		}
		return caller, err
	}
	p, err := h.Tokens.Validate(r.Context(), credential)
	if err != nil {
		return nil, err
	}
	caller, err := h.Clients.Clients.Lookup(r.Context(), p.ClientID)
	switch {
	case err != nil && !authz.Gone(err):
		return nil, authz.Failure(err)
	case err != nil || p.Subject != p.ClientID || !slices.Contains(p.Audience, h.Issuer):
		return nil, oauth.NewError(oauth.InvalidToken, "the token is not for introspection")
	case !p.Scopes.Has(scopeIntrospect):
		return nil, &oauth.Error{
			Code: oauth.InsufficientScope, Description: "the token does not have the scope for introspection",
			Demand: &oauth.Demand{Scopes: oauth.Scopes{scopeIntrospect}},
		}
	}
	able := *caller
	able.Introspect = true
	return &able, nil
}

// look returns what a caller may know about the token it asks about; nil when that is nothing.
func (h *Handler) look(r *http.Request, caller *authz.Client, params oauth.Params) (*active, error) {
	token := params.Get("token")
	switch {
	case token == "":
		return nil, oauth.NewError(oauth.InvalidRequest, "token is missing")
	case authz.LooksLikeRefreshToken(token):
		return h.examineRefresh(r, caller, token)
	}
	p, err := h.Tokens.Inspect(r.Context(), token)
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
		Active: true, Scope: p.Scopes.String(), ClientID: p.ClientID, TokenType: oauth.Bearer, Use: "access_token",
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
	a.Application, a.Device, a.Confirmation = (*application)(p.Application), p.Devices, (*confirmation)(p.Confirmation)
	if a.Confirmation != nil && a.Confirmation.Key != "" {
		a.TokenType = oauth.DPoP
	}
	var more struct {
		Details     json.RawMessage `json:"authorization_details"`
		Attestation string          `json:"attestation"`
		Client      string          `json:"client_attestation"`
	}
	if p.Claims(&more) == nil { // they were read once already
		a.Details, a.Attestation, a.ClientAttestation = more.Details, more.Attestation, more.Client
	}
	return a
}

// examineRefresh describes a refresh token to its own client and to nobody else: a resource server has no use for one.
func (h *Handler) examineRefresh(r *http.Request, caller *authz.Client, token string) (*active, error) {
	family, grant, ok, err := h.Store.FamilyByToken(r.Context(), token)
	if err != nil {
		return nil, authz.Failure(err)
	}
	if !ok || family.ClientID != caller.ID || grant.Authn.Application.Barred(h.Applications) {
		return nil, nil
	}
	expires := family.ExpiresAt
	if family.IdleExpiresAt.Before(expires) {
		expires = family.IdleExpiresAt
	}
	answer := &active{
		Active: true, Scope: grant.Scopes.String(), ClientID: family.ClientID, Use: "refresh_token", Expires: expires.Unix(),
		IssuedAt: family.RotatedAt.Unix(), Subject: grant.Subject, Issuer: h.Issuer, GrantID: grant.ID,
	}
	if family.Key != "" || family.Certificate != "" {
		answer.Confirmation = &confirmation{Key: family.Key, Certificate: family.Certificate}
	}
	if len(grant.Details) > 0 {
		answer.Details = json.RawMessage(grant.Details.String())
	}
	return answer, nil
}
