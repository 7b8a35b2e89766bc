// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// overEngines runs a benchmark over every engine, with closures that run once.
func overEngines(b *testing.B, bench func(b *testing.B, w *world)) {
	for i, engine := range engines.All {
		b.Run(engine.Name, func(b *testing.B) {
			bench(b, newBenchWorld(b, i))
		})
	}
}

func newBenchWorld(b *testing.B, engine int) *world {
	w := &world{t: b, clock: storagetest.NewClock(), users: &users{out: map[string]error{}}}
	w.db = storagetest.Faulty(engines.All[engine].Plain(b, w.clock.Now))
	w.build(func(c *operation.Config) { c.OnChange = nil })
	return w
}

// fresh moves on to where the operations of before are over and the counts forgotten.
func (w *world) fresh() { w.clock.Advance(25 * time.Hour) }

func BenchmarkStart(b *testing.B) {
	overEngines(b, func(b *testing.B, w *world) {
		w.phone("usr_1")
		start := question("usr_1")
		b.ReportAllocs()
		for b.Loop() {
			w.clock.Advance(time.Minute)
			if _, _, err := w.Start(b.Context(), start); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDeliver(b *testing.B) {
	overEngines(b, func(b *testing.B, w *world) {
		p := w.phone("usr_1")
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			w.fresh()
			o := w.ask("usr_1")
			b.StartTimer()
			if _, err := w.Deliver(b.Context(), o.ID, p.id); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAnswer is without the signature of the statement, which the phone makes, and its check, which the envelope does.
func BenchmarkAnswer(b *testing.B) {
	overEngines(b, func(b *testing.B, w *world) {
		p := w.phone("usr_1")
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			w.fresh()
			a := p.approval(w.ask("usr_1"))
			b.StartTimer()
			if out, err := w.Answer(b.Context(), a); err != nil || out.Code != operation.Accepted {
				b.Fatal(out, err)
			}
		}
	})
}

// BenchmarkVerify is a right code, and a wrong one, which is counted for the operation and for the user.
func BenchmarkVerify(b *testing.B) {
	for _, tt := range []struct {
		name string
		code func(o operation.Operation) string
		want operation.Code
	}{
		{"right", func(o operation.Operation) string { return o.SMS.Code }, operation.Accepted},
		{"wrong", func(o operation.Operation) string { return off(o.SMS.Code) }, operation.Refused},
	} {
		b.Run(tt.name, func(b *testing.B) {
			overEngines(b, func(b *testing.B, w *world) {
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					b.StopTimer()
					w.fresh()
					o := w.ask(fmt.Sprint("usr_", n), texting) // who guesses too often is asked no more
					code := tt.code(o)
					b.StartTimer()
					if out, err := w.Verify(b.Context(), o.ID, "portal", code); err != nil || out.Code != tt.want {
						b.Fatal(out, err)
					}
				}
			})
		})
	}
}

// BenchmarkClaim is a phone that has scanned.
func BenchmarkClaim(b *testing.B) {
	overEngines(b, func(b *testing.B, w *world) {
		p := w.phone("usr_1")
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			w.fresh()
			c := operation.Claim{Message: p.message(), OTP: w.ask("", scanning).OTP}
			b.StartTimer()
			if out, err := w.Claim(b.Context(), c); err != nil || out.Code != operation.Accepted {
				b.Fatal(out, err)
			}
		}
	})
}

func BenchmarkStatus(b *testing.B) {
	overEngines(b, func(b *testing.B, w *world) {
		w.phone("usr_1")
		o := w.ask("usr_1")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Get(b.Context(), o.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPending(b *testing.B) {
	overEngines(b, func(b *testing.B, w *world) {
		p := w.phone("usr_1")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Pending(b.Context(), p.id, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkComplete is start, fetch, approve, status and redemption of different users side by side.
func BenchmarkComplete(b *testing.B) {
	overEngines(b, func(b *testing.B, w *world) {
		var next atomic.Int64
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			user := fmt.Sprint("usr_", next.Add(1))
			p := w.phone(user)
			for pb.Next() {
				if err := complete(b.Context(), w, p, user); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "operations/s")
	})
}

func complete(ctx context.Context, w *world, p *phone, user string) error {
	o, _, err := w.Start(ctx, question(user))
	if err != nil {
		return err
	}
	if o, err = w.Deliver(ctx, o.ID, p.id); err != nil {
		return err
	}
	out, err := w.Answer(ctx, p.approval(o))
	if err != nil || out.Code != operation.Accepted {
		return fmt.Errorf("%s: %w", out.Reason, err)
	}
	if _, err = w.Get(ctx, o.ID); err != nil {
		return err
	}
	_, err = w.Redeem(ctx, o.ID, "portal")
	return err
}

// BenchmarkWaiters measures what a waiting phone costs in memory, stack of its goroutine included, without the connection.
func BenchmarkWaiters(b *testing.B) {
	const users, each = 1000, 20
	w := newBenchWorld(b, 0)
	var phones []*phone
	for i := range users {
		phones = append(phones, w.phone(fmt.Sprint("usr_", i)))
	}
	for b.Loop() {
		before := used()
		ctx, cancel := context.WithCancel(b.Context())
		var group sync.WaitGroup
		for _, p := range phones {
			for range each {
				group.Go(func() { _, _ = w.Pending(ctx, p.id, operation.MaxWait) })
			}
		}
		for w.Waiting() < users*each { // those who wait are done with reading
			runtime.Gosched()
		}
		after := used()
		began := time.Now()
		if err := w.Tick(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds()), "µs/tick")
		b.ReportMetric(float64(after-before)/(users*each), "B/waiter")
		b.ReportMetric(users*each, "waiters")
		cancel()
		group.Wait()
	}
}

// used is what heap and stacks take after a collection.
func used() uint64 {
	runtime.GC()
	runtime.GC() // the first one shrinks stacks while it runs
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
