// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddypki"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

func init() { caddy.RegisterModule(CaddyPKI{}) }

// devicesCA is the CA that is made where none is named, and intermediateLifetime how long its intermediate certificates live: Caddy's
// own default of a week would end every certificate of a device with it.
const (
	devicesCA            = "devices"
	intermediateLifetime = 2 * 365 * 24 * time.Hour
	renewalWindow        = 0.5 // a new intermediate at half time, so that no certificate is cut short
)

// CaddyPKI issues certificates with a CA of Caddy's PKI. One that the app "pki" of the configuration does not have is made: with a root
// that is not installed as trusted anywhere, and intermediates of two years.
type CaddyPKI struct {
	// The id of the CA. Default: devices.
	CA string `json:"ca,omitempty"`

	ctx   caddy.Context
	ca    *caddypki.CA // nil until Start, where it is made
	local *provisioning.Local
}

// CaddyModule returns the Caddy module information.
func (CaddyPKI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: provision.Namespace + ".caddy_pki", New: func() caddy.Module { return new(CaddyPKI) }}
}

// Provision finds the CA where the configuration has it. Its root vouches for devices, which no browser and no server has to trust: it
// is kept out of the trust stores of the system, where Caddy would install it when it starts.
func (a *CaddyPKI) Provision(ctx caddy.Context) (err error) {
	a.ctx, a.CA = ctx, cmp.Or(a.CA, devicesCA)
	a.local, err = provisioning.NewLocal(a.issuer, time.Now)
	if err != nil {
		return err
	}
	module, err := ctx.AppIfConfigured("pki")
	if err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
		return err
	}
	if pki, ok := module.(*caddypki.PKI); ok {
		a.ca = pki.CAs[a.CA]
	}
	switch {
	case a.CA == caddypki.DefaultCAID && a.ca == nil:
		return errors.New(`caddy_pki: the CA "local" is that of Caddy's own sites, and the configuration says nothing of it: name another one`)
	case a.CA == caddypki.DefaultCAID:
		ctx.Slogger().Warn("caddy_pki: the CA \"local\" is that of Caddy's own sites, whose intermediates live for a week unless it says otherwise")
	case a.ca != nil:
		a.ca.InstallTrust = new(bool)
	}
	return nil
}

// Start makes the CA where the configuration does not have it, and keeps its intermediates renewed until the configuration ends. It
// writes into Caddy's storage, which Provision must not.
func (a *CaddyPKI) Start() error {
	if a.ca != nil {
		return nil
	}
	ca := &caddypki.CA{
		ID: a.CA, Name: "Gatehouse devices", RootCommonName: "Gatehouse devices root", IntermediateCommonName: "Gatehouse devices intermediate",
		IntermediateLifetime: caddy.Duration(intermediateLifetime), RenewalWindowRatio: renewalWindow, InstallTrust: new(bool),
	}
	pki := &caddypki.PKI{CAs: map[string]*caddypki.CA{a.CA: ca}}
	if err := pki.Provision(a.ctx); err != nil {
		return fmt.Errorf("caddy_pki: %w", err)
	}
	if err := pki.Start(); err != nil {
		return fmt.Errorf("caddy_pki: %w", err)
	}
	a.ca = ca
	return nil
}

// issuer returns what the CA signs with. A renewal between the two calls gives a key that does not fit, which signing finds.
func (a *CaddyPKI) issuer() (provisioning.Issuer, error) {
	if a.ca == nil {
		return provisioning.Issuer{}, errors.New("caddy_pki has not started")
	}
	return provisioning.Issuer{Chain: a.ca.IntermediateCertificateChain(), Key: a.ca.IntermediateKey()}, nil
}

// Before has somebody see what is signed with.
func (a *CaddyPKI) Before(see provisioning.Before) { a.local.Before(see) }

// Issue signs a certificate.
func (a *CaddyPKI) Issue(ctx context.Context, order provisioning.Order) ([]*x509.Certificate, error) {
	return a.local.Issue(ctx, order)
}

// UnmarshalCaddyfile reads: caddy_pki [<ca>]
func (a *CaddyPKI) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	d.Args(&a.CA)
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block{}.Parse(d)
}

// Interface guards.
var (
	_ caddy.Provisioner      = (*CaddyPKI)(nil)
	_ provisioning.Authority = (*CaddyPKI)(nil)
	_ provision.Starter      = (*CaddyPKI)(nil)
	_ provision.Signer       = (*CaddyPKI)(nil)
	_ caddyfile.Unmarshaler  = (*CaddyPKI)(nil)
)
