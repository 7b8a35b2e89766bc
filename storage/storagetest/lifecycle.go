// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"

	"github.com/gatehouse-id/gatehouse/storage"
)

var cancellations = []test{
	{"nothing runs when the context has ended", func(f *fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		never := func(storage.Tx) error {
			f.Error("the closure ran")
			return nil
		}
		f.wantError("an update", f.db.Update(ctx, never), context.Canceled)
		f.wantError("a view", f.db.View(ctx, never), context.Canceled)
	}},
	{"cancellation before the commit leaves nothing", func(f *fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		err := f.db.Update(ctx, func(tx storage.Tx) error {
			defer cancel()
			return put(tx, "a", "1")
		})
		f.wantError("a cancelled update", err, context.Canceled)
		f.wantValue("a", "")
		f.put("a", "2")
		f.wantValue("a", "2")
	}},
	{"an unknown outcome is one of two states", func(f *fixture) {
		faulty := Faulty(f.db)
		faulty.Inject(Fault{Op: OnReply, Nth: 1})
		err := faulty.Update(f.Context(), func(tx storage.Tx) error { return put(tx, "a", "1", "b", "1") })
		f.wantError("an update without a reply", err, storage.ErrUnknown)
		f.view(func(tx storage.Tx) error {
			if value(f, tx, "a") != value(f, tx, "b") {
				f.Error("half of the update is there")
			}
			return nil
		})
	}},
}

var closings = []test{
	{"every call after close is ErrClosed", func(f *fixture) {
		f.put("a", "1")
		for range 2 {
			if err := f.db.Close(); err != nil {
				f.Fatalf("closing: %v", err)
			}
		}
		never := func(storage.Tx) error {
			f.Error("the closure ran")
			return nil
		}
		f.wantError("an update", f.db.Update(f.Context(), never), storage.ErrClosed)
		f.wantError("a view", f.db.View(f.Context(), never), storage.ErrClosed)
	}},
	{"close waits for the transactions under way", func(f *fixture) {
		f.put("a", "1")
		entered, release := make(chan struct{}, 2), make(chan struct{})
		var group sync.WaitGroup
		under := func(run func(context.Context, func(storage.Tx) error) error, fn func(storage.Tx) error) {
			group.Go(func() {
				err := run(f.Context(), func(tx storage.Tx) error {
					entered <- struct{}{}
					<-release
					return fn(tx)
				})
				if err != nil {
					f.Errorf("a transaction under way: %v", err)
				}
			})
		}
		under(f.db.Update, func(tx storage.Tx) error { return put(tx, "b", value(f, tx, "a")) })
		under(f.db.View, func(tx storage.Tx) error { _, err := tx.Get("a"); return err })
		<-entered
		<-entered
		closed := make(chan error, 1)
		go func() { closed <- f.db.Close() }()
		for !errors.Is(f.db.View(f.Context(), func(storage.Tx) error { return nil }), storage.ErrClosed) {
			runtime.Gosched()
		}
		select {
		case <-closed:
			f.Error("close returned before the transactions did")
		default:
		}
		close(release)
		group.Wait()
		if err := <-closed; err != nil {
			f.Errorf("closing: %v", err)
		}
	}},
	{"a transaction that outlives its closure errs", func(f *fixture) {
		f.put("a", "1", "b", "1")
		var kept storage.Tx
		var next func() (storage.Item, error, bool)
		f.update(func(tx storage.Tx) error {
			kept = tx
			next, _ = iter.Pull2(tx.Scan("", "", 0))
			next()
			return nil
		})
		f.wantOver(kept, next)
		if err := f.db.Close(); err != nil {
			f.Fatalf("closing: %v", err)
		}
		f.wantOver(kept, next)
	}},
}

// wantOver checks that a transaction whose closure returned neither works nor panics.
func (f *fixture) wantOver(tx storage.Tx, next func() (storage.Item, error, bool)) {
	f.Helper()
	if _, err := tx.Get("a"); err == nil {
		f.Error("get works after the closure")
	}
	if put(tx, "a", "2") == nil || tx.Delete("a") == nil || tx.Insert(storage.Item{Key: "c"}) == nil {
		f.Error("a write works after the closure")
	}
	storage.Presume(tx, "a", "c")
	if _, able := tx.(storage.Prefetcher); able && storage.Follow(tx, []storage.Way{way("a", "")}, "c") == nil {
		f.Error("reading ahead works after the closure")
	}
	for _, err := range tx.Scan("", "", 0) {
		if err == nil {
			f.Error("a scan works after the closure")
		}
	}
	if _, err, ok := next(); ok && err == nil {
		f.Error("a scan goes on after the closure")
	}
}

var handles = []test{
	{"one handle sees what the other wrote", func(f *fixture) {
		other := f.second()
		f.put("a", "1")
		other.wantValue("a", "1")
		other.put("a", "2")
		f.wantValue("a", "2")
	}},
	{"updates on two handles collide", func(f *fixture) {
		other := f.second()
		first := true
		f.update(func(tx storage.Tx) error {
			_ = value(f, tx, "n")
			if first {
				first = false
				other.put("n", "20")
			}
			return bump(tx, "n")
		})
		other.wantValue("n", "21")
	}},
	{"what one presumes to be absent the other makes", func(f *fixture) {
		other := f.second()
		f.presumeWrongly(func() { other.put("n", "theirs") })
		other.wantValue("n", "theirs")
		other.wantValue("seen", "theirs")
		makeTogether(f, 20, f.db, other.db)
	}},
	{"a counter loses no increment", func(f *fixture) {
		other := f.second()
		countTogether(f, 10, f.db, other.db)
	}},
	{"closing one leaves the other", func(f *fixture) {
		other := f.second()
		if err := f.db.Close(); err != nil {
			f.Fatalf("closing: %v", err)
		}
		other.put("a", "1")
		other.wantValue("a", "1")
	}},
}

// second opens the fixture's store again, or skips the test where an engine allows one handle only.
func (f *fixture) second() *fixture {
	f.Helper()
	db, err := f.open(f, f.place, f.clock.Now)
	if err != nil {
		f.Skipf("this engine allows one handle: %v", err)
	}
	f.Cleanup(func() {
		if err := db.Close(); err != nil {
			f.Errorf("closing the second handle: %v", err)
		}
	})
	other := *f
	other.db = db
	return &other
}
