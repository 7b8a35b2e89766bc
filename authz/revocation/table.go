// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// shards is how many parts a table has. A part is copied when it is written to, so that readers need no lock: with many
// parts the copies stay small.
const shards = 256

// table holds the targets of one kind by a hash under a secret seed. Two targets with one hash, which nobody can bring about
// and chance does not, would share an entry: a revoked target is always found.
type table struct {
	seed  maphash.Seed
	count atomic.Int64
	parts [shards]atomic.Pointer[map[uint64]entry]
	mu    sync.Mutex // one writer at a time
}

// entry is what is known of one target.
type entry struct {
	at      int64 // what was issued up to here is dead, in Unix seconds
	expires int64 // in Unix milliseconds
}

func newTable() *table { return &table{seed: maphash.MakeSeed()} }

// find returns what is known of a target. An empty table, which most are, costs one load.
func (t *table) find(target string) (entry, bool) {
	if target == "" || t.count.Load() == 0 {
		return entry{}, false
	}
	hash := maphash.String(t.seed, target)
	part := t.parts[hash%shards].Load()
	if part == nil {
		return entry{}, false
	}
	e, ok := (*part)[hash]
	return e, ok
}

func (t *table) has(target string) bool {
	_, ok := t.find(target)
	return ok
}

// covers reports whether what was issued for the target at a moment is dead.
func (t *table) covers(target string, issued time.Time) bool {
	e, ok := t.find(target)
	return ok && issued.Unix() <= e.at
}

// add inserts a target, or moves the moments of a known one on; never back. It reports whether that said anything new.
func (t *table) add(target string, at, expires time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, known := t.find(target)
	fresh := entry{at: at.Unix(), expires: expires.UnixMilli()}
	if known {
		fresh = entry{at: max(fresh.at, old.at), expires: max(fresh.expires, old.expires)}
		if fresh == old {
			return false
		}
	}
	hash := maphash.String(t.seed, target)
	slot := &t.parts[hash%shards]
	part := map[uint64]entry{}
	if have := slot.Load(); have != nil {
		part = maps.Clone(*have)
	}
	part[hash] = fresh
	slot.Store(&part)
	if !known {
		t.count.Add(1)
	}
	return true
}

// sweep drops the entries that have expired.
func (t *table) sweep(now time.Time) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := func(_ uint64, e entry) bool { return now.UnixMilli() >= e.expires }
	for i := range t.parts {
		have := t.parts[i].Load()
		if have == nil || len(*have) == 0 {
			continue
		}
		part := maps.Clone(*have)
		maps.DeleteFunc(part, gone)
		if dropped := len(*have) - len(part); dropped > 0 {
			t.parts[i].Store(&part)
			t.count.Add(int64(-dropped))
		}
	}
}
