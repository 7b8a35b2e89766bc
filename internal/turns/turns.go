// SPDX-License-Identifier: Apache-2.0

package turns

import (
	"context"
	"runtime"
	"sync/atomic"
)

// waitingPerRunner is how many wait for each that runs, unless a [Config] says otherwise: about a second of password hashes.
const waitingPerRunner = 32

// Config describes a [Queue]. The zero value is usable.
type Config struct {
	// Concurrent is how much runs at once. Default: GOMAXPROCS.
	Concurrent int
	// Waiting is how many more may wait; a negative value lets none wait. Default: 32 per Concurrent.
	Waiting int
}

// Queue lets work take turns. It is safe for concurrent use.
type Queue struct {
	// slots bounds what runs, places what runs or waits. A channel serves its waiters in order.
	slots  chan struct{}
	places int64

	taken   atomic.Int64
	running atomic.Int64
	runs    atomic.Uint64
	busy    atomic.Uint64
}

// Stats is a snapshot of a [Queue] for metrics.
type Stats struct {
	InFlight int64  // work that runs now
	Queued   int64  // who holds a place and runs nothing now
	Runs     uint64 // work begun since the start
	Busy     uint64 // who was turned away because the queue was full
}

// New returns a queue.
func New(c Config) *Queue {
	if c.Concurrent <= 0 {
		c.Concurrent = runtime.GOMAXPROCS(0)
	}
	switch {
	case c.Waiting == 0:
		c.Waiting = waitingPerRunner * c.Concurrent
	case c.Waiting < 0:
		c.Waiting = 0
	}
	return &Queue{slots: make(chan struct{}, c.Concurrent), places: int64(c.Concurrent) + int64(c.Waiting)}
}

// Concurrent returns how much runs at once.
func (q *Queue) Concurrent() int { return cap(q.slots) }

// Stats returns the queue's figures.
func (q *Queue) Stats() Stats {
	running, taken := q.running.Load(), q.taken.Load()
	return Stats{InFlight: running, Queued: max(0, taken-running), Runs: q.runs.Load(), Busy: q.busy.Load()}
}

// Place is a right to run or wait. It is taken before anything else, so that who cannot be served costs nothing and leaves no
// trace, and given back with Release.
type Place struct{ q *Queue }

// Reserve takes a place; false when all are taken.
func (q *Queue) Reserve() (Place, bool) {
	if q.taken.Add(1) > q.places {
		q.taken.Add(-1)
		q.busy.Add(1)
		return Place{}, false
	}
	return Place{q}, true
}

// Admit is Reserve for work that waits its turn however long the queue is.
func (q *Queue) Admit() Place {
	q.taken.Add(1)
	return Place{q}
}

// Release gives the place back.
func (p Place) Release() { p.q.taken.Add(-1) }

// Run waits for its turn and does the work. It returns the cause of ctx, with nothing done, when that ends first.
func (p Place) Run(ctx context.Context, work func()) error {
	// Both cases may be ready, and a select would then choose at random.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case p.q.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.q.slots }()
	p.q.running.Add(1)
	defer p.q.running.Add(-1)
	p.q.runs.Add(1)
	work()
	return nil
}
