// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// Variables of a process that is a node and nothing else: it opens a store, writes one item, and says that it has.
const (
	nodeDSN    = "GATEHOUSE_TEST_NODE_DSN"
	nodeSchema = "GATEHOUSE_TEST_NODE_SCHEMA"
)

// playNode is such a process. It waits for its standard input to end, so that several begin at one moment.
func playNode() error {
	fmt.Println("ready")
	_, _ = fmt.Scanln() // nothing but the end comes
	ctx := context.Background()
	db, err := pgstore.Open(ctx, pgstore.Config{
		DSN: os.Getenv(nodeDSN), Schema: os.Getenv(nodeSchema), Now: time.Now, MaxConns: 2, SweepEvery: -1, NoNotices: true,
	})
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(tx storage.Tx) error { return tx.Put(storage.Item{Key: fmt.Sprintf("node/%d", os.Getpid())}) })
	return errors.Join(err, db.Close())
}

// locks are what databases make of an advisory lock: functions that stand before PostgreSQL's own.
var locks = []struct{ name, function string }{
	{"which locks", ""},
	{"which locks nothing", "BEGIN END"},
	{"which is not there", "BEGIN RAISE SQLSTATE '42883'; END"},
	{"which is not supported", "BEGIN RAISE SQLSTATE '0A000'; END"},
}

// lockedBy returns how to connect to a database of the test's own, which has such a lock.
func lockedBy(t *testing.T, s *postgres.Server, function string) (dsn string) {
	t.Helper()
	if function == "" {
		return s.Database(t)
	}
	return s.Database(t, "CREATE SCHEMA before", "CREATE FUNCTION before.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql AS $$ "+function+" $$",
		"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = before, pg_catalog', current_database()); END $$")
}

// TestProcessesMigrateAtOnce: nodes that begin at the same moment on an empty database all start, and the tables are made once, whatever
// the database makes of an advisory lock.
func TestProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	for _, lock := range locks {
		t.Run(lock.name, func(t *testing.T) {
			t.Parallel()
			dsn := lockedBy(t, s, lock.function)
			for round := range 4 {
				schema := fmt.Sprintf("round%d", round)
				startNodes(t, dsn, schema, 3)
				var versions string
				query(t, dsn, "SELECT string_agg(version::text, ',') FROM "+schema+".migrations", &versions)
				if versions != "1" {
					t.Errorf("applied are %s", versions)
				}
				var items int
				if query(t, dsn, "SELECT count(*) FROM "+schema+".items", &items); items != 3 {
					t.Errorf("%d nodes have written", items)
				}
			}
		})
	}
}

// startNodes has so many processes begin at once, and waits for all of them.
func startNodes(t *testing.T, dsn, schema string, n int) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	var begun, group sync.WaitGroup
	begun.Add(n)
	for range n {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), nodeDSN+"="+dsn, nodeSchema+"="+schema)
		var said strings.Builder
		cmd.Stderr = &said
		in, err := cmd.StdinPipe()
		must(t, err)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		group.Go(func() {
			_, _ = out.Read(make([]byte, 16)) // it is ready, or has gone
			begun.Done()
			begun.Wait()
			_ = in.Close() // it may have gone
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, said.String())
			}
		})
	}
	group.Wait()
}

func query(t *testing.T, dsn, sql string, into any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	must(t, conn.QueryRow(t.Context(), sql).Scan(into))
}

// TestMigrationsAreTakenUp: a database that commits each statement by itself may be left with a part of a migration. The next node
// completes it.
func TestMigrationsAreTakenUp(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	const table = "CREATE TABLE gatehouse.items (key bytea NOT NULL PRIMARY KEY, value bytea NOT NULL, expires_at bigint)"
	for _, tt := range []struct {
		name string
		left []string
	}{
		{"with a schema", []string{"CREATE SCHEMA gatehouse"}},
		{"with a table of migrations", []string{"CREATE SCHEMA gatehouse", "CREATE TABLE gatehouse.migrations (version integer NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"}},
		{"with a table", []string{"CREATE SCHEMA gatehouse", table}},
		{"with its index", []string{"CREATE SCHEMA gatehouse", table, "CREATE INDEX items_expires_at ON gatehouse.items (expires_at) WHERE expires_at IS NOT NULL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dsn := s.Database(t, tt.left...)
			db, err := pgstore.Open(t.Context(), pgstore.Config{DSN: dsn, Now: time.Now, MaxConns: 2, SweepEvery: -1, NoNotices: true})
			must(t, err)
			must(t, db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: "a"}) }))
			must(t, db.Close())
			var n int
			query(t, dsn, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'gatehouse' AND tablename = 'items'", &n)
			if n != 2 {
				t.Errorf("%d indexes", n)
			}
		})
	}
}

// TestMigrationsMayFail: what is no collision is said at once.
func TestMigrationsMayFail(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	dsn := s.Database(t, "CREATE ROLE guest LOGIN")
	_, err := pgstore.Open(t.Context(), pgstore.Config{DSN: strings.Replace(dsn, "user="+postgres.User, "user=guest", 1), Now: time.Now})
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("without the right to make tables: %v", err)
	}
}
