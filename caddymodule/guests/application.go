// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/appauth"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

func init() { caddy.RegisterModule(Application{}) }

// Application asks an app which version it is, and lets in those that are not switched off. It needs no login module beside it.
type Application struct {
	// The only app that may answer. Default: every one that is configured, which then says its id as well.
	ID string `json:"id,omitempty"`
	// The least grade that the app has to show with evidence to be let in: hardware, tee or software. Default: none is asked for.
	Attestation string `json:"attestation,omitempty"`

	guest *appauth.Guest
}

// CaddyModule returns the Caddy module information.
func (Application) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID: caddy.ModuleID("gatehouse.authenticators." + apps.Authenticator), New: func() caddy.Module { return new(Application) },
	}
}

// UseApplications takes those who judge versions and evidence.
func (a *Application) UseApplications(registry *mobileauth.Registry, genuine *apps.Genuine) (err error) {
	a.guest, err = appauth.New(appauth.Config{
		Application: a.ID, Versions: registry, Attestation: a.Attestation, Audience: genuine.Issuer, Genuine: genuine.App, AtLeast: apps.AtLeast,
	})
	return err
}

// Collect asks for the version.
func (a *Application) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return a.guest.Collect(ctx, in)
}

// Verify judges it.
func (a *Application) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return a.guest.Verify(ctx, c)
}

// Stands reports whether the version of a proof is still let in.
func (a *Application) Stands(proof realm.Proof) bool { return a.guest.Stands(proof) }

// UnmarshalCaddyfile reads:
//
//	application [<id>] {
//		attestation hardware|tee|software
//	}
func (a *Application) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	d.Args(&a.ID)
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block{Options: map[string]option.Parse{"attestation": option.String(&a.Attestation)}}.Parse(d)
}

// Interface guards.
var (
	_ realm.Authenticator         = (*Application)(nil)
	_ realm.LoginModule           = (*Application)(nil)
	_ realm.Reviewer              = (*Application)(nil)
	_ caddymodule.ApplicationUser = (*Application)(nil)
	_ caddyfile.Unmarshaler       = (*Application)(nil)
)
