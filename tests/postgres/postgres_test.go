// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	first := s.Database(t, "CREATE TABLE a (n int)", "INSERT INTO a VALUES (7)")
	second := s.Database(t, "CREATE TABLE a (n int)")
	query := func(dsn, query string) (n int, err error) {
		connection, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			return 0, err
		}
		defer func() { _ = connection.Close(t.Context()) }()
		return n, connection.QueryRow(t.Context(), query).Scan(&n)
	}
	if n, err := query(first, "SELECT sum(n) FROM a"); err != nil || n != 7 {
		t.Errorf("the first database says %d, %v", n, err)
	}
	if n, err := query(second, "SELECT count(*) FROM a"); err != nil || n != 0 {
		t.Errorf("the second database says %d, %v", n, err)
	}
	for _, tt := range []struct {
		name, password string
		want           bool
	}{{"right", postgres.Password, true}, {"wrong", "guess", false}, {"none", "", false}} {
		dsn := s.DSN("postgres", postgres.Careful) + " password='" + tt.password + "'"
		if _, err := query(dsn, "SELECT 1"); (err == nil) != tt.want {
			t.Errorf("with the %s password: %v", tt.name, err)
		}
	}
	s.Stop(t)
	s.Stop(t)
	if _, err := query(first, "SELECT 1"); err == nil {
		t.Error("a server that was stopped answers")
	}
	s.Restart(t)
	if n, err := query(first, "SELECT sum(n) FROM a"); err != nil || n != 7 {
		t.Errorf("after a restart the first database says %d, %v", n, err)
	}
	if !strings.Contains(s.Log(), "ready to accept connections") {
		t.Errorf("the log says %q", s.Log())
	}
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	var dir string
	t.Run("server", func(t *testing.T) {
		s := postgres.Start(t)
		dir = strings.TrimPrefix(strings.Fields(s.DSN("postgres", postgres.User))[0], "host=")
		if _, err := os.Stat(dir); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(dir); dir != "" && !os.IsNotExist(err) {
		t.Errorf("the folder of a server that has ended: %v", err)
	}
}

// TestSettings: a server has the settings that it was opened with, also in place of a usual one.
func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := postgres.Open("fsync=on", "work_mem=7MB")
	if errors.Is(err, postgres.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	connection, err := pgx.Connect(t.Context(), s.DSN("postgres", postgres.User))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(context.WithoutCancel(t.Context()))
	var got string
	const query = "SELECT current_setting('fsync') || ' ' || current_setting('work_mem') || ' ' || current_setting('synchronous_commit')"
	if err := connection.QueryRow(t.Context(), query).Scan(&got); err != nil || got != "on 7MB off" {
		t.Errorf("the settings are %q, %v", got, err)
	}
}

// TestElsewhere: a database that the environment names is used as it is, and no server is started.
func TestElsewhere(t *testing.T) {
	const dsn = "postgres://somebody@db.example.com/tests"
	t.Setenv(postgres.Elsewhere, dsn)
	var shared postgres.Shared
	if got := shared.DSN(t); got != dsn {
		t.Errorf("it is %q", got)
	}
	if a, b := postgres.Schema("a"), postgres.Schema("b"); a == b || a != postgres.Schema("a") {
		t.Errorf("two places have the schemas %q and %q", a, b)
	}
}
