// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/gatehouse-id/gatehouse/storage"
)

// start begins the loops that the store owns. They end when it is closed.
func (db *DB) start(ctx context.Context) {
	ctx, db.stop = context.WithCancel(ctx)
	jobs := []struct {
		name  string
		every time.Duration
		step  func(context.Context) error
	}{
		{"gc", db.config.GCEvery, db.collect},
		{"sweep", db.config.SweepEvery, func(ctx context.Context) error {
			_, err := db.Sweep(ctx)
			return err
		}},
	}
	for _, job := range jobs {
		if job.every < 0 {
			continue
		}
		db.loops.Go(func() {
			repeat(ctx, job.every, func() {
				var err error
				report := db.observe(job.name, &err)
				err = job.step(ctx)
				report()
				if err != nil && ctx.Err() == nil {
					db.config.Logger.WarnContext(ctx, "maintaining the store", "job", job.name, "cause", err.Error())
				}
			})
		})
	}
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

// collect rewrites value-log files of which half is garbage, until there is none. A rewrite needs space like any write.
func (db *DB) collect(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := db.commits.ready(); err != nil {
			return err
		}
		err := db.badger.RunValueLogGC(0.5)
		if errors.Is(err, badger.ErrNoRewrite) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("collecting the value log: %w", err)
		}
	}
	return nil
}

// How Sweep goes through the store: in short views, and without reading far into kinds of records that never expire.
const (
	sweepGrace  = time.Hour // an item stays this long after its moment, in case the clock was wrong
	sweepWindow = 1000      // items looked at in one view
	sweepProbe  = 64        // items of a kind that are looked at before it counts as one that never expires
)

// Sweep removes the items that have been dead for an hour and returns how many it removed. Kinds of records whose first
// keys show no expiry are passed over; should one hold dead items, Badger collects them a day later.
func (db *DB) Sweep(ctx context.Context) (removed int, err error) {
	var w window
	for !w.done {
		if err := db.enter(ctx); err != nil {
			return removed, err
		}
		w, err = db.look(ctx, w)
		db.entered.Done()
		if err != nil {
			return removed, err
		}
		for len(w.dead) > 0 {
			n := min(len(w.dead), storage.MaxWrites)
			if err := db.bury(ctx, w.dead[:n]); err != nil {
				return removed, err
			}
			removed += n
			w.dead = w.dead[n:]
		}
	}
	return removed, nil
}

// window is where a sweep stands.
type window struct {
	next    string // the key to go on from
	kind    string // of the last key looked at
	without int    // items of that kind so far, while none of them expires
	dead    []string
	done    bool
}

// look goes through the next stretch of keys.
func (db *DB) look(ctx context.Context, w window) (_ window, err error) {
	defer recoverDamage(&err)
	t := db.begin(ctx, false)
	defer t.end()
	options := badger.DefaultIteratorOptions
	options.PrefetchValues = false
	options.Prefix = []byte(namespace)
	iterator := t.txn.NewIterator(options)
	defer iterator.Close()
	iterator.Seek([]byte(namespace + w.next))
	for range sweepWindow {
		if !iterator.Valid() {
			w.done = true
			return w, nil
		}
		key := string(iterator.Item().Key()[len(namespace):])
		item, err := decode(key, iterator.Item())
		if err != nil {
			return w, err
		}
		if w.pass(item, t.now) {
			iterator.Seek([]byte(namespace + w.next))
		} else {
			iterator.Next()
		}
	}
	return w, ctx.Err()
}

// pass takes note of an item. It is true when the rest of the item's kind is to be passed over; next is then beyond it.
func (w *window) pass(item storage.Item, now time.Time) bool {
	w.next = item.Key + "\x00"
	kind, _, ok := strings.Cut(item.Key, "/")
	if kind != w.kind {
		w.kind, w.without = kind, 0
	}
	if !item.ExpiresAt.IsZero() {
		w.without = -1
		if !item.Live(now.Add(-sweepGrace)) {
			w.dead = append(w.dead, item.Key)
		}
		return false
	}
	if w.without < 0 {
		return false
	}
	if w.without++; w.without < sweepProbe || !ok {
		return false
	}
	w.next = kind + "0" // "0" follows "/"
	return true
}

// bury deletes the items that are still dead.
func (db *DB) bury(ctx context.Context, keys []string) error {
	return db.update(ctx, func(t *tx) error {
		for _, key := range keys {
			item, found, err := t.load(key)
			if err != nil {
				return err
			}
			if found && !item.Live(t.now.Add(-sweepGrace)) {
				if err := t.Delete(key); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
