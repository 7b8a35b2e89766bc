// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/json"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Inspection says, to an operator, what a token is.
type Inspection struct {
	// Kind is "access token", "refresh token", "ID token", "session of a site", "assertion", or "unknown".
	Kind   string `json:"kind"`
	Active bool   `json:"active"`
	// Problem says why it is not active.
	Problem string         `json:"problem,omitempty"`
	Claims  map[string]any `json:"claims,omitempty"`
}

// Inspect says what a token is and whether it would be accepted now. Of a refresh token it shows what it stands for and
// nothing that could be used.
func (s *Server) Inspect(ctx context.Context, raw string) Inspection {
	if authz.LooksLikeRefreshToken(raw) {
		return s.inspectRefresh(ctx, raw)
	}
	token, err := jose.Parse(raw)
	if err != nil {
		return Inspection{Kind: "unknown", Problem: "it is neither a signed token nor a refresh token of this issuer"}
	}
	found := Inspection{Kind: "unknown"}
	if json.Unmarshal(token.Payload, &found.Claims) != nil {
		return Inspection{Kind: "unknown", Problem: "its claims are no JSON object"}
	}
	for _, kind := range []struct {
		typ, name string
		validator *validation.Validator
	}{
		{tokens.TypAccess, "access token", s.access},
		{tokens.TypSite, "session of a site", s.sessions},
		{tokens.TypID, "ID token", nil},
		{tokens.TypAssertion, "assertion", nil},
	} {
		if !jose.EqualTyp(token.Header.Typ, kind.typ) {
			continue
		}
		found.Kind = kind.name
		if kind.validator != nil {
			_, err = kind.validator.Inspect(ctx, raw)
			found.Active = err == nil
			found.Problem = problem(err)
		}
	}
	return found
}

func (s *Server) inspectRefresh(ctx context.Context, raw string) Inspection {
	found := Inspection{Kind: "refresh token", Problem: "it is not the current one of a live grant"}
	family, grant, ok, err := s.config.Store.FamilyByToken(ctx, raw)
	if err != nil {
		found.Problem = problem(authz.Failure(err))
	}
	if err != nil || !ok {
		return found
	}
	if grant.Authn.Application.Barred(s.config.Applications) {
		found.Problem = validation.ErrVersion.Error()
		return found
	}
	return Inspection{Kind: found.Kind, Active: true, Claims: map[string]any{
		"client_id": family.ClientID, "sub": grant.Subject, "scope": grant.Scopes.String(), "gid": grant.ID,
		"exp": family.ExpiresAt.Unix(), "idle_exp": family.IdleExpiresAt.Unix(), "generation": family.Generation,
	}}
}

// problem gives an operator the whole cause: a token that was shown to us holds no secret of ours.
func problem(err error) string {
	if err == nil {
		return ""
	}
	return oauth.AsError(err).Error()
}
