// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/basicauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/headerauth"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

func init() {
	caddy.RegisterModule(Header{})
	caddy.RegisterModule(HeaderLogin{})
	caddy.RegisterModule(Basic{})
}

// Header reads who it is from a header field, on connections of a proxy that the server's trusted_proxies names.
type Header struct {
	// The field that says who it is.
	Field string `json:"field,omitempty"`
	// Fields that say more about the same person.
	Also []string `json:"also,omitempty"`

	authenticator *headerauth.Authenticator
}

// CaddyModule returns the Caddy module information.
func (Header) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.header", New: func() caddy.Module { return new(Header) }}
}

// Provision builds the authenticator.
func (h *Header) Provision(ctx caddy.Context) error { return h.build(ctx.Slogger()) }

func (h *Header) build(logger *slog.Logger) (err error) {
	h.authenticator, err = headerauth.New(headerauth.Config{Name: h.Field, Also: h.Also, Logger: logger})
	return err
}

// Collect reads the fields.
func (h *Header) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return h.authenticator.Collect(ctx, in)
}

// UnmarshalCaddyfile reads:
//
//	header <field> {
//		also <field...>
//	}
func (h *Header) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&h.Field)(d); err != nil {
		return err
	}
	block := option.Block{Options: map[string]option.Parse{"also": option.Strings(&h.Also)}, Repeat: []string{"also"}}
	return read(d, block, func() error { return h.build(slog.New(slog.DiscardHandler)) })
}

// HeaderLogin makes a user of what the authenticator "header" has read. The values are header fields; the id is, unless another
// one is named, the field that the authenticator is about.
type HeaderLogin struct {
	Mapping

	module *headerauth.Module
}

// CaddyModule returns the Caddy module information.
func (HeaderLogin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.header", New: func() caddy.Module { return new(HeaderLogin) }}
}

// Provision builds the login module.
func (m *HeaderLogin) Provision(caddy.Context) error { return m.build() }

func (m *HeaderLogin) build() (err error) {
	m.module, err = headerauth.NewModule(m.mapping())
	return err
}

// Verify makes the user.
func (m *HeaderLogin) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	header {
//		id        <field>
//		name      <field>
//		attribute <name> <field>
//		amr       <method...>
//	}
func (m *HeaderLogin) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, m.options(nil), m.build)
}

// Basic reads a user name and a password from an Authorization field of the Basic scheme, and asks for them where there is none.
type Basic struct {
	authenticator *basicauth.Authenticator
}

// CaddyModule returns the Caddy module information.
func (Basic) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.basic", New: func() caddy.Module { return new(Basic) }}
}

// Provision builds the authenticator.
func (b *Basic) Provision(caddy.Context) (err error) {
	b.authenticator, err = basicauth.New()
	return err
}

// Collect reads the field or asks.
func (b *Basic) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return b.authenticator.Collect(ctx, in)
}

// UnmarshalCaddyfile reads: basic
func (b *Basic) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// Interface guards.
var (
	_ realm.Authenticator   = (*Header)(nil)
	_ realm.LoginModule     = (*HeaderLogin)(nil)
	_ realm.Authenticator   = (*Basic)(nil)
	_ caddyfile.Unmarshaler = (*Header)(nil)
	_ caddyfile.Unmarshaler = (*HeaderLogin)(nil)
	_ caddyfile.Unmarshaler = (*Basic)(nil)
)
