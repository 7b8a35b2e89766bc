// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// ErrReplayed is a proof that was used before; it wraps [ErrProof].
var ErrReplayed = fmt.Errorf("it was used before: %w", ErrProof)

// ErrFull is a memory that cannot take another proof: nobody is let in on what could not be noted.
var ErrFull = errors.New("too many DPoP proofs are remembered")

// ErrShare is an owner of tokens that has taken more than its share of a memory of which others need the rest.
var ErrShare = errors.New("too many DPoP proofs of one owner are remembered")

// DefaultReplays is how many proofs a memory takes unless configured: more than 8,000 a second. They take some 50 MB, and half of that again if each has an owner of its own.
const DefaultReplays = 1_000_000

// shards keep those apart who would wait for one another.
const shards = 16

// share is the part of a memory that an owner may have once three quarters of it are taken: a 64th. Until then it may have what it likes,
// since one program may well send all the requests that there are.
const share = 64

// Replays remembers which proofs were used, for as long as they last, in this process. It is bounded, and safe for concurrent use.
type Replays struct {
	each   int          // proofs in a shard
	seed   maphash.Seed // so that nobody can choose a shard
	shards [shards]shard
}

// name is what is kept of the ID of a proof: 132 bits of a hash.
type name [22]byte

// shard has two generations: when all in the older one have ended, the younger takes its place. What is remembered is remembered for
// long enough and for twice as long at most.
type shard struct {
	mu         sync.Mutex
	young, old generation
	began      time.Time // the younger generation
	last       time.Time // when the last proof of the younger ends
	oldLast    time.Time // and of the older
}

// generation is what was used in a time, and how much of it by each owner, who goes by a hash.
type generation struct {
	used   map[name]struct{}
	owners map[uint64]int
}

func (g *generation) add(proof name, owner uint64) {
	if g.used == nil {
		g.used, g.owners = map[name]struct{}{}, map[uint64]int{}
	}
	g.used[proof] = struct{}{}
	g.owners[owner]++
}

// NewReplays returns a memory for so many proofs; zero is [DefaultReplays].
func NewReplays(limit int) *Replays {
	if limit <= 0 {
		limit = DefaultReplays
	}
	return &Replays{each: max(1, limit/shards), seed: maphash.MakeSeed()}
}

// Use notes that a proof is used, with a token of the owner's: keys are for nothing, and tokens are for somebody. It refuses, with
// [ErrReplayed], one that was used before, with [ErrShare] one of an owner that has more than its share of a memory that fills up, and with
// [ErrFull] one that finds no room.
func (r *Replays) Use(p Proof, owner string, now time.Time) error {
	s := &r.shards[maphash.String(r.seed, p.ID)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	proof, by := nameOf(p.ID), maphash.String(r.seed, owner)
	if s.has(proof) {
		return ErrReplayed
	}
	switch taken := len(s.young.used) + len(s.old.used); {
	case taken >= r.each:
		return ErrFull
	case taken >= r.each*3/4 && s.young.owners[by]+s.old.owners[by] >= max(1, r.each/share):
		return ErrShare
	}
	if s.young.used == nil {
		s.began = now
	}
	s.young.add(proof, by)
	if p.Until.After(s.last) {
		s.last = p.Until
	}
	return nil
}

func nameOf(text string) (n name) {
	copy(n[:], text)
	return n
}

func (s *shard) has(proof name) bool {
	_, young := s.young.used[proof]
	_, old := s.old.used[proof]
	return young || old
}

// turn forgets what has ended.
func (s *shard) turn(now time.Time) {
	s.drop(now)
	if s.old.used == nil && s.young.used != nil && now.Sub(s.began) >= Past {
		s.old, s.oldLast, s.young, s.last = s.young, s.last, generation{}, time.Time{}
		s.drop(now)
	}
}

// drop forgets the older generation once all of it has ended.
func (s *shard) drop(now time.Time) {
	if s.old.used != nil && now.After(s.oldLast) {
		s.old = generation{}
	}
}
