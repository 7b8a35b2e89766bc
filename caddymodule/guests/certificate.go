// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/certauth"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
)

func init() { caddy.RegisterModule(Certificate{}) }

// Certificate knows people by the TLS client certificate that the server has verified, by client_auth in the site's tls. It is its
// own login module; beside another one it only reads the certificate.
type Certificate struct {
	// The values are fields of the certificate: subject_dn, serial, san_email, san_uri, san_dns, cn, fingerprint and issuer_dn. The
	// id is subject_dn and amr is swk by default.
	Mapping
	// Files with the certificate authorities that are accepted, among those that the server verifies with. Default: all of these.
	IssuerCA []string `json:"issuer_ca,omitempty"`

	authenticator *certauth.Authenticator
}

// CaddyModule returns the Caddy module information.
func (Certificate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.certificate", New: func() caddy.Module { return new(Certificate) }}
}

// Provision reads the certificate authorities and builds the authenticator.
func (c *Certificate) Provision(ctx caddy.Context) error {
	var issuers []*x509.Certificate
	for _, path := range c.IssuerCA {
		found, err := trust.Certificates(path)
		if err != nil {
			return fmt.Errorf("issuer_ca %q: %w", path, err)
		}
		issuers = append(issuers, found...)
	}
	var err error
	c.authenticator, err = certauth.New(certauth.Config{
		Mapping: c.mapping(), Issuers: issuers, Now: time.Now, Logger: ctx.Slogger(),
	})
	return err
}

// Collect reads the certificate.
func (c *Certificate) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return c.authenticator.Collect(ctx, in)
}

// Verify accepts whom the certificate names.
func (c *Certificate) Verify(ctx context.Context, credentials realm.Credentials) (realm.Result, error) {
	return c.authenticator.Verify(ctx, credentials)
}

// UnmarshalCaddyfile reads:
//
//	certificate {
//		id        <field>
//		issuer_ca <file...>
//		name      <field>
//		attribute <name> <field>
//		amr       <method...>
//	}
func (c *Certificate) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	block := c.options(map[string]option.Parse{"issuer_ca": option.Strings(&c.IssuerCA)})
	return read(d, block, func() error { return certauth.Check(c.mapping(), len(c.IssuerCA)) })
}

// Interface guards.
var (
	_ realm.Authenticator   = (*Certificate)(nil)
	_ realm.LoginModule     = (*Certificate)(nil)
	_ caddyfile.Unmarshaler = (*Certificate)(nil)
)
