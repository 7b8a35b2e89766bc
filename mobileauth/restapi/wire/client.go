// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
)

// Client is a client of the issuer as the API shows one: what it may do, and nothing that it proves itself with.
type Client struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Auth is how it authenticates at the token endpoint (RFC 7591, section 2): "none" is a public client.
	Auth string `json:"token_endpoint_auth_method"`
	// Keys name the keys of its assertions.
	Keys                   []string `json:"key_ids,omitempty"`
	Grants                 []string `json:"grant_types"`
	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	Scopes                 []string `json:"scopes"`
	DefaultScopes          []string `json:"default_scopes,omitempty"`
	Audience               []string `json:"audience"`
	FirstParty             bool     `json:"first_party"`
	Native                 bool     `json:"native"`
	Introspect             bool     `json:"introspect"`
	// BoundTokens says that its access tokens are bound to a key (RFC 9449, section 5.2).
	BoundTokens bool     `json:"dpop_bound_access_tokens"`
	Resources   []string `json:"resources,omitempty"`
	// Lifetimes of its tokens, in seconds.
	AccessTTL      int64 `json:"access_token_lifetime"`
	RefreshTTL     int64 `json:"refresh_token_lifetime"`
	RefreshIdleTTL int64 `json:"refresh_token_idle_lifetime"`
}

// Version changes with what is shown of the client: clients have no version of their own, since a configuration replaces them.
func (c *Client) Version() uint64 {
	text, err := json.Marshal(c)
	if err != nil { // cannot be: these are texts and numbers
		return 0
	}
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:])
}
