// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/development"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/logging"
)

func init() { caddy.RegisterModule(Log{}) }

// Log writes text messages to the log instead of sending them, number and code included. It works only where development is on.
type Log struct {
	sms.Sender `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (Log) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.sms.log", New: func() caddy.Module { return new(Log) }}
}

// DevelopmentOnly says why this is not for production.
func (*Log) DevelopmentOnly() string {
	return "sms log writes codes and numbers to the log and sends nothing"
}

// Provision builds the sender.
func (m *Log) Provision(ctx caddy.Context) error {
	sender, err := logging.New(logging.Config{Logger: ctx.Slogger(), Now: time.Now})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	m.Sender = sender
	return nil
}

// UnmarshalCaddyfile reads: log
func (*Log) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{})
}

// Interface guards.
var (
	_ sms.Sender            = (*Log)(nil)
	_ development.Only      = (*Log)(nil)
	_ caddy.Provisioner     = (*Log)(nil)
	_ caddyfile.Unmarshaler = (*Log)(nil)
)
