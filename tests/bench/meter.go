// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/scale/plan"
)

// meter reads what a server has cost a database and itself.
type meter struct {
	*server
	*wire
	database *postgres.Server
}

// reading is what the meter shows at one moment.
type reading struct {
	at                    time.Time
	trips, updates, views float64
	sent, received        int64
	lsn                   string
	grown                 float64
	kept                  map[string]plan.Row // the sums of all records, by kind
	counts                map[string]float64
}

// size and census are what there is in the database.
const (
	size   = "SELECT pg_current_wal_flush_lsn()::text, pg_total_relation_size('gatehouse.items')::float8"
	census = "SELECT split_part(split_part(encode(key, 'escape'), '/', 1), '!', 1), count(*)::float8, sum(pg_column_size(i.*))::float8, sum(length(key))::float8" +
		" FROM gatehouse.items i WHERE value <> convert_to(repeat('x', 300), 'UTF8') GROUP BY 1"
	logged = "SELECT count(*) FILTER (WHERE resource_manager LIKE 'Heap%' AND record_type LIKE 'INSERT%')::float8," +
		" count(*) FILTER (WHERE resource_manager LIKE 'Heap%' AND record_type LIKE '%UPDATE%')::float8," +
		" count(*) FILTER (WHERE resource_manager LIKE 'Heap%' AND record_type LIKE 'HOT_UPDATE%')::float8," +
		" count(*) FILTER (WHERE resource_manager LIKE 'Heap%' AND record_type LIKE 'DELETE%')::float8," +
		" count(*) FILTER (WHERE resource_manager = 'Btree' AND record_type LIKE 'INSERT_LEAF%')::float8," +
		" coalesce(sum(record_length), 0)::float8 FROM pg_get_wal_records_info($1::pg_lsn, $2::pg_lsn)"
)

// read reads the meter.
func (m *meter) read() (r reading, err error) {
	r.at, r.sent, r.received = time.Now(), m.sent.Load(), m.wire.received.Load()
	if r.trips, r.updates, r.views, err = m.transactions(); err != nil {
		return r, err
	}
	return r, connected(m.database, func(ctx context.Context, conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, size).Scan(&r.lsn, &r.grown); err != nil {
			return err
		}
		r.kept = map[string]plan.Row{}
		r.counts = map[string]float64{}
		rows, err := conn.Query(ctx, census)
		if err != nil {
			return err
		}
		var kind string
		var n float64
		var sum plan.Row
		_, err = pgx.ForEachRow(rows, []any{&kind, &n, &sum.Bytes, &sum.Key}, func() error {
			r.kept[kind], r.counts[kind] = sum, n
			return nil
		})
		return err
	})
}

// ran returns how long threads of the server have run, to the nanosecond: ticks are too coarse for a few small requests.
func (m *meter) ran() (sum time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", m.Pid()))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, errors.New("/proc does not say what it should")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// transactions returns what the server says of its store: how often it waited for the database, and how many updates and views there were.
func (m *meter) transactions() (trips, updates, views float64, err error) {
	text, err := m.admin("/metrics")
	if err != nil {
		return 0, 0, 0, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, _ := strings.Cut(line, "} ")
		if !strings.HasPrefix(name, "gatehouse_store_transaction_seconds_count{") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, 0, 0, err
		}
		switch {
		case strings.Contains(name, `op="trip"`):
			trips += n
		case strings.Contains(name, `op="update"`):
			updates += n
		case strings.Contains(name, `op="view"`):
			views += n
		}
	}
	return trips, updates, views, nil
}

// between returns what was spent between two readings, in all, and how long it was.
func (m *meter) between(a, b reading) (c plan.Cost, took time.Duration, err error) {
	c = plan.Cost{
		Trips: b.trips - a.trips, Updates: b.updates - a.updates, Views: b.views - a.views,
		Sent: float64(b.sent - a.sent), Received: float64(b.received - a.received), Grown: b.grown - a.grown,
		Kept: map[string]float64{},
	}
	for kind, n := range b.counts {
		if more := n - a.counts[kind]; more != 0 {
			c.Kept[kind] = more
		}
	}
	err = connected(m.database, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, logged, a.lsn, b.lsn).Scan(&c.Inserted, &c.Updated, &c.Hot, &c.Deleted, &c.Entries, &c.WAL)
	})
	return c, b.at.Sub(a.at), err
}

// less returns a cost without another that is so many times in it, shared by n.
func less(c plan.Cost, idle plan.Cost, times, n float64) plan.Cost {
	each := func(whole, part float64) float64 { return max(0, (whole-part*times)/n) }
	of := plan.Cost{
		Trips: each(c.Trips, idle.Trips), Updates: each(c.Updates, idle.Updates), Views: each(c.Views, idle.Views),
		Sent: each(c.Sent, idle.Sent), Received: each(c.Received, idle.Received), WAL: each(c.WAL, idle.WAL),
		Inserted: each(c.Inserted, idle.Inserted), Updated: each(c.Updated, idle.Updated), Hot: each(c.Hot, idle.Hot),
		Deleted: each(c.Deleted, idle.Deleted), Entries: each(c.Entries, idle.Entries), Grown: each(c.Grown, idle.Grown),
		Kept: map[string]float64{},
	}
	for kind, sum := range c.Kept {
		if share := sum / n; share >= 0.05 { // what is seldom is of the time, and not of the request
			of.Kept[kind] = share
		}
	}
	return of
}
