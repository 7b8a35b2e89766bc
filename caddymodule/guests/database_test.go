// SPDX-License-Identifier: Apache-2.0

package guests_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/guests"
)

// usersTable makes a table with one user, and a file that says where it is.
func usersTable(t *testing.T) (dsn string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "users.db")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	hash, err := bcrypt.GenerateFromPassword([]byte("wonderland"), bcrypt.MinCost)
	must(t, err)
	_, err = db.ExecContext(t.Context(), `CREATE TABLE people (no INTEGER, mail TEXT, hash TEXT);
		INSERT INTO people VALUES (7, 'alice@example.com', ?1)`, string(hash))
	must(t, err)
	must(t, db.Close())
	dsn = filepath.Join(dir, "dsn")
	must(t, os.WriteFile(dsn, []byte(path+"\n"), 0o600))
	return "{file." + dsn + "}"
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// parse reads a module's block.
func parse(t *testing.T, module caddyfile.Unmarshaler, text string) {
	t.Helper()
	must(t, module.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)))
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	dsn := usersTable(t)
	read := new(guests.Database)
	parse(t, read, `database {
		driver sqlite
		dsn `+dsn+`
		query "SELECT no AS id, hash AS password FROM people WHERE mail = $1"
		user_field mail
		password_field pin
		attribute tenant acme
		time_out 3s
		hash_like $2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu
	}`)
	// What the Caddyfile says survives as JSON, where the secret is not.
	text, err := json.Marshal(read)
	must(t, err)
	if strings.Contains(string(text), "users.db") || !strings.Contains(string(text), `"time_out":3000000000`) {
		t.Errorf("the JSON is %s", text)
	}
	m := new(guests.Database)
	must(t, json.Unmarshal(text, m))

	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	must(t, m.Provision(ctx))
	if !m.NeedsLogin() {
		t.Error("it does not ask for the login name")
	}
	for _, tt := range []struct {
		pin  string
		want realm.Status
		id   string
	}{{"wonderland", realm.Accepted, "7"}, {"guess", realm.Refused, ""}} {
		got, err := m.Verify(t.Context(), realm.Credentials{Values: map[string]string{"mail": "alice@example.com", "pin": tt.pin}})
		if err != nil || got.Status != tt.want || got.Identity.ExternalID != tt.id {
			t.Errorf("with %q: %+v, %v", tt.pin, got, err)
		}
		if tt.id != "" && got.Identity.Attributes["tenant"] != "acme" {
			t.Errorf("the attributes are %v", got.Identity.Attributes)
		}
	}
	must(t, m.Cleanup())
	if _, err := m.Verify(context.Background(), realm.Credentials{Values: map[string]string{"mail": "a", "pin": "b"}}); err == nil {
		t.Error("it works on after it was cleaned up")
	}
}

// TestDatabaseOpensNothing: "caddy validate" provisions beside a live server, and where the database may not even be.
func TestDatabaseOpensNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, module := range []*guests.Database{
		{Driver: "sqlite", DSN: filepath.Join(dir, "none.db")},
		{Driver: "postgres", DSN: "postgres://app:secret@192.0.2.1/users?sslmode=verify-full"},
	} {
		module.Query = "SELECT id, password FROM users WHERE login = $1"
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		must(t, module.Provision(ctx))
		must(t, module.Cleanup())
		cancel()
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("it made %v, %v", entries, err)
	}
	must(t, new(guests.Database).Cleanup()) // of what was never provisioned
}

func TestDatabaseRefuses(t *testing.T) {
	t.Parallel()
	const query = "SELECT id, password FROM users WHERE login = $1"
	for _, tt := range []struct {
		name   string
		module guests.Database
		says   string
	}{
		{"unset", guests.Database{Driver: "postgres", DSN: "{env.GATEHOUSE_TEST_NO_SUCH_DSN}", Query: query}, "dsn"},
		{"secret", guests.Database{Driver: "postgres", DSN: "postgres://app:secret@db:secret/", Query: query}, "dsn is no connection string"},
		{"query", guests.Database{Driver: "sqlite", DSN: "secret", Query: "DELETE FROM users"}, "query is not a SELECT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
			defer cancel()
			err := tt.module.Provision(ctx)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("Provision = %v, want an error with %q", err, tt.says)
			}
		})
	}
}
