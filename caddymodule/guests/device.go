// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
)

func init() { caddy.RegisterModule(Device{}) }

// Device asks an app which device it is on, by the key of a certificate that the app gets on its first call. It needs no login module
// beside it.
type Device struct {
	provision.Realm

	guest *deviceauth.Guest
}

// CaddyModule returns the Caddy module information.
func (Device) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID: caddy.ModuleID("gatehouse.authenticators." + provision.Authenticator), New: func() caddy.Module { return new(Device) },
	}
}

// UseProvisioning takes those who issue certificates.
func (g *Device) UseProvisioning(side *provision.Side) (err error) {
	if side == nil {
		return errors.New("there is no provisioning block")
	}
	g.guest, err = side.Guest(g.Realm)
	return err
}

// Collect asks for the device, or for its certificate request.
func (g *Device) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return g.guest.Collect(ctx, in)
}

// Verify judges the signed answer.
func (g *Device) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return g.guest.Verify(ctx, c)
}

// Stands reports whether what a proof says to have been shown is what is asked for by now.
func (g *Device) Stands(proof realm.Proof) bool { return g.guest.Stands(proof) }

// UnmarshalCaddyfile reads:
//
//	device {
//		entity      application|group <name>|device
//		attestation hardware|tee|software
//	}
func (g *Device) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block{Options: map[string]option.Parse{
		"entity": provision.ParseEntity(&g.Entity), "attestation": option.String(&g.Attestation),
	}}.Parse(d)
}

// Interface guards.
var (
	_ realm.Authenticator   = (*Device)(nil)
	_ realm.LoginModule     = (*Device)(nil)
	_ realm.Reviewer        = (*Device)(nil)
	_ provision.User        = (*Device)(nil)
	_ caddyfile.Unmarshaler = (*Device)(nil)
)
