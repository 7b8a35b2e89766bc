// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// TestBehindAPooler: the contract holds behind PgBouncer, as long as it lends a connection for a transaction at least.
func TestBehindAPooler(t *testing.T) {
	t.Parallel()
	owned := postgres.Start(t)
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			dsn := owned.Pooler(t, mode, "postgres")
			var said bytes.Buffer
			db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) {
				c.DSN, c.Logger = dsn, slog.New(slog.NewTextHandler(&said, nil))
			})
			must(t, err)
			must(t, db.Close())
			if !strings.Contains(said.String(), "stands a pooler") {
				t.Errorf("the log does not tell of it: %s", &said)
			}
			through := func(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
				t.Helper()
				db, err := openWith(t, mode+place, now, func(c *pgstore.Config) {
					c.DSN, c.MaxConns = dsn, 3 // for a session the pooler lends each of them one of its 30, idle or not
				})
				return struct{ storage.DB }{db}, err // notices do not pass a pooler
			}
			storagetest.Run(t, through)
			storagetest.RunContention(t, through)
		})
	}
}

// TestAPoolerForStatements: one that lends a connection for a statement is found out at the start, also where the tables are there.
func TestAPoolerForStatements(t *testing.T) {
	t.Parallel()
	owned := postgres.Start(t)
	place, dsn := t.TempDir(), owned.Pooler(t, "statement", "postgres")
	for _, there := range []bool{false, true} {
		if there {
			db, err := openWith(t, place, time.Now, func(c *pgstore.Config) { c.DSN = owned.DSN("postgres", postgres.User) })
			must(t, err)
			must(t, db.Close())
		}
		db, err := openWith(t, place, time.Now, func(c *pgstore.Config) { c.DSN = dsn })
		if err == nil {
			must(t, db.Close())
		}
		if !errors.Is(err, pgstore.ErrPooler) || !strings.Contains(err.Error(), "pool_mode") {
			t.Errorf("with tables there %t: %v", there, err)
		}
	}
}
