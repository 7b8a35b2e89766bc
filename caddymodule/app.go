// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/ciba"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/instances"
	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/caddymodule/mutualtls"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/passwords"
	"github.com/gatehouse-id/gatehouse/caddymodule/people"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/caddymodule/securitytest"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

const appName = "gatehouse"

func init() {
	caddy.RegisterModule(new(App))
	httpcaddyfile.RegisterGlobalOption(appName, parseGlobal)
}

// App is the authorization server: it owns the store, the keys, the clients and the security model, and the handlers
// "authorization_server" and "protect" work with it.
type App struct {
	// The issuer: the URL under which the endpoints are reached, exactly as it stands in tokens. It has https; http is
	// allowed on a loopback host for development.
	Issuer string `json:"issuer,omitempty"`
	// Where records are kept. Default: badger in Caddy's data directory.
	StorageRaw json.RawMessage `json:"storage,omitempty" caddy:"namespace=gatehouse.storage inline_key=engine"`
	// The keys that seal secrets at rest, 32 bytes in base64 or hex each, usually as {env.NAME} or {file.PATH}: the first
	// seals and all of them open, so that a new key is put before the old one. Default: a key file beside the store, made at
	// the first start.
	SealKeys []string `json:"seal_keys,omitempty"`
	// The default audience of access tokens, which protected sites accept. Default: the issuer.
	Audience []string `json:"audience,omitempty"`
	// The signing keys.
	Keys *KeysConfig `json:"keys,omitempty"`
	// The browser sessions at the issuer.
	Sessions *SessionsConfig `json:"sessions,omitempty"`
	// The lifetimes of tokens.
	Tokens *TokensConfig `json:"tokens,omitempty"`
	// How passwords are hashed.
	Passwords *passwords.Config `json:"passwords,omitempty"`
	// A folder whose templates and style take the place of the built-in ones.
	Theme string `json:"theme,omitempty"`
	// The regulation that the configuration is to meet: psd2 or nist_aal2. It tightens defaults, and refuses what is below. Default:
	// none.
	Profile string `json:"profile,omitempty"`
	// Whether login modules may let people in without a proof: those that are for development.
	Development bool `json:"development,omitempty"`
	// The security checks. Default: one realm "password", a form over the identity store.
	Realms []RealmConfig `json:"realms,omitempty"`
	// The realms that determine the user, in order of preference. Default: the first realm.
	UserIdentity []string `json:"user_identity,omitempty"`
	// The security tests, in which realms have an order.
	SecurityTests []securitytest.Config `json:"security_tests,omitempty"`
	// The assurance levels, weakest first.
	Levels []LevelConfig `json:"acr,omitempty"`
	// The scopes and the realms they require.
	Scopes []ScopeConfig `json:"scopes,omitempty"`
	// The scopes a client gets when neither it nor its request names any, and that a bare "protect" requires.
	DefaultScope []string `json:"default_scope,omitempty"`
	// The types of authorization_details that clients may ask for (RFC 9396). Default: none.
	DetailTypes []approvals.Type `json:"authorization_details,omitempty"`
	// The operator's apps and what becomes of their versions.
	Applications []apps.Config `json:"applications,omitempty"`
	// How phones are asked.
	Mobile *phones.Config `json:"mobile,omitempty"`
	// How devices come to certificates.
	Provisioning *provision.Config `json:"provisioning,omitempty"`
	// The applications that may ask for tokens.
	Clients []ClientConfig `json:"clients,omitempty"`
	// Where clients show certificates, for mutual TLS (RFC 8705). Default: nowhere.
	MutualTLS *mutualtls.Config `json:"mutual_tls,omitempty"`
	// How the instances of apps register as clients. Default: they do not.
	Registration *instances.Config `json:"registration,omitempty"`
	// Users created at start when their login name is free.
	Users []people.Config `json:"users,omitempty"`

	places option.Places // in a Caddyfile that is read

	engine  pool.Engine
	sealer  storage.Sealer
	node    *pool.Node
	nodeKey string // set while this configuration holds its node
	server  *server.Server
	ring    *keyset.Ring
	users   *identity.Store
	hasher  *identity.Hasher
	trail   *audit.Trail
	apps    *mobileauth.Registry
	asks    ciba.Wishes
	asked   *ciba.Side      // nil where no client asks people on their phones
	phones  *phones.Phones  // nil where the configuration has none
	genuine apps.Genuine    // judges what apps and phones show
	devices *provision.Side // nil where the configuration has none
	logins  []web.OwnLogin
	ctx     caddy.Context
	logger  *slog.Logger

	// guards protect sites in this configuration: they enter in Provision, what they say together is known after ready.
	guards sites.Guards
	// confirming has requests confirmed; nil where phones is.
	confirming *confirming.Confirming

	counted *meter.Source
	ready   func() error // does load, once
	stop    context.CancelFunc
	running sync.WaitGroup
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appName, New: func() caddy.Module { return new(App) }}
}

// Provision sets defaults, loads the guests and assembles the server. It opens nothing: "caddy validate" runs it beside a
// live server.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Slogger()
	a.ready = sync.OnceValue(a.load)
	a.setDefaults()
	if err := a.checkProfile(); err != nil {
		return err
	}
	if err := a.loadEngine(ctx); err != nil {
		return err
	}
	if err := a.takeNode(); err != nil {
		return err
	}
	if err := a.assemble(ctx); err != nil {
		return err
	}
	a.counted = &meter.Source{
		Hashing: a.hasher.Stats, Caches: a.server.Stats, Revoked: a.node.Revoked().Len,
		Holders: func() int { return pool.Holders(a.nodeKey) },
	}
	return meter.Register(ctx.GetMetricsRegistry())
}

func (a *App) loadEngine(ctx caddy.Context) error {
	module, err := ctx.LoadModule(a, "StorageRaw")
	if err != nil {
		return fmt.Errorf("loading the storage engine: %w", err)
	}
	engine, ok := module.(pool.Engine)
	if !ok {
		return fmt.Errorf("loading the storage engine: %T is none", module)
	}
	a.engine = engine
	return nil
}

func (a *App) takeNode() error {
	key, err := a.engine.Key()
	if err != nil {
		return err
	}
	a.node, err = pool.Take(key)
	if err == nil {
		a.nodeKey = key
	}
	return err
}

// load opens the store, unless an earlier configuration has, reads what the sites are, creates the configured users, and
// reads the keys, the revocations and which versions of apps are switched off.
// Apps start in no fixed order, so it is done by Start or by the first request, whichever comes first: a request that comes
// early waits and is not refused. Once it has failed nothing passes.
func (a *App) load() error {
	options := pool.Options{Now: time.Now, Logger: a.logger, Observe: meter.Store}
	if err := a.node.Start(a.ctx, a.engine, a.sealer, options); err != nil {
		return err
	}
	if err := a.readSites(); err != nil {
		return err
	}
	// Before anything is answered: a configured user who logs in at once must be there.
	if err := people.Seed(a.ctx, a.users, a.Users, a.secret); err != nil {
		return err
	}
	if err := a.apps.Refresh(a.ctx); err != nil {
		return err
	}
	if err := a.phones.Load(a.ctx); err != nil {
		return err
	}
	if err := a.devices.Start(); err != nil {
		return err
	}
	return a.server.Start(a.ctx)
}

// Start loads and starts the loops.
func (a *App) Start() error {
	if err := a.ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(a.ctx)
	a.stop = cancel
	a.running.Go(func() { a.server.Run(ctx) })
	a.running.Go(func() { a.apps.Run(ctx) })
	a.running.Go(func() { a.phones.Run(ctx) })
	a.running.Go(func() { a.trail.Run(ctx) })
	meter.Follow(a.counted)
	return nil
}

// Stop ends the loops. Requests under way may still use the store, which stays open until Cleanup.
func (a *App) Stop() error {
	meter.Leave(a.counted)
	if a.stop != nil {
		a.stop()
	}
	a.running.Wait()
	return nil
}

// Cleanup gives the store back. It is called after a failed Provision as well, and gives back only what this very
// configuration has taken: the one that runs keeps its own.
func (a *App) Cleanup() error {
	if a.nodeKey == "" {
		return nil
	}
	key := a.nodeKey
	a.nodeKey = ""
	return pool.Release(key)
}

// secret resolves a secret of the configuration.
func (a *App) secret(text, of string) (string, error) { return secret.Resolve(text, of, a.logger) }

// Interface guards.
var (
	_ caddy.App             = (*App)(nil)
	_ caddy.Provisioner     = (*App)(nil)
	_ caddy.CleanerUpper    = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
)
