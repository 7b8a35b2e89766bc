// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrReplayed is a proof that was used before; it wraps [ErrProof].
var ErrReplayed = fmt.Errorf("it was used before: %w", ErrProof)

// ErrFull is a memory that cannot take another proof: nobody is let in on what could not be noted.
var ErrFull = errors.New("too many DPoP proofs are remembered")

// DefaultReplays is how many proofs a memory takes unless configured: more than 8,000 a second. They take some 50 MB.
const DefaultReplays = 1_000_000

// shards keep those apart who would wait for one another.
const shards = 16

// Replays remembers which proofs were used, for as long as they last, in this process. It is bounded, and safe for concurrent use.
type Replays struct {
	each   int // proofs in a shard
	shards [shards]shard
}

// name is what is kept of the ID of a proof: 132 bits of a hash.
type name [22]byte

// shard has two generations: when all in the older one have ended, the younger takes its place. What is remembered is remembered for
// long enough and for twice as long at most.
type shard struct {
	mu         sync.Mutex
	young, old map[name]struct{}
	began      time.Time // the younger generation
	last       time.Time // when the last proof of the younger ends
	oldLast    time.Time // and of the older
}

// NewReplays returns a memory for so many proofs; zero is [DefaultReplays].
func NewReplays(limit int) *Replays {
	if limit <= 0 {
		limit = DefaultReplays
	}
	return &Replays{each: max(1, limit/shards)}
}

// Use notes that a proof is used. It refuses, with [ErrReplayed], one that was used before, and with [ErrFull] one that finds no room.
func (r *Replays) Use(p Proof, now time.Time) error {
	s := &r.shards[shardOf(p.ID)]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	var n name
	copy(n[:], p.ID)
	if _, used := s.young[n]; used {
		return ErrReplayed
	}
	if _, used := s.old[n]; used {
		return ErrReplayed
	}
	if len(s.young)+len(s.old) >= r.each {
		return ErrFull
	}
	if s.young == nil {
		s.young, s.began = map[name]struct{}{}, now
	}
	s.young[n] = struct{}{}
	if p.Until.After(s.last) {
		s.last = p.Until
	}
	return nil
}

// shardOf spreads IDs evenly: one character of them has no even remainders.
func shardOf(id string) int {
	sum := 0
	for i := range min(len(id), 8) {
		sum += int(id[i])
	}
	return sum % shards
}

// turn forgets what has ended.
func (s *shard) turn(now time.Time) {
	if len(s.old) > 0 && now.After(s.oldLast) {
		s.old = nil
	}
	if len(s.old) == 0 && len(s.young) > 0 && now.Sub(s.began) >= Past {
		s.old, s.oldLast, s.young, s.last = s.young, s.last, nil, time.Time{}
	}
}
