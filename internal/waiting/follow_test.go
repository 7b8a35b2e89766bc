// SPDX-License-Identifier: Apache-2.0

package waiting_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/waiting"
)

// news is what a test has to tell.
type news struct {
	mu      sync.Mutex
	c       chan struct{}
	marks   []uint64
	more    bool
	stopped bool
}

func (n *news) C() <-chan struct{} { return n.c }
func (n *news) Stop()              { n.stopped = true }

func (n *news) Take() ([]uint64, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.marks, n.more = nil, false }()
	return n.marks, n.more
}

// tell tells, and waits until everybody has done what follows from it.
func (n *news) tell(more bool, names ...string) {
	n.mu.Lock()
	n.more = n.more || more
	for _, name := range names {
		n.marks = append(n.marks, mark(name))
	}
	n.mu.Unlock()
	select {
	case n.c <- struct{}{}:
	default:
	}
	synctest.Wait()
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, told := waiting.New(10, mark), &news{c: make(chan struct{}, 1)}
		var all sync.WaitGroup
		all.Go(func() { r.Follow(ctx, told) })
		// a and b look again by themselves, though not soon; c, which is a phone, waits to be woken.
		var looks [3]atomic.Int64
		for i, wish := range []waiting.Wish{
			{Name: "a", Most: time.Hour, Again: time.Hour}, {Name: "b", Most: time.Hour, Again: time.Hour}, {Name: "c", Most: time.Hour},
		} {
			all.Go(func() { _ = r.Hold(ctx, wish, enough(&looks[i], 100)) })
		}
		synctest.Wait()
		want := func(when string, a, b, c int64) {
			t.Helper()
			if looks[0].Load() != a || looks[1].Load() != b || looks[2].Load() != c {
				t.Errorf("%s: they have looked %d, %d and %d times", when, looks[0].Load(), looks[1].Load(), looks[2].Load())
			}
		}
		want("at first", 1, 1, 1)
		told.tell(false, "a", "c", "nobody")
		want("told of a and c", 2, 1, 2)
		told.tell(true)
		want("there is more, though it has just begun", 2, 1, 2)
		<-time.After(time.Second)
		synctest.Wait()
		want("a second later", 3, 2, 2)
		told.tell(true, "c")
		told.tell(true)
		want("told of c and more, again", 3, 2, 3)
		<-time.After(time.Second)
		synctest.Wait()
		want("another second later", 4, 3, 3)
		<-time.After(time.Minute)
		want("nothing more is told", 4, 3, 3)
		told.tell(true)
		want("more, after a while", 5, 4, 3)
		cancel()
		all.Wait()
		if !told.stopped || r.Len() != 0 {
			t.Errorf("stopped: %t, %d wait", told.stopped, r.Len())
		}
	})
}
