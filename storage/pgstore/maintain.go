// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// sweepGrace is how long an item stays after its moment, in case a clock was wrong.
	sweepGrace = time.Hour
	// sweepBatch is how many items are removed at once.
	sweepBatch = 500
	// probeEvery is the time between two looks at whether the database takes writes.
	probeEvery = 2 * time.Second
)

// health is what is known of the database: by the last commit, or by who looks from time to time.
type health struct {
	mu    sync.Mutex
	cause error
}

// note takes what a commit said, or who looked. That one lost to another, or that its caller has left, says nothing of the database.
func (h *health) note(err error) {
	if err != nil && !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrFull) && !errors.Is(err, storage.ErrUnknown) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cause = err
}

func (h *health) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cause
}

// start begins the loops that the store owns. They end when it is closed.
func (db *DB) start(ctx context.Context) {
	ctx, db.stop = context.WithCancel(ctx)
	if db.news != nil {
		db.hear = sync.OnceFunc(func() { db.loops.Go(func() { db.news.run(ctx) }) })
	}
	db.loops.Go(func() { repeat(ctx, probeEvery, func() { db.probe(ctx) }) })
	if db.config.SweepEvery < 0 {
		return
	}
	db.loops.Go(func() {
		repeat(ctx, db.config.SweepEvery, func() {
			if !db.config.Leads() {
				return
			}
			if _, err := db.Sweep(ctx); err != nil && ctx.Err() == nil {
				db.config.Logger.WarnContext(ctx, "removing expired items", "cause", err.Error())
			}
		})
	})
}

// repeat runs step at every tick until ctx ends.
func repeat(ctx context.Context, every time.Duration, step func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			step()
		case <-ctx.Done():
			return
		}
	}
}

// probe looks whether the database answers and takes writes, also while nobody writes.
func (db *DB) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, db.config.Timeout)
	defer cancel()
	var readOnly string
	err := db.pool.QueryRow(ctx, "SHOW transaction_read_only").Scan(&readOnly)
	switch {
	case ctx.Err() != nil && err != nil:
		err = fmt.Errorf("%w: no answer within %v", storage.ErrUnavailable, db.config.Timeout)
	case err != nil:
		err = fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	case readOnly == "on":
		db.pool.Reset() // another host of the DSN may take them by now
		err = fmt.Errorf("%w: it takes no writes", storage.ErrUnavailable)
	}
	if err == nil && errors.Is(db.health.err(), storage.ErrFull) { // whether there is room again only a write can tell
		err = db.fill(ctx)
	}
	db.health.note(err)
}

// fill writes more than a page of the table has room for, and takes it back.
func (db *DB) fill(ctx context.Context) error {
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		return fault(ctx, "writing", err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // or else its connection is closed
	if _, err := tx.Exec(ctx, db.sql.fill); err != nil {
		return fault(ctx, "writing", err)
	}
	return nil
}

// Sweep removes the items that have been dead for an hour, in small batches, and returns how many it removed. Any node may do it at any
// time: one whose clock is far ahead removes nothing that the database's does not hold for dead as well.
func (db *DB) Sweep(ctx context.Context) (removed int, err error) {
	if err := db.enter(ctx); err != nil {
		return 0, err
	}
	defer db.entered.Done()
	defer db.observe("sweep", &err)()
	before := db.config.Now().Add(-sweepGrace).UnixMilli()
	for ctx.Err() == nil {
		rows, err := db.pool.Query(ctx, db.sql.sweep, before, sweepBatch)
		if err != nil {
			return removed, fault(ctx, "looking for expired items", err)
		}
		dead, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			return removed, fault(ctx, "looking for expired items", err)
		}
		if len(dead) == 0 {
			return removed, nil
		}
		tag, err := db.pool.Exec(ctx, db.sql.bury, dead, before) // what was written anew meanwhile stays
		if err != nil {
			return removed, fault(ctx, "removing expired items", err)
		}
		removed += int(tag.RowsAffected())
		if len(dead) < sweepBatch {
			return removed, nil
		}
	}
	return removed, ctx.Err()
}
