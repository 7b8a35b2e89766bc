// SPDX-License-Identifier: Apache-2.0

package turns_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/turns"
)

// occupy runs work until the returned function is called.
func occupy(t *testing.T, p turns.Place) (stop func()) {
	t.Helper()
	started, end, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer p.Release()
		if err := p.Run(t.Context(), func() {
			close(started)
			<-end
		}); err != nil {
			t.Error(err)
		}
	}()
	<-started
	return func() {
		close(end)
		<-done
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	processors := runtime.GOMAXPROCS(0)
	for _, tt := range []struct {
		name               string
		config             turns.Config
		concurrent, places int
	}{
		{"defaults", turns.Config{}, processors, 33 * processors},
		{"defaults by runner", turns.Config{Concurrent: 2}, 2, 66},
		{"nobody waits", turns.Config{Concurrent: 2, Waiting: -1}, 2, 2},
		{"given", turns.Config{Concurrent: 1, Waiting: 3}, 1, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := turns.New(tt.config)
			if q.Concurrent() != tt.concurrent {
				t.Errorf("%d at once, want %d", q.Concurrent(), tt.concurrent)
			}
			for i := range tt.places {
				place, ok := q.Reserve()
				if !ok {
					t.Fatalf("only %d places, want %d", i, tt.places)
				}
				defer place.Release()
			}
			if _, ok := q.Reserve(); ok {
				t.Error("there is one place more")
			}
			if diff := cmp.Diff(turns.Stats{Queued: int64(tt.places), Busy: 1}, q.Stats()); diff != "" {
				t.Errorf("statistics (-want +got):\n%s", diff)
			}
			q.Admit().Release() // which waits however long the queue is
			if got := q.Stats(); got.Busy != 1 || got.Queued != int64(tt.places) {
				t.Errorf("after an admission: %+v", got)
			}
		})
	}
}

func TestReleasedPlacesAreTakenAgain(t *testing.T) {
	t.Parallel()
	q := turns.New(turns.Config{Concurrent: 1, Waiting: -1})
	place, ok := q.Reserve()
	if !ok {
		t.Fatal("no place")
	}
	stop := occupy(t, place)
	if diff := cmp.Diff(turns.Stats{InFlight: 1, Runs: 1}, q.Stats()); diff != "" {
		t.Errorf("running (-want +got):\n%s", diff)
	}
	stop()
	if _, ok := q.Reserve(); !ok {
		t.Error("the place was not given back")
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := turns.New(turns.Config{Concurrent: 1})
		stop := occupy(t, q.Admit())
		cause := errors.New("the client went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		go func() {
			p := q.Admit()
			defer p.Release()
			result <- p.Run(ctx, func() { t.Error("the work was done") })
		}()
		synctest.Wait()
		cancel(cause)
		if err := <-result; !errors.Is(err, cause) {
			t.Errorf("Run = %v, want %v", err, cause)
		}
		stop()
		p := q.Admit()
		defer p.Release()
		for range 20 { // a free slot and a cancelled context: not a matter of chance
			if err := p.Run(ctx, func() { t.Error("the work was done") }); !errors.Is(err, cause) {
				t.Errorf("Run on a free slot = %v, want %v", err, cause)
			}
		}
	})
}

func TestPanicsGiveTheSlotBack(t *testing.T) {
	t.Parallel()
	q := turns.New(turns.Config{Concurrent: 1})
	p := q.Admit()
	defer p.Release()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not come through")
			}
		}()
		_ = p.Run(t.Context(), func() { panic("the work broke") })
	}()
	ran := false
	if err := p.Run(t.Context(), func() { ran = true }); err != nil || !ran || q.Stats().InFlight != 0 {
		t.Errorf("after a panic: %v, ran %v, %+v", err, ran, q.Stats())
	}
}

// TestNeverMoreThanAllowed counts, inside the work itself, how much runs at once.
func TestNeverMoreThanAllowed(t *testing.T) {
	t.Parallel()
	const bound, calls = 3, 200
	q := turns.New(turns.Config{Concurrent: bound, Waiting: calls})
	var now, most atomic.Int64
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			p, ok := q.Reserve()
			if !ok {
				t.Error("no place")
				return
			}
			defer p.Release()
			if err := p.Run(t.Context(), func() {
				n := now.Add(1)
				for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
				}
				runtime.Gosched()
				now.Add(-1)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := most.Load(); got > bound || got == 0 {
		t.Errorf("%d at once, want 1 to %d", got, bound)
	}
	if diff := cmp.Diff(turns.Stats{Runs: calls}, q.Stats()); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

func BenchmarkRun(b *testing.B) {
	q := turns.New(turns.Config{})
	b.ReportAllocs()
	for b.Loop() {
		p, _ := q.Reserve()
		_ = p.Run(b.Context(), func() {})
		p.Release()
	}
}
