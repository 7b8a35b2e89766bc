// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/validation"
)

func init() { caddy.RegisterModule(new(SiteEndpoints)) }

const metadataPath = validation.MetadataPath

// SiteEndpoints is the guard of a site whose rules do not match every request. It answers the paths that the site keeps for
// itself, its RFC 9728 metadata and the ends of its logins; and it takes off every other request what no client may send to
// an upstream that believes the gate: identity headers, our cookies, and paths that can be read in two ways. The directive
// "protect" adds it.
type SiteEndpoints struct {
	membership

	app *App
}

// CaddyModule returns the Caddy module information.
func (*SiteEndpoints) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gatehouse_site", New: func() caddy.Module { return new(SiteEndpoints) }}
}

// Provision finds the app.
func (s *SiteEndpoints) Provision(ctx caddy.Context) (err error) {
	if s.app, err = findApp(ctx); err == nil {
		s.app.guarded = append(s.app.guarded, s)
	}
	return err
}

// Join has the guard know what is known about its list of routes.
func (s *SiteEndpoints) Join(group *sites.Group, _ bool) bool {
	s.among.Store(group)
	return true
}

func (s *SiteEndpoints) standAlone() { s.among.CompareAndSwap(nil, new(sites.Group)) }

func (*SiteEndpoints) identityHeaders(map[string]string) {}

// ServeHTTP answers the site's own paths and cleans every other request. Where a rule has decided, nothing is left to do.
func (s *SiteEndpoints) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if err := s.app.ready(); err != nil {
		s.app.Clean(r) // for whatever handle_errors does with it
		return refuse(w, http.StatusServiceUnavailable, "", err)
	}
	pass := passage.Enter(r)
	among := s.among.Load()
	if pass.Decided() {
		return next.ServeHTTP(w, r)
	}
	if s.app.logsIn(r, among) {
		return s.app.serveIssuer(w, r)
	}
	if among.Keeps(r.URL.Path) {
		return s.app.serveOwn(w, r, among)
	}
	if pass.Cleaned {
		return next.ServeHTTP(w, r)
	}
	s.app.Clean(r)
	if err := among.Check(r, among.Lenient); err != nil {
		return refuse(w, http.StatusBadRequest, "", err)
	}
	pass.Conceal(r, true)
	pass.Cleaned = true
	return next.ServeHTTP(w, r)
}

// logsIn reports whether a request is for the issuer on the very site that is protected: nobody has to be logged in there.
func (a *App) logsIn(r *http.Request, among *sites.Group) bool {
	return among.Issuer && a.server.Serves(r.URL.Path)
}

// serveIssuer answers a request for the issuer. It is not passed on to authorization_server: a handler in between could
// answer it, or rewrite its path, and what nobody has judged would reach an upstream.
func (a *App) serveIssuer(w http.ResponseWriter, r *http.Request) error {
	passage.Enter(r).Came.Put(r) // a guard further out has taken them off
	a.server.ServeHTTP(w, r)
	return nil
}

// Clean removes the identity headers that a client sent, wherever they stand.
func (a *App) Clean(r *http.Request) {
	strip := a.strip
	if strip == nil { // nothing is loaded: what every site strips
		strip = site.NewHeaders(nil)
	}
	strip.Clean(r)
}

// serveOwn answers a path that a site keeps for itself.
func (a *App) serveOwn(w http.ResponseWriter, r *http.Request, among *sites.Group) error {
	if sites.IsMetadata(r.URL.Path) {
		return a.serveMetadata(w, r, among)
	}
	passage.Enter(r).Came.Put(r) // a guard further out has taken the cookies off
	if id, ok := hold.ID(r.URL.Path, authz.PathSiteConfirm); ok && len(among.Confirms) > 0 {
		return a.serveStatus(w, r, among, id)
	}
	if err := a.server.Gate().ServeOwn(w, r, among.OriginOf(r)); err != nil {
		a.server.RenderError(w, r, err)
	}
	return nil
}

// serveStatus tells whoever sent a request how its confirmation stands.
func (a *App) serveStatus(w http.ResponseWriter, r *http.Request, among *sites.Group, id string) error {
	rule, err := a.server.Rule(validation.Policy{})
	if err != nil {
		return refuse(w, http.StatusServiceUnavailable, "", err)
	}
	rule.Tokens, rule.Session = among, among.Session
	origin := among.OriginOf(r)
	switch d := a.server.Gate().Decide(w, r, origin, rule); {
	case d.Done:
	case d.Err != nil:
		return refuse(w, d.Err.HTTPStatus(), d.Challenge, d.Err)
	default:
		a.confirming.ServeStatus(w, r, id, d.Principal, origin)
	}
	return nil
}

// serveMetadata describes the site as an OAuth resource (RFC 9728 3.2). Whatever path of the site a client asks about, it is
// the same resource.
func (a *App) serveMetadata(w http.ResponseWriter, r *http.Request, among *sites.Group) error {
	metadata := validation.ResourceMetadata{
		Resource:             among.OriginOf(r) + strings.TrimPrefix(r.URL.Path, metadataPath),
		AuthorizationServers: append([]string{a.Issuer}, among.Issuers...),
		ScopesSupported:      a.scopeNames(),
	}
	handler, err := metadata.Handler()
	if err != nil {
		return caddyhttp.Error(http.StatusNotFound, err)
	}
	handler.ServeHTTP(w, r)
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*SiteEndpoints)(nil)
	_ caddyhttp.MiddlewareHandler = (*SiteEndpoints)(nil)
	_ guarded                     = (*SiteEndpoints)(nil)
)
