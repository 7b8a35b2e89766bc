// SPDX-License-Identifier: Apache-2.0

package contend

import (
	"context"
	"crypto/rand"
	"hash/maphash"
	"time"
)

// Queues are where losers wait for each other, one for each group of keys.
type Queues struct {
	seed  maphash.Seed
	slots [64]chan struct{}
}

// New returns queues in which nobody waits.
func New() *Queues {
	q := &Queues{seed: maphash.MakeSeed()}
	for i := range q.slots {
		q.slots[i] = make(chan struct{}, 1)
	}
	return q
}

// Enter waits for the caller's turn at key. The function it returns is never nil and ends the turn.
func (q *Queues) Enter(ctx context.Context, key string) (leave func(), err error) {
	slot := q.slots[maphash.String(q.seed, key)%uint64(len(q.slots))]
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return func() {}, ctx.Err()
	}
}

// Pause keeps updates that lost several times from meeting in step: it waits a random part of a time that begins with a millisecond and
// doubles with each run, up to most.
func Pause(ctx context.Context, run int, most time.Duration) error {
	var random [2]byte
	_, _ = rand.Read(random[:]) // never fails
	part := time.Duration(random[0])<<8 | time.Duration(random[1])
	timer := time.NewTimer(min(time.Millisecond<<min(run, 20), most) * part >> 16)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
