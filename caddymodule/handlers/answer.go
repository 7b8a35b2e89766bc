// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// membership is what a member knows of its list.
type membership struct {
	among atomic.Pointer[sites.Group]
}

// Group returns what is known about the rules of the member's list; nil before it is.
func (m *membership) Group() *sites.Group { return m.among.Load() }

// logsIn reports whether a request is for the issuer on the very site that is protected: nobody has to be logged in there.
func logsIn(app *caddymodule.App, r *http.Request, among *sites.Group) bool {
	return among.Issuer && app.Server().Serves(r.URL.Path)
}

// serveIssuer answers a request for the issuer. It is not passed on to authorization_server: a handler in between could
// answer it, or rewrite its path, and what nobody has judged would reach an upstream.
func serveIssuer(app *caddymodule.App, w http.ResponseWriter, r *http.Request) error {
	passage.Enter(r).Came.Put(r) // a guard further out has taken them off
	app.Server().ServeHTTP(w, r)
	return nil
}

// shown returns a request that tells which certificates its sender has shown, also where it has shown them to a proxy.
func shown(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	told, err := app.MutualTLS.Shown(r)
	if err == nil {
		return told, nil
	}
	app.Guards().Clean(r) // for whatever handle_errors does with it
	app.Logger().Warn("a proxy does not pass on certificates as RFC 9440 says", slog.Any("error", err))
	return nil, refuse(w, http.StatusBadRequest, nil, err)
}

// pageOf returns what the browser asked for, before Caddy rewrote it.
func pageOf(r *http.Request) string {
	_, target := passage.Asked(r)
	return target.RequestURI()
}

// methodOf returns the method that the sender of a request has used, before Caddy rewrote it.
func methodOf(r *http.Request) string {
	method, _ := passage.Asked(r)
	return method
}

// refuse hands a refusal to Caddy, so that handle_errors works, with its challenges already set.
func refuse(w http.ResponseWriter, status int, challenges []string, err error) error {
	header := w.Header()
	if len(challenges) > 0 {
		header["Www-Authenticate"] = challenges
	}
	httpx.Announce(header, err)
	if status == http.StatusServiceUnavailable && header.Get("Retry-After") == "" {
		header.Set("Retry-After", "1")
	}
	header.Set("Cache-Control", "no-store")
	return caddyhttp.Error(status, err)
}
