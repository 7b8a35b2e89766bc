// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

// fill appends many items in few transactions.
func fill(t testing.TB, db storage.DB, box *outbox.Outbox, from, to int, lane func(i int) string) {
	t.Helper()
	const batch = 20
	for first := from; first < to; first += batch {
		if err := db.Update(t.Context(), func(tx storage.Tx) error {
			for i := first; i < min(first+batch, to); i++ {
				item := outbox.Item{Kind: "call", Lane: lane(i), ID: fmt.Sprint("dlv_", i), Payload: make([]byte, 200), At: time.Now()}
				if err := box.Append(tx, item); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func oneLane(int) string { return "a" }

func openBadger(t testing.TB) (storage.DB, *outbox.Outbox) {
	t.Helper()
	db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: t.TempDir(), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	box, err := outbox.New(outbox.Config{DB: db, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return db, box
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// However much waits, no more is held than is being delivered.
func TestManyItemsTakeLittleMemory(t *testing.T) {
	db, box := openBadger(t)
	many, some := 100_000, int32(2000)
	if raceDetector { // which needs memory of its own, and much time
		many, some = 5000, 500
	}
	fill(t, db, box, 0, many, oneLane)
	before := heap()
	var under, most, handed atomic.Int32
	enough := make(chan struct{})
	box.Handle("call", outbox.HandlerFunc(func(context.Context, outbox.Delivery) error {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		if handed.Add(1) == some {
			close(enough)
		}
		return nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		box.Run(ctx)
	}()
	<-enough
	grown := int64(heap()) - int64(before)
	cancel()
	<-done
	if n := most.Load(); n > outbox.DefaultPlaces/2 {
		t.Errorf("%d deliveries at once", n)
	}
	if grown > 24<<20 {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
	t.Logf("the heap has grown by %d KiB", grown>>10)
}

// BenchmarkDeliver is a whole item, from its transaction over its claim to its end, by way of Badger with synchronous writes.
func BenchmarkDeliver(b *testing.B) {
	for _, lanes := range []int{1, 4} {
		b.Run(fmt.Sprint(lanes, " lanes"), func(b *testing.B) {
			db, box := openBadger(b)
			fill(b, db, box, 0, b.N, func(i int) string { return fmt.Sprint("lane", i%lanes) })
			var handed atomic.Int64
			enough := make(chan struct{})
			box.Handle("call", outbox.HandlerFunc(func(context.Context, outbox.Delivery) error {
				if handed.Add(1) == int64(b.N) {
					close(enough)
				}
				return nil
			}))
			b.ReportAllocs()
			b.ResetTimer()
			go box.Run(b.Context())
			<-enough
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
		})
	}
}

// BenchmarkWoken is what passes from the commit of one item to the call of its handler, after many were delivered.
func BenchmarkWoken(b *testing.B) {
	db, box := openBadger(b)
	waking := box.Waking(db)
	came := make(chan struct{}, 1<<20)
	box.Handle("call", outbox.HandlerFunc(func(context.Context, outbox.Delivery) error {
		came <- struct{}{}
		return nil
	}))
	go box.Run(b.Context())
	const before = 20_000
	fill(b, waking, box, 0, before, oneLane)
	for range before {
		<-came
	}
	var waited time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		fill(b, waking, box, before+i, before+i+1, oneLane)
		committed := time.Now()
		<-came
		waited += time.Since(committed)
	}
	b.ReportMetric(float64(waited.Microseconds())/float64(b.N), "µs-after-commit")
}

// BenchmarkLook is what the loop does once a second when it is not woken.
func BenchmarkLook(b *testing.B) {
	for _, tt := range []struct {
		name    string
		waiting int
		kind    string
		ready   int
	}{
		{"nothing waits", 0, "call", 0},
		{"100000 without a handler", 100_000, "other", 0},
		{"100000 that are due", 100_000, "call", outbox.DefaultPlaces / 2},
	} {
		b.Run(tt.name, func(b *testing.B) {
			db, box := openBadger(b)
			fill(b, db, box, 0, tt.waiting, oneLane)
			box.Handle(tt.kind, outbox.HandlerFunc(func(context.Context, outbox.Delivery) error { return nil }))
			look := box.Looker()
			b.ReportAllocs()
			for b.Loop() {
				if ready, err := look(b.Context()); err != nil || ready != tt.ready {
					b.Fatal(ready, err)
				}
			}
		})
	}
}
