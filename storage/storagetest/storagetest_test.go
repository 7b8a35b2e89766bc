// SPDX-License-Identifier: Apache-2.0

package storagetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/trips"
)

func open(t *testing.T) storage.DB {
	t.Helper()
	db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func put(key string) func(storage.Tx) error {
	return func(tx storage.Tx) error { return tx.Put(storage.Item{Key: key}) }
}

func has(t *testing.T, db storage.DB, key string) bool {
	t.Helper()
	var found bool
	err := db.View(t.Context(), func(tx storage.Tx) error {
		_, err := tx.Get(key)
		found = err == nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestClock(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	start := clock.Now()
	if !start.Equal(storagetest.NewClock().Now()) {
		t.Error("two clocks start at different moments")
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() { clock.Advance(time.Second) })
	}
	group.Wait()
	if got := clock.Now().Sub(start); got != 10*time.Second {
		t.Errorf("the clock moved by %v", got)
	}
	if clock.Set(start); !clock.Now().Equal(start) {
		t.Error("the clock was not set")
	}
}

func TestTwiceRunsClosuresTwiceAndRollsTheFirstBack(t *testing.T) {
	t.Parallel()
	db := storagetest.Twice(open(t), 7)
	doubled := 0
	for i := range 100 {
		runs := 0
		err := db.Update(t.Context(), func(tx storage.Tx) error {
			runs++
			// An insert over the first run's leftovers would be refused.
			return tx.Insert(storage.Item{Key: string(rune('a' + i))})
		})
		if err != nil || runs > 2 {
			t.Fatalf("update %d ran %d times and ended in %v", i, runs, err)
		}
		doubled += runs - 1
	}
	if doubled < 25 || doubled > 75 {
		t.Errorf("%d of 100 closures ran twice", doubled)
	}
}

func TestTwiceReturnsWhatTheLastRunReturns(t *testing.T) {
	t.Parallel()
	db := storagetest.Twice(open(t), 1)
	refused := errors.New("refused")
	for range 20 {
		if err := db.Update(t.Context(), func(storage.Tx) error { return refused }); !errors.Is(err, refused) {
			t.Fatalf("error is %v", err)
		}
		if err := db.View(t.Context(), func(storage.Tx) error { return refused }); !errors.Is(err, refused) {
			t.Fatalf("error of a view is %v", err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Update(t.Context(), put("a")); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestFaulty(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is on fire")
	tests := []struct {
		name    string
		fault   storagetest.Fault
		want    []error // of three updates
		written []bool  // by each of them
	}{
		{"no fault", storagetest.Fault{}, []error{nil, nil, nil}, []bool{true, true, true}},
		{"the next update", storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: broken}, []error{broken, nil, nil}, []bool{false, true, true}},
		{"the second commit", storagetest.Fault{Op: storagetest.OnCommit, Nth: 2, Err: storage.ErrFull}, []error{nil, storage.ErrFull, nil}, []bool{true, false, true}},
		{"every commit", storagetest.Fault{Op: storagetest.OnCommit, Err: broken}, []error{broken, broken, broken}, []bool{false, false, false}},
		{"the third reply", storagetest.Fault{Op: storagetest.OnReply, Nth: 3}, []error{nil, nil, storage.ErrUnknown}, []bool{true, true, true}},
		{"a view does not count", storagetest.Fault{Op: storagetest.OnView, Nth: 100, Err: broken}, []error{nil, nil, nil}, []bool{true, true, true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := storagetest.Faulty(open(t))
			if test.fault.Op != 0 {
				db.Inject(test.fault)
			}
			for i, key := range []string{"a", "b", "c"} {
				if err := db.Update(t.Context(), put(key)); !errors.Is(err, test.want[i]) {
					t.Errorf("update %d: %v, want %v", i+1, err, test.want[i])
				}
				if got := has(t, db, key); got != test.written[i] {
					t.Errorf("update %d wrote: %v, want %v", i+1, got, test.written[i])
				}
			}
			db.Clear()
			if err := db.Update(t.Context(), put("d")); err != nil {
				t.Errorf("after clearing: %v", err)
			}
		})
	}
}

func TestFaultyViewsAndQueuedFaults(t *testing.T) {
	t.Parallel()
	db := storagetest.Faulty(open(t))
	first, second := errors.New("first"), errors.New("second")
	db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 1, Err: first})
	db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 2, Err: second})
	for i, want := range []error{first, second, nil} {
		err := db.View(t.Context(), func(storage.Tx) error { return nil })
		if !errors.Is(err, want) {
			t.Errorf("view %d: %v, want %v", i+1, err, want)
		}
	}
}

func TestFaultySlowness(t *testing.T) {
	t.Parallel()
	db := storagetest.Faulty(open(t))
	gate := make(chan struct{})
	db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Wait: gate})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Update(ctx, put("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("a slow update whose context ended: %v", err)
	}
	close(gate)
	if err := db.Update(t.Context(), put("a")); err != nil {
		t.Errorf("a slow update: %v", err)
	}
}

func TestFaultyKeepsTheClosuresOwnError(t *testing.T) {
	t.Parallel()
	db := storagetest.Faulty(open(t))
	db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrFull})
	refused := errors.New("refused")
	if err := db.Update(t.Context(), func(storage.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("error is %v", err)
	}
}

// Each kind of operation counts, and the one that is named fails once and writes nothing.
func TestFrail(t *testing.T) {
	t.Parallel()
	steps := func(tx storage.Tx) error {
		if _, err := tx.Get("a"); err != nil {
			return err
		}
		if err := tx.Put(storage.Item{Key: "b"}); err != nil {
			return err
		}
		if err := tx.Insert(storage.Item{Key: "c"}); err != nil {
			return err
		}
		if err := tx.Delete("a"); err != nil {
			return err
		}
		for _, err := range tx.Scan("", "", 0) { // two items
			if err != nil {
				return err
			}
		}
		return nil
	}
	for nth := 1; nth <= 7; nth++ {
		db := storagetest.Frail(open(t))
		if err := db.Update(t.Context(), put("a")); err != nil {
			t.Fatal(err)
		}
		db.Break(nth)
		err := db.Update(t.Context(), steps)
		if fails := nth <= 6; errors.Is(err, storagetest.ErrFrail) != fails || db.Broken() != fails || has(t, db.DB, "b") == fails {
			t.Errorf("operation %d: %v, broken: %v", nth, err, db.Broken())
		}
		if !db.Broken() {
			continue
		}
		if err := db.Update(t.Context(), steps); err != nil {
			t.Errorf("after operation %d: %v", nth, err)
		}
	}
}

// Reading ahead is an operation that may fail as well, and what the transaction underneath can do is passed on.
func TestFrailReadsAhead(t *testing.T) {
	t.Parallel()
	counted := trips.Count(open(t))
	db := storagetest.Frail(counted)
	steps := func(tx storage.Tx) error {
		storage.Presume(tx, "absent")
		if err := storage.Follow(tx, []storage.Way{{Key: "way"}}, "other"); err != nil {
			return err
		}
		for _, key := range []string{"absent", "way", "other"} {
			if _, err := tx.Get(key); !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
		return tx.Put(storage.Item{Key: "b"})
	}
	db.Break(1)
	if err := db.Update(t.Context(), steps); !errors.Is(err, storagetest.ErrFrail) {
		t.Errorf("reading ahead: %v", err)
	}
	before := counted.Trips()
	if err := db.Update(t.Context(), steps); err != nil || counted.Trips()-before != 2 {
		t.Errorf("%d round trips, want one reading and the commit; %v", counted.Trips()-before, err)
	}
}
