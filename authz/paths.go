// SPDX-License-Identifier: Apache-2.0

package authz

import "net/url"

// Paths of the endpoints, below the issuer. The faces of the server never import one another: they meet in stored records
// and in these.
const (
	PathAuthorize  = "/authorize"
	PathLogin      = "/login"
	PathConsent    = "/consent"
	PathPushed     = "/par"
	PathContinue   = "/continue"
	PathToken      = "/token"
	PathChallenge  = "/authorize-challenge"
	PathIntrospect = "/introspect"
	PathRevoke     = "/revoke"
	PathUserinfo   = "/userinfo"
	PathJWKS       = "/jwks"
	PathLogout     = "/logout"
	PathAccount    = "/account"
	PathStatic     = "/static/"

	// PathRegister is the client registration endpoint (RFC 7591 3); below it the instances are managed (RFC 7592).
	PathRegister = "/register"

	// PathBackchannel is the backchannel authentication endpoint (OpenID CIBA Core 7).
	PathBackchannel = "/bc-authorize"

	// PathOpenID is appended to the issuer (OpenID Connect Discovery 4).
	PathOpenID = "/.well-known/openid-configuration"
	// PathMetadata stands between the issuer's host and its path (RFC 8414 3.1), and is served appended as well.
	PathMetadata = "/.well-known/oauth-authorization-server"
)

// BasePath returns the path of a checked issuer, which its endpoints stand below: empty for most.
func BasePath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Path
}

// MetadataPaths returns every path at which the metadata of an issuer is served: appended for OpenID Connect, inserted for
// RFC 8414, and each spelling of the other kind, because clients guess. Without a path in the issuer the two fall together.
func MetadataPaths(issuer string) []string {
	base := BasePath(issuer)
	if base == "" {
		return []string{PathOpenID, PathMetadata}
	}
	return []string{base + PathOpenID, PathMetadata + base, base + PathMetadata, PathOpenID + base}
}
