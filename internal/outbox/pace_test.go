// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
)

// TestAReceiverIsKeptBusyByWhatItIsWorth: how many deliveries are under way at once is a matter of how quickly a receiver answers.
func TestAReceiverIsKeptBusyByWhatItIsWorth(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		fails bool
		want  int32
	}{
		{"answers in a millisecond", time.Millisecond, false, 8},
		{"takes ten", 10 * time.Millisecond, false, 20},
		{"takes a hundred", 100 * time.Millisecond, false, outbox.DefaultPlaces / 2},
		{"takes a hundred to refuse", 100 * time.Millisecond, true, 8},
		{"never answers", time.Hour, false, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, outbox.Config{}, func(w *world) {
				w.appendEach(items(200))
				under, most := w.busy(func() (time.Duration, bool) { return c.takes, c.fails })
				elapse(2 * time.Second)
				if n := most.Load(); n != c.want {
					w.t.Errorf("%d deliveries at once, want %d; %d now", n, c.want, under.Load())
				}
			})
		})
	}
}

// TestAReceiverThatBecomesQuickOrSlow: what a receiver is worth is learned anew every minute.
func TestAReceiverThatBecomesQuickOrSlow(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		var takes atomic.Int64
		_, most := w.busy(func() (time.Duration, bool) { return time.Duration(takes.Load()), false })
		for _, step := range []struct {
			takes time.Duration
			want  int32
		}{{time.Millisecond, 8}, {100 * time.Millisecond, 32}, {time.Millisecond, 8}} {
			takes.Store(int64(step.takes))
			w.append(items(1)...)
			elapse(2 * time.Minute)
			most.Store(0)
			w.appendEach(items(200))
			elapse(10 * time.Second)
			if n := most.Load(); n != step.want {
				w.t.Errorf("%s for each: %d deliveries at once, want %d", step.takes, n, step.want)
			}
		}
	})
}

// appendEach adds items, each in a transaction of its own.
func (w *world) appendEach(items []outbox.Item) {
	w.t.Helper()
	for _, item := range items {
		w.append(item)
	}
}

// busy runs the loop with a receiver that takes its time, and returns how many deliveries are under way and were at most.
func (w *world) busy(answer func() (takes time.Duration, fails bool)) (under, most *atomic.Int32) {
	under, most = &atomic.Int32{}, &atomic.Int32{}
	w.box.Handle("call", outbox.HandlerFunc(func(ctx context.Context, _ outbox.Delivery) error {
		takes, fails := answer()
		now := under.Add(1)
		defer under.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return ctx.Err()
		}
		if fails {
			return errDown
		}
		return nil
	}))
	w.run(w.box)
	return under, most
}
