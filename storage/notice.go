// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Watcher is a second ability of a [DB]: to say that something was committed, by this process or by another one. A notice may be late,
// come twice, come for nothing, or be lost: it tells when to look, and whoever goes by it looks now and then without one.
type Watcher interface {
	// Watch returns the notices of commits that wrote to one of the tables from now on, until [Notices.Stop].
	Watch(tables ...string) *Notices
}

// Watch asks a store for notices. Those of one that is no [Watcher] never come.
func Watch(db DB, tables ...string) *Notices {
	if w, ok := db.(Watcher); ok {
		return w.Watch(tables...)
	}
	return new(Notices)
}

// MaxMarks is how many marks are kept between two looks of a watcher, and of one table between two notices.
const MaxMarks = 256

// TableOf returns the table that a key is of: what stands before its first slash.
func TableOf(key string) string {
	table, _, _ := strings.Cut(key, "/")
	return table
}

// Mark returns what a notice calls the record with an id: a number that tells nothing of the id to whoever does not have it, since
// notices pass where others may read them. Two records may have the same mark.
func Mark(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:8])
}

// Changes are the marks of what was written, by table. A table without marks is one of which anything may have been written.
type Changes map[string][]uint64

// Add adds marks of a table, or none for anything.
func (c Changes) Add(table string, marks ...uint64) {
	known, found := c[table]
	if found && len(known) == 0 {
		return
	}
	for _, mark := range marks {
		if !slices.Contains(known, mark) {
			known = append(known, mark)
		}
	}
	if len(marks) == 0 || len(known) > MaxMarks {
		known = nil
	}
	c[table] = known
}

// Notices are what one watcher hears. The zero value hears nothing. They are safe for concurrent use.
type Notices struct {
	hub     *Hub
	tables  []string
	changed chan struct{}

	mu    sync.Mutex
	marks []uint64
	more  bool
}

// C returns the channel that has a value when something was committed since the last was taken. It has room for one, and is never closed.
func (n *Notices) C() <-chan struct{} { return n.changed }

// Take returns the marks of what was written since it was last called. With more, there may be others.
func (n *Notices) Take() (marks []uint64, more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	marks, more = n.marks, n.more
	n.marks, n.more = nil, false
	return marks, more
}

// Stop ends the notices.
func (n *Notices) Stop() {
	if n.hub != nil {
		n.hub.forget(n)
	}
}

// hear takes marks, or none for anything.
func (n *Notices) hear(marks []uint64) {
	n.mu.Lock()
	n.more = n.more || len(marks) == 0
	for _, mark := range marks {
		if slices.Contains(n.marks, mark) {
			continue
		}
		if len(n.marks) >= MaxMarks {
			n.more = true
			break
		}
		n.marks = append(n.marks, mark)
	}
	n.mu.Unlock()
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// Hub hands notices to those who watch. Engines have one; its zero value is ready, and safe for concurrent use. It never waits.
type Hub struct {
	mu       sync.RWMutex
	watchers map[string][]*Notices // by table
}

// Watch is what engines offer as [Watcher].
func (h *Hub) Watch(tables ...string) *Notices {
	n := &Notices{hub: h, tables: slices.Clone(tables), changed: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[string][]*Notices{}
	}
	for _, table := range n.tables {
		h.watchers[table] = append(h.watchers[table], n)
	}
	return n
}

func (h *Hub) forget(n *Notices) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, table := range n.tables {
		left := slices.DeleteFunc(slices.Clone(h.watchers[table]), func(other *Notices) bool { return other == n })
		if h.watchers[table] = left; len(left) == 0 {
			delete(h.watchers, table)
		}
	}
}

// Committed tells of a commit that wrote to keys, and returns what of it somebody watches; nil is nothing.
func (h *Hub) Committed(keys iter.Seq[string]) (watched Changes) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.watchers) == 0 {
		return nil
	}
	for key := range keys {
		table, id, _ := strings.Cut(key, "/")
		if len(h.watchers[table]) == 0 {
			continue
		}
		if watched == nil {
			watched = Changes{}
		}
		watched.Add(table, Mark(id))
	}
	h.tell(watched)
	return watched
}

// Tell tells of what somebody else has committed.
func (h *Hub) Tell(changes Changes) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	h.tell(changes)
}

func (h *Hub) tell(changes Changes) {
	for table, marks := range changes {
		for _, n := range h.watchers[table] {
			n.hear(marks)
		}
	}
}

// TellAll tells everybody that something may have been missed.
func (h *Hub) TellAll() {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, watchers := range h.watchers {
		for _, n := range watchers {
			n.hear(nil)
		}
	}
}
