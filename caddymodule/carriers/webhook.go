// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webhook"
)

func init() { caddy.RegisterModule(Webhook{}) }

// Webhook hands notifications to a service of the operator's own, signed by the issuer.
type Webhook struct {
	// The service: https, or http on this host where allow covers it.
	URL string `json:"url,omitempty"`
	// A name and a password by which the service knows who is calling. The password is usually {env.NAME} or {file.PATH}.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// A token instead, usually {env.NAME} or {file.PATH}.
	Bearer string `json:"bearer,omitempty"`
	// The addresses and networks, beside the public ones, that the service's name may stand for.
	Allow []string `json:"allow,omitempty"`
	Called

	push.Sender `json:"-"`
	config      webhook.Config
}

// CaddyModule returns the Caddy module information.
func (Webhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.push.webhook", New: func() caddy.Module { return new(Webhook) }}
}

// errUnsigned is what comes of sending before there is a key.
var errUnsigned = errors.New("no key has been given")

// Provision checks the configuration. It connects to nothing, and nothing can be sent before [Webhook.Sign].
func (m *Webhook) Provision(ctx caddy.Context) (err error) {
	if m.config, err = m.build(ctx.Slogger()); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return m.Sign(func() (jose.PrivateKey, error) { return jose.PrivateKey{}, errUnsigned })
}

// Sign has notifications signed by a key of the issuer's. It is called before anything is sent.
func (m *Webhook) Sign(key func() (jose.PrivateKey, error)) error {
	c := m.config
	c.Key = key
	sender, err := webhook.New(c)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	m.Sender, m.close = sender, sender.Close
	return nil
}

func (m *Webhook) build(logger *slog.Logger) (c webhook.Config, err error) {
	c = webhook.Config{Timeout: time.Duration(m.Timeout), Places: m.Places, Now: time.Now}
	to, err := m.resolve()
	if err != nil {
		return c, err
	}
	c.Roots = to.roots
	if m.URL == "" {
		return c, errors.New("it needs the address of your service: url <address>")
	}
	if c.Receiver.URL, err = known(m.URL, "url"); err != nil {
		return c, err
	}
	if c.Receiver.Allow, err = option.Networks("allow", m.Allow); err != nil {
		return c, err
	}
	c.Receiver.Credentials, err = m.credentials(logger)
	return c, err
}

func (m *Webhook) credentials(logger *slog.Logger) (none signedpost.Credentials, err error) {
	switch {
	case (m.User != "" || m.Password != "") && m.Bearer != "":
		return none, errors.New("it has basic_auth and bearer, and one call has one Authorization")
	case m.User != "" || m.Password != "":
		word, err := password(m.Password, "basic_auth", logger)
		if err != nil {
			return none, err
		}
		return signedpost.Basic(m.User, string(word))
	case m.Bearer != "":
		token, err := password(m.Bearer, "bearer", logger)
		if err != nil {
			return none, err
		}
		return signedpost.Bearer(string(token))
	}
	return none, nil
}

// UnmarshalCaddyfile reads:
//
//	webhook {
//		url        <url>
//		basic_auth <user> <password>
//		bearer     <token>
//		allow      <address...>
//		ca_file    <path>
//		time_out   <duration>
//		places     <number>
//	}
func (m *Webhook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{
		Options: m.options(map[string]option.Parse{
			"url": option.String(&m.URL), "basic_auth": two(&m.User, &m.Password), "bearer": option.String(&m.Bearer),
			"allow": option.Strings(&m.Allow),
		}),
		Repeat: []string{"allow"},
	})
}

// two reads exactly two arguments.
func two(first, second *string) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		name, args := d.Val(), d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf("option %q needs two values", name)
		}
		*first, *second = args[0], args[1]
		return nil
	}
}

// Interface guards.
var (
	_ push.Sender           = (*Webhook)(nil)
	_ caddy.Provisioner     = (*Webhook)(nil)
	_ caddy.CleanerUpper    = (*Webhook)(nil)
	_ caddyfile.Unmarshaler = (*Webhook)(nil)
)
