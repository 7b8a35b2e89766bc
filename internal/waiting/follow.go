// SPDX-License-Identifier: Apache-2.0

package waiting

import (
	"context"
	"time"
)

// rest is how long after all were woken nobody can have them woken again.
const rest = time.Second

// News tells of what has happened elsewhere, by the marks of names.
type News interface {
	// C has a value when there is news.
	C() <-chan struct{}
	// Take returns the marks of what has happened. With more, there may be others.
	Take() (marks []uint64, more bool)
	Stop()
}

// Follow wakes by what news tells until ctx ends, and stops it then. Where there may be more than is told, those look who would look again
// by themselves, a second at least after they last had to: a great number of callers who all look at the same moment, of a store that has
// just come back, is what nobody wants.
func (r *Room) Follow(ctx context.Context, news News) {
	defer news.Stop()
	pause := time.NewTimer(rest)
	defer pause.Stop()
	resting, missed := true, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
			resting = false
		case <-news.C():
			marks, more := news.Take()
			for _, mark := range marks {
				r.wake(mark)
			}
			missed = missed || more
		}
		if missed && !resting {
			r.wakeWhoLooks()
			resting, missed = true, false
			pause.Reset(rest)
		}
	}
}

// wakeWhoLooks has everybody look again who looks without being woken as well.
func (r *Room) wakeWhoLooks() {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		for _, s := range sh.first {
			for ; s != nil; s = s.older {
				if s.again > 0 {
					s.wake()
				}
			}
		}
		sh.mu.Unlock()
	}
}
