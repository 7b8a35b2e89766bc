// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"maps"
	"slices"
	"sync"

	"github.com/gatehouse-id/gatehouse/storage"
)

var _ storage.Presumer = (*tx)(nil)

// Presume takes keys to be absent of which nothing is known. In a view, and where a presumption has been wrong before, the first of them that
// is asked for is read together with the others.
func (t *tx) Presume(keys ...string) {
	if t.over {
		return
	}
	for _, key := range keys {
		if _, told := t.told(key); told {
			continue
		}
		if t.writes == nil || t.doubts.presumptions || t.db.met.has(key) {
			t.together = append(t.together, key)
		} else if _, again := t.presumed[key]; !again {
			t.presumed[key] = false
		}
	}
}

// rely reports whether a key is presumed to be absent, and has it looked at before anything rests on that.
func (t *tx) rely(key string) bool {
	_, ok := t.presumed[key]
	if ok {
		t.presumed[key] = true
	}
	return ok
}

// find reads an item, and those with it that are to be read together.
func (t *tx) find(key string) error {
	if !slices.Contains(t.together, key) {
		return t.fetch(nil, key)
	}
	keys := slices.DeleteFunc(t.together, func(key string) bool {
		_, told := t.told(key)
		return told
	})
	t.together = nil
	if err := t.fetch(nil, keys...); err != nil {
		return err
	}
	for _, key := range keys {
		item := t.known[key]
		t.db.met.note(key, item != nil && item.Live(t.now))
	}
	return nil
}

// learn ends the presumption of items that have been read and are live. Where the closure has been told otherwise it runs again.
func (t *tx) learn(items []storage.Item) error {
	for i := range items {
		relied, ok := t.presumed[items[i].Key]
		switch {
		case !ok || !items[i].Live(t.now):
		case relied:
			return t.fail(errPresent)
		default:
			delete(t.presumed, items[i].Key)
		}
	}
	return nil
}

// doubtful returns the keys, in order, that the closure was told to be absent and nobody has looked at.
func (t *tx) doubtful() (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(t.presumed)) {
		if _, read := t.known[key]; t.presumed[key] && !read {
			keys = append(keys, key)
		}
	}
	return keys
}

// look finds out whether keys were free that were taken to be. A closure that refuses, or writes nothing, may have gone by that.
func (t *tx) look() {
	keys := append(t.doubtful(), slices.Collect(maps.Keys(t.free))...)
	if len(keys) == 0 || t.fetch(nil, keys...) != nil {
		return
	}
	for key := range t.free {
		if item := t.known[key]; item != nil && item.Live(t.now) {
			t.failed = errTaken
		}
	}
}

// met holds keys that were presumed to be absent and are not, so that they are not presumed to be again. It is a hint: to forget one, or to
// remember one that has gone meanwhile, costs a round trip.
type met struct {
	mu   sync.Mutex
	keys map[string]struct{}
}

// mostMet bounds how many are remembered, which is some 10 MB. Who meets more begins anew.
const mostMet = 1 << 16

func (m *met) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.keys[key]
	return ok
}

// note remembers whether an item is there.
func (m *met) note(key string, there bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !there {
		delete(m.keys, key)
		return
	}
	if _, again := m.keys[key]; again {
		return
	}
	if m.keys == nil || len(m.keys) >= mostMet {
		m.keys = map[string]struct{}{}
	}
	m.keys[key] = struct{}{}
}
