// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ltpa"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
)

func init() {
	caddy.RegisterModule(LTPA{})
	caddy.RegisterModule(LTPALogin{})
}

// LTPA finds the cookie with the token of a WebSphere or Liberty server.
type LTPA struct {
	// The cookie. Default: LtpaToken2.
	Cookie string `json:"cookie,omitempty"`

	authenticator *ltpa.Authenticator
}

// CaddyModule returns the Caddy module information.
func (LTPA) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.ltpa", New: func() caddy.Module { return new(LTPA) }}
}

// Provision builds the authenticator.
func (l *LTPA) Provision(caddy.Context) (err error) {
	l.authenticator, err = ltpa.New(l.Cookie)
	return err
}

// Collect finds the cookie.
func (l *LTPA) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return l.authenticator.Collect(ctx, in)
}

// UnmarshalCaddyfile reads:
//
//	ltpa {
//		cookie <name>
//	}
func (l *LTPA) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block{Options: map[string]option.Parse{"cookie": option.String(&l.Cookie)}}.Parse(d)
}

// LTPALogin verifies LtpaToken2 tokens with a server's key file.
type LTPALogin struct {
	// The key files; several while the server's keys are being replaced.
	KeyFiles []string `json:"key_files,omitempty"`
	// Their password, usually as {env.NAME} or {file.PATH}.
	Password string `json:"password,omitempty"`
	// The realms of WebSphere whose users are accepted.
	Realms []string `json:"realms,omitempty"`
	// A regular expression that the ids match as a whole; a group in it captures the part that counts. Default: all are accepted.
	UserPattern string `json:"user_pattern,omitempty"`
	// The values are the token's attributes, and user (realm, slash and id), uid (the id) and realm. The id is user or uid.
	Mapping
	// How far ahead a token may expire. Default: 24h.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`

	module *ltpa.Module
}

// CaddyModule returns the Caddy module information.
func (LTPALogin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.ltpa", New: func() caddy.Module { return new(LTPALogin) }}
}

// Provision reads the key files and builds the login module.
func (m *LTPALogin) Provision(ctx caddy.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	logger := ctx.Slogger()
	password, err := secret.Resolve(m.Password, "login_module ltpa", logger)
	if err != nil {
		return fmt.Errorf("login_module ltpa: password: %w", err)
	}
	if password == ltpa.DefaultPassword {
		logger.Warn("the LTPA key files have the password that every new server has: whoever reads them can log in as anybody")
	}
	var keys []*ltpa.Keys
	for _, path := range m.KeyFiles {
		file, err := os.ReadFile(caddy.NewReplacer().ReplaceAll(path, ""))
		if err != nil {
			return fmt.Errorf("login_module ltpa: key_file: %w", err)
		}
		read, err := ltpa.ParseKeys(file, password)
		if err != nil {
			return fmt.Errorf("login_module ltpa: key_file %q: %w", path, err)
		}
		keys = append(keys, read)
	}
	config := m.config()
	config.Keys = keys
	m.module, err = ltpa.NewModule(config)
	return err
}

func (m *LTPALogin) config() ltpa.Config {
	return ltpa.Config{
		Realms: m.Realms, UserPattern: m.UserPattern, Mapping: m.mapping(), MaxLifetime: time.Duration(m.MaxLifetime), Now: time.Now,
	}
}

// check looks at everything but the key files.
func (m *LTPALogin) check() error {
	if len(m.KeyFiles) == 0 || m.Password == "" {
		return errors.New("login_module ltpa needs a key_file and its password")
	}
	return m.config().Check()
}

// Verify judges the token.
func (m *LTPALogin) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	ltpa {
//		key_file     <file...>
//		password     <password>
//		realms       <realm...>
//		user_pattern <regular expression>
//		id           user|uid
//		name         <value>
//		attribute    <name> <value>
//		amr          <method...>
//		max_lifetime <duration>
//	}
func (m *LTPALogin) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	block := m.options(map[string]option.Parse{
		"key_file": option.Strings(&m.KeyFiles), "password": option.String(&m.Password), "realms": option.Strings(&m.Realms),
		"user_pattern": option.String(&m.UserPattern), "max_lifetime": option.Duration(&m.MaxLifetime),
	})
	return read(d, block, m.check)
}

// Interface guards.
var (
	_ realm.Authenticator   = (*LTPA)(nil)
	_ realm.LoginModule     = (*LTPALogin)(nil)
	_ caddyfile.Unmarshaler = (*LTPA)(nil)
	_ caddyfile.Unmarshaler = (*LTPALogin)(nil)
)
