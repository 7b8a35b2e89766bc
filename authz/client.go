// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// AuthMethod is how a client authenticates (OpenID Connect Core 9).
type AuthMethod string

// Client authentication methods.
const (
	AuthNone              AuthMethod = "none"
	AuthClientSecretBasic AuthMethod = "client_secret_basic"
	AuthClientSecretPost  AuthMethod = "client_secret_post"
	AuthPrivateKeyJWT     AuthMethod = "private_key_jwt"
)

// GrantType is a grant_type of the token endpoint.
type GrantType string

// Grant types.
const (
	GrantAuthorizationCode GrantType = "authorization_code"
	GrantRefreshToken      GrantType = "refresh_token"
	GrantClientCredentials GrantType = "client_credentials"
)

// Client is an application that may ask for tokens. It is immutable once registered.
type Client struct {
	ID   string
	Name string // for people; the id when empty
	// Auth is how the client authenticates. A client with a secret may use either of the two secret methods.
	Auth AuthMethod
	// SecretHashes are [randid.Hash] of the client's secrets: two while one is being replaced.
	SecretHashes []string
	// Keys verify the client's assertions (private_key_jwt).
	Keys []jose.PublicKey

	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	Grants                 []GrantType
	// Scopes are those the client may ask for; DefaultScopes stand in when it names none.
	Scopes        oauth.Scopes
	DefaultScopes oauth.Scopes
	// Audience is the aud of its access tokens. It must not be empty.
	Audience []string
	// FirstParty clients belong to the operator: their users are not asked for consent.
	FirstParty bool
	// Introspect lets the client, a resource server, ask about tokens issued to others for an audience of its own.
	Introspect bool
	// Resources are the audiences it may introspect; empty is all.
	Resources []string

	AccessTTL      time.Duration
	RefreshTTL     time.Duration
	RefreshIdleTTL time.Duration
	IDTokenAlg     jose.Algorithm
	AccessTokenAlg jose.Algorithm
	// Site marks the built-in client of a protected site, whose codes only the gate itself redeems.
	Site bool
}

// DisplayName returns the name for people.
func (c *Client) DisplayName() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// Confidential reports whether the client authenticates.
func (c *Client) Confidential() bool { return c.Auth != AuthNone }

// May reports whether the client may use a grant type.
func (c *Client) May(grant GrantType) bool { return slices.Contains(c.Grants, grant) }

// SecretMatches compares a presented secret with every registered one in constant time.
func (c *Client) SecretMatches(secret string) bool {
	sum := []byte(randid.Hash(secret))
	match := 0
	for _, hash := range c.SecretHashes {
		match |= subtle.ConstantTimeCompare(sum, []byte(hash))
	}
	return match == 1
}

// MatchRedirectURI reports whether a requested redirect URI is registered (RFC 9700 2.1).
func (c *Client) MatchRedirectURI(requested string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(r string) bool { return oauth.MatchRedirectURI(r, requested) })
}

// Check refuses a client that must not be registered, with an error that says what to mend.
func (c *Client) Check() error {
	switch {
	case c.ID == "":
		return fmt.Errorf("a client has no id")
	case c.Auth == AuthNone && c.May(GrantClientCredentials):
		return fmt.Errorf("client %q is public and cannot use client_credentials: give it a secret or a key", c.ID)
	case c.Auth == AuthPrivateKeyJWT && len(c.Keys) == 0:
		return fmt.Errorf("client %q uses private_key_jwt and has no key", c.ID)
	case (c.Auth == AuthClientSecretBasic || c.Auth == AuthClientSecretPost) && len(c.SecretHashes) == 0:
		return fmt.Errorf("client %q uses %s and has no secret", c.ID, c.Auth)
	case c.May(GrantAuthorizationCode) && len(c.RedirectURIs) == 0:
		return fmt.Errorf("client %q uses authorization_code and has no redirect_uri", c.ID)
	case c.May(GrantRefreshToken) && !c.May(GrantAuthorizationCode):
		return fmt.Errorf("client %q uses refresh_token without authorization_code", c.ID)
	case len(c.Audience) == 0:
		return fmt.Errorf("client %q has no audience", c.ID)
	case c.AccessTTL <= 0:
		return fmt.Errorf("client %q has no lifetime for access tokens", c.ID)
	}
	for _, uri := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
		if err := oauth.CheckRedirectURI(uri); err != nil {
			return fmt.Errorf("client %q, redirect URI %q: %w", c.ID, uri, err)
		}
	}
	return nil
}

// Clients is an immutable registry: the configured clients and the built-in ones of protected sites.
type Clients struct {
	byID  map[string]*Client
	sites Sites
}

// NewClients returns a registry of checked clients with distinct ids. The zero [Sites] allows no site.
func NewClients(sites Sites, clients ...*Client) (*Clients, error) {
	r := &Clients{byID: map[string]*Client{}, sites: sites}
	for _, c := range clients {
		if strings.HasPrefix(c.ID, sitePrefix) {
			return nil, fmt.Errorf("client %q has an id that is kept for protected sites", c.ID)
		}
		if err := c.Check(); err != nil {
			return nil, err
		}
		if r.byID[c.ID] != nil {
			return nil, fmt.Errorf("client %q is defined twice", c.ID)
		}
		r.byID[c.ID] = c
	}
	return r, nil
}

// Find returns the client with the given id.
func (r *Clients) Find(id string) (*Client, bool) {
	if c, ok := r.byID[id]; ok {
		return c, true
	}
	return r.sites.client(id)
}
