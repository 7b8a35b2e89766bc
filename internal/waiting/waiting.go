// SPDX-License-Identifier: Apache-2.0

package waiting

import (
	"context"
	"errors"
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

// Room is where callers wait for something that has a name. It holds one seat for each caller, and nothing for a name that
// nobody waits for. It is safe for concurrent use.
type Room struct {
	mark   func(name string) uint64
	shards [64]shard
	most   int64
	taken  atomic.Int64
}

type shard struct {
	mu    sync.Mutex
	first map[uint64]*Seat // by mark, the one who came last
}

// Seat is the place of one caller, who is woken there. It belongs to one goroutine at a time.
type Seat struct {
	room  *Room
	mark  uint64 // of its name
	again time.Duration
	// ready has room for one: more than to look again nobody has to be told.
	ready chan struct{}
	end   *time.Timer
	over  atomic.Bool
	// left says that the seat was given back.
	left bool
	// newer and older are those who wait for the same mark, guarded by the shard.
	newer, older *Seat
}

// New returns a room in which so many callers can wait at once. It knows names by their marks; that two have the same mark, which is as
// it happens, wakes some for nothing.
func New(most int, mark func(name string) uint64) *Room {
	r := &Room{mark: mark, most: int64(most)}
	for i := range r.shards {
		r.shards[i].first = map[uint64]*Seat{}
	}
	return r
}

func (r *Room) shard(mark uint64) *shard { return &r.shards[mark%uint64(len(r.shards))] }

// Len returns how many callers wait.
func (r *Room) Len() int { return int(r.taken.Load()) }

// Take gives a caller a seat until [Seat.Leave], or fails with [ErrFull]. The time begins to run. Whoever looks after that
// misses nothing: what happens before [Seat.Wait] ends it at once.
func (r *Room) Take(w Wish) (*Seat, error) {
	if r.taken.Add(1) > r.most {
		r.taken.Add(-1)
		return nil, ErrFull
	}
	s := &Seat{room: r, mark: r.mark(w.Name), again: w.Again, ready: make(chan struct{}, 1)}
	s.end = time.AfterFunc(w.Most, s.expire)
	sh := r.shard(s.mark)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.older = sh.first[s.mark]; s.older != nil {
		s.older.newer = s
	}
	sh.first[s.mark] = s
	return s, nil
}

// Leave gives the seat back. A seat that was given back, and none, can be so again.
func (s *Seat) Leave() {
	if s == nil || s.left {
		return
	}
	s.left = true
	s.end.Stop()
	s.room.taken.Add(-1)
	sh := s.room.shard(s.mark)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.older != nil {
		s.older.newer = s.newer
	}
	switch {
	case s.newer != nil:
		s.newer.older = s.older
	case s.older != nil:
		sh.first[s.mark] = s.older
	default:
		delete(sh.first, s.mark)
	}
}

// expire ends the time.
func (s *Seat) expire() {
	s.over.Store(true)
	s.wake()
}

// wake has the caller look again. One that was told and has not looked yet will see this too.
func (s *Seat) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Wait returns when it is time to look again, with false when the time is over, and when ctx ends with its cause.
func (s *Seat) Wait(ctx context.Context) (more bool, err error) {
	if s.again > 0 {
		defer time.AfterFunc(s.again, s.wake).Stop()
	}
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-s.ready:
		return !s.over.Load(), nil
	}
}

// Wake has everybody who waits for name now look again.
func (r *Room) Wake(name string) { r.wake(r.mark(name)) }

func (r *Room) wake(mark uint64) {
	sh := r.shard(mark)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for s := sh.first[mark]; s != nil; s = s.older {
		s.wake()
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
	seat, full := r.Take(w)
	defer seat.Leave()
	for {
		if enough, err := look(); enough || err != nil {
			return err
		}
		if full != nil {
			return full
		}
		if more, err := seat.Wait(ctx); !more {
			return err
		}
	}
}
