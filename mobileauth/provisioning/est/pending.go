// SPDX-License-Identifier: Apache-2.0

package est

import (
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// Bounds of what is remembered of requests that wait for a decision.
const (
	maxPending = 4096
	keepFor    = 24 * time.Hour // after the time that was named
	minWait    = time.Second
	maxWait    = 7 * 24 * time.Hour
	usualWait  = time.Minute // where no time is named
)

// pending remembers requests that the authority has not decided on, by their keys. A device that asks again makes another request, for the
// same key, whose signature is not the same; the authority knows the first one again (RFC 7030 4.2.3).
type pending struct {
	now func() time.Time

	mu    sync.Mutex
	waits map[string]waiting
}

type waiting struct {
	csr   *provisioning.CSR
	until time.Time
}

// take returns the request to send, and how long to wait before that.
func (p *pending) take(csr *provisioning.CSR) (send *provisioning.CSR, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, found := p.waits[csr.Key]
	if !found {
		return csr, 0
	}
	now := p.now()
	if wait := first.until.Sub(now); wait > 0 {
		return nil, wait
	}
	if now.After(first.until.Add(keepFor)) {
		delete(p.waits, csr.Key)
		return csr, 0
	}
	return first.csr, 0
}

// decided forgets the request of a key.
func (p *pending) decided(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waits, key)
}

// put remembers a request, and returns how long to wait. One that finds no room is sent anew the next time.
func (p *pending) put(csr *provisioning.CSR, after time.Duration) time.Duration {
	if after <= 0 {
		after = usualWait
	}
	after = min(max(after, minWait), maxWait)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if len(p.waits) >= maxPending {
		for key, first := range p.waits {
			if now.After(first.until.Add(keepFor)) {
				delete(p.waits, key)
			}
		}
	}
	if _, there := p.waits[csr.Key]; there || len(p.waits) < maxPending {
		p.waits[csr.Key] = waiting{csr: csr, until: now.Add(after)}
	}
	return after
}
