// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"errors"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Paths of the endpoints, below the issuer. The faces of the server never import one another: they meet in stored records
// and in these.
const (
	PathAuthorize  = "/authorize"
	PathLogin      = "/login"
	PathConsent    = "/consent"
	PathToken      = "/token"
	PathIntrospect = "/introspect"
	PathRevoke     = "/revoke"
	PathUserinfo   = "/userinfo"
	PathJWKS       = "/jwks"
	PathLogout     = "/logout"
	PathAccount    = "/account"
	PathStatic     = "/static/"

	// PathOpenID is appended to the issuer (OpenID Connect Discovery 4).
	PathOpenID = "/.well-known/openid-configuration"
	// PathMetadata stands between the issuer's host and its path (RFC 8414 3.1), and is served appended as well.
	PathMetadata = "/.well-known/oauth-authorization-server"
)

// CheckIssuer refuses a URL that cannot be an issuer: it has https, or http on a loopback host for development, and no
// query, fragment, user information or trailing slash (RFC 8414 2). It is compared byte for byte everywhere else.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("it must be an absolute URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !oauth.IsLoopback(u.Hostname())):
		return errors.New("it must have https (http is allowed on a loopback host only)")
	case strings.ContainsAny(issuer, "?#") || u.User != nil:
		return errors.New("it must have no query, fragment or user information")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("it must not end in a slash")
	case u.EscapedPath() != u.Path || strings.Contains(u.Path+"/", "/./") || strings.Contains(u.Path+"/", "/../") ||
		strings.Contains(u.Path, "//"):
		return errors.New("its path must be plain")
	case u.Scheme+"://"+strings.ToLower(u.Host)+u.Path != issuer:
		return errors.New("its scheme and host must be in lower case")
	}
	return nil
}

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
