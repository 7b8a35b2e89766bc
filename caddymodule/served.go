// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// allowed reports whether an origin is a site of ours where browsers log in.
func (a *App) allowed(origin string) bool {
	return a.guards.Allowed(origin, oauth.IsLoopback(hostOf(a.Issuer)))
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
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

// readSites collects what the HTTP app serves.
func (a *App) readSites() error {
	app, err := a.HTTP()
	if err != nil {
		return err
	}
	return a.guards.Read(app)
}
