// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/database"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
)

func init() { caddy.RegisterModule(Database{}) }

// Database verifies a user name and a password against a users table in PostgreSQL or SQLite.
type Database struct {
	// The database: postgres or sqlite.
	Driver string `json:"driver,omitempty"`
	// Where it is, usually as {env.NAME} or {file.PATH}: for PostgreSQL a URL or key=value pairs, for SQLite the path of the file.
	DSN string `json:"dsn,omitempty"`
	// One SELECT whose only parameter, $1, is the login name. It returns the columns id and password; name, active and status mean
	// what they say, and others are attributes.
	Query string `json:"query,omitempty"`
	// The answer that is the login name. Default: username.
	UserField string `json:"user_field,omitempty"`
	// The answer that is the password. Default: password.
	PasswordField string `json:"password_field,omitempty"`
	// Attributes that every user of the table has.
	Attributes map[string]string `json:"attributes,omitempty"`
	// How long the query may take, and each attempt to connect. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// A password hash of the kind and cost that most users have: somebody who is unknown is refused after as much work. Default:
	// the one verified last.
	HashLike string `json:"hash_like,omitempty"`

	module *database.Module
}

// CaddyModule returns the Caddy module information.
func (Database) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.database", New: func() caddy.Module { return new(Database) }}
}

// Provision builds the login module. It connects to nothing.
func (m *Database) Provision(ctx caddy.Context) error {
	logger := ctx.Slogger()
	config := m.config(logger)
	dsn, err := caddy.NewReplacer().ReplaceOrErr(m.DSN, true, true)
	if err != nil {
		return fmt.Errorf("login_module database: dsn: %w", err)
	}
	if secret.InDSN(m.DSN) {
		secret.InClear("login_module database", logger)
	}
	config.DSN = dsn
	if m.module, err = database.New(config); err != nil {
		return fmt.Errorf("login_module database: %w", err)
	}
	return nil
}

func (m *Database) config(logger *slog.Logger) database.Config {
	return database.Config{
		Driver: m.Driver, DSN: m.DSN, Query: m.Query, UserField: m.UserField, PasswordField: m.PasswordField,
		Attributes: m.Attributes, Timeout: time.Duration(m.Timeout), Like: m.HashLike, Logger: logger,
	}
}

// check looks at everything but what the DSN says.
func (m *Database) check() error { return m.config(nil).Check() }

// Cleanup closes what is connected.
func (m *Database) Cleanup() error {
	if m.module == nil {
		return nil
	}
	return m.module.Close()
}

// NeedsLogin reports that users who are known are asked for their name as well.
func (m *Database) NeedsLogin() bool { return m.module.NeedsLogin() }

// Verify judges the credentials.
func (m *Database) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	database {
//		driver         postgres|sqlite
//		dsn            <dsn>
//		query          <query>
//		user_field     <field>
//		password_field <field>
//		attribute      <name> <value>
//		time_out       <duration>
//		hash_like      <hash>
//	}
func (m *Database) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"driver": option.String(&m.Driver), "dsn": option.String(&m.DSN), "query": option.String(&m.Query),
			"user_field": option.String(&m.UserField), "password_field": option.String(&m.PasswordField),
			"attribute": option.Pair(&m.Attributes), "time_out": option.Duration(&m.Timeout), "hash_like": option.String(&m.HashLike),
		},
		Repeat: []string{"attribute"},
	}, m.check)
}

// Interface guards.
var (
	_ realm.LoginModule     = (*Database)(nil)
	_ realm.NeedsLogin      = (*Database)(nil)
	_ caddy.Provisioner     = (*Database)(nil)
	_ caddy.CleanerUpper    = (*Database)(nil)
	_ caddyfile.Unmarshaler = (*Database)(nil)
)
