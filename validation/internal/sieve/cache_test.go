// SPDX-License-Identifier: Apache-2.0

package sieve_test

import (
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/validation/internal/sieve"
)

var (
	start   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	forever = start.Add(24 * time.Hour)
)

// key spreads numbers over keys and shards.
func key(n int) sieve.Key {
	var k sieve.Key
	binary.LittleEndian.PutUint64(k[:], uint64(n))
	k[15] = byte(n)
	return k
}

// lone is a key of the first shard.
func lone(n int) sieve.Key {
	k := key(n)
	k[15] = 0
	return k
}

func TestGetReturnsWhatWasPut(t *testing.T) {
	t.Parallel()
	c := sieve.New[string](1 << 20)
	if _, ok := c.Get(key(1), start); ok {
		t.Fatal("an empty cache has something")
	}
	c.Put(key(1), "one", 3, forever, start)
	c.Put(key(2), "two", 3, forever, start)
	for n, want := range map[int]string{1: "one", 2: "two"} {
		if got, ok := c.Get(key(n), start); !ok || *got != want {
			t.Errorf("key %d: got %v, %t", n, got, ok)
		}
	}
	c.Put(key(1), "other", 5, forever, start)
	if got, ok := c.Get(key(1), start); !ok || *got != "other" {
		t.Errorf("after replacing: got %v, %t", got, ok)
	}
	c.Delete(key(1))
	c.Delete(key(3))
	if _, ok := c.Get(key(1), start); ok {
		t.Error("a deleted key is there")
	}
	if got := c.Stats(); got.Entries != 1 || got.Hits != 3 || got.Misses != 2 || got.Evictions != 0 {
		t.Errorf("got %+v", got)
	}
}

// Keys that share the part the index is built on are still different keys.
func TestKeysAreComparedWhole(t *testing.T) {
	t.Parallel()
	c := sieve.New[string](1 << 20)
	first, second := key(1), key(1)
	second[14] = 1
	c.Put(first, "first", 5, forever, start)
	if _, ok := c.Get(second, start); ok {
		t.Fatal("another key finds the value")
	}
	c.Delete(second)
	if _, ok := c.Get(first, start); !ok {
		t.Fatal("another key deletes the value")
	}
	c.Put(second, "second", 6, forever, start)
	if got, ok := c.Get(second, start); !ok || *got != "second" {
		t.Errorf("got %v, %t", got, ok)
	}
	if _, ok := c.Get(first, start); ok {
		t.Error("the first key finds the second value")
	}
	if got := c.Stats(); got.Entries != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestValuesEndWithTheirTime(t *testing.T) {
	t.Parallel()
	c := sieve.New[string](1 << 20)
	until := start.Add(5 * time.Minute)
	c.Put(key(1), "one", 3, until, start)
	if _, ok := c.Get(key(1), until.Add(-time.Nanosecond)); !ok {
		t.Error("it is gone before its time")
	}
	if _, ok := c.Get(key(1), until); ok {
		t.Error("it is there at its end")
	}
	if got := c.Stats(); got.Entries != 0 || got.Bytes != 0 {
		t.Errorf("what ended is still held: %+v", got)
	}
	c.Put(key(2), "two", 3, start, start)
	if got := c.Stats(); got.Entries != 0 {
		t.Errorf("what never held is held: %+v", got)
	}
}

// New entries make room by what has ended, before anything that holds has to go.
func TestEndedEntriesAreSweptFirst(t *testing.T) {
	t.Parallel()
	c := sieve.New[int](64 << 10)
	until := start.Add(time.Minute)
	n := 0
	for c.Stats().Evictions == 0 && n < 1000 {
		c.Put(lone(n), n, 0, until, start)
		n++
	}
	full := c.Stats()
	for i := range n - 1 {
		c.Put(lone(1000+i), i, 0, forever, until)
	}
	if got := c.Stats(); got.Evictions != full.Evictions {
		t.Errorf("%d entries that hold were thrown out", got.Evictions-full.Evictions)
	}
}

func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	c := sieve.New[[64]byte](limit)
	for n := range 20_000 {
		c.Put(key(n), [64]byte{}, 500, forever, start)
		if n%1000 == 0 && c.Stats().Bytes > limit {
			t.Fatalf("%d bytes", c.Stats().Bytes)
		}
	}
	got := c.Stats()
	if got.Bytes > limit || got.Bytes < limit*8/10 {
		t.Errorf("%d bytes of %d", got.Bytes, limit)
	}
	if got.Entries+int(got.Evictions) != 20_000 {
		t.Errorf("entries got lost: %+v", got)
	}
}

func TestTooLargeAndNoRoom(t *testing.T) {
	t.Parallel()
	c := sieve.New[string](1 << 20)
	c.Put(key(1), "large", 1<<20, forever, start)
	none := sieve.New[string](0)
	none.Put(key(1), "small", 5, forever, start)
	for name, c := range map[string]*sieve.Cache[string]{"too large": c, "no room": none} {
		if _, ok := c.Get(key(1), start); ok {
			t.Errorf("%s: it is kept", name)
		}
	}
}

// What the cache says it holds is what the process pays, within a fifth.
func TestBytesAreTrue(t *testing.T) {
	const entries, size = 50_000, 1000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := sieve.New[string](1 << 30)
	for n := range entries {
		c.Put(key(n), strings.Repeat("x", size), size, forever, start)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	got, said := int64(after.HeapAlloc)-int64(before.HeapAlloc), c.Stats().Bytes
	t.Logf("%d entries of %d bytes: %d bytes on the heap, %d by account", entries, size, got, said)
	if got > said*6/5 || got < said*4/5 {
		t.Errorf("%d bytes on the heap, %d by account", got, said)
	}
	runtime.KeepAlive(c)
}

// A run of tokens that are seen once leaves those that are in use where they are: what SIEVE is for. Between two uses of a
// hot token here, many times more tokens pass than there is room for, so that LRU and FIFO would have lost it.
func TestScanLeavesHotEntries(t *testing.T) {
	t.Parallel()
	const hot, scanned = 500, 20
	c := sieve.New[int](256 << 10)
	for n := range hot {
		c.Put(key(n), n, 0, forever, start)
		c.Get(key(n), start)
	}
	looked, lost := 0, 0
	for n := range 400_000 {
		c.Put(key(hot+n), n, 0, forever, start) // seen once
		if n%scanned != 0 {
			continue
		}
		looked++
		k := looked % hot
		if _, ok := c.Get(key(k), start); !ok {
			lost++
			c.Put(key(k), k, 0, forever, start)
		}
	}
	entries := c.Stats().Entries
	t.Logf("%d of %d hot look-ups missed with room for %d entries", lost, looked, entries)
	if entries > hot*scanned/2 {
		t.Fatalf("room for %d entries shows nothing", entries)
	}
	if lost > looked/50 {
		t.Errorf("%d of %d hot look-ups missed", lost, looked)
	}
}

// TestAgainstReference plays random histories against SIEVE written down as in the paper, on one shard.
func TestAgainstReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const size = 1 << 10
		c := sieve.New[int](64 * 10 * size) // ten entries a shard, less overhead
		ref := &reference{room: 8}
		now := start
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			k := rapid.IntRange(0, 15).Draw(t, "key")
			switch rapid.SampledFrom([]string{"get", "get", "put", "put", "delete", "pass"}).Draw(t, "step") {
			case "get":
				got, ok := c.Get(lone(k), now)
				want, wanted := ref.get(k, now)
				if ok != wanted || ok && *got != want {
					t.Fatalf("get %d: got %v, %t, want %d, %t", k, got, ok, want, wanted)
				}
			case "put":
				until := now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "lasts")) * time.Second)
				value := rapid.Int().Draw(t, "value")
				c.Put(lone(k), value, size, until, now)
				ref.put(k, value, until, now)
			case "delete":
				c.Delete(lone(k))
				ref.remove(k)
			case "pass":
				now = now.Add(10 * time.Second)
			}
			if got := c.Stats(); got.Entries != len(ref.entries) || int(got.Evictions) != ref.evictions {
				t.Fatalf("got %+v, want %d entries and %d evictions", got, len(ref.entries), ref.evictions)
			}
		}
	})
}

// reference keeps entries oldest first.
type reference struct {
	entries   []*referenceEntry
	hand      *referenceEntry
	room      int
	evictions int
}

type referenceEntry struct {
	key, value int
	until      time.Time
	visited    bool
}

func (r *reference) find(key int) int {
	return slices.IndexFunc(r.entries, func(e *referenceEntry) bool { return e.key == key })
}

func (r *reference) get(key int, now time.Time) (int, bool) {
	i := r.find(key)
	if i < 0 {
		return 0, false
	}
	if !now.Before(r.entries[i].until) {
		r.remove(key)
		return 0, false
	}
	r.entries[i].visited = true
	return r.entries[i].value, true
}

func (r *reference) put(key, value int, until, now time.Time) {
	if !now.Before(until) {
		return
	}
	r.remove(key)
	for range 2 {
		if len(r.entries) > 0 && !now.Before(r.entries[0].until) {
			r.remove(r.entries[0].key)
		}
	}
	if len(r.entries) == r.room {
		r.evict()
	}
	r.entries = append(r.entries, &referenceEntry{key: key, value: value, until: until})
}

func (r *reference) evict() {
	i := max(0, slices.Index(r.entries, r.hand))
	for r.entries[i].visited {
		r.entries[i].visited = false
		i = (i + 1) % len(r.entries)
	}
	r.hand = r.entries[i]
	r.remove(r.entries[i].key)
	r.evictions++
}

func (r *reference) remove(key int) {
	i := r.find(key)
	if i < 0 {
		return
	}
	if r.hand == r.entries[i] {
		r.hand = nil
		if i+1 < len(r.entries) {
			r.hand = r.entries[i+1]
		}
	}
	r.entries = slices.Delete(r.entries, i, i+1)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c := sieve.New[int](256 << 10)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := range 20_000 {
				k := (n*7 + worker) % 3000
				now := start.Add(time.Duration(n) * time.Millisecond)
				if got, ok := c.Get(key(k), now); ok && *got != k {
					t.Errorf("key %d has the value %d", k, *got)
				}
				switch n % 10 {
				case 0:
					c.Delete(key(k))
				case 1, 2, 3:
					c.Put(key(k), k, 100, now.Add(time.Second), now)
				}
				if n%1000 == 0 {
					_ = c.Stats()
				}
			}
		})
	}
	group.Wait()
	if got := c.Stats(); got.Bytes > 256<<10 || got.Bytes < 0 || got.Entries < 0 {
		t.Errorf("got %+v", got)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, tokens := range []int{1, 1000, 20_000} {
		c := sieve.New[int](64 << 20)
		for n := range tokens {
			c.Put(key(n), n, 1000, forever, start)
		}
		b.Run(map[int]string{1: "one", 1000: "1000", 20_000: "20000"}[tokens], func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					if _, ok := c.Get(key(n%tokens), start); !ok {
						b.Error("missed")
						return
					}
				}
			})
		})
	}
}

func BenchmarkPutEvicting(b *testing.B) {
	c := sieve.New[int](4 << 20)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c.Put(key(n), n, 1000, forever, start)
	}
}
