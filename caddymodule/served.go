// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// guarded is a handler that keeps what clients say about themselves from upstreams.
type guarded interface {
	sites.Member
	standAlone()
	identityHeaders(into map[string]string)
}

// membership is what a member knows of its list.
type membership struct {
	among atomic.Pointer[sites.Group]
}

// Group returns what is known about the rules of the member's list; nil before it is.
func (m *membership) Group() *sites.Group { return m.among.Load() }

// allowed reports whether an origin is a site of ours where browsers log in.
func (a *App) allowed(origin string) bool {
	served := a.sites.Load()
	return served != nil && served.Has(origin, oauth.IsLoopback(hostOf(a.Issuer)))
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// foresee refuses a configuration in which a login can begin and not end, before anything starts.
func (a *App) foresee(ctx caddy.Context) error {
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok && !a.foreseen {
			a.foreseen = true
			return sites.Foresee(app)
		}
	}
	return nil
}

// HTTP returns the HTTP app of the same configuration; nil when there is none.
func (a *App) HTTP() (*caddyhttp.App, error) {
	module, err := a.ctx.AppIfConfigured("http")
	if err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
		return nil, err
	}
	app, _ := module.(*caddyhttp.App)
	return app, nil
}

// readSites collects what the HTTP app serves. All apps are provisioned by the time one of them starts.
func (a *App) readSites() error {
	app, err := a.HTTP()
	if err != nil {
		return err
	}
	served, err := sites.Read(app)
	if err != nil {
		return err
	}
	headers := map[string]string{}
	for _, m := range a.guarded {
		m.standAlone()
		m.identityHeaders(headers)
	}
	a.strip = site.NewHeaders(headers)
	a.sites.Store(served)
	return nil
}

// pageOf returns what the browser asked for, before Caddy rewrote it.
func pageOf(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL.RequestURI()
	}
	return r.URL.RequestURI()
}

// refuse hands a refusal to Caddy, so that handle_errors works, with its challenge already set.
func refuse(w http.ResponseWriter, status int, challenge string, err error) error {
	header := w.Header()
	if challenge != "" {
		header.Set("WWW-Authenticate", challenge)
	}
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	header.Set("Cache-Control", "no-store")
	return caddyhttp.Error(status, err)
}
