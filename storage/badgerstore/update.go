// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// maxRuns bounds how often a closure runs.
const maxRuns = 24

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
		if leave, err = db.queues.enter(ctx, lost); err != nil {
			return err
		}
		if err := pause(ctx, run); err != nil {
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
	return commit.lost, err
}

// queues are where losers wait for each other, one for each group of keys.
type queues struct {
	seed  maphash.Seed
	slots [64]chan struct{}
}

func newQueues() *queues {
	q := &queues{seed: maphash.MakeSeed()}
	for i := range q.slots {
		q.slots[i] = make(chan struct{}, 1)
	}
	return q
}

// enter waits for the caller's turn at key. The function it returns is never nil and ends the turn.
func (q *queues) enter(ctx context.Context, key string) (leave func(), err error) {
	slot := q.slots[maphash.String(q.seed, key)%uint64(len(q.slots))]
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return func() {}, ctx.Err()
	}
}

// pause keeps updates that lost several times from meeting in step: it waits a random part of a time that doubles.
func pause(ctx context.Context, run int) error {
	if run < 4 {
		return nil
	}
	var random [2]byte
	_, _ = rand.Read(random[:]) // never fails
	part := time.Duration(random[0])<<8 | time.Duration(random[1])
	timer := time.NewTimer(min(time.Millisecond<<(run-4), 16*time.Millisecond) * part >> 16)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
