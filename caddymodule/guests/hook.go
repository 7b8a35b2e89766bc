// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/hooks"
)

func init() { caddy.RegisterModule(Hook{}) }

// Hook asks a service of the operator's about devices, by one POST of JSON: whether one gets its first certificate, or whether it may
// begin a session. Nobody is let in by anything but an answer with status 200 that says so.
type Hook struct {
	// The service: https, or http on this host.
	URL string `json:"url,omitempty"`
	// The header fields that tell the service who is asking, usually with {env.NAME} or {file.PATH} in their values.
	Header map[string]string `json:"header,omitempty"`
	// How long the service may take, at most what the realm has. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// A file with the certificate authorities that may vouch for the service. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`
	// The certificate that is shown to the service. Default: none.
	ClientCertificate *KeyPair `json:"client_certificate,omitempty"`

	client  *callout.Client
	service *hooks.Service
}

// CaddyModule returns the Caddy module information.
func (Hook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: provision.HookNamespace + ".webhook", New: func() caddy.Module { return new(Hook) }}
}

// Provision builds the client. It connects to nothing.
func (h *Hook) Provision(ctx caddy.Context) error {
	if err := h.build(ctx.Slogger()); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

func (h *Hook) build(logger *slog.Logger) error {
	c, err := h.backend().resolve(logger)
	if err != nil {
		return err
	}
	return h.assemble(c)
}

// check looks at the options together. What is known only where the server runs stands for itself.
func (h *Hook) check() error { return h.assemble(h.backend().sketch()) }

func (h *Hook) backend() backend {
	return backend{url: h.URL, header: h.Header, caFile: h.CAFile, keys: h.ClientCertificate, timeout: h.Timeout}
}

func (h *Hook) assemble(c callout.Config) (err error) {
	if h.client, err = callout.New(c); err != nil {
		return err
	}
	h.service, err = hooks.New(h.client)
	return err
}

// Cleanup lets go of connections.
func (h *Hook) Cleanup() error {
	if h.client != nil {
		h.client.Close()
	}
	return nil
}

// ValidateRequest asks about a device that wants its first certificate.
func (h *Hook) ValidateRequest(ctx context.Context, a provisioning.Applicant) (provisioning.Verdict, error) {
	return h.service.ValidateRequest(ctx, a)
}

// ValidateCertificate asks about a device that begins a session.
func (h *Hook) ValidateCertificate(ctx context.Context, s provisioning.Session) (provisioning.Verdict, error) {
	return h.service.ValidateCertificate(ctx, s)
}

// UnmarshalCaddyfile reads:
//
//	webhook <url> {
//		header             <name> <value>
//		time_out           <duration>
//		ca_file            <path>
//		client_certificate <certificate> <key>
//	}
func (h *Hook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&h.URL)(d); err != nil {
		return err
	}
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"header": option.Pair(&h.Header), "time_out": option.Duration(&h.Timeout), "ca_file": option.String(&h.CAFile),
			"client_certificate": parseKeyPair(&h.ClientCertificate),
		},
		Repeat: []string{"header"},
	}, h.check)
}

// Interface guards.
var (
	_ provisioning.RequestValidator     = (*Hook)(nil)
	_ provisioning.CertificateValidator = (*Hook)(nil)
	_ caddy.Provisioner                 = (*Hook)(nil)
	_ caddy.CleanerUpper                = (*Hook)(nil)
	_ caddyfile.Unmarshaler             = (*Hook)(nil)
)
