// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Paths that a protected site keeps for its own browser sessions.
const (
	PathSite         = "/_gatehouse/"
	PathSiteCallback = PathSite + "callback"
	PathSiteLogout   = PathSite + "logout"
	PathSiteConfirm  = PathSite + "confirm/" // and the id of an operation
)

// sitePrefix begins the client id of every protected site. A configured client cannot have such an id.
const sitePrefix = "site:"

// Sites describes the built-in clients of protected sites: one for each origin that the operator's configuration serves.
type Sites struct {
	// Allowed reports whether an origin is one of ours. It depends on the configuration alone, so that every node agrees.
	Allowed func(origin string) bool
	// Scopes are those a site may ask for, and Audience is never used for anything but the client's own tokens.
	Scopes   oauth.Scopes
	Audience []string
}

// SiteClientID returns the client id of a protected site.
func SiteClientID(origin string) string { return sitePrefix + origin }

// client returns the built-in client of a site by its id.
func (s *Sites) client(id string) (*Client, bool) {
	origin, ok := strings.CutPrefix(id, sitePrefix)
	if !ok || s.Allowed == nil || !oauth.CheckOrigin(origin) || !s.Allowed(origin) {
		return nil, false
	}
	return &Client{
		ID: id, Name: strings.TrimPrefix(strings.TrimPrefix(origin, "https://"), "http://"),
		Auth:                   AuthNone,
		RedirectURIs:           []string{origin + PathSiteCallback},
		PostLogoutRedirectURIs: []string{origin + "/"},
		Grants:                 []GrantType{GrantAuthorizationCode},
		Scopes:                 s.Scopes,
		DefaultScopes:          oauth.Scopes{oauth.ScopeOpenID},
		Audience:               s.Audience,
		FirstParty:             true,
		Site:                   true,
	}, true
}
