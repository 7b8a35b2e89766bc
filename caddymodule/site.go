// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/validation"
)

func init() { caddy.RegisterModule(SiteEndpoints{}) }

const metadataPath = validation.MetadataPath

// SiteEndpoints serves the paths that a protected site keeps for itself: its RFC 9728 metadata, and the callback and the
// logout of its browser sessions. The directive "protect" adds it.
type SiteEndpoints struct {
	// The origins under which browsers reach the site.
	Origins []string `json:"origins,omitempty"`
	// The issuers whose tokens the site accepts besides ours.
	Issuers []ForeignIssuer `json:"issuers,omitempty"`
	// Whether the site has browser sessions.
	Session bool `json:"session,omitempty"`

	app *App
}

// CaddyModule returns the Caddy module information.
func (SiteEndpoints) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gatehouse_site", New: func() caddy.Module { return new(SiteEndpoints) }}
}

// Provision finds the app.
func (s *SiteEndpoints) Provision(ctx caddy.Context) (err error) {
	s.app, err = findApp(ctx)
	return err
}

// ServeHTTP answers the site's own paths. What lies beside them below the same prefix does not exist; what the site has no
// session for is passed on.
func (s *SiteEndpoints) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	path := r.URL.Path
	if path == metadataPath || strings.HasPrefix(path, metadataPath+"/") {
		return s.serveMetadata(w, r)
	}
	if !s.Session {
		return next.ServeHTTP(w, r)
	}
	if err := s.app.server.Gate().ServeOwn(w, r, originOf(r, s.Origins)); err != nil {
		s.app.server.RenderError(w, r, err)
	}
	return nil
}

// serveMetadata describes the site as an OAuth resource (RFC 9728 3.2). Whatever path of the site a client asks about, it is
// the same resource.
func (s *SiteEndpoints) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	servers := []string{s.app.Issuer}
	for _, i := range s.Issuers {
		servers = append(servers, i.Issuer)
	}
	metadata := validation.ResourceMetadata{
		Resource:             originOf(r, s.Origins) + strings.TrimPrefix(r.URL.Path, metadataPath),
		AuthorizationServers: servers,
		ScopesSupported:      s.app.scopeNames(),
	}
	handler, err := metadata.Handler()
	if err != nil {
		return caddyhttp.Error(http.StatusNotFound, err)
	}
	handler.ServeHTTP(w, r)
	return nil
}

// originOf returns the origin a request was sent to: the configured one with its host, or else what the connection says.
// Either way only an origin that the configuration serves can log in.
func originOf(r *http.Request, configured []string) string {
	host := strings.ToLower(r.Host)
	i := slices.IndexFunc(configured, func(o string) bool { return strings.HasSuffix(o, "://"+host) })
	if i >= 0 {
		return configured[i]
	}
	if r.TLS != nil {
		return "https://" + host
	}
	return "http://" + host
}

var (
	_ caddy.Provisioner           = (*SiteEndpoints)(nil)
	_ caddyhttp.MiddlewareHandler = (*SiteEndpoints)(nil)
)
