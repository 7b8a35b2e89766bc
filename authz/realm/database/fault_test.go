// SPDX-License-Identifier: Apache-2.0

package database_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/database"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// TestConnectionsWriteNothing tries to write by the module's own connections, whatever its query might be.
func TestConnectionsWriteNothing(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		m, _ := e.over(t, database.Config{})
		statements := []string{
			"INSERT INTO users VALUES (99, 'eve', 'x', 'x', 'x', true)", "UPDATE users SET password = 'x'", "DELETE FROM users",
			"CREATE TABLE loot (a TEXT)", "DROP TABLE users",
		}
		if e.driver == database.SQLite {
			other := filepath.Join(t.TempDir(), "other.db")
			statements = append(statements, "PRAGMA user_version = 7",
				"ATTACH '"+other+"' AS other; CREATE TABLE other.loot (a TEXT)", "PRAGMA query_only = 0; DELETE FROM users")
		} else {
			statements = append(statements, "SELECT * INTO loot FROM users", "CREATE SEQUENCE s")
		}
		for _, statement := range statements {
			if err := m.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s: it was done", statement)
			} else if text := strings.ToLower(err.Error()); !strings.Contains(text, "read") && !strings.Contains(text, "unable to open") {
				t.Errorf("%s: %v", statement, err)
			}
		}
		if got, err := m.Verify(t.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})
}

// TestQueriesWriteNothing: functions that write can be called in a SELECT.
func TestQueriesWriteNothing(t *testing.T) {
	t.Parallel()
	s := shared(t)
	dsn := s.Database(t, append(table,
		"CREATE TABLE seen (login TEXT)", "CREATE SEQUENCE counter",
		`CREATE FUNCTION note(login TEXT) RETURNS boolean LANGUAGE plpgsql AS
			$$ BEGIN INSERT INTO seen VALUES (login); RETURN true; END $$`,
		`CREATE FUNCTION free(login TEXT) RETURNS boolean LANGUAGE plpgsql AS
			$$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); INSERT INTO seen VALUES (login); RETURN true; END $$`,
	)...)
	for _, tt := range []struct{ name, query, says string }{
		{"a function that writes", "SELECT id, password, note(login) AS noted FROM users WHERE login = $1", "read-only transaction"},
		{"a function that frees itself", "SELECT id, password, free(login) AS noted FROM users WHERE login = $1", "SQLSTATE"},
		{"a sequence", "SELECT id, password, nextval('counter') AS n FROM users WHERE login = $1", "read-only transaction"},
		{"a lock of rows", "SELECT id, password FROM users WHERE login = $1 FOR UPDATE", "read-only transaction"},
		{"a new table", "SELECT id, password INTO loot FROM users WHERE login = $1", "read-only transaction"},
	} {
		for _, dsn := range []string{dsn, dsn + " options='-c default_transaction_read_only=off'"} {
			m, _ := module(t, database.Config{Driver: database.Postgres, DSN: dsn, Query: tt.query})
			got, err := m.Verify(t.Context(), answers("alice", password))
			if err == nil || got.Status != "" || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %+v, %v, want an error with %q", tt.name, got, err, tt.says)
			}
		}
	}
	if n := count(t, dsn, "SELECT count(*) FROM seen"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

// count returns the number that a query returns.
func count(t *testing.T, dsn, query string) (n int) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer func() { must(t, connection.Close(t.Context())) }()
	must(t, connection.QueryRow(t.Context(), query).Scan(&n))
	return n
}

// TestTheDatabaseGoesAndComes: while it is away nobody is judged, and afterwards everybody as before.
func TestTheDatabaseGoesAndComes(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	m, _ := module(t, database.Config{Driver: database.Postgres, DSN: s.Database(t, table...)})
	for range 2 {
		for login, want := range map[string]realm.Status{"alice": realm.Accepted, "nobody": realm.Refused} {
			if got, err := m.Verify(t.Context(), answers(login, password)); err != nil || got.Status != want {
				t.Errorf("%s: %+v, %v", login, got, err)
			}
		}
		s.Stop(t)
		for _, login := range []string{"alice", "nobody"} {
			got, err := m.Verify(t.Context(), answers(login, password))
			if err == nil || got.Status != "" || strings.Contains(err.Error(), "the driver reports") {
				t.Errorf("%s without a database: %+v, %v, want an error that says what is wrong", login, got, err)
			}
		}
		s.Restart(t)
	}
}

// active counts the queries of a database that sleep on behalf of the module.
const active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"

const slow = "SELECT id, password FROM users, pg_sleep(60) WHERE login = $1"

// until waits for a condition of the server's.
func until(t *testing.T, dsn, query string, met func(n int) bool) {
	t.Helper()
	for !met(count(t, dsn, query)) {
		if t.Context().Err() != nil {
			t.Fatal("it was never met")
		}
	}
}

// TestSlowQueries end when the caller does, in the server too, and there are never more than the pool allows.
func TestSlowQueries(t *testing.T) {
	t.Parallel()
	s := shared(t)
	dsn := s.Database(t, table...)
	m, _ := module(t, database.Config{Driver: database.Postgres, DSN: dsn, Query: slow, Timeout: time.Minute})
	ctx, cancel := contextWithCancel(t)
	const callers = 12
	ended := make(chan error, callers)
	for range callers {
		go func() {
			_, err := m.Verify(ctx, answers("alice", password))
			ended <- err
		}()
	}
	until(t, dsn, active, func(n int) bool { return n >= 8 })
	if n := count(t, dsn, active); n != 8 {
		t.Errorf("%d queries at once, want 8", n)
	}
	cancel()
	for range callers {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Verify = %v", err)
		}
	}
	until(t, dsn, active, func(n int) bool { return n == 0 })
}

func TestTimeOuts(t *testing.T) {
	endless := map[string]string{
		database.Postgres: slow,
		database.SQLite: `SELECT id, password FROM users WHERE login = $1 AND 0 < (WITH RECURSIVE c(n) AS
			(SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1e15) SELECT count(*) FROM c)`,
	}
	each(t, func(t *testing.T, e engine) {
		m, _ := e.over(t, database.Config{Query: endless[e.driver], Timeout: 200 * time.Millisecond})
		got, err := m.Verify(t.Context(), answers("alice", password))
		if got.Status != "" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Verify = %+v, %v, want the time-out", got, err)
		}
	})
}

// TestErrorsTellNoSecret: neither what was typed, which may be a password in the wrong field, nor the database's password.
func TestErrorsTellNoSecret(t *testing.T) {
	t.Parallel()
	s := shared(t)
	dsn := s.Database(t, append(table,
		`CREATE FUNCTION shout(login TEXT) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'who is %?', login; END $$`,
		"CREATE TYPE mood AS ENUM ('good', 'bad')",
	)...)
	const typed = "typed-by-mistake"
	for _, tt := range []struct {
		name, query string
		refused     bool
	}{
		{"a number", "SELECT id, password FROM users WHERE id = $1", true},
		{"a uuid", "SELECT id, password FROM users WHERE $1::uuid IS NULL", true},
		{"a moment", "SELECT id, password FROM users WHERE $1::timestamptz IS NULL", true},
		{"an enum", "SELECT id, password FROM users WHERE $1::mood IS NULL", true},
		{"an exception", "SELECT id, password FROM users WHERE login = shout($1)", false},
		{"a division", "SELECT id, password FROM users WHERE 1 / (length($1) - length($1)) = 1", false},
		{"a pattern", "SELECT id, password FROM users WHERE login ~ ('[' || $1)", false},
	} {
		m, written := module(t, database.Config{Driver: database.Postgres, DSN: dsn, Query: tt.query})
		got, err := m.Verify(t.Context(), answers(typed, password))
		if (err == nil) != tt.refused || (got.Status == realm.Refused) != tt.refused {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		if err != nil && (strings.Contains(err.Error(), typed) || !strings.Contains(err.Error(), "SQLSTATE")) || written.String() != "" {
			t.Errorf("%s: %v, logged %q", tt.name, err, written)
		}
	}
	for _, secret := range []string{"", "the-wrong-secret"} {
		dsn := s.DSN("postgres", postgres.Careful) + " password='" + secret + "'"
		m, _ := module(t, database.Config{Driver: database.Postgres, DSN: dsn})
		_, err := m.Verify(t.Context(), answers(typed, password))
		if err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), "secret") {
			t.Errorf("with the password %q: %v", secret, err)
		}
	}
	dsn = s.DSN("postgres", postgres.Careful) + " password='" + postgres.Password + "'"
	m, _ := module(t, database.Config{Driver: database.Postgres, DSN: dsn, Query: "SELECT 1 AS id, '" + aliceHash + "' AS password WHERE $1 <> ''"})
	if got, err := m.Verify(t.Context(), answers("anybody", password)); err != nil || got.Status != realm.Accepted {
		t.Errorf("with the right password: %+v, %v", got, err)
	}
}
