// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
)

// filled opens a store with n records and a way to each: "i/7" leads to "r/7".
func filled(t *testing.T, n int) (db *pgstore.DB, schema string) {
	t.Helper()
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) { schema = c.Schema })
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	conn := connected(t)
	for _, sql := range []string{
		"INSERT INTO %s.items SELECT convert_to('i/' || i, 'UTF8'), convert_to(i::text, 'UTF8') FROM generate_series(1, %d) i",
		"INSERT INTO %s.items SELECT convert_to('r/' || i, 'UTF8'), convert_to('0', 'UTF8') FROM generate_series(1, %d) i",
	} {
		_, err := conn.Exec(t.Context(), fmt.Sprintf(sql, schema, n))
		must(t, err)
	}
	_, err = conn.Exec(t.Context(), "ANALYZE "+schema+".items")
	must(t, err)
	return db, schema
}

func connected(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN(t))
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close(context.WithoutCancel(t.Context()))) })
	return conn
}

// TestWaysGoByTheIndex: however large the table, it is not read but at the keys that are asked for.
func TestWaysGoByTheIndex(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 40, 5000} {
		_, schema := filled(t, n)
		conn := connected(t)
		for _, sql := range []string{"SET enable_seqscan = off", "PREPARE q (bytea[], bytea[], bytea[], bigint) AS " + pgstore.FollowSQL(schema)} {
			_, err := conn.Exec(t.Context(), sql)
			must(t, err)
		}
		for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
			_, err := conn.Exec(t.Context(), "SET plan_cache_mode = "+mode)
			must(t, err)
			rows, err := conn.Query(t.Context(), `EXPLAIN (COSTS OFF) EXECUTE q ('{i/1,i/2,a}', '{i/1,i/2}', '{r/,r/}', 0)`)
			must(t, err)
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			must(t, err)
			plan := strings.Join(lines, "\n")
			for _, bad := range []string{"Seq Scan", "Join", "Nested Loop"} {
				if strings.Contains(plan, bad) {
					t.Errorf("%d records, %s: the plan has a %s:\n%s", n, mode, bad, plan)
				}
			}
			scans := strings.Count(plan, "Index Scan") + strings.Count(plan, "Index Only Scan")
			if scans != 2 || strings.Count(plan, "Index Cond: (key =") != scans {
				t.Errorf("%d records, %s: of %d scans not each has its keys:\n%s", n, mode, scans, plan)
			}
		}
	}
}

// TestWaysCollideOnlyWhereTheyMeet: two updates that follow different ways, one within the other, run once each, and what the database
// remembers of their reading is no table.
func TestWaysCollideOnlyWhereTheyMeet(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 5000} {
		db, schema := filled(t, n)
		conn, runs := connected(t), 0
		raise := func(tx storage.Tx, from string, between func() error) error {
			if err := storage.Follow(tx, []storage.Way{{Key: from, Prefix: "r/"}}); err != nil {
				return err
			}
			entry, err := tx.Get(from)
			if err != nil {
				return err
			}
			record, err := tx.Get("r/" + string(entry.Value))
			if err != nil {
				return err
			}
			record.Value = append(record.Value, '1')
			return errors.Join(between(), tx.Put(record))
		}
		must(t, db.Update(t.Context(), func(tx storage.Tx) error {
			runs++
			return raise(tx, "i/1", func() error {
				return db.Update(t.Context(), func(tx storage.Tx) error {
					runs++
					return raise(tx, "i/2", func() error { return noTableIsLocked(t, conn, schema) })
				})
			})
		}))
		if runs != 2 {
			t.Errorf("%d records: the two ran %d times", n, runs)
		}
	}
}

func noTableIsLocked(t *testing.T, conn *pgx.Conn, schema string) error {
	var locks, coarse int
	err := conn.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE l.locktype NOT IN ('tuple', 'page'))
		FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE l.mode = 'SIReadLock' AND n.nspname = $1`, schema).Scan(&locks, &coarse)
	if err == nil && (locks == 0 || locks > 12 || coarse > 0) {
		err = fmt.Errorf("%d predicate locks, %d of them on whole tables or indexes", locks, coarse)
	}
	return err
}
