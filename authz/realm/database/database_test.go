// SPDX-License-Identifier: Apache-2.0

package database_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/database"
)

func TestLogin(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		m, _ := e.over(t, database.Config{Attributes: map[string]string{"tenant": "acme", "email": "of the operator's"}})
		for _, tt := range []struct {
			name, login string
			want        realm.Identity
		}{
			{"everything is known", "alice", realm.Identity{
				ExternalID: "7", Name: "Alice Liddell", AMR: []string{"pwd"},
				Attributes: map[string]string{"login": "alice", "tenant": "acme", "email": "of the operator's"},
			}},
			{"most is NULL", "bob", realm.Identity{
				ExternalID: "8", AMR: []string{"pwd"},
				Attributes: map[string]string{"login": "bob", "tenant": "acme", "email": "of the operator's"},
			}},
		} {
			got, err := m.Verify(t.Context(), answers(tt.login, password))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(realm.Result{Status: realm.Accepted, Identity: tt.want}, got); diff != "" {
				t.Errorf("%s: unexpected result (-want +got):\n%s", tt.name, diff)
			}
		}
		if !m.NeedsLogin() {
			t.Error("it does not ask for the login name")
		}
	})
}

// TestRefusals: whatever is wrong with the answers or with one row, the result and the work are those of a wrong password.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		m, written := e.over(t, database.Config{})
		for _, tt := range []struct {
			name, login, password, reason string
			logged                        string
		}{
			{"wrong password", "alice", "wonderlan", "wrong_password", ""},
			{"another's spelling", "ALICE", password, "unknown_login", ""},
			{"unknown", "nobody", password, "unknown_login", ""},
			{"inactive", "inactive", password, "inactive", ""},
			{"neither active nor not", "undecided", password, "inactive", ""},
			{"no password", "nopassword", password, "no_password", ""},
			{"empty password", "emptypassword", password, "no_password", ""},
			{"nothing for no password", "nopassword", "", "malformed", ""},
			{"nothing for an empty password", "emptypassword", "", "malformed", ""},
			{"nothing for the hash of nothing", "hashofnothing", "", "malformed", ""},
			{"plain text", "plain", "wonderland", "unusable_hash", "plain text"},
			{"MD5", "md5", "password", "unusable_hash", "MD5"},
			{"too dear", "dear", password, "unusable_hash", "at most 15"},
			{"no id", "noid", password, "no_id", "column=id"},
			{"several rows", "twin", password, "ambiguous_login", "user=1"},
			{"several rows and a wrong password", "twin", "wonderlan", "ambiguous_login", "more than one row"},
			{"nobody", "", password, "malformed", ""},
			{"nobody without a password", "", "", "malformed", ""},
			{"NUL", "alice\x00", password, "malformed", ""},
			{"line end", "alice\n", password, "malformed", ""},
			{"no text", "alice\xff", password, "malformed", ""},
			{"long", strings.Repeat("a", 513), password, "malformed", ""},
			{"huge", strings.Repeat("a", 16<<20), strings.Repeat("p", 16<<20), "malformed", ""},
			{"huge password", "alice", strings.Repeat("p", 16<<20), "wrong_password", ""},
			{"long, but possible", strings.Repeat("a", 512), password, "unknown_login", ""},
			{"injection: or", "' OR '1'='1", password, "unknown_login", ""},
			{"injection: comment", "alice'--", password, "unknown_login", ""},
			{"injection: union", "x' UNION SELECT 7, '" + aliceHash + "', 'x', 'x', true --", password, "unknown_login", ""},
			{"injection: second statement", "alice'; DROP TABLE users; --", password, "unknown_login", ""},
			{"injection: escape", `alice\`, password, "unknown_login", ""},
			{"injection: parameter", "$1", password, "unknown_login", ""},
			{"pattern", "ali%", password, "unknown_login", ""},
		} {
			hashes, before := m.Hashes(), len(written.String())
			got, err := m.Verify(t.Context(), answers(tt.login, tt.password))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if diff := cmp.Diff(realm.Result{Status: realm.Refused, Reason: tt.reason}, got); diff != "" {
				t.Errorf("%s: unexpected result (-want +got):\n%s", tt.name, diff)
			}
			if n := m.Hashes() - hashes; n != 1 {
				t.Errorf("%s: %d hashes were computed, want 1", tt.name, n)
			}
			said := written.String()[before:]
			if (tt.logged == "") != (said == "") || !strings.Contains(said, tt.logged) {
				t.Errorf("%s: it logs %q, want %q", tt.name, said, tt.logged)
			}
		}
		for _, secret := range []string{password, "5f4dcc3b", "abcdefghijkl", "DROP"} {
			if strings.Contains(written.String(), secret) {
				t.Errorf("the log tells %q:\n%s", secret, written)
			}
		}
		if got, err := m.Verify(t.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})
}

// TestWhoIsKnownAlready: the table does not know the issuer's users, so that the login name has to be there.
func TestWhoIsKnownAlready(t *testing.T) {
	t.Parallel()
	m, _ := module(t, database.Config{Driver: database.SQLite, DSN: openSQLite(t, table...)})
	for _, tt := range []struct {
		name   string
		values map[string]string
		want   realm.Status
	}{
		{"without a login name", map[string]string{"password": password}, realm.Refused},
		{"with one", map[string]string{"username": "alice", "password": password}, realm.Accepted},
	} {
		got, err := m.Verify(t.Context(), realm.Credentials{Subject: "usr_alice", Values: tt.values})
		if err != nil || got.Status != tt.want || got.Identity.Subject != "" {
			t.Errorf("%s: %+v, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestOwnFields(t *testing.T) {
	t.Parallel()
	m, _ := module(t, database.Config{
		Driver: database.SQLite, DSN: openSQLite(t, table...), UserField: "email", PasswordField: "code",
	})
	got, err := m.Verify(t.Context(), realm.Credentials{Values: map[string]string{
		"email": "alice", "code": password, "username": "bob", "password": "x",
	}})
	if err != nil || got.Identity.ExternalID != "7" {
		t.Errorf("Verify = %+v, %v", got, err)
	}
}

// TestStoredHashes: each kind, as another program wrote it, in tables of several types.
func TestStoredHashes(t *testing.T) {
	hashes := []struct{ name, password, hash string }{
		{"bcrypt", password, aliceHash},
		{"argon2id", "correct horse", "$argon2id$v=19$m=64,t=2,p=2$c2FsdHNhbHQxMjM0NTY3OA$liJ4EFRF3HyTVhPwChdVdQ"},
		{"argon2i", "correct horse", "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHQxMjM0NTY3OA$uVh120aGT3W/com0Os1SGw"},
		{"scrypt", "correct horse", "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$rkTI9fAgA7thDzzR8FHXhMiojYBreJBmYTkEzWypBCQ"},
		{"pbkdf2", "correct horse", "$pbkdf2-sha256$20$//5zYWx0c2FsdA$rRzag.OGIAs7donFlrtqlBqxjOU227djzCgNT.HSdLk"},
		{"django", "correct horse", "pbkdf2_sha256$20$seasalt$g3dGJQ8owMYyhK9ZquyN7VEHZB9iVlMqw6PFWQ9oG7A="},
		{"sha256", "correct horse", "$5$rounds=1234$rndsalt$bEdLKXpD1dsCwTD7gMkYnFx0mRhL.0rh/boZbPKLm01"},
		{"sha512", "correct horse",
			"$6$rounds=1234$rndsalt$9fZtqsWEl3X2X1sMDePvNVtlkMLtzNCPpk36oMVwlzv0sSphOMI8QifQ63FhZ96CF1YpgS4IXqGMt/XldehhI1"},
	}
	each(t, func(t *testing.T, e engine) {
		for _, column := range []string{"TEXT", "CHAR(200)", "VARCHAR(200)"} {
			statements := []string{"CREATE TABLE users (id INTEGER, login TEXT, password " + column + ", name TEXT, email TEXT, active BOOLEAN)"}
			for i, h := range hashes {
				statements = append(statements, user(i, h.name, h.hash))
			}
			m, _ := module(t, database.Config{Driver: e.driver, DSN: e.open(t, statements...)})
			for i, h := range hashes {
				got, err := m.Verify(t.Context(), answers(h.name, h.password))
				if err != nil || got.Status != realm.Accepted || got.Identity.ExternalID != fmt.Sprint(i) {
					t.Errorf("%s in %s: %+v, %v", h.name, column, got, err)
				}
				got, err = m.Verify(t.Context(), answers(h.name, h.password+"x"))
				if err != nil || got.Status != realm.Refused {
					t.Errorf("%s in %s, wrong: %+v, %v", h.name, column, got, err)
				}
			}
		}
	})
}

func TestColumns(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		dsn := e.open(t, table...)
		for _, tt := range []struct {
			name, query string
			want        realm.Result
			logged      string
		}{
			{"two are enough", "SELECT id, password FROM users WHERE login = $1", accepted("7", "", nil), ""},
			{"any order and case", `SELECT name AS "Name", password AS "PASSWORD", id AS "Id" FROM users WHERE login = $1`,
				accepted("7", "Alice Liddell", nil), ""},
			{"others are attributes", `SELECT id, password, email, 12 AS floor, 1.5 AS hours, NULL AS car, '' AS empty, name AS "full name"
				FROM users WHERE login = $1`,
				accepted("7", "", map[string]string{
					"email": "alice@example.com", "floor": "12", "hours": "1.5", "car": "", "empty": "", "full name": "Alice Liddell",
				}), ""},
			{"what cannot be an attribute is empty", "SELECT id, password, replace('a-b', '-', '\n') AS lines, " +
				"replace('" + strings.Repeat("x", 257) + "', 'x', 'abcd') AS long FROM users WHERE login = $1",
				accepted("7", "", map[string]string{"lines": "", "long": ""}), ""},
			{"login as the table has it", "SELECT id, password, upper(login) AS login FROM users WHERE login = $1",
				accepted("7", "", map[string]string{"login": "ALICE"}), ""},
			{"id as text", "SELECT 'a-' || id AS id, password FROM users WHERE login = $1", accepted("a-7", "", nil), ""},
			{"active", "SELECT id, password, 1 AS active FROM users WHERE login = $1", accepted("7", "", nil), ""},
			{"active as text", "SELECT id, password, 'TRUE ' AS active FROM users WHERE login = $1", accepted("7", "", nil), ""},
			{"inactive", "SELECT id, password, 0 AS status FROM users WHERE login = $1", refused("inactive"), ""},
			{"inactive as text", "SELECT id, password, 'f' AS status FROM users WHERE login = $1", refused("inactive"), ""},
			{"inactive as NULL", "SELECT id, password, NULL AS status FROM users WHERE login = $1", refused("inactive"), ""},
			{"active, but for the status", "SELECT id, password, active, 0 AS status FROM users WHERE login = $1", refused("inactive"), ""},
			{"a status of many", "SELECT id, password, 'open' AS status FROM users WHERE login = $1", refused("inactive"), "column=status"},
			{"an active of many", "SELECT id, password, 2 AS active FROM users WHERE login = $1", refused("inactive"), "column=active"},
			{"an amount as id", "SELECT 1.5 AS id, password FROM users WHERE login = $1", accepted("1.5", "", nil), ""},
			{"a truth as id", "SELECT active AS id, password FROM users WHERE login = $1", refused("no_id"), "column=id"},
			{"nothing as id", "SELECT '' AS id, password FROM users WHERE login = $1", refused("no_id"), "column=id"},
			{"a long id", "SELECT '" + strings.Repeat("i", 201) + "' AS id, password FROM users WHERE login = $1", refused("no_id"), "column=id"},
			{"an id of lines", "SELECT 'a\nb' AS id, password FROM users WHERE login = $1", refused("no_id"), "column=id"},
		} {
			if e.driver == database.SQLite {
				switch tt.name {
				case "an amount as id": // a number with a point is text in PostgreSQL, which counts exactly
					tt.want, tt.logged = refused("no_id"), "column=id"
				case "a truth as id": // there is none in SQLite, only 1
					tt.want, tt.logged = accepted("1", "", nil), ""
				}
			}
			m, written := module(t, database.Config{Driver: e.driver, DSN: dsn, Query: tt.query})
			got, err := m.Verify(t.Context(), answers("alice", password))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: unexpected result (-want +got):\n%s", tt.name, diff)
			}
			if !strings.Contains(written.String(), tt.logged) || (tt.logged == "") != (written.String() == "") {
				t.Errorf("%s: it logs %q, want %q", tt.name, written, tt.logged)
			}
		}
	})
}

// TestTypes: what databases have beside text and numbers.
func TestTypes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		driver, query string
		want          realm.Result
	}{
		{database.Postgres, `SELECT 'B3B51BD4-22E8-4B0C-B3B4-0E3C3C8A1E11'::uuid AS id, convert_to(password, 'UTF8') AS password,
			'2026-01-02 03:04:05+02'::timestamptz AS at, true AS yes, 12.50::numeric AS much, '{"a": 1}'::jsonb AS json,
			'{a,b}'::text[] AS list, 'hi'::bytea AS bytes, '\xff'::bytea AS more, 2.5::float8 AS half, 'x'::char(3) AS wide
			FROM users WHERE login = $1`,
			accepted("b3b51bd4-22e8-4b0c-b3b4-0e3c3c8a1e11", "", map[string]string{
				"at": "2026-01-02T01:04:05Z", "yes": "true", "much": "12.50", "json": `{"a": 1}`, "list": "{a,b}", "bytes": "hi", "more": "",
				"half": "2.5", "wide": "x  ",
			})},
		{database.SQLite, `SELECT x'6869' AS id, CAST(password AS BLOB) AS password, since, flag, x'ff' AS more, 2.5 AS half
			FROM users, more WHERE login = $1`,
			accepted("hi", "", map[string]string{"since": "2026-01-02T03:04:05Z", "flag": "1", "more": "", "half": "2.5"})},
	} {
		t.Run(tt.driver, func(t *testing.T) {
			t.Parallel()
			var dsn string
			if tt.driver == database.Postgres {
				dsn = shared(t).Database(t, table...)
			} else {
				dsn = openSQLite(t, append([]string{
					"CREATE TABLE more (since DATETIME, flag BOOLEAN)", "INSERT INTO more VALUES ('2026-01-02 03:04:05', 1)",
				}, table...)...)
			}
			m, _ := module(t, database.Config{Driver: tt.driver, DSN: dsn, Query: tt.query})
			got, err := m.Verify(t.Context(), answers("alice", password))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("unexpected result (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBusy: when there is no room to check a password, nobody is judged, whoever it is.
func TestBusy(t *testing.T) {
	t.Parallel()
	m, _ := module(t, database.Config{Driver: database.SQLite, DSN: openSQLite(t, table...)})
	// Everything is opened: what follows takes much less than one check of cost 13.
	if _, err := m.Verify(t.Context(), answers("alice", password)); err != nil {
		t.Fatal(err)
	}
	wait, err := m.Occupy(t.Context(), strings.Replace(aliceHash, "$04$", "$13$", 1))
	must(t, err)
	for _, login := range []string{"alice", "nobody", "inactive", "twin", ""} {
		got, err := m.Verify(t.Context(), answers(login, password))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(realm.Result{Status: realm.Busy, RetryAfter: 2 * time.Second, Reason: "hasher_busy"}, got); diff != "" {
			t.Errorf("%q: unexpected result (-want +got):\n%s", login, diff)
		}
	}
	must(t, wait())
	if got, err := m.Verify(t.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
}

func accepted(id, name string, attributes map[string]string) realm.Result {
	all := map[string]string{"login": "alice"}
	for key, value := range attributes {
		all[key] = value
	}
	return realm.Result{
		Status: realm.Accepted, Identity: realm.Identity{ExternalID: id, Name: name, AMR: []string{"pwd"}, Attributes: all},
	}
}

func refused(reason string) realm.Result { return realm.Result{Status: realm.Refused, Reason: reason} }

// TestQueriesThatCannotWork: what is wrong with the query is an error, for those who are in the table and for others alike.
func TestQueriesThatCannotWork(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		dsn := e.open(t, table...)
		for _, tt := range []struct{ name, query, says string }{
			{"no id", "SELECT login, password FROM users WHERE login = $1", `no column "id"`},
			{"no password", "SELECT id, login FROM users WHERE login = $1", `no column "password"`},
			{"two ids", `SELECT id, id AS "ID", password FROM users WHERE login = $1`, "twice"},
			{"no table", "SELECT id, password FROM people WHERE login = $1", "people"},
			{"no such column", "SELECT id, passwort AS password FROM users WHERE login = $1", "passwort"},
			{"a misspelt column in quotes", `SELECT "idd" AS id, password FROM users WHERE login = $1`, "idd"},
			{"no SQL", "SELECT id, password FROM WHERE login = $1", "syntax error"},
			{"a name of a column too long for an attribute",
				`SELECT id, password, 1 AS "` + strings.Repeat("é", 40) + `" FROM users WHERE login = $1`, "cannot be that of an attribute"},
			{"many columns", "SELECT id, password" + many() + " FROM users WHERE login = $1", "more than 32"},
		} {
			if e.driver == database.Postgres && strings.Contains(tt.name, "too long") {
				continue // PostgreSQL cuts it off
			}
			m, _ := module(t, database.Config{Driver: e.driver, DSN: dsn, Query: tt.query})
			for _, login := range []string{"alice", "nobody"} {
				got, err := m.Verify(t.Context(), answers(login, password))
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: %+v, %v, want an error with %q", tt.name, got, err, tt.says)
				}
				if diff := cmp.Diff(realm.Result{}, got); diff != "" {
					t.Errorf("%s: a result beside an error: %s", tt.name, diff)
				}
			}
		}
	})
}

func many() (columns string) {
	for i := range 31 {
		columns += fmt.Sprintf(", %d AS c%d", i, i)
	}
	return columns
}

// TestOneParameterOftenUsed: a user may be known by a name or an address.
func TestOneParameterOftenUsed(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		m, _ := e.over(t, database.Config{Query: "SELECT id, password FROM users WHERE login = $1 OR email = $1;"})
		for _, login := range []string{"alice", "alice@example.com"} {
			got, err := m.Verify(t.Context(), answers(login, password))
			if err != nil || got.Identity.ExternalID != "7" {
				t.Errorf("%s: %+v, %v", login, got, err)
			}
		}
	})
}

func TestNothingIsOpenedBeforeItIsUsed(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		m, _ := e.over(t, database.Config{})
		if opened, n := m.Connected(); opened || n != 0 {
			t.Errorf("before: %v, %d connections", opened, n)
		}
		if _, err := m.Verify(t.Context(), answers("alice", password)); err != nil {
			t.Fatal(err)
		}
		if opened, n := m.Connected(); !opened || n != 1 {
			t.Errorf("after: %v, %d connections", opened, n)
		}
		for range 2 {
			must(t, m.Close())
		}
		if _, n := m.Connected(); n != 0 {
			t.Errorf("closed: %d connections", n)
		}
		if got, err := m.Verify(t.Context(), answers("alice", password)); err == nil || got.Status != "" {
			t.Errorf("a closed module says %+v, %v", got, err)
		}
	})
}

func TestCloseBeforeUse(t *testing.T) {
	t.Parallel()
	m, _ := module(t, database.Config{Driver: database.SQLite, DSN: filepath.Join(t.TempDir(), "none.db")})
	must(t, m.Close())
	if _, err := m.Verify(t.Context(), answers("alice", password)); err == nil {
		t.Error("a closed module opens")
	}
	if opened, _ := m.Connected(); opened {
		t.Error("a closed module has opened a pool")
	}
}

// TestManyAtOnce: everybody is judged, and nobody for another.
func TestManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		m, _ := e.over(t, database.Config{})
		want := map[string]string{"alice": "7", "bob": "8", "nobody": "", "inactive": ""}
		var group sync.WaitGroup
		for range 10 {
			for login, id := range want {
				group.Go(func() {
					got, err := m.Verify(t.Context(), answers(login, password))
					if err != nil || got.Identity.ExternalID != id {
						t.Errorf("%s: %+v, %v, want %q", login, got, err, id)
					}
				})
			}
		}
		group.Wait()
		if _, n := m.Connected(); n > 8 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestMissingFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"none.db", "a?mode=rwc", "sp ace%20#.db"} {
		path := filepath.Join(t.TempDir(), name)
		m, _ := module(t, database.Config{Driver: database.SQLite, DSN: path})
		got, err := m.Verify(t.Context(), answers("alice", password))
		if err == nil || got.Status != "" {
			t.Errorf("%s: %+v, %v, want an error", name, got, err)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
			t.Errorf("%s: it made %v, %v", name, entries, err)
		}
	}
}

func TestSpellingsOfAFile(t *testing.T) {
	t.Parallel()
	path := openSQLite(t, table...)
	odd := filepath.Join(t.TempDir(), "100% ?#&.db")
	content, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(odd, content, 0o600))
	for _, dsn := range []string{
		path, "file:" + path, "file://" + path, "file:" + path + "?mode=ro", "file:" + path + "?immutable=1", odd,
		"file:" + (&url.URL{Path: odd}).EscapedPath(),
	} {
		m, _ := module(t, database.Config{Driver: database.SQLite, DSN: dsn})
		got, err := m.Verify(t.Context(), answers("alice", password))
		if err != nil || got.Status != realm.Accepted {
			t.Errorf("%s: %+v, %v", dsn, got, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	valid := func(change func(*database.Config)) database.Config {
		c := database.Config{Driver: database.SQLite, DSN: "/var/lib/users.db", Query: query, Logger: slog.New(slog.DiscardHandler)}
		change(&c)
		return c
	}
	pg := func(dsn string) func(*database.Config) {
		return func(c *database.Config) { c.Driver, c.DSN = database.Postgres, dsn }
	}
	lite := func(dsn string) func(*database.Config) { return func(c *database.Config) { c.DSN = dsn } }
	for _, tt := range []struct {
		name   string
		change func(*database.Config)
		says   string // empty for what is accepted
	}{
		{"all that is required", func(*database.Config) {}, ""},
		{"no logger", func(c *database.Config) { c.Logger = nil }, "logger is required"},
		{"no driver", func(c *database.Config) { c.Driver = "" }, "driver"},
		{"another driver", func(c *database.Config) { c.Driver = "mysql" }, `driver "mysql" is neither postgres nor sqlite`},
		{"negative time-out", func(c *database.Config) { c.Timeout = -time.Second }, "time_out is negative"},
		{"no query", func(c *database.Config) { c.Query = "" }, "query is missing"},
		{"bad attribute", func(c *database.Config) { c.Attributes = map[string]string{"a": "b\nc"} }, `attribute "a"`},
		{"nameless attribute", func(c *database.Config) { c.Attributes = map[string]string{"": "x"} }, `attribute ""`},
		{"bad example", func(c *database.Config) { c.Like = "secret" }, "hash_like"},

		{"no file", lite("file:?immutable=1"), "dsn names no file"},
		{"nothing", lite(""), "dsn is missing"},
		{"memory", lite(":memory:"), "dsn names no file"},
		{"memory by URI", lite("file::memory:?cache=shared"), "dsn names no file"},
		{"file to write", lite("file:users.db?mode=rwc"), `dsn has the parameter "mode"`},
		{"two modes", lite("file:users.db?mode=ro&mode=rw"), `dsn has the parameter "mode"`},
		{"pragma", lite("file:users.db?_pragma=writable_schema(1)"), `dsn has the parameter "_pragma"`},
		{"bad parameters", lite("file:users.db?secret=%zz"), "dsn is no URI of a file"},

		{"socket", pg("host=/run/postgresql dbname=users"), ""},
		{"loopback", pg("postgres://me:secret@127.0.0.1/users"), ""},
		{"localhost", pg("postgres://me:secret@localhost/users"), ""},
		{"elsewhere with TLS", pg("postgres://me:secret@db.example.com/users?sslmode=verify-full"), ""},
		{"elsewhere in the clear, if need be", pg("postgres://me:secret@db.example.com/users?sslmode=disable"), ""},
		{"elsewhere as it comes", pg("postgres://me:secret@db.example.com/users"), "dsn leaves open whether db.example.com"},
		{"elsewhere rather without", pg("host=10.0.0.1 sslmode=allow"), "dsn leaves open whether 10.0.0.1"},
		{"one of several elsewhere", pg("host=localhost,db.example.com sslmode=prefer"), "dsn leaves open whether db.example.com"},
		{"no DSN", pg(" "), "dsn is missing"},
		{"no connection string", pg("postgres://me:secret@:x:y:z/"), "dsn is no connection string"},
		{"bad port", pg("postgres://me:secret@localhost:secret/users"), "dsn is no connection string"},
		{"simple protocol", pg("host=/run/postgresql default_query_exec_mode=simple_protocol"), "dsn asks for the simple protocol"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := database.New(valid(tt.change))
			if tt.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				must(t, m.Close())
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), strings.Fields(tt.says)[0]) && tt.name != "no logger" ||
				!strings.Contains(err.Error(), tt.says) {
				t.Fatalf("New = %v, want an error with %q", err, tt.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// TestCheckDoesWithoutTheDSN: a placeholder stands for it until the server starts.
func TestCheckDoesWithoutTheDSN(t *testing.T) {
	t.Parallel()
	c := database.Config{Driver: database.Postgres, DSN: "{env.USERS_DSN}", Query: query}
	must(t, c.Check())
	c.Query = "SELECT 1"
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "query has no parameter") {
		t.Errorf("Check = %v", err)
	}
}

func TestTheCallerLeaves(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		m, _ := e.over(t, database.Config{})
		ctx, cancel := contextWithCancel(t)
		cancel()
		got, err := m.Verify(ctx, answers("alice", password))
		if got.Status != "" || !errors.Is(err, ctx.Err()) {
			t.Errorf("Verify = %+v, %v", got, err)
		}
	})
}
