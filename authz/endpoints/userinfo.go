// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// scopeClaims are the claims that a scope asks for (OpenID Connect Core 5.4).
var scopeClaims = map[string][]string{
	oauth.ScopeProfile: {
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
		"gender", "birthdate", "zoneinfo", "locale", "updated_at",
	},
	oauth.ScopeEmail:   {"email", "email_verified"},
	oauth.ScopeAddress: {"address"},
	oauth.ScopePhone:   {"phone_number", "phone_number_verified"},
}

// errNoToken says that a request has no credential, which is answered with a bare challenge (RFC 6750 3.1).
var errNoToken = errors.New("the request has no token")

// userinfo tells a client what a user allowed it to know. The token comes in the Authorization header, with GET and POST
// alike: nowhere else is it read from (RFC 9700 4.3.2).
func (h *Handler) userinfo(w http.ResponseWriter, r *http.Request) {
	if httpx.CORS(w, r, http.MethodGet, http.MethodPost) || !httpx.Allow(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	claims, err := h.claims(r)
	if err != nil {
		h.challenge(w, r, err)
		return
	}
	httpx.NoStore(w)
	httpx.WriteJSON(w, http.StatusOK, claims)
}

func (h *Handler) claims(r *http.Request) (map[string]any, error) {
	credential, found, err := h.DPoP.FromRequest(r)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errNoToken
	}
	p, err := h.Tokens.Validate(r.Context(), credential)
	if err != nil {
		return nil, err
	}
	if !p.Scopes.Has(oauth.ScopeOpenID) {
		return nil, &oauth.Error{
			Code: oauth.InsufficientScope, Description: "the token has not the scope openid",
			Demand: &oauth.Demand{Scopes: oauth.Scopes{oauth.ScopeOpenID}},
		}
	}
	profile, err := h.Profiles.Profile(r.Context(), p.Subject)
	switch {
	case authz.Gone(err):
		return nil, oauth.NewError(oauth.InvalidToken, "the token is not valid").WithCause(err)
	case err != nil:
		return nil, authz.Failure(fmt.Errorf("reading the profile of a user: %w", err))
	}
	return released(profile, p), nil
}

// released returns those claims of a profile that the scopes ask for. sub is always there and always the token's; a claim
// without a value is left out (OpenID Connect Core 5.3.2). cnf is there where the token is bound, and says to what, so that whoever is
// handed the answer can tell which key or certificate was shown for it; no profile has a say in it.
func released(profile map[string]any, p *validation.Principal) map[string]any {
	claims := map[string]any{}
	for _, scope := range p.Scopes {
		for _, name := range scopeClaims[scope] {
			if value, ok := profile[name]; ok && value != nil && value != "" {
				claims[name] = value
			}
		}
	}
	claims["sub"] = p.Subject
	if p.Confirmation != nil {
		claims["cnf"] = (*confirmation)(p.Confirmation)
	}
	return claims
}

// challenge refuses with the header and status that RFC 6750 3 names, and the error as JSON.
func (h *Handler) challenge(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errNoToken) {
		httpx.NoStore(w)
		w.Header()["Www-Authenticate"] = h.challenges(r, nil)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if oauth.AsError(err).HTTPStatus() < http.StatusInternalServerError {
		w.Header()["Www-Authenticate"] = h.challenges(r, err)
	}
	httpx.WriteError(w, r, err, h.Logger)
}

// challenges returns those for a refusal; for none they say nothing but where to get a token.
func (h *Handler) challenges(r *http.Request, err error) []string {
	return h.DPoP.Challenges(r, err, validation.Challenge{Realm: h.Issuer})
}
