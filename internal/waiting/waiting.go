// SPDX-License-Identifier: Apache-2.0

package waiting

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// ErrFull says that as many callers wait as may.
var ErrFull = errors.New("too many callers are waiting")

// Wish is what somebody waits for.
type Wish struct {
	// Name is what [Room.Wake] is called with.
	Name string
	// Most is how long. Zero looks once.
	Most time.Duration
	// Again is how often to look without being woken; zero is never.
	Again time.Duration
}

// Room is where callers wait for something that has a name. It holds one channel for each name that is waited for, and nothing
// for any other. It is safe for concurrent use.
type Room struct {
	seed   maphash.Seed
	shards [64]shard
	most   int64
	taken  atomic.Int64
}

type shard struct {
	mu     sync.Mutex
	topics map[string]*topic
}

// topic is everybody who waits for one name since it was last woken.
type topic struct {
	woken   chan struct{} // closed when it is
	waiters int
}

// New returns a room in which so many callers can wait at once.
func New(most int) *Room {
	r := &Room{seed: maphash.MakeSeed(), most: int64(most)}
	for i := range r.shards {
		r.shards[i].topics = map[string]*topic{}
	}
	return r
}

func (r *Room) shard(name string) *shard {
	return &r.shards[maphash.String(r.seed, name)%uint64(len(r.shards))]
}

// enter takes one of the places for waiters; false when all are taken. leave gives it back.
func (r *Room) enter() bool {
	if r.taken.Add(1) > r.most {
		r.taken.Add(-1)
		return false
	}
	return true
}

func (r *Room) leave() { r.taken.Add(-1) }

// Len returns how many callers wait.
func (r *Room) Len() int { return int(r.taken.Load()) }

// join begins to listen. Whoever joins first and reads then misses nothing.
func (r *Room) join(name string) *topic {
	s := r.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[name]
	if t == nil {
		t = &topic{woken: make(chan struct{})}
		s.topics[name] = t
	}
	t.waiters++
	return t
}

// part ends listening.
func (r *Room) part(name string, t *topic) {
	s := r.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.waiters--; t.waiters == 0 && s.topics[name] == t {
		delete(s.topics, name)
	}
}

// Wake has everybody who waits for name now look again.
func (r *Room) Wake(name string) {
	s := r.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[name]; t != nil {
		close(t.woken)
		delete(s.topics, name)
	}
}

// Hold calls look until it has seen enough, it fails, or the time is over, which is no error. It looks at once, after each
// [Room.Wake] of the name, and as often as the wish says; a wake between a look and the waiting is not missed. Where no place is
// left and the first look has not seen enough it fails with [ErrFull], and when ctx ends with its cause.
func (r *Room) Hold(ctx context.Context, w Wish, look func() (enough bool, err error)) error {
	if w.Most <= 0 {
		_, err := look()
		return err
	}
	if !r.enter() {
		enough, err := look()
		if !enough && err == nil {
			err = ErrFull
		}
		return err
	}
	defer r.leave()
	end := time.NewTimer(w.Most)
	defer end.Stop()
	var again <-chan time.Time
	if w.Again > 0 {
		ticker := time.NewTicker(w.Again)
		defer ticker.Stop()
		again = ticker.C
	}
	for {
		topic := r.join(w.Name)
		done, err := look() // after joining, so that nothing is missed
		if !done && err == nil {
			select {
			case <-ctx.Done():
				err = context.Cause(ctx)
			case <-end.C:
				done = true
			case <-topic.woken:
			case <-again:
			}
		}
		r.part(w.Name, topic)
		if done || err != nil {
			return err
		}
	}
}
