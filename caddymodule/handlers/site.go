// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/validation"
)

const metadataPath = validation.MetadataPath

// SiteEndpoints is the guard of a site whose rules do not match every request. It answers the paths that the site keeps for
// itself, its RFC 9728 metadata and the ends of its logins; and it takes off every other request what no client may send to
// an upstream that believes the gate: identity headers, our cookies, and paths that can be read in two ways. The directive
// "protect" adds it.
type SiteEndpoints struct {
	membership

	app *caddymodule.App
}

// CaddyModule returns the Caddy module information.
func (*SiteEndpoints) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gatehouse_site", New: func() caddy.Module { return new(SiteEndpoints) }}
}

// Provision finds the app.
func (s *SiteEndpoints) Provision(ctx caddy.Context) (err error) {
	if s.app, err = caddymodule.Find(ctx); err == nil {
		s.app.Guards().Enter(s)
	}
	return err
}

// Join has the guard know what is known about its list of routes.
func (s *SiteEndpoints) Join(group *sites.Group, _ bool) bool {
	s.among.Store(group)
	return true
}

// StandAlone gives the guard a list of its own, where no route leads to it.
func (s *SiteEndpoints) StandAlone() { s.among.CompareAndSwap(nil, new(sites.Group)) }

// AddHeaders adds nothing: a guard tells the upstream nothing.
func (*SiteEndpoints) AddHeaders(map[string]string) {}

// ServeHTTP answers the site's own paths and cleans every other request. Where a rule has decided, nothing is left to do.
func (s *SiteEndpoints) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if err := s.app.Ready(); err != nil {
		s.app.Guards().Clean(r) // for whatever handle_errors does with it
		return refuse(w, http.StatusServiceUnavailable, nil, err)
	}
	pass := passage.Enter(r)
	among := s.among.Load()
	if pass.Decided() {
		return next.ServeHTTP(w, r)
	}
	r, err := shown(s.app, w, r)
	if err != nil {
		return err
	}
	if logsIn(s.app, r, among) {
		return serveIssuer(s.app, w, r)
	}
	if among.Keeps(r.URL.Path) {
		return serveOwn(s.app, w, r, among)
	}
	if pass.Cleaned {
		return next.ServeHTTP(w, r)
	}
	s.app.Guards().Clean(r)
	if err := among.Check(r, among.Lenient); err != nil {
		return refuse(w, http.StatusBadRequest, nil, err)
	}
	pass.Conceal(r, true)
	pass.Cleaned = true
	return next.ServeHTTP(w, r)
}

// serveOwn answers a path that a site keeps for itself.
func serveOwn(app *caddymodule.App, w http.ResponseWriter, r *http.Request, among *sites.Group) error {
	if sites.IsMetadata(r.URL.Path) {
		return serveMetadata(app, w, r, among)
	}
	if among.Status != nil && app.Confirming().ServeFile(w, r) {
		return nil
	}
	passage.Enter(r).Came.Put(r) // a guard further out has taken the cookies off
	if id, ok := hold.ID(r.URL.Path, authz.PathSiteConfirm); ok && among.Status != nil {
		return serveStatus(app, w, r, among, id)
	}
	if err := app.Server().Gate().ServeOwn(w, r, among.OriginOf(r)); err != nil {
		app.Server().RenderError(w, r, err)
	}
	return nil
}

// serveStatus tells whoever sent a request how its confirmation stands.
func serveStatus(app *caddymodule.App, w http.ResponseWriter, r *http.Request, among *sites.Group, id string) error {
	origin := among.OriginOf(r)
	switch d := app.Server().Gate().Decide(w, r, origin, among.Status); {
	case d.Done:
	case d.Err != nil:
		return refuse(w, d.Err.HTTPStatus(), d.Challenges, d.Err)
	default:
		app.Confirming().ServeStatus(w, r, id, &confirming.Incoming{Principal: d.Principal, BySession: d.BySession, Origin: origin})
	}
	return nil
}

// serveMetadata describes the site as an OAuth resource (RFC 9728 3.2). Whatever path of the site a client asks about, it is
// the same resource.
func serveMetadata(app *caddymodule.App, w http.ResponseWriter, r *http.Request, among *sites.Group) error {
	metadata := validation.ResourceMetadata{
		Resource:             among.OriginOf(r) + strings.TrimPrefix(r.URL.Path, metadataPath),
		AuthorizationServers: append([]string{app.Issuer}, among.Issuers...),
		ScopesSupported:      app.ScopeNames(),
		DPoPSigningAlgs:      app.Server().Proofs().Algs(),

		DPoPBoundAccessTokensRequired: among.Bound && !among.Bearer,
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
	_ sites.Guard                 = (*SiteEndpoints)(nil)
)
