// SPDX-License-Identifier: Apache-2.0

package deviceapi

import (
	"sync"
	"time"
)

// maxRemembered bounds the ids of one generation. What is forgotten early is a message that only asks, and whose answer only
// its device can read.
const maxRemembered = 1 << 20

// memory remembers what was asked, in two generations: an id stays for at least span and at most twice that.
type memory struct {
	span time.Duration

	mu       sync.Mutex
	began    time.Time
	new, old map[string]struct{}
}

func newMemory(span time.Duration) *memory {
	return &memory{span: span, new: map[string]struct{}{}}
}

// first reports whether an id is seen for the first time, and remembers it.
func (m *memory) first(id string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.began) >= m.span || len(m.new) >= maxRemembered {
		if now.Sub(m.began) >= 2*m.span {
			m.new = nil // nothing was asked for so long that both generations are void
		}
		m.old, m.new, m.began = m.new, map[string]struct{}{}, now
	}
	if _, seen := m.new[id]; seen {
		return false
	}
	if _, seen := m.old[id]; seen {
		return false
	}
	m.new[id] = struct{}{}
	return true
}
