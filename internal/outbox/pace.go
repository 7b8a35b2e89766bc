// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"sync"
	"time"
)

const (
	// fewest is how many deliveries a lane has under way while nothing is known of its receiver.
	fewest = 8
	// perSecond is how many deliveries a second are aimed at for a lane.
	perSecond = 2000
)

// pace tells how many deliveries are worth having under way for each lane. A receiver that answers in a millisecond is kept busy
// by few of them, and more would only stand before the people who wait for this process; one that takes a tenth of a second needs
// many. What counts is its quickest answer of late, which does not grow with the number under way.
type pace struct {
	mu       sync.Mutex
	quickest map[string]time.Duration // by lane
}

// answered notes how long a receiver took for a delivery that it accepted.
func (p *pace) answered(lane string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.quickest[lane]; !ok || took < known {
		p.quickest[lane] = took
	}
}

// worth returns how many deliveries are worth having under way for a lane, at least a few.
func (p *pace) worth(lane string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(fewest, int(p.quickest[lane]*perSecond/time.Second))
}

// forget begins anew: receivers change.
func (p *pace) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.quickest)
}
