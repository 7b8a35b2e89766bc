// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/webservice"
	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
	"github.com/gatehouse-id/gatehouse/internal/callout"
)

func init() { caddy.RegisterModule(WebService{}) }

// WebService has a web service judge a user name and a password: it is asked by one POST of JSON and answers JSON. Status 200 with
// an id is an acceptance, 401, 403 and 404 are refusals, 423 and 429 ask to wait, and anything else is a fault.
type WebService struct {
	// The service: https, or http on this host.
	URL string `json:"url,omitempty"`
	// The header fields that tell the service who is asking, usually with {env.NAME} or {file.PATH} in their values.
	Header map[string]string `json:"header,omitempty"`
	// What is sent, of username, password, client_ip, realm and locale, each with the name that it is sent under. Default: all of it,
	// under its own name.
	Send map[string]string `json:"send,omitempty"`
	// The path to the user's id in the answer, by which he is found again: names with dots between them, or a JSON pointer.
	ID string `json:"id,omitempty"`
	// The path to the name to show. Default: none.
	Name string `json:"name,omitempty"`
	// The user's attributes, each with the path to it.
	Attributes map[string]string `json:"attributes,omitempty"`
	// The path to what must be true. Default: an id is enough.
	OKField string `json:"ok_field,omitempty"`
	// The answer that is the user name. Default: username.
	UserField string `json:"user_field,omitempty"`
	// The answer that is the password. Default: password.
	PasswordField string `json:"password_field,omitempty"`
	// How long the service may take. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// When the service is left alone. Default: for 30s after 5 faults in a row.
	Breaker *BreakerConfig `json:"breaker,omitempty"`
	// A file with the certificate authorities that may vouch for the service. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`
	// The certificate that is shown to the service. Default: none.
	ClientCertificate *KeyPair `json:"client_certificate,omitempty"`

	client *callout.Client
	module *webservice.Module
}

// BreakerConfig says when a service is left alone.
type BreakerConfig struct {
	// How many faults in a row are enough.
	Faults int `json:"faults"`
	// How long it is left alone before one login is tried.
	Pause caddy.Duration `json:"pause"`
}

// KeyPair is a certificate and its key.
type KeyPair struct {
	// The file with the certificate, in PEM.
	Certificate string `json:"certificate"`
	// The file with its key, in PEM.
	Key string `json:"key"`
}

// CaddyModule returns the Caddy module information.
func (WebService) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.web_service", New: func() caddy.Module { return new(WebService) }}
}

// Provision builds the login module. It connects to nothing.
func (m *WebService) Provision(ctx caddy.Context) error {
	if err := m.build(ctx.Slogger()); err != nil {
		return fmt.Errorf("login_module web_service: %w", err)
	}
	return nil
}

func (m *WebService) build(logger *slog.Logger) error {
	service, err := m.backend().resolve(logger)
	if err != nil {
		return err
	}
	if err := m.assemble(service, logger); err != nil {
		return err
	}
	meter.Service(host(service.URL), false)
	return nil
}

// check looks at the options together. What is known only where the server runs stands for itself.
func (m *WebService) check() error {
	return m.assemble(m.backend().sketch(), slog.New(slog.DiscardHandler))
}

func (m *WebService) backend() backend {
	return backend{url: m.URL, header: m.Header, caFile: m.CAFile, keys: m.ClientCertificate, timeout: m.Timeout}
}

// assemble builds the login module on a service.
func (m *WebService) assemble(service callout.Config, logger *slog.Logger) (err error) {
	if m.client, err = callout.New(service); err != nil {
		return err
	}
	name := host(service.URL)
	c := webservice.Config{
		Service: m.client,
		Name:    name, Send: m.Send, ID: m.ID, Display: m.Name, Attributes: m.Attributes, OK: m.OKField,
		UserField: m.UserField, PasswordField: m.PasswordField, Now: time.Now, Logger: logger,
		Breaker: webservice.Breaker{Observe: func(state string) { meter.Service(name, state != webservice.StateClosed) }},
	}
	if m.Breaker != nil {
		c.Breaker.Faults, c.Breaker.Pause = m.Breaker.Faults, time.Duration(m.Breaker.Pause)
	}
	m.module, err = webservice.New(c)
	return err
}

// host is what the log and metrics call a service: an address may hold a secret.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// load reads the files; nil has none.
func (p *KeyPair) load() ([]tls.Certificate, error) {
	if p == nil {
		return nil, nil
	}
	pair, err := trust.Pair(p.Certificate, p.Key)
	if err != nil {
		return nil, fmt.Errorf("client_certificate: %w", err)
	}
	return []tls.Certificate{pair}, nil
}

// Cleanup lets go of connections.
func (m *WebService) Cleanup() error {
	if m.client != nil {
		m.client.Close()
	}
	return nil
}

// NeedsLogin reports that users who are known are asked for their name as well.
func (m *WebService) NeedsLogin() bool { return m.module.NeedsLogin() }

// Verify judges the credentials.
func (m *WebService) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	web_service <url> {
//		header             <name> <value>
//		send               <what> <name>
//		id                 <path>
//		name               <path>
//		attribute          <name> <path>
//		ok_field           <path>
//		user_field         <field>
//		password_field     <field>
//		time_out           <duration>
//		breaker            <faults> <pause>
//		ca_file            <path>
//		client_certificate <certificate> <key>
//	}
func (m *WebService) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&m.URL)(d); err != nil {
		return err
	}
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"header": option.Pair(&m.Header), "send": option.Pair(&m.Send),
			"id": option.String(&m.ID), "name": option.String(&m.Name), "attribute": option.Pair(&m.Attributes),
			"ok_field": option.String(&m.OKField), "user_field": option.String(&m.UserField), "password_field": option.String(&m.PasswordField),
			"time_out": option.Duration(&m.Timeout), "breaker": m.parseBreaker, "ca_file": option.String(&m.CAFile),
			"client_certificate": parseKeyPair(&m.ClientCertificate),
		},
		Repeat: []string{"header", "send", "attribute"},
	}, m.check)
}

// parseBreaker reads: breaker <faults> <pause>
func (m *WebService) parseBreaker(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("breaker needs a number of faults and a duration")
	}
	faults, err := strconv.Atoi(args[0])
	pause, other := caddy.ParseDuration(args[1])
	if errors.Join(err, other) != nil || faults < 1 || pause <= 0 {
		return d.Errf("breaker needs a number of faults and a duration, such as 5 30s, not %q %q", args[0], args[1])
	}
	m.Breaker = &BreakerConfig{Faults: faults, Pause: caddy.Duration(pause)}
	return nil
}

// parseKeyPair reads: client_certificate <certificate> <key>
func parseKeyPair(into **KeyPair) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Err("client_certificate needs the file of the certificate and the file of its key")
		}
		*into = &KeyPair{Certificate: args[0], Key: args[1]}
		return nil
	}
}

// Interface guards.
var (
	_ realm.LoginModule     = (*WebService)(nil)
	_ realm.NeedsLogin      = (*WebService)(nil)
	_ caddy.Provisioner     = (*WebService)(nil)
	_ caddy.CleanerUpper    = (*WebService)(nil)
	_ caddyfile.Unmarshaler = (*WebService)(nil)
)
