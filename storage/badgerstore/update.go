// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/contend"
)

const (
	// maxRuns bounds how often a closure runs.
	maxRuns = 24
	// atOnce is how many runs come without a pause, and maxPause how long one takes at most.
	atOnce   = 4
	maxPause = 16 * time.Millisecond
)

// update runs fn until it commits. A loser queues for the key it lost: while it runs again only newcomers can beat it, and
// it goes before them in a batch.
func (db *DB) update(ctx context.Context, fn func(*tx) error) (err error) {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.entered.Done()
	defer db.observe("update", &err)()
	leave := func() {}
	defer func() { leave() }()
	for run := range maxRuns {
		lost, err := db.attempt(ctx, fn, run > 0)
		if !errors.Is(err, errLost) {
			return err
		}
		leave()
		if leave, err = db.queues.Enter(ctx, lost); err != nil {
			return err
		}
		if run < atOnce {
			continue
		}
		if err := contend.Pause(ctx, run-atOnce, maxPause); err != nil {
			return err
		}
	}
	return fmt.Errorf("updating after %d runs: %w", maxRuns, storage.ErrConflict)
}

// attempt runs fn once. When the error is errLost, lost is the key that somebody else wrote meanwhile.
func (db *DB) attempt(ctx context.Context, fn func(*tx) error, again bool) (lost string, err error) {
	t := db.begin(ctx, true)
	defer t.end()
	if err := fn(t); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil || len(t.writes) == 0 {
		return "", err
	}
	t.finish()
	commit := newCommit(t, again)
	err = db.commits.submit(ctx, commit)
	if err == nil || errors.Is(err, storage.ErrUnknown) {
		db.hub.Committed(slices.Values(commit.keys))
	}
	return commit.lost, err
}
