// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// TestDSNRefused: neither is the password told, nor given to whoever answers instead of the database.
func TestDSNRefused(t *testing.T) {
	t.Parallel()
	for dsn, says := range map[string]string{
		"host=localhost password = 'sesame' sslmode=sure": "failed to configure TLS",
		"host=db.example.com password=sesame":             "whether db.example.com is spoken to in the clear",
	} {
		_, named := pgstore.Where(dsn, "")
		_, opened := pgstore.Open(t.Context(), pgstore.Config{DSN: dsn, Now: time.Now})
		for _, err := range []error{named, opened} {
			if err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), says) {
				t.Errorf("it says %v", err)
			}
		}
	}
}

// TestSeveralHosts: of several hosts the one that takes writes is used, also where nobody says so, and a commit is on its disk, also where
// somebody says that it need not be.
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	first := postgres.Start(t)
	first.Exec(t, "postgres", "ALTER DATABASE postgres SET synchronous_commit = off")
	place := t.TempDir()
	use := func(dsn string) *pgstore.DB {
		db, err := openWith(t, place, time.Now, func(c *pgstore.Config) { c.DSN = dsn })
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	}
	use(first.DSN("postgres", postgres.User))
	items := pgx.Identifier{postgres.Schema(place), "items"}.Sanitize()
	first.Exec(t, "postgres", "ALTER TABLE "+items+" ADD COLUMN waits text DEFAULT current_setting('synchronous_commit')")
	standby := first.Standby(t)
	db := use(fmt.Sprintf("host=%s,%s dbname=postgres user=%s", standby.Dir(), first.Dir(), postgres.User))
	must(t, write(t, db, "a", "1"))
	conn, err := pgx.Connect(t.Context(), first.DSN("postgres", postgres.User))
	must(t, err)
	defer conn.Close(t.Context())
	var waits string
	must(t, conn.QueryRow(t.Context(), "SELECT waits FROM "+items+" WHERE key = 'a'").Scan(&waits))
	if waits != "on" {
		t.Errorf("a commit is answered with synchronous_commit = %s", waits)
	}
}
