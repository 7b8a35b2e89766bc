// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"database/sql"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/database"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// usersTable is a table of somebody's application, and a connection that may change it.
func usersTable(t *testing.T) (path string, application *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "app.db")
	application, err := sql.Open("sqlite", path)
	must(t, err)
	t.Cleanup(func() { must(t, application.Close()) })
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(t, err)
	_, err = application.ExecContext(t.Context(), `
		CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT UNIQUE, password TEXT, name TEXT, email TEXT, active BOOLEAN);
		INSERT INTO users VALUES (7, 'alice', ?1, 'Alice of the table', 'alice@table.example', true), (8, 'dave', ?1, NULL, NULL, true)`,
		string(hash))
	must(t, err)
	return path, application
}

// TestPeopleOfAUsersTable: somebody in a table of another application becomes a user of the issuer at the first login, is the
// same one at every other, and is asked for the login name again where the table needs it.
func TestPeopleOfAUsersTable(t *testing.T) {
	t.Parallel()
	for i, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			path, application := usersTable(t)
			module, err := database.New(database.Config{
				Driver: database.SQLite, DSN: path, Query: "SELECT id, password, name, email, active FROM users WHERE login = $1",
				Logger: slog.New(slog.DiscardHandler),
			})
			must(t, err)
			t.Cleanup(func() { must(t, module.Close()) })
			clock := storagetest.NewClock()
			db := e.open(t, clock.Now)
			t.Cleanup(func() { must(t, db.Close()) })
			w := newWorld(t, clock, storagetest.Twice(db, uint64(i)+1), func(w *world, c *realm.Config) {
				c.Realms[0].LoginModule, c.Realms[0].Users, c.Linker = module, "app", &identitystore.Linker{Users: w.users}
				c.Realms[0].MaxAge, c.Realms[1].MaxAge = 10*time.Minute, time.Hour
			})
			subject := w.entersByTable(t)
			w.entersAgainByTable(t, subject)
			w.isLockedOut(t, subject, application)
		})
	}
}

// entersByTable logs two people of the table in, and the first twice.
func (w *world) entersByTable(t *testing.T) (subject string) {
	t.Helper()
	for _, login := range []string{"alice", "dave", "alice"} {
		b := w.browser(t)
		p := b.submit(b.get(web1+"/deep"), "username", login, "password", "wrong")
		want(t, "a wrong password", p.status, http.StatusForbidden)
		p = b.submit(p, "username", login, "password", password)
		who, found := strings.CutPrefix(p.body, "hello ")
		who = strings.TrimSuffix(who, " password")
		if !found || !strings.HasPrefix(who, "usr_") || p.url.String() != web1+"/deep" {
			t.Fatalf("%s landed on %s: %s", login, p.url, p.body)
		}
		if same := who == subject; same != (login == "alice" && subject != "") {
			t.Errorf("%s is %s, and alice is %s", login, who, subject)
		}
		if login == "alice" {
			subject = who
		}
	}
	user, err := w.users.ByExternalRef(t.Context(), "app:7")
	must(t, err)
	if user.ID != subject || user.Attributes["name"] != "Alice of the table" || user.Attributes["email"] != "alice@table.example" {
		t.Errorf("%s is known as %+v", subject, user)
	}
	if subject == w.alice.ID {
		t.Error("the table's alice is taken for the alice of our own")
	}
	_, issued := w.tokens(t, "app", "scope", "openid profile email read")
	about := w.call(t, issuer+"/userinfo", issued.text("access_token"))
	if about.text("sub") != subject || about.text("name") != "Alice of the table" || about.text("email") != "alice@table.example" {
		t.Errorf("userinfo says %v", about.body)
	}
	return subject
}

// entersAgainByTable proves the password again, for a request of which somebody has proven the rest.
func (w *world) entersAgainByTable(t *testing.T, subject string) {
	t.Helper()
	b := w.browser(t)
	p := b.submit(b.login(b.get(web1+"/pay")), "word", "please")
	if p.body != "hello "+subject+" gold" {
		t.Fatalf("landed on %s: %s", p.url, p.body)
	}
	w.clock.Advance(11 * time.Minute)
	p = b.get(web1 + "/pay")
	if !strings.Contains(p.body, `name="username"`) || !strings.Contains(p.body, `value="alice"`) {
		t.Fatalf("the form does not ask for the name that was used: %s", p.body)
	}
	p = b.submit(p, "username", "dave", "password", password)
	want(t, "somebody else in the same session", p.status, http.StatusForbidden)
	if p = b.login(p); !strings.HasPrefix(p.body, "hello "+subject) || p.url.String() != web1+"/pay" {
		t.Errorf("the second time on %s: %s", p.url, p.body)
	}
}

// isLockedOut closes the door on either side: ours and the application's.
func (w *world) isLockedOut(t *testing.T, subject string, application *sql.DB) {
	t.Helper()
	enter := func(what string, status int) {
		t.Helper()
		b := w.browser(t)
		want(t, what, b.login(b.get(web1)).status, status)
	}
	_, err := w.users.Lock(t.Context(), subject, "test")
	must(t, err)
	enter("locked at ours", http.StatusForbidden)
	_, err = w.users.Unlock(t.Context(), subject)
	must(t, err)
	enter("unlocked", http.StatusOK)
	_, err = application.ExecContext(t.Context(), "UPDATE users SET active = false WHERE id = 7")
	must(t, err)
	enter("inactive in the table", http.StatusForbidden)
	_, err = application.ExecContext(t.Context(), "DROP TABLE users")
	must(t, err)
	enter("without a table", http.StatusServiceUnavailable)
}
