// SPDX-License-Identifier: Apache-2.0

package database_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/database"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// Hashes by passlib's bcrypt, cheap ones: of the password and of nothing.
const (
	password  = "wonderland"
	emptyHash = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"
	aliceHash = "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu"
)

// query is what most tests ask.
const query = "SELECT id, password, name, email, active FROM users WHERE login = $1"

// table is the users table of most tests: whoever is in it may become somebody.
var table = []string{
	"CREATE TABLE users (id INTEGER, login TEXT, password TEXT, name TEXT, email TEXT, active BOOLEAN)",
	"INSERT INTO users VALUES (7, 'alice', '" + aliceHash + "', 'Alice Liddell', 'alice@example.com', true)",
	"INSERT INTO users VALUES (8, 'bob', '" + aliceHash + "', NULL, NULL, true)",
	"INSERT INTO users VALUES (9, 'inactive', '" + aliceHash + "', 'I', 'i@example.com', false)",
	"INSERT INTO users VALUES (10, 'undecided', '" + aliceHash + "', 'U', 'u@example.com', NULL)",
	"INSERT INTO users VALUES (11, 'nopassword', NULL, 'N', 'n@example.com', true)",
	"INSERT INTO users VALUES (12, 'emptypassword', '', 'N', 'n@example.com', true)",
	"INSERT INTO users VALUES (18, 'hashofnothing', '" + emptyHash + "', 'N', 'n@example.com', true)",
	"INSERT INTO users VALUES (13, 'plain', 'wonderland', 'P', 'p@example.com', true)",
	"INSERT INTO users VALUES (14, 'md5', '5f4dcc3b5aa765d61d8327deb882cf99', 'M', 'm@example.com', true)",
	"INSERT INTO users VALUES (15, 'dear', '$2b$31$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu', 'D', 'd@example.com', true)",
	"INSERT INTO users VALUES (NULL, 'noid', '" + aliceHash + "', 'N', 'n@example.com', true)",
	"INSERT INTO users VALUES (16, 'twin', '" + aliceHash + "', 'T', 't@example.com', true)",
	"INSERT INTO users VALUES (17, 'twin', '" + aliceHash + "', 'T', 't@example.com', true)",
}

// engine is a database that every test runs over.
type engine struct {
	driver string
	// open makes a database by statements.
	open func(t *testing.T, statements ...string) (dsn string)
}

// each runs a test over every database, in parallel.
func each(t *testing.T, run func(t *testing.T, e engine)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		run(t, engine{database.SQLite, openSQLite})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s := shared(t)
		run(t, engine{database.Postgres, func(t *testing.T, statements ...string) string { return s.Database(t, statements...) }})
	})
}

func openSQLite(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.db")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	must(t, db.Close())
	return path
}

// log collects what a module logs.
type log struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}

// module returns a module over a database, closed with the test, and its log.
func module(t *testing.T, c database.Config) (*database.Module, *log) {
	t.Helper()
	written := &log{}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(written, nil))
	}
	if c.Query == "" {
		c.Query = query
	}
	if c.Like == "" {
		c.Like = aliceHash
	}
	m, err := database.New(c)
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	return m, written
}

// over is module with the table of most tests.
func (e engine) over(t *testing.T, c database.Config) (*database.Module, *log) {
	t.Helper()
	c.Driver, c.DSN = e.driver, e.open(t, table...)
	return module(t, c)
}

func answers(login, password string) realm.Credentials {
	return realm.Credentials{ClientIP: "192.0.2.7", Values: map[string]string{"username": login, "password": password}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// user returns the statement that adds a user by an id, a login name and a hash.
func user(id int, login, hash string) string {
	return fmt.Sprintf("INSERT INTO users VALUES (%d, '%s', '%s', NULL, NULL, true)", id, login, strings.ReplaceAll(hash, "'", "''"))
}

// server is shared by all tests, and started by the first that wants it.
var server struct {
	sync.Mutex
	*postgres.Server
}

func shared(t *testing.T) *postgres.Server {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if server.Server == nil {
		s, err := postgres.Open()
		if errors.Is(err, postgres.ErrMissing) {
			t.Skip(err)
		}
		must(t, err)
		server.Server = s
	}
	return server.Server
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.Server != nil {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
