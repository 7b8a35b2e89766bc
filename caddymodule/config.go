// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/ciba"
	"github.com/gatehouse-id/gatehouse/caddymodule/mutualtls"
)

// KeysConfig describes the signing keys.
type KeysConfig struct {
	// The signature algorithms, the default first: ES256, EdDSA, RS256. Default: ES256 RS256.
	Algorithms []string `json:"algorithms,omitempty"`
	// How long a key signs before the next one takes over. Default: 30d.
	RotateEvery caddy.Duration `json:"rotate_every,omitempty"`
}

// SessionsConfig describes the browser sessions at the issuer.
type SessionsConfig struct {
	// How long a session lasts without being used. Default: 12h.
	Idle caddy.Duration `json:"idle,omitempty"`
	// How long a session lasts at most. Default: 7d.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
}

// TokensConfig describes the lifetimes of tokens. A client may have its own.
type TokensConfig struct {
	// How long an access token is valid. Default: 5m; at most 24h.
	Access caddy.Duration `json:"access,omitempty"`
	// How long a line of refresh tokens lasts at most. Default: 30d; at most 365d.
	Refresh caddy.Duration `json:"refresh,omitempty"`
	// How long a refresh token may lie unused. Default: 14d.
	RefreshIdle caddy.Duration `json:"refresh_idle,omitempty"`
	// How long the refresh token before the current one is answered with the current one, for clients that refresh in
	// parallel. Default: 10s; 0 in JSON is the default, a negative value is none.
	RefreshGrace caddy.Duration `json:"refresh_grace,omitempty"`
	// Whether every DPoP proof must carry a nonce of ours, at the issuer and at protected sites, whatever the clocks say. Default: only
	// one whose iat is not of this minute.
	DPoPNonces bool `json:"dpop_nonces,omitempty"`
	// Where protected sites remember which DPoP proofs were used: "node", each in its memory, or "shared", in the store, which costs a
	// write for each request with a proof. Default: shared where several nodes share the store, else node.
	DPoPReplays string `json:"dpop_replays,omitempty"`
	// How long access tokens are accepted while the store cannot be asked what was revoked. Default: 15m; at least 30s.
	MaxStaleness caddy.Duration `json:"max_staleness,omitempty"`
}

// RealmConfig is a named security check.
type RealmConfig struct {
	// The realm's name, also a value of acr.
	Name string `json:"name"`
	// What collects the credentials.
	AuthenticatorRaw json.RawMessage `json:"authenticator,omitempty" caddy:"namespace=gatehouse.authenticators inline_key=type"`
	// What verifies them. Default: the authenticator, if it judges by itself.
	LoginModuleRaw json.RawMessage `json:"login_module,omitempty" caddy:"namespace=gatehouse.login_modules inline_key=type"`
	// How long a proof of this realm counts. Default: 1h.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
	// How long one round of it may take, whatever its parts do, 1m at most. Default: 10s.
	TimeOut caddy.Duration `json:"time_out,omitempty"`
	// Whether every attempt is written to the audit trail.
	Audit bool `json:"audit,omitempty"`
	// The name of the people that the login module's own ids belong to. Realms that find the same people in different ways
	// share a name. Default: the realm's name.
	Users string `json:"users,omitempty"`
}

// LevelConfig is a named assurance level (acr): a set of realms.
type LevelConfig struct {
	// The value of acr.
	Name string `json:"name"`
	// The realms that must be proven.
	Realms []string `json:"realms"`
}

// ScopeConfig says which realms a scope requires.
type ScopeConfig struct {
	// The scope token.
	Name string `json:"name"`
	// The realms that must be proven for it; none requires only that somebody logged in.
	Realms []string `json:"realms,omitempty"`
	// What it allows, in words, for the consent page. Default: the scope itself is shown.
	Description string `json:"description,omitempty"`
}

// ClientConfig is an application that may ask for tokens.
type ClientConfig struct {
	// The client_id.
	ID string `json:"id"`
	// The name people see. Default: the id.
	Name string `json:"name,omitempty"`
	// Its secrets, usually one as {env.NAME} or {file.PATH}; two while one is being replaced. None and no keys: public.
	Secrets []string `json:"secrets,omitempty"`
	// A file with its public keys (JWKS), for private_key_jwt.
	JWKSFile string `json:"jwks_file,omitempty"`
	mutualtls.Client
	// Where it may be sent after login, exactly.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// Where it may be sent after logout, exactly.
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	// authorization_code, refresh_token, client_credentials. Default: authorization_code, when it has a redirect URI or is native.
	Grants []string `json:"grants,omitempty"`
	// The scopes it may ask for.
	Scopes []string `json:"scopes,omitempty"`
	// The types of authorization_details it may ask for. Default: none.
	DetailTypes []string `json:"authorization_details_types,omitempty"`
	// The scopes it gets when it names none. Default: the issuer's default_scope.
	DefaultScopes []string `json:"default_scopes,omitempty"`
	// The audience of its access tokens. Default: the issuer's.
	Audience []string `json:"audience,omitempty"`
	// Whether it is the operator's own, so that people are not asked for consent.
	FirstParty bool `json:"first_party,omitempty"`
	// Whether it is an app that answers challenges on screens of its own, at the authorization challenge endpoint, for which it
	// must be first_party.
	Native bool `json:"native,omitempty"`
	// Whether it gets no tokens but those that are bound to a key, by DPoP (RFC 9449).
	BoundTokens bool `json:"dpop_bound_access_tokens,omitempty"`
	// Whether it may introspect tokens issued to others.
	Introspect bool `json:"introspect,omitempty"`
	// The networks and addresses from which it may call the API for back ends, as Caddy determines the client's address
	// (trusted_proxies). Default: any.
	AllowedNetworks []string `json:"allowed_networks,omitempty"`
	// Lifetime of its access tokens. Default: the issuer's.
	AccessTTL caddy.Duration `json:"access_ttl,omitempty"`
	// Lifetime of its refresh tokens. Default: the issuer's.
	RefreshTTL caddy.Duration `json:"refresh_ttl,omitempty"`
	// Signature algorithm of its ID tokens. Default: the issuer's first.
	IDTokenAlg string `json:"id_token_alg,omitempty"`
	// Signature algorithm of the introspection responses that it asks to be signed (RFC 9701). Default: the issuer's first.
	IntrospectionAlg string `json:"introspection_alg,omitempty"`
	// Whether, and how, it may ask people on their phones without a browser (OpenID CIBA).
	Backchannel *ciba.Config `json:"backchannel,omitempty"`
}
