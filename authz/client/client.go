// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
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
	AuthTLS               AuthMethod = "tls_client_auth"             // RFC 8705 2.1
	AuthSelfSignedTLS     AuthMethod = "self_signed_tls_client_auth" // RFC 8705 2.2
)

// GrantType is a grant_type of the token endpoint.
type GrantType string

// Grant types.
const (
	GrantAuthorizationCode GrantType = "authorization_code"
	GrantRefreshToken      GrantType = "refresh_token"
	GrantClientCredentials GrantType = "client_credentials"
	GrantCIBA              GrantType = "urn:openid:params:grant-type:ciba" // OpenID CIBA Core 4
)

const (
	// MaxAccessTTL is the longest lifetime an access token may be configured with.
	MaxAccessTTL = 24 * time.Hour
	// MaxRefreshTTL is the longest lifetime a refresh family may be configured with.
	MaxRefreshTTL = 365 * 24 * time.Hour
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
	// Certificates are those it authenticates with (tls_client_auth, self_signed_tls_client_auth); nil for every other method.
	Certificates *Certificates

	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	Grants                 []GrantType
	// Scopes are those the client may ask for; DefaultScopes stand in when it names none.
	Scopes        oauth.Scopes
	DefaultScopes oauth.Scopes
	// DetailTypes are the types of authorization_details it may ask for (RFC 9396 10).
	DetailTypes []string
	// Audience is the aud of its access tokens. It must not be empty.
	Audience []string
	// FirstParty clients belong to the operator: their users are not asked for consent.
	FirstParty bool
	// Native lets the client, an app of the operator's, answer challenges itself instead of sending people to a browser.
	Native bool
	// Introspect lets the client, a resource server, ask about tokens issued to others for an audience of its own.
	Introspect bool
	// Resources are the audiences it may introspect; empty is all.
	Resources []string

	BoundTokens bool // all of its access tokens are bound to a key (dpop_bound_access_tokens, RFC 9449 5.2)
	// CertificateBound clients get no access tokens but those that are bound to the certificate of the connection
	// (tls_client_certificate_bound_access_tokens, RFC 8705 3.4).
	CertificateBound bool

	AccessTTL      time.Duration
	RefreshTTL     time.Duration
	RefreshIdleTTL time.Duration
	IDTokenAlg     jose.Algorithm
	// IntrospectionAlg signs the introspection responses of a resource server that wants them signed; empty is the default.
	IntrospectionAlg jose.Algorithm
	AccessTokenAlg   jose.Algorithm
	// Networks are those from which it may call the API for back ends; none is any. They hold for its credentials and for its tokens.
	Networks []netip.Prefix
	// Site marks the built-in client of a protected site, whose codes only the gate itself redeems.
	Site bool
	// Registered marks an instance of an app that has registered itself (RFC 7591).
	Registered bool
	// Attestation says where the key of a registered instance was shown to be when it registered: "hardware", "tee" or "software"; empty where
	// nothing was.
	Attestation string
}

// DisplayName returns the name for people.
func (c *Client) DisplayName() string { return cmp.Or(c.Name, c.ID) }

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

// subjectPrefix begins every user id of the identity store. The subject of a client's own token is the client's id, and a
// client must not pass for a user by choosing it, nor for somebody whom nobody knows (RFC 9068 5).
const subjectPrefix = "usr_"

// maxClientID bounds a client id: it is part of storage keys and stands in every token.
const maxClientID = 128

// validClientID admits printable ASCII (RFC 6749 Appendix A.1) without spaces around it that is the subject of nobody else.
func validClientID(id string) bool {
	for i := range len(id) {
		if id[i] < 0x20 || id[i] > 0x7e {
			return false
		}
	}
	return id == strings.TrimSpace(id) && len(id) <= maxClientID && !strings.HasPrefix(id, subjectPrefix) && !realm.Anonymous(id)
}

// Check refuses a client that must not be registered, with an error that says what to mend.
func (c *Client) Check() error {
	if c.ID == "" {
		return errors.New("a client has no id")
	}
	err := c.checkIdentity()
	if err == nil {
		err = c.CheckTerms()
	}
	if err != nil {
		return fmt.Errorf("client %q %w", c.ID, err)
	}
	return nil
}

// CheckTerms is Check of what a client may do, whoever it is and however it authenticates. The error does not name the client.
func (c *Client) CheckTerms() error {
	if err := c.checkGrants(); err != nil {
		return err
	}
	return c.checkTokens()
}

func (c *Client) checkIdentity() error {
	switch c.Auth {
	case AuthNone:
		if len(c.SecretHashes)+len(c.Keys) > 0 || c.Certificates != nil {
			return errors.New("is public and has a secret, a key or a certificate")
		}
		if len(c.Networks) > 0 {
			return errors.New("is public, so it may not call the API for back ends, from any network: allowed_networks guards nothing")
		}
	case AuthClientSecretBasic, AuthClientSecretPost:
		if len(c.SecretHashes) == 0 || slices.Contains(c.SecretHashes, randid.Hash("")) {
			return fmt.Errorf("uses %s and has no secret, or an empty one", c.Auth)
		}
	case AuthPrivateKeyJWT:
		if len(c.Keys) == 0 {
			return errors.New("uses private_key_jwt and has no key")
		}
	case AuthTLS, AuthSelfSignedTLS:
		if c.Certificates == nil {
			return fmt.Errorf("uses %s and has no certificates", c.Auth)
		}
		if err := c.Certificates.check(c.Auth); err != nil {
			return err
		}
	default:
		return fmt.Errorf("uses the unknown method %q", c.Auth)
	}
	if !validClientID(c.ID) {
		return fmt.Errorf("has an id that is not 1 to %d printable characters, or begins with %s or %s_ like a user's", maxClientID, subjectPrefix, realm.AnonymousPrefix)
	}
	for _, key := range c.Keys {
		if err := key.Check(); err != nil {
			return fmt.Errorf("has an unfit key: %w", err)
		}
	}
	return nil
}

func (c *Client) checkGrants() error {
	switch {
	case c.Auth == AuthNone && c.May(GrantClientCredentials):
		return errors.New("is public and cannot use client_credentials: give it a secret or a key")
	case c.Auth == AuthNone && c.Introspect:
		return errors.New("is public and cannot introspect: give it a secret or a key")
	case c.Native && (!c.FirstParty || !c.May(GrantAuthorizationCode)):
		return errors.New("is native, for which it has to be first_party and use authorization_code")
	case c.May(GrantAuthorizationCode) && len(c.RedirectURIs) == 0 && !c.Native:
		return errors.New("uses authorization_code and has no redirect_uri")
	case c.May(GrantRefreshToken) && !c.May(GrantAuthorizationCode) && !c.May(GrantCIBA):
		return errors.New("uses refresh_token without authorization_code")
	case c.May(GrantCIBA) && (c.Auth == AuthNone || c.Native):
		return errors.New("is public or native and cannot ask people on their phones: that is for another device than theirs")
	}
	for _, grant := range c.Grants {
		if !slices.Contains([]GrantType{GrantAuthorizationCode, GrantRefreshToken, GrantClientCredentials, GrantCIBA}, grant) {
			return fmt.Errorf("uses the unknown grant type %q", grant)
		}
	}
	for _, uri := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
		if err := oauth.CheckRedirectURI(uri); err != nil {
			return fmt.Errorf("has the redirect URI %q: %w", uri, err)
		}
	}
	return nil
}

func (c *Client) checkTokens() error {
	switch {
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return errors.New("has no audience")
	case c.AccessTTL < time.Second || c.AccessTTL > MaxAccessTTL:
		return fmt.Errorf("has access tokens of %s; they may live from a second to %s", c.AccessTTL, MaxAccessTTL)
	case c.May(GrantRefreshToken) && (c.RefreshTTL < time.Second || c.RefreshTTL > MaxRefreshTTL):
		return fmt.Errorf("has refresh tokens of %s; they may live from a second to %s", c.RefreshTTL, MaxRefreshTTL)
	case c.May(GrantRefreshToken) && c.RefreshIdleTTL < time.Second:
		return errors.New("has no idle lifetime for refresh tokens")
	case !c.DefaultScopes.Within(c.Scopes):
		return errors.New("has a default scope that it may not ask for")
	}
	for _, scope := range c.Scopes {
		if !oauth.ValidScope(scope) {
			return fmt.Errorf("has the scope %q, which is not one token", scope)
		}
	}
	for _, alg := range []jose.Algorithm{c.IDTokenAlg, c.AccessTokenAlg, c.IntrospectionAlg} {
		if alg != "" && !alg.Supported() {
			return fmt.Errorf("uses the unknown algorithm %q", alg)
		}
	}
	return nil
}
