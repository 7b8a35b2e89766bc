// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

const staff = `realm staff {
			authenticator form
			login_module database {
				driver postgres
				dsn {file.DSN}
				query "SELECT id, password, name FROM users WHERE login = $1"
			}
			audit
		}
		user_identity password staff
		scope staff:read staff`

const staffSite = `SPARE {
	protect staff:read {
		session on
	}
	reverse_proxy UPSTREAM
}`

// TestUsersTable logs people of a table in PostgreSQL in at the program as it is shipped.
func TestUsersTable(t *testing.T) {
	t.Parallel()
	db := postgres.Start(t)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	db.Database(t,
		"CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), login text UNIQUE, password text, name text)",
		"INSERT INTO users (login, password, name) VALUES ('erin', '"+string(hash)+"', 'Erin of the table')",
		"INSERT INTO users (login, password) VALUES ('frank', '"+string(hash)+"')",
	)
	dsn := filepath.Join(t.TempDir(), "dsn")
	secret := db.DSN("test1", postgres.Careful) + " password=" + postgres.Password
	if err := os.WriteFile(dsn, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, strings.ReplaceAll(staff, "DSN", dsn), staffSite)
	page := h.url(siteSpare) + "/desk"

	subjects := map[string]string{}
	for _, user := range []string{"erin", "frank", "erin"} {
		b := newBrowser(t)
		refused := b.submit(b.get(page), "username", user, "password", "guess")
		unknown := b.submit(b.get(page), "username", "nobody", "password", "guess")
		if refused.Status != http.StatusForbidden || unknown.Status != refused.Status {
			t.Errorf("a wrong password gets %d, and an unknown user %d", refused.Status, unknown.Status)
		}
		got := b.login(refused, user)
		if got.Status != http.StatusOK || got.URL.String() != page {
			t.Fatalf("%s ends at %s with %d: %s", user, got.URL, got.Status, got.Body)
		}
		subject := got.heard(t).Header.Get("Gatehouse-Subject")
		if known, again := subjects[user]; !strings.HasPrefix(subject, "usr_") || again && known != subject {
			t.Errorf("%s is %q, and was %q", user, subject, known)
		}
		subjects[user] = subject
	}
	if subjects["erin"] == subjects["frank"] {
		t.Errorf("both are %s", subjects["erin"])
	}

	db.Stop(t)
	if got := newBrowser(t).enter(page, "erin"); got.Status < http.StatusInternalServerError || got.reached() {
		t.Errorf("without the database the browser gets %d at %s", got.Status, got.URL)
	}
	db.Restart(t)
	if got := newBrowser(t).enter(page, "erin"); got.Status != http.StatusOK || !got.reached() {
		t.Errorf("with the database back the browser gets %d at %s", got.Status, got.URL)
	}
	if !strings.Contains(h.Log(), "reading a user's row") {
		t.Error("the log does not say that the database was away")
	}
	for _, word := range []string{postgres.Password, password, string(hash)} {
		if strings.Contains(h.Log(), word) {
			t.Errorf("the log tells %q", word)
		}
	}
}
