// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/scale/plan"
)

const (
	// expired are records to be removed, and sealedEvents events to be sealed.
	expired, sealedEvents = 100_000, 3000
	// engineTime is for how long the database does one thing.
	engineTime = 3 * time.Second
)

// ofEngine finds out what a database does at most of what one node does for all, and of what all nodes do at one place.
func ofEngine(database *postgres.Server) (e plan.Engine, err error) {
	if e.Commits, err = busy(database, "INSERT INTO gatehouse.items (key, value) SELECT convert_to('bench/' || gen_random_uuid(), 'UTF8'), convert_to(repeat('x', 300), 'UTF8')"); err != nil {
		return e, err
	}
	if e.Notices, err = busy(database, "SELECT pg_notify('bench', repeat('x', 100))"); err != nil {
		return e, err
	}
	if e.Swept, e.SweptWAL, err = sweeping(database); err != nil {
		return e, fmt.Errorf("sweeping: %w", err)
	}
	e.Sealed, e.SealTrips, err = sealingEvents(database)
	return e, err
}

// busy has connections run one statement again and again, and returns how often a second.
func busy(database *postgres.Server, statement string) (float64, error) {
	var done atomic.Int64
	began := time.Now()
	err := each(storeClients, storeClients, func(int) error {
		return connected(database, func(ctx context.Context, conn *pgx.Conn) error {
			for time.Since(began) < engineTime {
				if _, err := conn.Exec(ctx, statement); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	})
	return float64(done.Load()) / time.Since(began).Seconds(), err
}

// inSchema opens a store of its own in the database, and says how often it waits for it.
func inSchema(database *postgres.Server, schema string) (db *pgstore.DB, trips *atomic.Int64, err error) {
	trips = new(atomic.Int64)
	db, err = pgstore.Open(context.Background(), pgstore.Config{
		DSN: database.DSN("postgres", postgres.User), Schema: schema, Now: time.Now, MaxConns: 4, SweepEvery: -1, NoNotices: true,
		Observe: func(op string, _ time.Duration, _ error) {
			if op == "trip" {
				trips.Add(1)
			}
		},
	})
	return db, trips, err
}

// sweeping removes what has expired.
func sweeping(database *postgres.Server) (rate, wal float64, err error) {
	db, _, err := inSchema(database, "sweeping")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return rate, wal, connected(database, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "INSERT INTO sweeping.items (key, value, expires_at) SELECT convert_to('code/' || gen_random_uuid(), 'UTF8'),"+
			" convert_to(repeat('x', 300), 'UTF8'), n FROM generate_series(1, $1) AS n", expired); err != nil {
			return err
		}
		var lsn string
		if err := conn.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&lsn); err != nil {
			return err
		}
		began := time.Now()
		n, err := db.Sweep(ctx)
		if err != nil || n != expired {
			return fmt.Errorf("%d were removed: %w", n, err)
		}
		rate = expired / time.Since(began).Seconds()
		err = conn.QueryRow(ctx, "SELECT (pg_current_wal_flush_lsn() - $1::pg_lsn)::float8", lsn).Scan(&wal)
		wal /= expired
		return err
	})
}

// sealingEvents seals audit events, as the node does that leads.
func sealingEvents(database *postgres.Server) (rate, trips float64, err error) {
	db, counted, err := inSchema(database, "sealing")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	trail, err := audit.New(audit.Config{DB: db, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return 0, 0, err
	}
	ctx := context.Background()
	err = each(sealedEvents/10, 4, func(i int) error {
		events := make([]audit.Event, 10) // what fits into one transaction
		for j := range events {
			events[j] = trail.Prepare(audit.Event{Name: "bench", Subject: fmt.Sprint("usr_", i), ClientID: "bench"})
		}
		return db.Update(ctx, func(tx storage.Tx) error {
			for _, e := range events {
				if err := trail.Append(tx, e); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return 0, 0, err
	}
	before, began := counted.Load(), time.Now()
	for n := 1; n > 0 && err == nil; {
		n, _, err = trail.Seal(ctx)
	}
	return sealedEvents / time.Since(began).Seconds(), float64(counted.Load()-before) / sealedEvents, err
}

// nothing is a log of revocations that has none.
type nothing struct{}

// RevocationsSince returns none.
func (nothing) RevocationsSince(context.Context, time.Time) ([]authz.Revocation, error) {
	return nil, nil
}

// ofView finds out what a node's view of revocations costs, at several sizes.
func ofView() (v plan.View, err error) {
	view, err := revocation.New(revocation.Config{Log: nothing{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return v, err
	}
	before := heap()
	n, now := 0, time.Now()
	add := func(to int) {
		for ; n < to; n++ {
			view.Apply(authz.Revocation{ID: fmt.Sprint(n), Kind: authz.KindGrant, Target: fmt.Sprint("grt_", n), At: now, ExpiresAt: now.Add(time.Hour)})
		}
	}
	for _, size := range []int{1000, 10_000, 100_000, 400_000} {
		add(size)
		const more = 2000
		began := time.Now()
		add(size + more)
		v.Sizes, v.Add = append(v.Sizes, float64(size)), append(v.Add, float64(time.Since(began).Microseconds())/more)
	}
	v.Entry = float64(heap()-before) / float64(n)
	runtime.KeepAlive(view)
	return v, nil
}

// heap is what the heap of this process holds after collections.
func heap() int64 {
	runtime.GC()
	return held()
}
