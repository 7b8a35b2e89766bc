// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/exp/zapslog"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backend"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/development"
	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/caddymodule/mutualtls"
	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/caddymodule/profile"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/caddymodule/securitytest"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/apidocs"
	"github.com/gatehouse-id/gatehouse/storage"
)

// IdentityUser is implemented by guests that work on the issuer's own users. The app hands them the identity store before
// the first request.
type IdentityUser interface{ UseIdentity(*identity.Store) }

// ApplicationUser is implemented by guests that ask what becomes of the versions of apps. They are handed the registry as well.
type ApplicationUser interface {
	UseApplications(*mobileauth.Registry, *apps.Genuine) error
}

// PhoneUser is implemented by guests that ask people on their phones. What they are handed says nil until the mobile side is built.
type PhoneUser interface {
	UsePhones(side func() *challenge.Phones) error
}

// Guessable is implemented by login modules that have somebody else judge a name and a secret. Guesses at them are counted and
// slowed down as those at the issuer's own users are.
type Guessable interface {
	// GuessedField names the answer that holds the name.
	GuessedField() string
}

// LoginPager is implemented by authenticators with login pages of the theme's own. One that is missing, or that leaves out what
// the realm asks, is an error at start.
type LoginPager interface{ LoginPages() []web.OwnLogin }

func (a *App) setDefaults() {
	if a.StorageRaw == nil {
		a.StorageRaw = []byte(`{"engine":"badger"}`)
	}
	if len(a.Realms) == 0 {
		a.Realms = []RealmConfig{{
			Name:             "password",
			AuthenticatorRaw: []byte(`{"type":"form"}`),
			LoginModuleRaw:   []byte(`{"type":"identity_store"}`),
		}}
	}
	if len(a.UserIdentity) == 0 {
		names := func(r RealmConfig) bool {
			return !apps.AsksVersion(r.AuthenticatorRaw) && !provision.AsksDevice(r.AuthenticatorRaw)
		}
		a.UserIdentity = []string{a.Realms[max(0, slices.IndexFunc(a.Realms, names))].Name}
	}
	if len(a.Audience) == 0 {
		a.Audience = []string{a.Issuer}
	}
	for _, section := range []func(){
		func() { fill(&a.Keys) }, func() { fill(&a.Sessions) }, func() { fill(&a.Tokens) }, func() { fill(&a.Passwords) },
	} {
		section()
	}
	if a.Profile != "" && a.Mobile == nil && phones.Wanted(nil, a.Applications) {
		a.Mobile = new(phones.Config) // what is left open is tightened as well
	}
	profile.Tighten(a.Profile, a.profiled())
	if len(a.Keys.Algorithms) == 0 {
		a.Keys.Algorithms = []string{string(jose.ES256), string(jose.RS256)}
	}
}

func fill[T any](section **T) {
	if *section == nil {
		*section = new(T)
	}
}

// assemble turns the configuration into the server. Here ends what is Caddy's.
func (a *App) assemble(ctx caddy.Context) error {
	if err := oauth.CheckIssuer(a.Issuer); err != nil {
		return fmt.Errorf("issuer %q: %w", a.Issuer, err)
	}
	if err := a.parseSealKeys(); err != nil {
		return err
	}
	if err := approvals.Check(a.DetailTypes, a.approves); err != nil { // while it is known what the realms are: loading them uses that up
		return err
	}
	var err error
	if a.trail, err = a.newTrail(ctx); err != nil {
		return err
	}
	if err := a.openUsers(); err != nil {
		return err
	}
	if a.apps, err = apps.Registry(a.Applications, a.node, a.logger); err != nil {
		return err
	}
	if err := a.openDevices(ctx); err != nil {
		return err
	}
	engine, err := a.securityModel(func(c *RealmConfig) (*realm.Realm, error) { return a.realm(ctx, c) })
	if err != nil {
		return err
	}
	if err := a.checkTokens(); err != nil {
		return err
	}
	clients, err := a.registry(a.credentials)
	if err != nil {
		return err
	}
	details, err := approvals.Registry(a.DetailTypes)
	if err != nil {
		return err
	}
	pages, err := web.New(web.Config{Theme: a.themeFS(), Logins: a.logins, Base: authz.BasePath(a.Issuer)})
	if err != nil {
		return fmt.Errorf("theme %q: %w", a.Theme, err)
	}
	if a.ring, err = a.keyRing(a.node, a.node); err != nil {
		return err
	}
	config := server.Config{
		Issuer: a.Issuer, Audience: a.Audience, Store: a.node.Store(), View: a.node.Revoked(), Ring: a.ring,
		Clients: clients, Engine: engine, Pages: pages, Trail: a.trail, Profiles: &identitystore.Profiles{Users: a.users},
		Scopes:        a.ScopeNames(),
		DefaultScopes: a.DefaultScope, Details: details,
		ScopeTexts:      a.scopeTexts(),
		SessionIdle:     cmp.Or(time.Duration(a.Sessions.Idle), 12*time.Hour),
		SessionLifetime: cmp.Or(time.Duration(a.Sessions.Lifetime), 7*24*time.Hour),
		MaxStaleness:    cmp.Or(time.Duration(a.Tokens.MaxStaleness), 15*time.Minute),
		RefreshGrace:    max(cmp.Or(time.Duration(a.Tokens.RefreshGrace), 10*time.Second), 0),
		ClientIP:        clientIP,
		Asked:           asked,
		Proxied:         mutualtls.Proxied,
		Applications:    a.apps,
		Backchannel:     a.asked.Server(a.node, a.node, a.node.Outbox()),
		Published:       a.published(),
		NonceKey:        func() ([]byte, error) { return a.node.Derive("DPoP nonces") },
		DemandNonces:    a.Tokens.DPoPNonces,
		SharedProofs:    cmp.Or(a.Tokens.DPoPReplays, a.proofsKept()) == proofsShared,
		Now:             time.Now,
		Logger:          a.logger,
		Observe:         server.Observer{Gate: meter.Gate, Endpoint: meter.Endpoint, Token: meter.Token, Realm: meter.Realm},
	}
	config.MutualTLS, config.Certificates = a.MutualTLS.Server(), a.devices.Account()
	if config.Registration, err = a.registration(os.ReadFile); err != nil {
		return err
	}
	if err := a.assembleServer(ctx, config); err != nil {
		return err
	}
	if told := a.devices.Status(); told != nil {
		a.server.Mount(provision.StatusPath, strings.Trim(provision.StatusPath, "/"), told)
	}
	return nil
}

// Where used DPoP proofs are remembered.
const proofsShared, proofsByNode = "shared", "node"

// proofsKept is where they are unless configured: in the store, where other nodes look into it as well.
func (a *App) proofsKept() string {
	if pool.IsShared(a.engine) {
		return proofsShared
	}
	return proofsByNode
}

// assembleServer builds the server, and the mobile side where there is one.
func (a *App) assembleServer(ctx caddy.Context, config server.Config) (err error) {
	if !phones.Wanted(a.Mobile, a.Applications) {
		a.server, err = server.New(config)
		return err
	}
	shown := new(phones.Account)
	config.Phones, config.Registrations = shown, shown
	if a.server, err = server.New(config); err != nil {
		return err
	}
	return a.assemblePhones(ctx, config.Pages, shown)
}

// openDevices builds what judges the evidence of devices and what issues certificates for them.
func (a *App) openDevices(ctx caddy.Context) (err error) {
	a.genuine.Issuer = a.Issuer
	if a.genuine.Grader, err = apps.Grader(a.Applications, attest.Parts{Now: time.Now, Secret: a.secret}); err != nil {
		return err
	}
	if err := provision.Check(a.Provisioning, a.Applications); err != nil {
		return err
	}
	a.devices, err = provision.New(ctx, a.Provisioning, provision.Parts{
		Issuer: a.Issuer, DB: a.node, Sealer: a.node, Apps: a.apps, Genuine: &a.genuine, Trail: a.trail, Now: time.Now, Logger: a.logger,
		OnRevoke: func(tx storage.Tx, device string) error { return a.node.Store().RevokeDevice(tx, device) },
		Logins:   a.node.Store(), Applied: a.node.Revoked().Refresh,
	})
	return err
}

func (a *App) assemblePhones(ctx caddy.Context, pages *web.Renderer, shown *phones.Account) error {
	path := authz.BasePath(a.Issuer) + restapi.Path
	docs, err := apidocs.New(restapi.OpenAPI(strings.TrimSuffix(a.Issuer, "/")+restapi.Path), path+"/openapi.json", pages)
	if err != nil {
		return err
	}
	guests, err := phones.Load(ctx, a.Mobile, a.Development)
	if err != nil {
		return err
	}
	a.phones, err = phones.New(a.Mobile, a.Applications, phones.Parts{
		Issuer: a.Issuer, DB: a.node, Sealer: a.node, Outbox: a.node.Outbox(), Users: a.users, Store: a.node.Store(), Ring: a.ring,
		Trail: a.trail, Apps: a.apps, Applied: a.node.Revoked().Refresh, Secret: a.secret, Now: time.Now, Logger: a.logger, Docs: docs,
		Account: shown, Guests: guests, OnChange: a.asked.Hooks(),
		Backend:      &backend.Authenticator{Clients: a.server.ClientAuth(), Tokens: a.server.AccessValidator(), DPoP: a.server.DPoP()},
		Grader:       a.genuine.Grader,
		Clients:      phones.NewClients(a.server.ClientAuth().Clients, a.clientIDs()),
		Certificates: a.devices.Backend(),
	})
	if err != nil {
		return err
	}
	a.confirming, err = confirming.New(confirming.Parts{
		Issuer: a.Issuer, DB: a.node, Phones: a.phones, Trail: a.trail, Now: time.Now, Logger: a.logger, Theme: a.themeFS(),
	})
	if err != nil {
		return err
	}
	a.asked.Use(a.phones)
	for prefix, face := range a.phones.Faces() {
		a.server.Mount(prefix, strings.Trim(prefix, "/"), face)
	}
	return nil
}

// published are the issuer's keys, with those that phones encrypt to.
func (a *App) published() endpoints.Keys {
	if !phones.Wanted(a.Mobile, a.Applications) {
		return nil
	}
	return published{a.ring, a}
}

type published struct {
	*keyset.Ring
	app *App
}

// JWKS returns all of them.
func (p published) JWKS() []byte { return p.app.phones.JWKS() }

func (a *App) newTrail(ctx caddy.Context) (*audit.Trail, error) {
	return audit.New(audit.Config{DB: a.node, Logger: auditLogger(ctx), Now: time.Now, Sealer: a.node, Leads: a.node.Leads})
}

func (a *App) parseSealKeys() error {
	var keys []seal.Key
	for _, text := range a.SealKeys {
		text, err := a.secret(text, "seal_key")
		if err != nil {
			return fmt.Errorf("seal_key: %w", err)
		}
		key, err := seal.ParseKey(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("seal_key: %w", err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil
	}
	sealer, err := seal.New(keys...)
	if err != nil {
		return fmt.Errorf("seal_key: %w", err)
	}
	a.sealer = sealer
	return nil
}

func (a *App) openUsers() (err error) {
	if a.hasher, err = a.Passwords.Hasher(); err != nil {
		return err
	}
	a.users, err = identity.New(identity.Config{
		DB: a.node, Hasher: a.hasher, Now: time.Now, Sealer: a.node,
		CounterKey: func() ([]byte, error) { return a.node.Derive("identity login counters") },
		Audit:      a.trail, Searchable: phones.Searchable(a.Mobile),
		OnRevoke: []func(storage.Tx, identity.User) error{
			func(tx storage.Tx, u identity.User) error { return a.node.Store().RevokeSubject(tx, u.ID) },
			func(tx storage.Tx, u identity.User) error { return a.phones.Revoke(tx, u) },
		},
	})
	return err
}

func (a *App) keyRing(db storage.DB, sealer storage.Sealer) (*keyset.Ring, error) {
	var algorithms []jose.Algorithm
	for _, name := range a.Keys.Algorithms {
		algorithms = append(algorithms, jose.Algorithm(name))
	}
	ring, err := keyset.Open(keyset.Config{
		DB: db, Sealer: sealer, Algs: algorithms, RotateEvery: cmp.Or(time.Duration(a.Keys.RotateEvery), 30*24*time.Hour),
		Retain: authz.MaxAccessTTL + 24*time.Hour, Now: time.Now, Logger: a.logger,
	})
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return ring, nil
}

// applicationRealms returns the realms that ask an app for its version. They must not have been loaded yet.
func (a *App) applicationRealms() []string {
	var names []string
	for i := range a.Realms {
		if apps.AsksVersion(a.Realms[i].AuthenticatorRaw) {
			names = append(names, a.Realms[i].Name)
		}
	}
	return names
}

// securityModel builds the engine of realms as they are loaded.
func (a *App) securityModel(load func(*RealmConfig) (*realm.Realm, error)) (*realm.Engine, error) {
	c := realm.Config{
		Scopes: map[string][]string{}, Identity: a.UserIdentity, Linker: &identitystore.Linker{Users: a.users},
	}
	var err error
	if c.Tests, err = securitytest.Tests(a.SecurityTests, a.UserIdentity[0], a.applicationRealms()); err != nil {
		return nil, err
	}
	for i := range a.Realms {
		r, err := a.checkedRealm(&a.Realms[i], load)
		if err != nil {
			return nil, fmt.Errorf("realm %q: %w", a.Realms[i].Name, err)
		}
		c.Realms = append(c.Realms, r)
	}
	for _, s := range a.Scopes {
		if !oauth.ValidScope(s.Name) {
			return nil, fmt.Errorf("scope %q is not a scope token (RFC 6749, section 3.3)", s.Name)
		}
		if _, twice := c.Scopes[s.Name]; twice {
			return nil, fmt.Errorf("scope %q is defined twice", s.Name)
		}
		c.Scopes[s.Name] = s.Realms
	}
	for _, l := range a.Levels {
		c.Levels = append(c.Levels, realm.Level{Name: l.Name, Realms: l.Realms})
	}
	return realm.New(c)
}

// What is said of a realm that lacks a part.
var (
	errNoAuthenticator = errors.New("it needs an authenticator")
	errNoLoginModule   = errors.New("it needs a login_module, since its authenticator only collects")
)

func (a *App) realm(ctx caddy.Context, c *RealmConfig) (*realm.Realm, error) {
	if c.AuthenticatorRaw == nil {
		return nil, errNoAuthenticator
	}
	collects, err := ctx.LoadModule(c, "AuthenticatorRaw")
	if err != nil {
		return nil, err
	}
	verifies := collects // some authenticators judge by themselves
	if c.LoginModuleRaw != nil {
		if verifies, err = ctx.LoadModule(c, "LoginModuleRaw"); err != nil {
			return nil, err
		}
	}
	if err := development.Admit(a.Development, c.Name, a.logger, collects, verifies); err != nil {
		return nil, err
	}
	if guest, ok := collects.(LoginPager); ok {
		a.logins = append(a.logins, guest.LoginPages()...)
	}
	for _, guest := range []any{collects, verifies} {
		if g, ok := guest.(IdentityUser); ok {
			g.UseIdentity(a.users)
		}
		if g, ok := guest.(ApplicationUser); ok {
			if err := g.UseApplications(a.apps, &a.genuine); err != nil {
				return nil, err
			}
		}
		if g, ok := guest.(provision.User); ok {
			if err := g.UseProvisioning(a.devices); err != nil {
				return nil, err
			}
		}
		if g, ok := guest.(PhoneUser); ok {
			if err := g.UsePhones(func() *challenge.Phones { return a.phones.Challenge() }); err != nil {
				return nil, err
			}
		}
	}
	authenticator, ok := collects.(realm.Authenticator)
	if !ok {
		return nil, fmt.Errorf("%T is no authenticator", collects)
	}
	module, ok := verifies.(realm.LoginModule)
	if !ok && c.LoginModuleRaw == nil {
		return nil, errNoLoginModule
	}
	if !ok {
		return nil, fmt.Errorf("%T is no login module", verifies)
	}
	if guest, guessable := verifies.(Guessable); guessable {
		module = &identitystore.Throttled{
			Module: module, Counters: a.users, People: cmp.Or(c.Users, c.Name), Field: guest.GuessedField(),
		}
	}
	return &realm.Realm{
		Name: c.Name, Authenticator: authenticator, LoginModule: module, MaxAge: cmp.Or(time.Duration(c.MaxAge), time.Hour), Audit: c.Audit,
		Users: c.Users, Timeout: time.Duration(c.TimeOut),
	}, nil
}

// ScopeNames returns every scope the configuration speaks of, in its order.
func (a *App) ScopeNames() oauth.Scopes {
	names := oauth.Scopes{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopePhone, oauth.ScopeOfflineAccess}
	for _, s := range a.Scopes {
		names = names.Union(oauth.Scopes{s.Name})
	}
	for i := range a.SecurityTests {
		names = names.Union(oauth.Scopes{a.SecurityTests[i].Name})
	}
	if phones.Wanted(a.Mobile, a.Applications) {
		names = names.Union(phones.Scopes())
	}
	return names.Union(a.DefaultScope)
}

// scopeTexts returns what the configuration says that its scopes allow.
func (a *App) scopeTexts() map[string]string {
	texts := map[string]string{}
	for _, s := range a.Scopes {
		if s.Description != "" {
			texts[s.Name] = s.Description
		}
	}
	return texts
}

func (a *App) themeFS() fs.FS {
	if a.Theme == "" {
		return nil
	}
	return os.DirFS(a.Theme)
}

// auditLogger is a logger of its own name, so that a log of Caddy's can include the audit trail, or exclude it.
func auditLogger(ctx caddy.Context) *slog.Logger {
	name := appName + ".audit"
	return slog.New(zapslog.NewHandler(ctx.Logger().Named("audit").Core(), zapslog.WithName(name)))
}

// clientIP returns the address that Caddy, by its trusted_proxies, takes for the caller's.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// asked returns what the caller has sent, before Caddy rewrote it.
func asked(r *http.Request) (method, path string) {
	method, target := passage.Asked(r)
	return method, target.EscapedPath()
}
