// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
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
	// The key that seals secrets at rest, 32 bytes in base64 or hex, usually as {env.NAME} or {file.PATH}. Default: a key
	// file beside the store, made at the first start.
	SealKey string `json:"seal_key,omitempty"`
	// The default audience of access tokens, which protected sites accept. Default: the issuer.
	Audience []string `json:"audience,omitempty"`
	// The signing keys.
	Keys *KeysConfig `json:"keys,omitempty"`
	// The browser sessions at the issuer.
	Sessions *SessionsConfig `json:"sessions,omitempty"`
	// The lifetimes of tokens.
	Tokens *TokensConfig `json:"tokens,omitempty"`
	// How passwords are hashed.
	Passwords *PasswordsConfig `json:"passwords,omitempty"`
	// A folder whose templates and style take the place of the built-in ones.
	Theme string `json:"theme,omitempty"`
	// The security checks. Default: one realm "password", a form over the identity store.
	Realms []RealmConfig `json:"realms,omitempty"`
	// The realms that determine the user, in order of preference. Default: the first realm.
	UserIdentity []string `json:"user_identity,omitempty"`
	// The assurance levels, weakest first.
	Levels []LevelConfig `json:"acr,omitempty"`
	// The scopes and the realms they require.
	Scopes []ScopeConfig `json:"scopes,omitempty"`
	// The scopes a client gets when neither it nor its request names any, and that a bare "protect" requires.
	DefaultScope []string `json:"default_scope,omitempty"`
	// The applications that may ask for tokens.
	Clients []ClientConfig `json:"clients,omitempty"`
	// Users created at start when their login name is free.
	Users []UserConfig `json:"users,omitempty"`

	engine  Engine
	sealer  storage.Sealer
	node    *node
	nodeKey string // set while this configuration holds its node
	server  *server.Server
	ring    *keyset.Ring
	users   *identity.Store
	hasher  *identity.Hasher
	trail   *audit.Trail
	secrets *caddy.Replacer
	sites   atomic.Pointer[served]
	ctx     caddy.Context
	logger  *slog.Logger

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
	a.secrets = caddy.NewReplacer()
	a.setDefaults()
	if err := a.loadEngine(ctx); err != nil {
		return err
	}
	if err := a.takeNode(); err != nil {
		return err
	}
	if err := a.assemble(ctx); err != nil {
		return err
	}
	return registerMetrics(ctx.GetMetricsRegistry())
}

func (a *App) loadEngine(ctx caddy.Context) error {
	module, err := ctx.LoadModule(a, "StorageRaw")
	if err != nil {
		return fmt.Errorf("loading the storage engine: %w", err)
	}
	engine, ok := module.(Engine)
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
	a.node, err = takeNode(key, a.logger)
	if err == nil {
		a.nodeKey = key
	}
	return err
}

// Start opens the store, unless an earlier configuration has, loads the keys and the revocations, creates the configured
// users and starts the loops.
func (a *App) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	options := EngineOptions{Now: time.Now, Logger: a.logger, Observe: observeStore}
	if err := a.node.open(ctx, a.engine, a.sealer, options); err != nil {
		return err
	}
	if err := a.readSites(); err != nil {
		return err
	}
	if err := a.server.Start(ctx); err != nil {
		return err
	}
	if err := a.seedUsers(ctx); err != nil {
		return err
	}
	a.running.Go(func() { a.server.Run(ctx) })
	gauges.app.Store(a)
	return nil
}

// Stop ends the loops. Requests under way may still use the store, which stays open until Cleanup.
func (a *App) Stop() error {
	gauges.app.CompareAndSwap(a, nil)
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
	_, err := nodes.Delete(key)
	return err
}

func (a *App) seedUsers(ctx context.Context) error {
	for _, u := range a.Users {
		if err := a.seedUser(ctx, u); err != nil {
			return fmt.Errorf("creating the user %q: %w", u.Login, err)
		}
	}
	return nil
}

func (a *App) seedUser(ctx context.Context, u UserConfig) error {
	_, err := a.users.ByLogin(ctx, u.Login)
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	password, err := a.secret(u.Password)
	if err != nil {
		return err
	}
	profile := identity.Profile{Logins: []string{u.Login}, Attributes: u.Attributes}
	_, err = a.users.Add(ctx, identity.NewUser{Profile: profile, Password: password})
	if errors.Is(err, storage.ErrExists) {
		return nil // another node was faster
	}
	return err
}

// secret resolves the placeholders of a secret: {env.NAME} and {file.PATH}. An unknown or empty one is an error that names
// the placeholder and never the value.
func (a *App) secret(text string) (string, error) {
	return a.secrets.ReplaceOrErr(text, true, true)
}

// Interface guards.
var (
	_ caddy.App             = (*App)(nil)
	_ caddy.Provisioner     = (*App)(nil)
	_ caddy.CleanerUpper    = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
)
