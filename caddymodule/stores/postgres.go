// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
)

func init() { caddy.RegisterModule(Postgres{}) }

// Postgres keeps records in a PostgreSQL database, which several nodes share. All nodes need the same seal_key.
type Postgres struct {
	// How to connect: a connection string of libpq's, usually a placeholder.
	DSN string `json:"dsn"`
	// Where the tables are. Default: "gatehouse".
	Schema string `json:"schema,omitempty"`
	// How many connections a node opens at most. Default: 16.
	Connections int `json:"connections,omitempty"`
	// How long one answer of the database may take. Default: 10s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// How long to wait for a connection when all are in use. Default: 5s.
	Wait caddy.Duration `json:"wait,omitempty"`
	// Whether nodes tell each other what they have committed: "on" or "off". Default: "on", but for nodes behind a pooler.
	Notices string `json:"notices,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.storage.postgres", New: func() caddy.Module { return new(Postgres) }}
}

// Provision resolves the DSN. It connects to nothing.
func (p *Postgres) Provision(ctx caddy.Context) error {
	if secret.InDSN(p.DSN) {
		secret.InClear("storage postgres", ctx.Slogger())
	}
	var err error
	if p.DSN, err = caddy.NewReplacer().ReplaceOrErr(p.DSN, true, true); err != nil {
		return fmt.Errorf("storage postgres: %w", err)
	}
	_, err = p.Key()
	return err
}

// Validate refuses what cannot be.
func (p *Postgres) Validate() error { return p.check() }

func (p *Postgres) check() error {
	switch {
	case p.DSN == "":
		return errors.New("storage postgres needs a DSN, such as {env.GATEHOUSE_DSN}")
	case p.Connections != 0 && p.Connections < 2:
		return errors.New("storage postgres: connections has to be at least 2")
	case p.Timeout < 0 || p.Wait < 0:
		return errors.New("storage postgres: a time below zero")
	case p.Notices != "" && p.Notices != "on" && p.Notices != "off":
		return fmt.Errorf("storage postgres: notices are on or off, not %q", p.Notices)
	}
	return nil
}

// Key names the database and the schema: two configurations never open the same tables twice, whatever else they say.
func (p *Postgres) Key() (string, error) {
	where, err := pgstore.Where(p.DSN, p.Schema)
	if err != nil {
		return "", fmt.Errorf("storage postgres: %w", err)
	}
	return "postgres:" + where, nil
}

// Open connects.
func (p *Postgres) Open(ctx context.Context, o pool.Options) (storage.DB, error) {
	return pgstore.Open(ctx, pgstore.Config{
		DSN: p.DSN, Schema: p.Schema, MaxConns: p.Connections, Timeout: time.Duration(p.Timeout), AcquireTimeout: time.Duration(p.Wait),
		Now: o.Now, Logger: o.Logger, Observe: o.Observe, Leads: o.Leads, NoNotices: p.Notices == "off",
	})
}

// Shared says that several nodes use the store.
func (p *Postgres) Shared() bool { return true }

// Sealer is an error: what one node seals the others have to open, so there is no key that a node could make for itself.
func (p *Postgres) Sealer() (storage.Sealer, error) {
	return nil, errors.New("storage postgres needs a seal_key, the same on all nodes: seal_key {env.GATEHOUSE_SEAL_KEY} " +
		"(openssl rand -base64 32 makes one)")
}

// UnmarshalCaddyfile reads:
//
//	postgres <dsn> {
//		schema      <name>
//		connections <number>
//		time_out    <duration>
//		wait        <duration>
//		notices     on|off
//	}
func (p *Postgres) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if !d.NextArg() {
		return d.Err("storage postgres needs a DSN, such as {env.GATEHOUSE_DSN}")
	}
	p.DSN = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	err := option.Block{Options: map[string]option.Parse{
		"schema": option.String(&p.Schema), "connections": option.Number(&p.Connections),
		"time_out": option.Duration(&p.Timeout), "wait": option.Duration(&p.Wait),
		"notices": option.String(&p.Notices),
	}}.Parse(d)
	if err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Interface guards.
var (
	_ pool.Engine           = (*Postgres)(nil)
	_ pool.Shared           = (*Postgres)(nil)
	_ caddy.Provisioner     = (*Postgres)(nil)
	_ caddy.Validator       = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
)
