// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

func init() {
	caddy.RegisterModule(Form{})
	caddy.RegisterModule(IdentityStore{})
}

// Form asks for a user name and a password in a form of the login page.
type Form struct {
	authenticator *formauth.Authenticator
}

// CaddyModule returns the Caddy module information.
func (Form) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.form", New: func() caddy.Module { return new(Form) }}
}

// Provision builds the authenticator.
func (f *Form) Provision(caddy.Context) (err error) {
	f.authenticator, err = formauth.New(formauth.Config{})
	return err
}

// Collect asks for what is missing.
func (f *Form) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return f.authenticator.Collect(ctx, in)
}

// UnmarshalCaddyfile reads: form
func (f *Form) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// IdentityStore verifies a user name and a password against the issuer's own users.
type IdentityStore struct {
	module *identitystore.Module
}

// CaddyModule returns the Caddy module information.
func (IdentityStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.identity_store", New: func() caddy.Module { return new(IdentityStore) }}
}

// UseIdentity takes the issuer's users.
func (m *IdentityStore) UseIdentity(users *identity.Store) {
	m.module = &identitystore.Module{Users: users}
}

// Verify judges the credentials.
func (m *IdentityStore) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads: identity_store
func (m *IdentityStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// nameOnly reads a module that has no options.
func nameOnly(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block{}.Parse(d)
}

// Interface guards.
var (
	_ realm.Authenticator      = (*Form)(nil)
	_ realm.LoginModule        = (*IdentityStore)(nil)
	_ caddymodule.IdentityUser = (*IdentityStore)(nil)
	_ caddyfile.Unmarshaler    = (*Form)(nil)
	_ caddyfile.Unmarshaler    = (*IdentityStore)(nil)
)
