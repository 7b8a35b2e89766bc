// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	beginUpdate = "BEGIN ISOLATION LEVEL SERIALIZABLE"
	beginView   = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

// statements are those over our tables. Each write takes all of its items at once.
type statements struct {
	get, follow, absent, scan, insert, put, remove, sweep, bury, fill string
}

func statementsFor(n names) statements {
	dead := func(before string) string { // by the clock of the node, and by that of the database
		return fmt.Sprintf("expires_at <= least(%s, (extract(epoch FROM now()) * 1000)::bigint - %d)", before, sweepGrace.Milliseconds())
	}
	const columns = " (key, value, expires_at) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])"
	const get = "SELECT key, value, expires_at FROM "
	return statements{
		get: get + n.items + " WHERE key = ANY($1)",
		// The inner SELECT is of one key each, so that it cannot become a join that reads the table: who reads all collides with all who write.
		follow: get + n.items + " WHERE key = ANY($1::bytea[] || ARRAY(SELECT w.prefix || (SELECT i.value FROM " + n.items +
			" i WHERE i.key = w.key AND (i.expires_at IS NULL OR i.expires_at > $4)) FROM unnest($2::bytea[], $3::bytea[]) AS w (key, prefix)))",
		// What is no number ends the transaction where one of the items is there, and tells the log of the database why.
		absent: "SELECT CASE count(*) WHEN 0 THEN 0 ELSE ('gatehouse presumed ' || count(*) || ' absent, and tries again')::int END FROM " +
			n.items + " WHERE key = ANY($1) AND (expires_at IS NULL OR expires_at > $2)",
		scan: get + n.items + " WHERE key >= $1 AND key < $2 AND (expires_at IS NULL OR expires_at > $3)" +
			" ORDER BY key LIMIT $4",
		insert: "INSERT INTO " + n.items + columns,
		put: "INSERT INTO " + n.items + columns +
			" ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
		remove: "DELETE FROM " + n.items + " WHERE key = ANY($1)",
		sweep:  "SELECT key FROM " + n.items + " WHERE " + dead("$1") + " ORDER BY expires_at LIMIT $2",
		bury:   "DELETE FROM " + n.items + " WHERE key = ANY($1) AND " + dead("$2"),
		fill: "INSERT INTO " + n.items + " (key, value) SELECT convert_to('\\', 'UTF8') || uuid_send(gen_random_uuid()), convert_to(repeat(' ', 1500), 'UTF8')" +
			" FROM generate_series(1, 8)",
	}
}

// rows are items as a statement takes them.
type rows struct {
	keys, values [][]byte
	expires      []*int64
}

func (r *rows) add(item *storage.Item) {
	r.keys, r.values = append(r.keys, []byte(item.Key)), append(r.values, nonNil(item.Value))
	if item.ExpiresAt.IsZero() {
		r.expires = append(r.expires, nil)
		return
	}
	at := item.ExpiresAt.UnixMilli()
	r.expires = append(r.expires, &at)
}

func (r *rows) queue(batch *pgx.Batch, sql string) {
	if len(r.keys) > 0 {
		batch.Queue(sql, r.keys, r.values, r.expires)
	}
}

func bytesOf(keys []string) [][]byte {
	texts := make([][]byte, len(keys))
	for i, key := range keys {
		texts[i] = []byte(key)
	}
	return texts
}

func nonNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// commit sends all writes and the commit in one round trip, behind a look at what was presumed to be absent. Writes go in the order of
// their keys, so that two transactions rather wait for each other than stand in each other's way. A caller that leaves does not cut off
// what may be decided already.
func (t *tx) commit() error {
	if len(t.writes) == 0 {
		return nil
	}
	var inserted, put rows
	var removed [][]byte
	for _, key := range slices.Sorted(maps.Keys(t.writes)) {
		item := t.writes[key]
		_, free := t.free[key]
		switch {
		case item == nil:
			removed = append(removed, []byte(key))
		case free:
			inserted.add(item)
		default:
			put.add(item)
		}
	}
	statements, doubtful := 0, t.doubtful()
	err := t.send(context.WithoutCancel(t.ctx), func(batch *pgx.Batch) {
		before := batch.Len()
		if len(doubtful) > 0 {
			batch.Queue(t.db.sql.absent, bytesOf(doubtful), t.now.UnixMilli())
		}
		if len(removed) > 0 {
			batch.Queue(t.db.sql.remove, removed)
		}
		put.queue(batch, t.db.sql.put)
		inserted.queue(batch, t.db.sql.insert)
		batch.Queue("COMMIT")
		statements = batch.Len() - before
	}, func(results pgx.BatchResults) error {
		for range statements {
			if _, err := results.Exec(); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err == nil || errors.Is(err, errNoConnection):
		return err
	case len(doubtful) > 0 && says(err, stateNumber):
		return errPresent
	}
	return verdict(t.ctx, err)
}
