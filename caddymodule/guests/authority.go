// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/est"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/webhook"
)

func init() {
	caddy.RegisterModule(EST{})
	caddy.RegisterModule(WebhookAuthority{})
}

// namesAny takes certificates whatever they call the device.
const namesAny = "any"

// checkNames refuses what is neither the usual nor any.
func checkNames(names, usual string) error {
	if names != "" && names != usual && names != namesAny {
		return fmt.Errorf("names %q is none of: %s, any", names, usual)
	}
	return nil
}

// EST has certificates issued by a certification authority over EST (RFC 7030).
type EST struct {
	// The server: https, with the path of the operations where that is not /.well-known/est.
	URL string `json:"url,omitempty"`
	// A file with the certificate authorities that vouch for the server, in PEM. Required: those of the system do not.
	CAFile string `json:"ca_file,omitempty"`
	// The name and the password that are shown to the server. Default: none.
	Username string `json:"username,omitempty"`
	// The password, usually {env.NAME} or {file.PATH}.
	Password string `json:"password,omitempty"`
	// The certificate that is shown to the server. Default: none.
	ClientCertificate *KeyPair `json:"client_certificate,omitempty"`
	// What certificates may call devices: request, which is the subject of the request and nothing else; or any. Default: request.
	Names string `json:"names,omitempty"`
	// How long the server may take. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`

	authority *est.Authority
}

// CaddyModule returns the Caddy module information.
func (EST) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: provision.Namespace + ".est", New: func() caddy.Module { return new(EST) }}
}

// Provision reads the files. It connects to nothing.
func (a *EST) Provision(ctx caddy.Context) error {
	if err := a.build(ctx.Slogger()); err != nil {
		return fmt.Errorf("authority est: %w", err)
	}
	return nil
}

func (a *EST) build(logger *slog.Logger) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	if c.Password, err = secret.Resolve(a.Password, "the password of the EST server", logger); err != nil {
		return fmt.Errorf("basic_auth: %w", err)
	}
	if c.Roots, err = trust.Pool(a.CAFile); err != nil {
		return err
	}
	if c.Certificates, err = a.ClientCertificate.load(); err != nil {
		return err
	}
	a.authority, err = est.New(c)
	return err
}

// config is what is known before the server runs.
func (a *EST) config() (est.Config, error) {
	if a.CAFile == "" {
		return est.Config{}, errors.New("ca_file is missing: it says who vouches for the server")
	}
	return est.Config{
		URL: a.URL, Username: a.Username, Password: a.Password, AnyNames: a.Names == namesAny, Timeout: time.Duration(a.Timeout), Now: time.Now,
	}, checkNames(a.Names, "request")
}

// check looks at the options together.
func (a *EST) check() error {
	c, err := a.config()
	if err != nil {
		return err
	}
	c.Roots = x509.NewCertPool() // the file is read where the server runs
	_, err = est.New(c)
	return err
}

// Cleanup lets go of connections.
func (a *EST) Cleanup() error {
	if a.authority != nil {
		a.authority.Close()
	}
	return nil
}

// Issue asks for a certificate.
func (a *EST) Issue(ctx context.Context, order provisioning.Order) ([]*x509.Certificate, error) {
	return a.authority.Issue(ctx, order)
}

// Sovereign reports that names are looked at by what asks, and not compared with those ordered.
func (a *EST) Sovereign() bool { return true }

// UnmarshalCaddyfile reads:
//
//	est <url> {
//		ca_file            <path>
//		basic_auth         <name> <password>
//		client_certificate <certificate> <key>
//		names              request|any
//		time_out           <duration>
//	}
func (a *EST) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&a.URL)(d); err != nil {
		return err
	}
	return read(d, option.Block{Options: map[string]option.Parse{
		"ca_file": option.String(&a.CAFile), "basic_auth": a.parseAuth, "client_certificate": parseKeyPair(&a.ClientCertificate),
		"names": option.String(&a.Names), "time_out": option.Duration(&a.Timeout),
	}}, a.check)
}

// parseAuth reads: basic_auth <name> <password>
func (a *EST) parseAuth(d *caddyfile.Dispenser) error {
	if !d.Args(&a.Username, &a.Password) || d.NextArg() {
		return d.Err("basic_auth needs a name and a password")
	}
	return nil
}

// WebhookAuthority has certificates issued by a service of the operator's, which is asked by one POST of JSON for each.
type WebhookAuthority struct {
	// The service: https, or http on this host.
	URL string `json:"url,omitempty"`
	// The header fields that tell the service who is asking, usually with {env.NAME} or {file.PATH} in their values.
	Header map[string]string `json:"header,omitempty"`
	// What certificates may call devices: ordered, which is the name and the subject that the service is told; or any. Default: ordered.
	Names string `json:"names,omitempty"`
	// How long the service may take. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// A file with the certificate authorities that may vouch for the service. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`
	// The certificate that is shown to the service. Default: none.
	ClientCertificate *KeyPair `json:"client_certificate,omitempty"`

	client    *callout.Client
	authority *webhook.Authority
}

// CaddyModule returns the Caddy module information.
func (WebhookAuthority) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: provision.Namespace + ".webhook", New: func() caddy.Module { return new(WebhookAuthority) }}
}

// Provision builds the client. It connects to nothing.
func (a *WebhookAuthority) Provision(ctx caddy.Context) error {
	c, err := a.backend().resolve(ctx.Slogger())
	if err == nil {
		err = a.assemble(c)
	}
	if err != nil {
		return fmt.Errorf("authority webhook: %w", err)
	}
	return nil
}

func (a *WebhookAuthority) backend() backend {
	return backend{url: a.URL, header: a.Header, caFile: a.CAFile, keys: a.ClientCertificate, timeout: a.Timeout}
}

func (a *WebhookAuthority) assemble(c callout.Config) (err error) {
	if a.client, err = callout.New(c); err != nil {
		return err
	}
	a.authority, err = webhook.New(webhook.Config{Service: a.client, AnyNames: a.Names == namesAny, Now: time.Now})
	return errors.Join(err, checkNames(a.Names, "ordered"))
}

// Cleanup lets go of connections.
func (a *WebhookAuthority) Cleanup() error {
	if a.client != nil {
		a.client.Close()
	}
	return nil
}

// Issue asks for a certificate.
func (a *WebhookAuthority) Issue(ctx context.Context, order provisioning.Order) ([]*x509.Certificate, error) {
	return a.authority.Issue(ctx, order)
}

// Sovereign reports whether the service may call devices what it likes.
func (a *WebhookAuthority) Sovereign() bool { return a.authority.Sovereign() }

// UnmarshalCaddyfile reads:
//
//	webhook <url> {
//		header             <name> <value>
//		names              ordered|any
//		time_out           <duration>
//		ca_file            <path>
//		client_certificate <certificate> <key>
//	}
func (a *WebhookAuthority) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&a.URL)(d); err != nil {
		return err
	}
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"header": option.Pair(&a.Header), "names": option.String(&a.Names), "time_out": option.Duration(&a.Timeout),
			"ca_file": option.String(&a.CAFile), "client_certificate": parseKeyPair(&a.ClientCertificate),
		},
		Repeat: []string{"header"},
	}, func() error { return a.assemble(a.backend().sketch()) })
}

// Interface guards.
var (
	_ provisioning.Authority = (*EST)(nil)
	_ provisioning.Sovereign = (*EST)(nil)
	_ caddy.Provisioner      = (*EST)(nil)
	_ caddy.CleanerUpper     = (*EST)(nil)
	_ caddyfile.Unmarshaler  = (*EST)(nil)
	_ provisioning.Authority = (*WebhookAuthority)(nil)
	_ provisioning.Sovereign = (*WebhookAuthority)(nil)
	_ caddy.Provisioner      = (*WebhookAuthority)(nil)
	_ caddy.CleanerUpper     = (*WebhookAuthority)(nil)
	_ caddyfile.Unmarshaler  = (*WebhookAuthority)(nil)
)
