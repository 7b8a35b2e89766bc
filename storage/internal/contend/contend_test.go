// SPDX-License-Identifier: Apache-2.0

package contend_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/storage/internal/contend"
)

// TestEnter: one at a time has the turn of a key, and whoever has given up waiting does not take it.
func TestEnter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queues := contend.New()
		leave, err := queues.Enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		nothing, err := queues.Enter(impatient, "a")
		if nothing(); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a turn that somebody has: %v", err)
		}
		entered := make(chan func())
		go func() {
			leave, err := queues.Enter(t.Context(), "a")
			if err != nil {
				t.Error(err)
			}
			entered <- leave
		}()
		synctest.Wait()
		select {
		case <-entered:
			t.Fatal("two have the turn of one key")
		default:
		}
		leave()
		(<-entered)()
	})
}

// TestPause: the time doubles up to the most, and ends with the context.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 50 * time.Millisecond
		for run, longest := range map[int]time.Duration{0: time.Millisecond, 3: 8 * time.Millisecond, 6: most, 1000: most} {
			for range 100 {
				began := time.Now()
				if err := contend.Pause(t.Context(), run, most); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took >= longest {
					t.Errorf("run %d waits %v", run, took)
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := contend.Pause(ctx, 20, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("once it is over: %v", err)
		}
	})
}
