// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
)

func init() {
	caddy.RegisterModule(AuthorizationServer{})
	httpcaddyfile.RegisterHandlerDirective("authorization_server", parseAuthorizationServer)
	httpcaddyfile.RegisterDirectiveOrder("authorization_server", httpcaddyfile.Before, "basic_auth")
}

// AuthorizationServer serves the endpoints of the issuer. It answers what lies under the issuer's path and passes every
// other request on.
type AuthorizationServer struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (AuthorizationServer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.authorization_server", New: func() caddy.Module { return new(AuthorizationServer) }}
}

// Provision finds the app.
func (h *AuthorizationServer) Provision(ctx caddy.Context) (err error) {
	h.app, err = findApp(ctx)
	return err
}

// Join tells the rules of the same list of routes that the issuer's endpoints are among them.
func (h *AuthorizationServer) Join(group *sites.Group, always bool) bool {
	group.Issuer = group.Issuer || always
	return false
}

// ServeHTTP answers a request of the issuer.
func (h *AuthorizationServer) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !h.app.server.Serves(r.URL.Path) {
		return next.ServeHTTP(w, r)
	}
	if err := h.app.ready(); err != nil {
		return refuse(w, http.StatusServiceUnavailable, "", err)
	}
	return h.app.serveIssuer(w, r)
}

// findApp returns the app that a handler works with.
func findApp(ctx caddy.Context) (*App, error) {
	app, err := ctx.AppIfConfigured(appName)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, fmt.Errorf("the global option %q is missing: it names the issuer and the realms", appName)
	}
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

// parseAuthorizationServer reads: authorization_server [<matcher>]
func parseAuthorizationServer(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	if h.Option(appName) == nil {
		h.Next() // errors have the line of the directive
		return nil, h.Err("authorization_server needs the global option \"gatehouse\", which names the issuer and the realms")
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
