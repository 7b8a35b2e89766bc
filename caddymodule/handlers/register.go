// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	caddy.RegisterModule(AuthorizationServer{})
	caddy.RegisterModule(new(Protect))
	caddy.RegisterModule(new(SiteEndpoints))
	httpcaddyfile.RegisterHandlerDirective("authorization_server", parseAuthorizationServer)
	httpcaddyfile.RegisterDirective("protect", parseProtect)
	// Where both stand in one block the issuer answers first: the later one goes between it and basic_auth.
	httpcaddyfile.RegisterDirectiveOrder("authorization_server", httpcaddyfile.Before, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("protect", httpcaddyfile.Before, "basic_auth")
}
