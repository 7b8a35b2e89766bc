// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/ciba"
	"github.com/gatehouse-id/gatehouse/caddymodule/instances"
	"github.com/gatehouse-id/gatehouse/caddymodule/mutualtls"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/passwords"
	"github.com/gatehouse-id/gatehouse/caddymodule/people"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/caddymodule/securitytest"
)

// parseGlobal reads the global option. Several blocks of it add up; an option that stands once may stand in one of them. The
// first names the issuer, and what a block refers to stands in it or in one before it, since no more is known when it is read.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	value := caddyconfig.JSON(app, nil)
	if before, ok := existing.(httpcaddyfile.App); ok {
		var err error
		if value, err = mergeBlocks(before.Value, value); err != nil {
			return nil, app.places.Wrap(fmt.Errorf("a second gatehouse block: %w", err))
		}
	}
	whole, err := readBlocks(value)
	if err == nil {
		err = whole.check()
	}
	if err != nil {
		return nil, app.places.Wrap(err)
	}
	return httpcaddyfile.App{Name: appName, Value: value}, nil
}

// readBlocks returns what the blocks of the global option say together, with the defaults.
func readBlocks(value []byte) (*App, error) {
	app := new(App)
	if err := json.Unmarshal(value, app); err != nil {
		return nil, fmt.Errorf("reading the global option: %w", err)
	}
	app.setDefaults()
	return app, nil
}

// mergeBlocks joins the lists of what may be repeated, and refuses to choose between two of anything else.
func mergeBlocks(first, second []byte) ([]byte, error) {
	var merged, more map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(first, &merged), json.Unmarshal(second, &more)); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		value := more[name]
		if before, twice := merged[name]; twice {
			if !slices.Contains([]string{"realms", "security_tests", "acr", "scopes", "applications", "clients", "users", "audience", "authorization_details"}, name) {
				return nil, fmt.Errorf("%s stands twice", name)
			}
			value = slices.Concat(before[:len(before)-1], []byte(","), value[1:])
		}
		merged[name] = value
	}
	return json.Marshal(merged)
}

// UnmarshalCaddyfile reads the global option:
//
//	gatehouse {
//		issuer        <url>
//		storage       <engine> ...
//		seal_key      <secret> [<older secret...>]
//		audience      <audience...>
//		keys          { ... }
//		sessions      { ... }
//		tokens        { ... }
//		passwords     { ... }
//		theme         <folder>
//		development   on|off
//		realm         <name> { ... }
//		user_identity <realm...>
//		security_test <name> [<kind>] { ... }
//		acr           <name> <realm...>
//		scope         <scope> [<realm...>] { ... }
//		default_scope <scope...>
//		authorization_details <type> { ... }
//		application   <id> { ... }
//		mobile        { ... }
//		provisioning  { ... }
//		client        <id> { ... }
//		mutual_tls    [<origin>] { ... }
//		registration  { ... }
//		user          <login> { ... }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.Errf("unexpected argument %q: gatehouse takes a block", d.Val())
	}
	return option.Block{
		Options: map[string]option.Parse{
			"issuer":                option.String(&a.Issuer),
			"storage":               option.Guest((*[]byte)(&a.StorageRaw), "gatehouse.storage", "engine"),
			"seal_key":              option.Strings(&a.SealKeys),
			"audience":              option.Strings(&a.Audience),
			"keys":                  a.parseKeys,
			"sessions":              a.parseSessions,
			"tokens":                a.parseTokens,
			"passwords":             a.parsePasswords,
			"theme":                 option.String(&a.Theme),
			"profile":               option.String(&a.Profile),
			"development":           option.Switch(&a.Development),
			"realm":                 a.parseRealm,
			"user_identity":         option.Strings(&a.UserIdentity),
			"security_test":         securitytest.Parse(&a.SecurityTests),
			"acr":                   a.parseLevel,
			"scope":                 a.parseScope,
			"default_scope":         option.Strings(&a.DefaultScope),
			"authorization_details": approvals.ParseType(&a.DetailTypes),
			"application":           apps.Parse(&a.Applications),
			"mobile":                phones.Parse(&a.Mobile),
			"provisioning":          provision.Parse(&a.Provisioning),
			"client":                a.parseClient,
			"mutual_tls":            mutualtls.Parse(&a.MutualTLS),
			"registration":          instances.Parse(&a.Registration),
			"user":                  people.Parse(&a.Users),
		},
		Repeat: []string{"realm", "security_test", "acr", "scope", "application", "client", "user", "audience", "authorization_details"},
		Places: &a.places,
	}.Parse(d)
}

// parseKeys reads:
//
//	keys {
//		algorithms   <algorithm...>
//		rotate_every <duration>
//	}
func (a *App) parseKeys(d *caddyfile.Dispenser) error {
	a.Keys = new(KeysConfig)
	return option.Block{Options: map[string]option.Parse{
		"algorithms":   option.Strings(&a.Keys.Algorithms),
		"rotate_every": option.Duration(&a.Keys.RotateEvery),
	}}.Parse(d)
}

// parseSessions reads:
//
//	sessions {
//		idle     <duration>
//		lifetime <duration>
//	}
func (a *App) parseSessions(d *caddyfile.Dispenser) error {
	a.Sessions = new(SessionsConfig)
	return option.Block{Options: map[string]option.Parse{
		"idle":     option.Duration(&a.Sessions.Idle),
		"lifetime": option.Duration(&a.Sessions.Lifetime),
	}}.Parse(d)
}

// parseTokens reads:
//
//	tokens {
//		access        <duration>
//		refresh       <duration>
//		refresh_idle  <duration>
//		refresh_grace <duration>
//		dpop_nonces
//		dpop_replays  node|shared
//		max_staleness <duration>
//	}
func (a *App) parseTokens(d *caddyfile.Dispenser) error {
	a.Tokens = new(TokensConfig)
	return option.Block{Options: map[string]option.Parse{
		"access":        option.Duration(&a.Tokens.Access),
		"refresh":       option.Duration(&a.Tokens.Refresh),
		"refresh_idle":  option.Duration(&a.Tokens.RefreshIdle),
		"refresh_grace": a.parseGrace,
		"dpop_nonces":   option.Flag(&a.Tokens.DPoPNonces),
		"dpop_replays":  option.String(&a.Tokens.DPoPReplays),
		"max_staleness": option.Duration(&a.Tokens.MaxStaleness),
	}}.Parse(d)
}

// parseGrace tells "refresh_grace 0s", which is none, from an absent option, which is the default.
func (a *App) parseGrace(d *caddyfile.Dispenser) error {
	if err := option.Duration(&a.Tokens.RefreshGrace)(d); err != nil {
		return err
	}
	if a.Tokens.RefreshGrace == 0 {
		a.Tokens.RefreshGrace = -1
	}
	return nil
}

func (a *App) parsePasswords(d *caddyfile.Dispenser) error {
	a.Passwords = new(passwords.Config)
	return a.Passwords.Parse(d)
}

// parseRealm reads:
//
//	realm <name> {
//		authenticator <type> ...
//		login_module  <type> ...
//		max_age       <duration>
//		time_out      <duration>
//		users         <name>
//		audit
//	}
func (a *App) parseRealm(d *caddyfile.Dispenser) error {
	var r RealmConfig
	if err := option.String(&r.Name)(d); err != nil {
		return err
	}
	err := option.Block{Options: map[string]option.Parse{
		"authenticator": option.Guest((*[]byte)(&r.AuthenticatorRaw), "gatehouse.authenticators", "type"),
		"login_module":  option.Guest((*[]byte)(&r.LoginModuleRaw), "gatehouse.login_modules", "type"),
		"max_age":       option.Duration(&r.MaxAge),
		"time_out":      option.Duration(&r.TimeOut),
		"users":         option.String(&r.Users),
		"audit":         option.Flag(&r.Audit),
	}}.Parse(d)
	a.Realms = append(a.Realms, r)
	return err
}

// parseLevel reads: acr <name> <realm...>
func (a *App) parseLevel(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("acr needs a name and the realms it consists of")
	}
	a.Levels = append(a.Levels, LevelConfig{Name: args[0], Realms: args[1:]})
	return nil
}

// parseScope reads:
//
//	scope <scope> [<realm...>] {
//		description <text>
//	}
func (a *App) parseScope(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err("scope needs a name and the realms it requires")
	}
	s := ScopeConfig{Name: args[0], Realms: args[1:]}
	err := option.Block{Options: map[string]option.Parse{"description": option.String(&s.Description)}}.Parse(d)
	a.Scopes = append(a.Scopes, s)
	return err
}

// parseClient reads:
//
//	client <id> {
//		name                     <text>
//		secret                   <secret>
//		jwks_file                <path>
//		tls_client_auth          <kind of name> <name>
//		self_signed_tls_client_auth <path...>
//		redirect_uri             <uri...>
//		post_logout_redirect_uri <uri...>
//		grants                   <grant type...>
//		scopes                   <scope...>
//		default_scopes           <scope...>
//		authorization_details_types <type...>
//		audience                 <audience...>
//		first_party
//		native
//		dpop_bound_access_tokens
//		tls_client_certificate_bound_access_tokens
//		introspect
//		allowed_networks         <address or network...>
//		access_ttl               <duration>
//		refresh_ttl              <duration>
//		id_token_alg             <algorithm>
//		introspection_alg        <algorithm>
//		backchannel              poll|ping|push { ... }
//	}
func (a *App) parseClient(d *caddyfile.Dispenser) error {
	var c ClientConfig
	if err := option.String(&c.ID)(d); err != nil {
		return err
	}
	err := option.Block{
		Options: map[string]option.Parse{
			"name":                        option.String(&c.Name),
			"secret":                      option.Strings(&c.Secrets),
			"jwks_file":                   option.String(&c.JWKSFile),
			"redirect_uri":                option.Strings(&c.RedirectURIs),
			"post_logout_redirect_uri":    option.Strings(&c.PostLogoutRedirectURIs),
			"grants":                      option.Strings(&c.Grants),
			"scopes":                      option.Strings(&c.Scopes),
			"default_scopes":              option.Strings(&c.DefaultScopes),
			"authorization_details_types": option.Strings(&c.DetailTypes),
			"audience":                    option.Strings(&c.Audience),
			"first_party":                 option.Flag(&c.FirstParty),
			"native":                      option.Flag(&c.Native),
			"dpop_bound_access_tokens":    option.Flag(&c.BoundTokens),
			"tls_client_auth":             mutualtls.ParseName(&c.Issued),
			"self_signed_tls_client_auth": option.Strings(&c.Own),
			"tls_client_certificate_bound_access_tokens": option.Flag(&c.CertificateBound),
			"introspect":        option.Flag(&c.Introspect),
			"allowed_networks":  option.Strings(&c.AllowedNetworks),
			"access_ttl":        option.Duration(&c.AccessTTL),
			"refresh_ttl":       option.Duration(&c.RefreshTTL),
			"id_token_alg":      option.String(&c.IDTokenAlg),
			"introspection_alg": option.String(&c.IntrospectionAlg),
			"backchannel":       ciba.Parse(&c.Backchannel),
		},
		Repeat: []string{"secret", "redirect_uri", "post_logout_redirect_uri", "scopes", "allowed_networks"},
	}.Parse(d)
	a.Clients = append(a.Clients, c)
	return err
}
