// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
)

// AuthorizationServer serves the endpoints of the issuer. It answers what lies under the issuer's path and passes every
// other request on.
type AuthorizationServer struct {
	app *caddymodule.App
}

// CaddyModule returns the Caddy module information.
func (AuthorizationServer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.authorization_server", New: func() caddy.Module { return new(AuthorizationServer) }}
}

// Provision finds the app.
func (h *AuthorizationServer) Provision(ctx caddy.Context) (err error) {
	h.app, err = caddymodule.Find(ctx)
	return err
}

// Join tells the rules of the same list of routes that the issuer's endpoints are among them.
func (h *AuthorizationServer) Join(group *sites.Group, always bool) bool {
	group.Issuer = group.Issuer || always
	return false
}

// ServeHTTP answers a request of the issuer.
func (h *AuthorizationServer) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !h.app.Server().Serves(r.URL.Path) {
		return next.ServeHTTP(w, r)
	}
	if err := h.app.Ready(); err != nil {
		return refuse(w, http.StatusServiceUnavailable, nil, err)
	}
	r, err := shown(h.app, w, r)
	if err != nil {
		return err
	}
	return serveIssuer(h.app, w, r)
}

// parseAuthorizationServer reads: authorization_server [<matcher>]
func parseAuthorizationServer(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	if _, err := caddymodule.Declared(h); err != nil {
		return nil, err
	}
	handler := new(AuthorizationServer)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads: authorization_server
func (h *AuthorizationServer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("unexpected argument %q: authorization_server takes none", d.Val())
	}
	return option.Block{}.Parse(d)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*AuthorizationServer)(nil)
	_ caddyhttp.MiddlewareHandler = (*AuthorizationServer)(nil)
	_ caddyfile.Unmarshaler       = (*AuthorizationServer)(nil)
	_ sites.Member                = (*AuthorizationServer)(nil)
)
