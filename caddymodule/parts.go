// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/authz/site/stream"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// ErrNotConfigured is returned where the running configuration has no app.
var ErrNotConfigured = errors.New("the running configuration has no gatehouse block")

// Running returns the app of the configuration that runs. Whoever works on it looks it up each time, because a reload puts
// another in its place.
func Running() (*App, error) {
	module, err := caddy.ActiveContext().AppIfConfigured(appName)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, ErrNotConfigured
	}
	if err != nil {
		return nil, fmt.Errorf("finding the running configuration: %w", err)
	}
	return module.(*App), nil
}

// Find returns the app of the configuration that a handler is provisioned in.
func Find(ctx caddy.Context) (*App, error) {
	app, err := ctx.AppIfConfigured(appName)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, fmt.Errorf("the global option %q is missing: it names the issuer and the realms", appName)
	}
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

// Declared returns what the blocks of the global option say together, with the defaults, for a directive that is read after them.
// Where there is none the error has the line of the directive.
func Declared(h httpcaddyfile.Helper) (*App, error) {
	if global, ok := h.Option(appName).(httpcaddyfile.App); ok {
		return readBlocks(global.Value)
	}
	h.Reset()
	h.Next() // the directive's name
	return nil, h.Errf("%s needs the global option %q, which names the issuer and the realms", h.Val(), appName)
}

// Ready opens the store and reads what is in it, once, and returns what came of it. Whoever answers a request asks before.
func (a *App) Ready() error { return a.ready() }

// Guards returns what protects sites.
func (a *App) Guards() *sites.Guards { return &a.guards }

// Confirming returns what has requests confirmed, nil where the configuration has no mobile side.
func (a *App) Confirming() *confirming.Confirming { return a.confirming }

// Node returns the store, and what seals its values.
func (a *App) Node() *pool.Node { return a.node }

// StoreKey names the store, as [pool.Engine].Key does.
func (a *App) StoreKey() string { return a.nodeKey }

// Streams returns the requests that last.
func (a *App) Streams() *stream.Table { return a.node.Streams() }

// Logger returns the logger of the app.
func (a *App) Logger() *slog.Logger { return a.logger }

// Server returns the authorization server.
func (a *App) Server() *server.Server { return a.server }

// Store returns the records of the authorization server.
func (a *App) Store() *authz.Store { return a.node.Store() }

// View returns what is revoked.
func (a *App) View() *revocation.View { return a.node.Revoked() }

// Ring returns the signing keys.
func (a *App) Ring() *keyset.Ring { return a.ring }

// Identity returns the users.
func (a *App) Identity() *identity.Store { return a.users }

// Apps returns the applications.
func (a *App) Apps() *mobileauth.Registry { return a.apps }

// Outbox returns what is to happen outside the store.
func (a *App) Outbox() *outbox.Outbox { return a.node.Outbox() }

// Phones returns the mobile side, nil where the configuration has none.
func (a *App) Phones() *phones.Phones { return a.phones }

// Devices returns the certificates of devices, nil where the configuration has no provisioning.
func (a *App) Devices() *provisioning.Store { return a.devices.Certificates() }

// Trail returns the audit trail.
func (a *App) Trail() *audit.Trail { return a.trail }
