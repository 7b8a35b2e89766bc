// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/adapterauth"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

func init() { caddy.RegisterModule(Adapter{}) }

// Adapter leaves a realm to a back end, which says by JSON over HTTPS what to ask and judges the answers, in any number of rounds. It
// needs no login module, unless the back end hands over credentials for one.
type Adapter struct {
	// The back end: https, or http on this host.
	URL string `json:"url,omitempty"`
	// The header fields that tell the back end who is asking, usually with {env.NAME} or {file.PATH} in their values.
	Header map[string]string `json:"header,omitempty"`
	// How often the back end is asked about one person before that is refused. Default: 10.
	Rounds int `json:"rounds,omitempty"`
	// How long the back end may take in each round, at most what the realm has. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// A file with the certificate authorities that may vouch for the back end. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`
	// The file in the theme's folder templates/login that is the page. Default: the common login page.
	Template string `json:"template,omitempty"`
	// What the page says after a refusal. Default: the common text.
	Refused string `json:"refused,omitempty"`

	client        *callout.Client
	authenticator *adapterauth.Authenticator
}

// CaddyModule returns the Caddy module information.
func (Adapter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.adapter", New: func() caddy.Module { return new(Adapter) }}
}

// Provision builds the authenticator. It connects to nothing.
func (a *Adapter) Provision(ctx caddy.Context) error {
	if err := a.build(ctx.Slogger()); err != nil {
		return fmt.Errorf("authenticator adapter: %w", err)
	}
	return nil
}

func (a *Adapter) build(logger *slog.Logger) error {
	c, err := a.backend().resolve(logger)
	if err != nil {
		return err
	}
	return a.assemble(c)
}

// check looks at the options together. What is known only where the server runs stands for itself.
func (a *Adapter) check() error { return a.assemble(a.backend().sketch()) }

func (a *Adapter) backend() backend {
	return backend{url: a.URL, header: a.Header, caFile: a.CAFile, timeout: a.Timeout}
}

// assemble builds the authenticator on a back end.
func (a *Adapter) assemble(c callout.Config) (err error) {
	if a.client, err = callout.New(c); err != nil {
		return err
	}
	a.authenticator, err = adapterauth.New(adapterauth.Config{
		Backend: a.client, Rounds: a.Rounds, Template: a.Template, Refused: a.Refused,
	})
	return err
}

// Cleanup lets go of connections.
func (a *Adapter) Cleanup() error {
	if a.client != nil {
		a.client.Close()
	}
	return nil
}

// LoginPages names the page that the theme has to have. What it has to ask is for the back end to say.
func (a *Adapter) LoginPages() []web.OwnLogin {
	if a.Template == "" {
		return nil
	}
	return []web.OwnLogin{{Template: a.Template}}
}

// Collect asks the back end what to do.
func (a *Adapter) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return a.authenticator.Collect(ctx, in)
}

// Verify accepts whom the back end has named.
func (a *Adapter) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return a.authenticator.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	adapter <url> {
//		header   <name> <value>
//		rounds   <n>
//		time_out <duration>
//		ca_file  <path>
//		template <file>
//		refused  <text>
//	}
func (a *Adapter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&a.URL)(d); err != nil {
		return err
	}
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"header": option.Pair(&a.Header), "rounds": option.Number(&a.Rounds), "time_out": option.Duration(&a.Timeout),
			"ca_file": option.String(&a.CAFile), "template": option.String(&a.Template), "refused": option.String(&a.Refused),
		},
		Repeat: []string{"header"},
	}, a.check)
}

// Interface guards.
var (
	_ realm.Authenticator    = (*Adapter)(nil)
	_ realm.LoginModule      = (*Adapter)(nil)
	_ caddymodule.LoginPager = (*Adapter)(nil)
	_ caddy.Provisioner      = (*Adapter)(nil)
	_ caddy.CleanerUpper     = (*Adapter)(nil)
	_ caddyfile.Unmarshaler  = (*Adapter)(nil)
)
