// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/storage"
)

var _ storage.Presumer = (*tx)(nil)

// Presume takes keys to be absent of which nothing is known. In a view, and where a presumption has been wrong before, the first of them that
// is asked for is read together with the others.
func (t *tx) Presume(keys ...string) {
	switch {
	case t.over:
		return
	case t.careful || t.writes == nil:
		t.together = append(t.together, keys...)
		return
	}
	for _, key := range keys {
		if _, again := t.presumed[key]; !again {
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

// with returns a key that is to be read, and those that are to be read together with it.
func (t *tx) with(key string) []string {
	if !slices.Contains(t.together, key) {
		return []string{key}
	}
	keys := slices.DeleteFunc(t.together, func(key string) bool {
		_, told := t.told(key)
		return told
	})
	t.together = nil
	return keys
}

// learn ends the presumption of items that have been read and are live. Where the closure has been told otherwise it runs again.
func (t *tx) learn(items []storage.Item) error {
	for i := range items {
		relied, ok := t.presumed[items[i].Key]
		switch {
		case !ok || !items[i].Live(t.now):
		case relied:
			return t.fail(errTaken)
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
