// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// mint makes the tokens and the answer (RFC 6749 5.1, OpenID Connect Core 3.1.3.3, draft-ietf-oauth-first-party-apps-04 6.1).
func (h *Handler) mint(c *call, i issue) ([]byte, error) {
	access, err := h.Tokens.Access(tokens.Access{
		Client: c.client, Scopes: i.scopes, Details: i.details, Grant: i.grant, Key: c.key, Certificate: c.certificate, At: c.at,
	})
	if err != nil {
		return nil, unminted(err)
	}
	var id string
	if i.grant != nil && i.scopes.Has(oauth.ScopeOpenID) {
		claims := tokens.ID{Client: c.client, Grant: i.grant, Nonce: i.nonce, AccessToken: access.Token, At: c.at}
		if i.pushed != "" {
			claims.AuthReqID, claims.RefreshToken = i.pushed, i.refresh
		}
		id, err = h.Tokens.ID(claims)
		if err != nil {
			return nil, unminted(err)
		}
	}
	kind := oauth.Bearer
	if c.key != "" {
		kind = oauth.DPoP
	}
	return answer(kind, access, id, i), nil
}

// unminted tells a subject that no token can hold, which is a fault, from a key that is not there, which passes.
func unminted(err error) error {
	if errors.Is(err, tokens.ErrSubject) {
		return oauth.Internal(err)
	}
	return oauth.Unavailable(err)
}

// answer writes the token response. Details are JSON already, and none of its other values can hold a character that JSON escapes: tokens and handles are base64url
// with dots, and scope tokens exclude quote and backslash.
func answer(kind string, access tokens.Minted, id string, i issue) []byte {
	b := make([]byte, 0, len(access.Token)+len(id)+len(i.refresh)+256)
	b = append(append(b, `{"access_token":"`...), access.Token...)
	b = append(append(append(b, `","token_type":"`...), kind...), `","expires_in":`...)
	b = strconv.AppendInt(b, int64(access.TTL/time.Second), 10)
	for _, member := range [...]struct{ name, value string }{
		{"refresh_token", i.refresh}, {"id_token", id}, {"scope", i.scopes.String()},
		{"auth_session", i.authSession}, {"auth_req_id", i.pushed},
	} {
		if member.value != "" {
			b = append(append(append(b, `,"`...), member.name...), `":"`...)
			b = append(append(b, member.value...), '"')
		}
	}
	if len(i.details) > 0 { // RFC 9396 7
		b = append(append(b, `,"authorization_details":`...), i.details.String()...)
	}
	return append(b, '}')
}
