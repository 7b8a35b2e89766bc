// SPDX-License-Identifier: Apache-2.0

package waiting_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/waiting"
)

var errLook = errors.New("cannot look")

// enough returns a look that counts and has seen enough from the n-th time on.
func enough(looks *atomic.Int64, n int64) func() (bool, error) {
	return func() (bool, error) { return looks.Add(1) >= n, nil }
}

func TestHoldReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := waiting.New(1, mark)
		began := time.Now()
		var looks atomic.Int64
		if err := r.Hold(t.Context(), waiting.Wish{Name: "a", Most: time.Minute}, enough(&looks, 1)); err != nil {
			t.Errorf("enough at once: %v", err)
		}
		if err := r.Hold(t.Context(), waiting.Wish{Name: "a"}, func() (bool, error) { return false, nil }); err != nil {
			t.Errorf("no time to wait: %v", err)
		}
		failing := func() (bool, error) { return false, errLook }
		for _, most := range []time.Duration{0, time.Minute} {
			if err := r.Hold(t.Context(), waiting.Wish{Name: "a", Most: most}, failing); !errors.Is(err, errLook) {
				t.Errorf("a look that fails: %v", err)
			}
		}
		if looks.Load() != 1 || time.Since(began) != 0 || r.Len() != 0 {
			t.Errorf("%d looks, %s, %d still wait", looks.Load(), time.Since(began), r.Len())
		}
	})
}

func TestHoldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := waiting.New(1, mark)
		began := time.Now()
		var looks atomic.Int64
		if err := r.Hold(t.Context(), waiting.Wish{Name: "a", Most: time.Minute}, enough(&looks, 100)); err != nil {
			t.Error(err)
		}
		if time.Since(began) != time.Minute || looks.Load() != 1 {
			t.Errorf("after %s and %d looks", time.Since(began), looks.Load())
		}
		looks.Store(0)
		if err := r.Hold(t.Context(), waiting.Wish{Name: "a", Most: time.Minute, Again: time.Second}, enough(&looks, 4)); err != nil {
			t.Error(err)
		}
		if time.Since(began) != time.Minute+3*time.Second {
			t.Errorf("looking again each second: after %s", time.Since(began))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errLook) })
		if err := r.Hold(ctx, waiting.Wish{Name: "a", Most: time.Minute}, enough(&looks, 100)); !errors.Is(err, errLook) {
			t.Errorf("a caller that goes: %v", err)
		}
		if r.Len() != 0 {
			t.Errorf("%d still wait", r.Len())
		}
	})
}

// TestWake: everybody who waits for the name looks again at once, and nobody else.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := waiting.New(100, mark)
		var flag atomic.Bool
		var others atomic.Int64
		done := make(chan time.Duration, 10)
		began := time.Now()
		for range 10 {
			go func() {
				err := r.Hold(t.Context(), waiting.Wish{Name: "a", Most: time.Minute}, func() (bool, error) { return flag.Load(), nil })
				if err != nil {
					t.Error(err)
				}
				done <- time.Since(began)
			}()
		}
		go func() { _ = r.Hold(t.Context(), waiting.Wish{Name: "b", Most: time.Minute}, enough(&others, 100)) }()
		synctest.Wait()
		if r.Len() != 11 {
			t.Errorf("%d wait", r.Len())
		}
		r.Wake("a") // for nothing: they go on waiting
		synctest.Wait()
		if len(done) != 0 {
			t.Error("somebody left without having seen enough")
		}
		<-time.After(time.Second)
		flag.Store(true)
		r.Wake("a")
		for range 10 {
			if d := <-done; d != time.Second {
				t.Errorf("left after %s", d)
			}
		}
		if others.Load() != 1 {
			t.Errorf("another name looked %d times", others.Load())
		}
		r.Wake("nobody")
	})
}

// TestFull: beyond the places nobody waits, and a place is free again when somebody leaves.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := waiting.New(2, mark)
		never := func() (bool, error) { return false, nil }
		for i := range 2 {
			go func() { _ = r.Hold(t.Context(), waiting.Wish{Name: fmt.Sprint(i), Most: time.Minute}, never) }()
		}
		synctest.Wait()
		if err := r.Hold(t.Context(), waiting.Wish{Name: "x", Most: time.Minute}, never); !errors.Is(err, waiting.ErrFull) {
			t.Errorf("the third: %v", err)
		}
		if err := r.Hold(t.Context(), waiting.Wish{Name: "x", Most: time.Minute}, func() (bool, error) { return true, nil }); err != nil {
			t.Errorf("one that need not wait: %v", err)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if err := r.Hold(t.Context(), waiting.Wish{Name: "x", Most: time.Second}, never); err != nil || r.Len() != 0 {
			t.Errorf("after they left: %v, %d wait", err, r.Len())
		}
	})
}

// TestSeatsOfOneName are left in any order, and those who stay are still woken.
func TestSeatsOfOneName(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		r := waiting.New(3, mark)
		var seats []*waiting.Seat
		for range order {
			s, err := r.Take(waiting.Wish{Name: "a", Most: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			seats = append(seats, s)
		}
		for i, leaves := range order {
			r.Wake("a")
			r.Wake("a") // seen in one look
			for _, stays := range order[i:] {
				if more, err := seats[stays].Wait(t.Context()); !more || err != nil {
					t.Errorf("%v: seat %d: %t, %v", order, stays, more, err)
				}
			}
			seats[leaves].Leave()
			seats[leaves].Leave()
			if want := len(order) - i - 1; r.Len() != want {
				t.Errorf("%v: %d wait, not %d", order, r.Len(), want)
			}
		}
		r.Wake("a")
	}
}

// TestNobodyLeaves: a seat that was not to be had needs no giving back.
func TestNobodyLeaves(t *testing.T) {
	t.Parallel()
	r := waiting.New(0, mark)
	s, err := r.Take(waiting.Wish{Name: "a", Most: time.Minute})
	if !errors.Is(err, waiting.ErrFull) {
		t.Errorf("it has a seat: %v", err)
	}
	s.Leave()
	if r.Len() != 0 {
		t.Errorf("%d wait", r.Len())
	}
}

// TestNothingIsMissed: a change between the look and the waiting wakes all the same, whoever is quicker.
func TestNothingIsMissed(t *testing.T) {
	t.Parallel()
	r := waiting.New(1000, mark)
	var value atomic.Int64
	var group sync.WaitGroup
	for i := range 500 {
		want := int64(i + 1)
		group.Go(func() {
			err := r.Hold(t.Context(), waiting.Wish{Name: "n", Most: time.Minute}, func() (bool, error) { return value.Load() >= want, nil })
			if err != nil || value.Load() < want {
				t.Errorf("left at %d, wanted %d: %v", value.Load(), want, err)
			}
		})
		group.Go(func() {
			value.Add(1)
			r.Wake("n")
		})
	}
	group.Wait()
}

func BenchmarkWakeNobody(b *testing.B) {
	r := waiting.New(1, mark)
	b.ReportAllocs()
	for b.Loop() {
		r.Wake("op_0123456789ab0123456789abcdef")
	}
}

func BenchmarkHoldAtOnce(b *testing.B) {
	r := waiting.New(1, mark)
	look := func() (bool, error) { return true, nil }
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Hold(b.Context(), waiting.Wish{Name: "a", Most: time.Minute}, look)
	}
}

// mark is what a room knows a name by.
func mark(name string) (m uint64) {
	for _, c := range []byte(name) {
		m = m*31 + uint64(c)
	}
	return m
}
