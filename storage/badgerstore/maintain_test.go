// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// stored counts the items of a prefix that the engine still holds, dead ones among them.
func stored(t *testing.T, db *badgerstore.DB, prefix string) (count int) {
	t.Helper()
	err := db.Engine().View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte("d" + prefix)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			count++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// fill writes n items of a kind, each with its own time to live; zero is never.
func fill(t *testing.T, db storage.DB, kind string, n int, expires func(i int) time.Time) {
	t.Helper()
	for from := 0; from < n; from += storage.MaxWrites {
		err := db.Update(t.Context(), func(tx storage.Tx) error {
			for i := from; i < min(n, from+storage.MaxWrites); i++ {
				item := storage.Item{Key: fmt.Sprintf("%s/%05d", kind, i), Value: []byte("v"), ExpiresAt: expires(i)}
				if err := tx.Put(item); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db := mustOpen(t, badgerstore.Config{Now: clock.Now, GCEvery: -1, SweepEvery: -1})
	start := clock.Now()
	never := func(int) time.Time { return time.Time{} }
	fill(t, db, "client", 10, never)
	fill(t, db, "code", 1500, func(i int) time.Time { return start.Add(time.Duration(1+i%2) * time.Hour) })
	fill(t, db, "code#user", 100, func(int) time.Time { return start.Add(time.Hour) })
	fill(t, db, "user", 1200, never)
	fill(t, db, "zone", 5, func(int) time.Time { return start.Add(time.Minute) })

	wantSwept := func(want int) {
		t.Helper()
		if got, err := db.Sweep(t.Context()); err != nil || got != want {
			t.Errorf("swept %d and %v, want %d", got, err, want)
		}
	}
	wantSwept(0)
	clock.Advance(time.Hour + 30*time.Minute) // dead items are within the grace, but for the zones
	wantSwept(5)
	clock.Advance(30 * time.Minute)
	wantSwept(750 + 100)
	wantSwept(0)
	for prefix, want := range map[string]int{"client/": 10, "code/": 750, "code#user/": 0, "user/": 1200, "zone/": 0} {
		if got := stored(t, db, prefix); got != want {
			t.Errorf("%d items under %q, want %d", got, prefix, want)
		}
	}
	clock.Advance(-2 * time.Hour)
	if get(t, db, "code/00001") != "v" {
		t.Error("a live item was swept")
	}
}

func TestSweepPassesOverKindsThatNeverExpire(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db := mustOpen(t, badgerstore.Config{Now: clock.Now, GCEvery: -1, SweepEvery: -1})
	// One dying item behind many that live on is not looked for; the engine collects it in time.
	fill(t, db, "user", 200, func(i int) time.Time {
		if i == 150 {
			return clock.Now().Add(time.Second)
		}
		return time.Time{}
	})
	fill(t, db, "user0", 1, func(int) time.Time { return clock.Now().Add(time.Second) })
	clock.Advance(2 * time.Hour)
	if got, err := db.Sweep(t.Context()); err != nil || got != 1 {
		t.Errorf("swept %d and %v, want the one of the next kind", got, err)
	}
}

// The sweeper looks first and buries later. What is written in between must live.
func TestSweepSparesWhatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	calls := 0
	meanwhile := func() {}
	db := mustOpen(t, badgerstore.Config{GCEvery: -1, SweepEvery: -1, Now: func() time.Time {
		if calls++; calls == 2 { // the first call belongs to the look
			meanwhile()
		}
		return clock.Now()
	}})
	fill(t, db, "code", 3, func(int) time.Time { return clock.Now().Add(time.Second) })
	clock.Advance(3 * time.Hour)
	meanwhile = func() {
		fill(t, db, "code", 1, func(int) time.Time { return clock.Now().Add(time.Hour) })
	}
	calls = 0
	if _, err := db.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if get(t, db, "code/00000") != "v" {
		t.Error("an item that was written meanwhile was swept")
	}
	if n := stored(t, db, "code/"); n != 1 {
		t.Errorf("%d items are left", n)
	}
}

func TestEngineKeepsWhatTheInjectedClockCallsLive(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	clock.Set(time.Date(1999, time.December, 31, 23, 59, 0, 0, time.UTC)) // far behind the machine's
	db := mustOpen(t, badgerstore.Config{Now: clock.Now})
	fill(t, db, "code", 2, func(i int) time.Time { return clock.Now().Add(time.Duration(i) * time.Hour) })
	err := db.Engine().View(func(txn *badger.Txn) error {
		for i, want := range []time.Duration{24 * time.Hour, 25 * time.Hour} {
			item, err := txn.Get(fmt.Appendf(nil, "dcode/%05d", i))
			if err != nil {
				return err
			}
			left := time.Until(time.Unix(int64(item.ExpiresAt()), 0))
			if left < want-time.Minute || left > want+time.Minute {
				t.Errorf("the engine keeps item %d for %v, want %v", i, left, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{GCEvery: -1, SweepEvery: -1})
	if err := put(t.Context(), db, "large", strings.Repeat("x", 60<<10)); err != nil {
		t.Fatal(err)
	}
	if err := db.Collect(t.Context()); err != nil {
		t.Errorf("collecting where there is no garbage: %v", err)
	}
	db.LetCommitsEndIn(context.DeadlineExceeded)
	_ = put(t.Context(), db, "a", "1")
	if err := db.Collect(t.Context()); err == nil {
		t.Error("a store that stopped writing was collected")
	}
}

// Large values stand in the value log, which only a collection makes shorter.
func TestCollectGivesSpaceBack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes a hundred megabytes")
	}
	config := badgerstore.Config{Dir: t.TempDir(), GCEvery: -1, SweepEvery: -1}
	db := mustOpen(t, config)
	const rounds = 28
	for round := range rounds {
		err := db.Update(t.Context(), func(tx storage.Tx) error {
			for i := range 60 {
				value := bytes.Repeat([]byte{byte(round)}, 60<<10)
				if err := tx.Put(storage.Item{Key: fmt.Sprintf("large/%d", i), Value: value}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		for i := range 60 {
			if got := get(t, db, fmt.Sprintf("large/%d", i)); len(got) != 60<<10 || got[100] != rounds-1 {
				t.Fatalf("item %d has %d bytes", i, len(got))
			}
		}
	}
	// Every opening and closing leaves a table; six are enough for Badger to merge them, and merging finds the garbage.
	for range 6 {
		if err := errors.Join(put(t.Context(), db, "a", "1"), db.Close()); err != nil {
			t.Fatal(err)
		}
		db = mustOpen(t, config)
	}
	if err := put(t.Context(), db, "a", "1"); err != nil {
		t.Fatal(err)
	}
	for db.Engine().Levels()[0].NumTables > 1 {
		yield()
	}
	before := logBytes(t, config.Dir)
	if err := db.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	after := logBytes(t, config.Dir)
	if t.Logf("the value log went from %d to %d MiB", before>>20, after>>20); after > before*2/3 {
		t.Error("too little was collected")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = mustOpen(t, config)
	check()
}

// logBytes is how long the files of the value log are.
func logBytes(t *testing.T, dir string) (total int64) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		info, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var at []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			badgerstore.Repeat(ctx, time.Minute, func() {
				if at = append(at, time.Since(start)); len(at) == 3 {
					cancel()
				}
			})
		}()
		<-done
		if fmt.Sprint(at) != "[1m0s 2m0s 3m0s]" {
			t.Errorf("steps ran at %v", at)
		}
	})
}

func TestLoopsRunAndEndWithTheStore(t *testing.T) {
	t.Parallel()
	ran := make(chan string, 10)
	db := mustOpen(t, badgerstore.Config{
		Now: time.Now, GCEvery: time.Millisecond, SweepEvery: time.Millisecond,
		Observe: func(op string, _ time.Duration, _ error) {
			select {
			case ran <- op:
			default:
			}
		},
	})
	seen := map[string]bool{}
	for !seen["gc"] || !seen["sweep"] {
		seen[<-ran] = true
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
