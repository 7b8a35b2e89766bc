// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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

// TestReadingGoesByTheIndex: however large the table, it is not read but at the keys that are asked for.
func TestReadingGoesByTheIndex(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 40, 5000} {
		_, schema := filled(t, n)
		conn := connected(t)
		for _, sql := range []string{
			"SET enable_seqscan = off",
			"PREPARE follow (bytea[], bytea[], bytea[], bigint) AS " + pgstore.FollowSQL(schema),
			"PREPARE absent (bytea[], bigint) AS " + pgstore.AbsentSQL(schema),
		} {
			_, err := conn.Exec(t.Context(), sql)
			must(t, err)
		}
		for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
			_, err := conn.Exec(t.Context(), "SET plan_cache_mode = "+mode)
			must(t, err)
			for query, scans := range map[string]int{
				"follow ('{i/1,i/2,a}', '{i/1,i/2}', '{r/,r/}', 0)": 2,
				"absent ('{i/x,i/y,a}', 0)":                         1,
			} {
				rows, err := conn.Query(t.Context(), "EXPLAIN (COSTS OFF) EXECUTE "+query)
				must(t, err)
				lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
				must(t, err)
				if problem := goesByTheIndex(strings.Join(lines, "\n"), scans); problem != nil {
					t.Errorf("%d records, %s, %s: %v", n, mode, query, problem)
				}
			}
		}
	}
}

// goesByTheIndex checks that a plan has so many scans, each of which is of the primary key and has its keys.
func goesByTheIndex(plan string, scans int) error {
	for _, bad := range []string{"Seq Scan", "Join", "Nested Loop", "items_expires_at"} {
		if strings.Contains(plan, bad) {
			return fmt.Errorf("the plan has a %s:\n%s", bad, plan)
		}
	}
	found := strings.Count(plan, "Index Scan") + strings.Count(plan, "Index Only Scan")
	if found != scans || strings.Count(plan, "Index Cond: (key =") != scans {
		return fmt.Errorf("the plan has not %d scans each with its keys:\n%s", scans, plan)
	}
	return nil
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

// TestPresumptionsSkew: each of two updates writes only where the other has not. What they presume protects them as reading does, also from
// what their snapshot does not show.
func TestPresumptionsSkew(t *testing.T) {
	t.Parallel()
	db, err := openWith(t, t.TempDir(), time.Now, nil)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	claim := func(key, other string, between func(storage.Tx) error) (won bool) {
		err := db.Update(t.Context(), func(tx storage.Tx) error {
			storage.Presume(tx, other, key)
			won = false
			for _, taken := range []string{other, key} {
				if _, err := tx.Get(taken); !errors.Is(err, storage.ErrNotFound) {
					return err
				}
			}
			if err := between(tx); err != nil {
				return err
			}
			won = true
			return tx.Put(storage.Item{Key: key})
		})
		if err != nil {
			t.Error(err)
		}
		return won
	}
	nothing := func(storage.Tx) error { return nil }

	within := false
	if claim("a", "b", func(tx storage.Tx) error { // with a snapshot of the time before the other commits
		if _, err := tx.Get("c"); !errors.Is(err, storage.ErrNotFound) || within {
			return err
		}
		within = true
		if !claim("b", "a", nothing) {
			t.Error("the one within was refused")
		}
		return nil
	}) {
		t.Error("both have written where the other had not")
	}
	for i := range 200 {
		left, right := fmt.Sprintf("%d/left", i), fmt.Sprintf("%d/right", i)
		var won [2]bool
		var group sync.WaitGroup
		group.Go(func() { won[0] = claim(left, right, nothing) })
		group.Go(func() { won[1] = claim(right, left, nothing) })
		group.Wait()
		if won[0] == won[1] {
			t.Fatalf("%d: the two won: %v", i, won)
		}
	}
}
