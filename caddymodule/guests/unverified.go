// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/unverified"
	"github.com/gatehouse-id/gatehouse/caddymodule/development"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

func init() {
	caddy.RegisterModule(Anonymous{})
	caddy.RegisterModule(SingleIdentity{})
	caddy.RegisterModule(NonValidating{})
	caddy.RegisterModule(RejectAll{})
}

// Anonymous asks nothing and lets everybody in as a new subject, behind whom no user stands. It is its own login module.
type Anonymous struct {
	authenticator *unverified.Anonymous
}

// CaddyModule returns the Caddy module information.
func (Anonymous) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.anonymous", New: func() caddy.Module { return new(Anonymous) }}
}

// Provision builds the authenticator.
func (a *Anonymous) Provision(caddy.Context) (err error) {
	a.authenticator, err = unverified.NewAnonymous(randid.New)
	return err
}

// Collect asks for nothing.
func (a *Anonymous) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return a.authenticator.Collect(ctx, in)
}

// Verify accepts.
func (a *Anonymous) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return a.authenticator.Verify(ctx, c)
}

// UnmarshalCaddyfile reads: anonymous
func (a *Anonymous) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// SingleIdentity lets everybody in as one user, whatever they answer. It is for development.
type SingleIdentity struct {
	// The user's id.
	User string `json:"user,omitempty"`
	// The name to show.
	Name string `json:"name,omitempty"`
	// The user's attributes.
	Attributes map[string]string `json:"attributes,omitempty"`

	module *unverified.SingleIdentity
}

// CaddyModule returns the Caddy module information.
func (SingleIdentity) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.single_identity", New: func() caddy.Module { return new(SingleIdentity) }}
}

// Provision builds the login module.
func (m *SingleIdentity) Provision(caddy.Context) error { return m.build() }

func (m *SingleIdentity) build() (err error) {
	m.module, err = unverified.NewSingleIdentity(m.User, m.Name, m.Attributes)
	return err
}

// DevelopmentOnly says why.
func (m *SingleIdentity) DevelopmentOnly() string {
	return "login_module single_identity lets everybody in as one user"
}

// Verify accepts.
func (m *SingleIdentity) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	single_identity <user> {
//		name      <text>
//		attribute <name> <value>
//	}
func (m *SingleIdentity) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&m.User)(d); err != nil {
		return err
	}
	return read(d, option.Block{
		Options: map[string]option.Parse{"name": option.String(&m.Name), "attribute": option.Pair(&m.Attributes)},
		Repeat:  []string{"attribute"},
	}, m.build)
}

// NonValidating lets everybody in as who he says he is. It is for development.
type NonValidating struct {
	// The values are answers. The id is username by default.
	Mapping

	module *unverified.NonValidating
}

// CaddyModule returns the Caddy module information.
func (NonValidating) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.non_validating", New: func() caddy.Module { return new(NonValidating) }}
}

// Provision builds the login module.
func (m *NonValidating) Provision(caddy.Context) error { return m.build() }

func (m *NonValidating) build() (err error) {
	m.module, err = unverified.NewNonValidating(m.mapping())
	return err
}

// DevelopmentOnly says why.
func (m *NonValidating) DevelopmentOnly() string {
	return "login_module non_validating lets everybody in as whoever they say they are"
}

// NeedsLogin reports that users who are known are asked for their name as well.
func (m *NonValidating) NeedsLogin() bool { return true }

// Verify accepts.
func (m *NonValidating) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	non_validating {
//		id        <field>
//		name      <field>
//		attribute <name> <field>
//		amr       <method...>
//	}
func (m *NonValidating) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, m.options(nil), m.build)
}

// RejectAll lets nobody in.
type RejectAll struct{ unverified.RejectAll }

// CaddyModule returns the Caddy module information.
func (RejectAll) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.reject_all", New: func() caddy.Module { return new(RejectAll) }}
}

// UnmarshalCaddyfile reads: reject_all
func (*RejectAll) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// Interface guards.
var (
	_ realm.Authenticator   = (*Anonymous)(nil)
	_ realm.LoginModule     = (*Anonymous)(nil)
	_ realm.LoginModule     = (*SingleIdentity)(nil)
	_ realm.LoginModule     = (*NonValidating)(nil)
	_ realm.NeedsLogin      = (*NonValidating)(nil)
	_ realm.LoginModule     = (*RejectAll)(nil)
	_ development.Only      = (*SingleIdentity)(nil)
	_ development.Only      = (*NonValidating)(nil)
	_ caddyfile.Unmarshaler = (*Anonymous)(nil)
	_ caddyfile.Unmarshaler = (*SingleIdentity)(nil)
	_ caddyfile.Unmarshaler = (*NonValidating)(nil)
	_ caddyfile.Unmarshaler = (*RejectAll)(nil)
)
