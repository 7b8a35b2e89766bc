// SPDX-License-Identifier: Apache-2.0

package sieve

import (
	"crypto/subtle"
	"encoding/binary"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

const (
	shards = 64
	// indexed is what an entry costs in the index of its shard: a map that is half full, and the rounding of allocations.
	indexed = 64
	// swept is how many of its oldest entries a shard looks at whenever it takes in a new one.
	swept = 2
)

// Cache maps digests of tokens to values of one type. It is safe for concurrent use.
type Cache[V any] struct {
	shards   [shards]shard[V]
	overhead int64
}

// Stats is what a cache has seen and what it holds.
type Stats struct {
	Hits, Misses, Evictions uint64
	Entries                 int
	Bytes                   int64
}

// New returns a cache that holds about so many bytes, its own overhead included. A cache of none holds nothing.
func New[V any](bytes int64) *Cache[V] {
	c := &Cache[V]{overhead: int64(reflect.TypeFor[entry[V]]().Size()) + indexed}
	for i := range c.shards {
		c.shards[i].index = map[uint64]*entry[V]{}
		c.shards[i].limit = bytes / shards
	}
	return c
}

// Get returns the value of a key while it holds. The value is shared: nobody may change it.
func (c *Cache[V]) Get(key Key, now time.Time) (*V, bool) {
	s := c.shard(key)
	e, ok := s.find(key)
	if ok && now.Before(e.until) {
		// Reading first keeps the line of a hot entry shared between processors.
		if !e.visited.Load() {
			e.visited.Store(true)
		}
		s.hits.Add(1)
		return &e.value, true
	}
	s.misses.Add(1)
	if ok {
		s.drop(e)
	}
	return nil, false
}

// Put keeps a value under a key until a moment, and throws out others where that takes it over the limit. A size is what
// the value refers to, beyond its own fields. A value that does not hold at now, or is larger than a shard, is not kept.
func (c *Cache[V]) Put(key Key, value V, size int, until, now time.Time) {
	e := &entry[V]{key: key, value: value, size: int64(size) + c.overhead, until: until}
	if s := c.shard(key); e.size <= s.limit && now.Before(until) {
		s.put(e, now)
	}
}

// Delete forgets a key.
func (c *Cache[V]) Delete(key Key) {
	s := c.shard(key)
	if e, ok := s.find(key); ok {
		s.drop(e)
	}
}

// Stats sums up the shards, each at its own moment.
func (c *Cache[V]) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		s := &c.shards[i]
		sum.Hits += s.hits.Load()
		sum.Misses += s.misses.Load()
		s.mu.RLock()
		sum.Evictions += s.evictions
		sum.Entries += len(s.index)
		sum.Bytes += s.bytes
		s.mu.RUnlock()
	}
	return sum
}

// shard picks by other bits of the key than the index does.
func (c *Cache[V]) shard(key Key) *shard[V] { return &c.shards[key[15]%shards] }

// entry is a value and its place in the order of arrival. Everything but the links and the mark is set once, before
// others can see the entry.
type entry[V any] struct {
	key          Key
	until        time.Time
	size         int64
	visited      atomic.Bool
	newer, older *entry[V] // under the lock of the shard
	value        V
}

type shard[V any] struct {
	limit        int64
	hits, misses atomic.Uint64

	mu        sync.RWMutex
	index     map[uint64]*entry[V]
	newest    *entry[V]
	oldest    *entry[V]
	hand      *entry[V] // where the search for the next one to throw out goes on
	bytes     int64
	evictions uint64

	_ [64]byte // a shard shares no cache line with the next
}

func slot(key Key) uint64 { return binary.LittleEndian.Uint64(key[:8]) }

// find compares the whole key, in a time that does not tell how much of it fits.
func (s *shard[V]) find(key Key) (*entry[V], bool) {
	s.mu.RLock()
	e := s.index[slot(key)]
	s.mu.RUnlock()
	if e == nil || subtle.ConstantTimeCompare(e.key[:], key[:]) != 1 {
		return nil, false
	}
	return e, true
}

// drop removes an entry unless somebody has done so or put another in its place.
func (s *shard[V]) drop(e *entry[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index[slot(e.key)] == e {
		s.removeLocked(e)
	}
}

func (s *shard[V]) put(e *entry[V], now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.index[slot(e.key)]; old != nil {
		s.removeLocked(old)
	}
	s.sweepLocked(now)
	for s.bytes+e.size > s.limit {
		s.evictLocked()
	}
	s.index[slot(e.key)] = e
	s.bytes += e.size
	if e.older = s.newest; e.older != nil {
		e.older.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
}

// sweepLocked gives back the memory of entries that hold no longer, a few at a time: the oldest mostly end first.
func (s *shard[V]) sweepLocked(now time.Time) {
	for range swept {
		if s.oldest == nil || now.Before(s.oldest.until) {
			return
		}
		s.removeLocked(s.oldest)
	}
}

// evictLocked throws out the first entry from the hand on that was not used since the hand last passed it. Two rounds
// suffice unless hits mark entries as fast as the hand clears them; then the one under the hand goes.
func (s *shard[V]) evictLocked() {
	e := s.hand
	for range 2*len(s.index) + 1 {
		if e == nil {
			e = s.oldest
		}
		if !e.visited.Load() {
			break
		}
		e.visited.Store(false)
		e = e.newer
	}
	if e == nil {
		e = s.oldest
	}
	s.hand = e
	s.removeLocked(e)
	s.evictions++
}

func (s *shard[V]) removeLocked(e *entry[V]) {
	delete(s.index, slot(e.key))
	s.bytes -= e.size
	if s.hand == e {
		s.hand = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		s.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		s.oldest = e.newer
	}
	// A reader may hold the entry for a while; it shall not hold its neighbours.
	e.newer, e.older = nil, nil
}
