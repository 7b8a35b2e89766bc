// SPDX-License-Identifier: Apache-2.0

package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/passhash"
)

// DefaultTimeout is the default of [Config].Timeout.
const DefaultTimeout = 5 * time.Second

// AttributeLogin is the attribute of a proof that holds the login name, so that a later form can be prefilled: what the row
// says, or else what was typed.
const AttributeLogin = "login"

// methodPassword is the authentication method of RFC 8176 2.
const methodPassword = "pwd"

// maxLogin is the longest login name in bytes.
const maxLogin = 512

// busyFor is when somebody may come back whose password could not be checked for want of room.
const busyFor = 2 * time.Second

// Reasons of a refusal, for the audit trail.
const (
	reasonMalformed = "malformed"
	reasonUnknown   = "unknown_login"
	reasonSeveral   = "ambiguous_login"
	reasonInactive  = "inactive"
	reasonNoID      = "no_id"
	reasonNone      = "no_password"
	reasonUnusable  = "unusable_hash"
	reasonWrong     = "wrong_password"
	reasonBusy      = "hasher_busy"
)

// Config describes a [Module]. Driver, DSN, Query and Logger are required.
type Config struct {
	// Driver is [Postgres] or [SQLite].
	Driver string
	// DSN says where the table is: for PostgreSQL a URL or the "key=value" form, for SQLite a path or a "file:" URI. It is a
	// secret: no error and no log repeats it.
	DSN string
	// Query is one SELECT, whose only parameter ($1, for SQLite also ?) is the login name. Its columns have meanings by their
	// names: id and password are required, name is optional, active and status let a user in only if they are true, and all
	// others are attributes.
	Query string
	// UserField and PasswordField are the answers the module looks at. Default: username and password.
	UserField, PasswordField string
	// Attributes are added to every identity, and stand before columns of the same name.
	Attributes map[string]string
	// Timeout bounds the query, and each attempt to connect. Default: [DefaultTimeout].
	Timeout time.Duration
	// Like is a password hash of the kind and cost that the users have: whoever is unknown costs as much work. Default: the hash
	// that was verified last.
	Like string
	// Logger is told of rows that cannot be used, by their id; never what else is in them.
	Logger *slog.Logger
}

// Module is the login module. It is safe for concurrent use, and connects when it is first used.
type Module struct {
	pool          *pool
	query         string
	userField     string
	passwordField string
	attributes    map[string]string
	timeout       time.Duration
	passwords     *passhash.Verifier
	logger        *slog.Logger
}

// Check returns an error that names the first thing that does not fit, as far as that can be told without what the DSN says.
func (c Config) Check() error {
	_, err := c.complete()
	return err
}

// complete returns the configuration with its defaults, and its query without what follows the end.
func (c Config) complete() (Config, error) {
	dialect, ok := dialects[c.Driver]
	if !ok {
		return c, fmt.Errorf("driver %q is neither %s nor %s", c.Driver, Postgres, SQLite)
	}
	if strings.TrimSpace(c.DSN) == "" {
		return c, errors.New("dsn is missing")
	}
	if strings.TrimSpace(c.Query) == "" {
		return c, errors.New("query is missing")
	}
	var err error
	if c.Query, err = dialect.check(c.Query); err != nil {
		return c, fmt.Errorf("query %w", err)
	}
	for name, value := range c.Attributes {
		if name == "" || !realm.ValidText(name, realm.MaxAttributeName) || !realm.ValidText(value, realm.MaxValue) {
			return c, fmt.Errorf("attribute %q is no printable text of moderate length", name)
		}
	}
	if c.Like != "" {
		if err := passhash.Check(c.Like); err != nil {
			return c, fmt.Errorf("hash_like is %w", err)
		}
	}
	if c.Timeout < 0 {
		return c, errors.New("time_out is negative")
	}
	c.UserField, c.PasswordField = cmp.Or(c.UserField, "username"), cmp.Or(c.PasswordField, "password")
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	return c, nil
}

// New returns a module, or an error that names the first thing in the configuration that does not fit. It connects to nothing.
func New(c Config) (*Module, error) {
	if c.Logger == nil {
		return nil, errors.New("reading users from a database: a logger is required")
	}
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	connector, err := dialects[c.Driver].connector(strings.TrimSpace(c.DSN), c.Timeout)
	if err != nil {
		return nil, fmt.Errorf("dsn %w", err)
	}
	passwords, err := passhash.New(passhash.Config{Like: c.Like})
	if err != nil {
		return nil, fmt.Errorf("hash_like: %w", err)
	}
	return &Module{
		pool: &pool{connector: connector}, query: c.Query, userField: c.UserField, passwordField: c.PasswordField,
		attributes: maps.Clone(c.Attributes), timeout: c.Timeout, passwords: passwords, logger: c.Logger,
	}, nil
}

// NeedsLogin tells that the table knows users by their login name only, whoever the issuer knows them as.
func (m *Module) NeedsLogin() bool { return true }

// Close closes what is connected. A closed module returns errors.
func (m *Module) Close() error { return m.pool.close() }

// Verify judges a login name and a password. What is wrong with the rows of one name is a refusal, after the same work as a wrong
// password; what is wrong with the query or the database is an error.
func (m *Module) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	login, password := c.Values[m.userField], c.Values[m.passwordField]
	if login == "" || password == "" || !realm.ValidText(login, maxLogin) {
		return m.spend(ctx, password, reasonMalformed)
	}
	found, err := m.find(ctx, login)
	if errors.Is(err, errSeveral) {
		return m.spend(ctx, password, reasonSeveral)
	}
	if err != nil {
		return realm.Result{}, err
	}
	if found == nil {
		return m.spend(ctx, password, reasonUnknown)
	}
	if found.hash == "" {
		return m.spend(ctx, password, reasonNone)
	}
	ok, err := m.passwords.Verify(ctx, found.hash, password)
	if unusable(err) {
		m.logger.WarnContext(ctx, "a stored password cannot be used", "user", found.id, "error", err)
		return refused(reasonUnusable), nil
	}
	switch {
	case err != nil:
		return unjudged(err)
	case found.obstacle != "":
		return refused(found.obstacle), nil
	case !ok:
		return refused(reasonWrong), nil
	}
	return realm.Result{Status: realm.Accepted, Identity: m.identity(found, login)}, nil
}

// find reads the user's row; nil when there is none, and [errSeveral] when nobody knows which one it is.
func (m *Module) find(ctx context.Context, login string) (*account, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	values, err := m.pool.row(ctx, m.query, login)
	if errors.Is(err, errSeveral) {
		m.logger.WarnContext(ctx, "a user's row cannot be used", "user", newAccount(values).id, "error", err)
	}
	if err != nil || values == nil {
		return nil, err
	}
	found := newAccount(values)
	if found.odd != "" {
		m.logger.WarnContext(ctx, "a user's row cannot be used", "user", found.id, "column", found.odd)
	}
	return found, nil
}

// spend refuses after the work of verifying a password.
func (m *Module) spend(ctx context.Context, password, reason string) (realm.Result, error) {
	if err := m.passwords.Spend(ctx, password); err != nil {
		return unjudged(err)
	}
	return refused(reason), nil
}

func refused(reason string) realm.Result { return realm.Result{Status: realm.Refused, Reason: reason} }

// unjudged is the end of an attempt whose password was not checked.
func unjudged(err error) (realm.Result, error) {
	if errors.Is(err, passhash.ErrBusy) {
		return realm.Result{Status: realm.Busy, RetryAfter: busyFor, Reason: reasonBusy}, nil
	}
	return realm.Result{}, err
}

// unusable reports whether the fault is the stored hash's.
func unusable(err error) bool {
	return errors.Is(err, passhash.ErrKind) || errors.Is(err, passhash.ErrFormat) || errors.Is(err, passhash.ErrCost)
}

func (m *Module) identity(found *account, login string) realm.Identity {
	attributes := map[string]string{AttributeLogin: login}
	maps.Copy(attributes, found.attributes)
	maps.Copy(attributes, m.attributes)
	return realm.Identity{ExternalID: found.id, Name: found.name, AMR: []string{methodPassword}, Attributes: attributes}
}
