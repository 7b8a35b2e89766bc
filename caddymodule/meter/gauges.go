// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Source is what a running configuration knows about itself. All fields are required.
type Source struct {
	// Hashing tells how busy the password hasher is.
	Hashing func() identity.Stats
	// Caches tells what is known of access tokens and of session tokens.
	Caches func() (access, sessions validation.Stats)
	// Revoked is how many revocations the gate knows of.
	Revoked func() int
	// Holders is how many configurations hold the store.
	Holders func() int
}

// Follow makes a configuration the one that gauges are read from.
func Follow(s *Source) { gauges.follow(s) }

// Leave ends reading from a configuration, unless another has taken its place.
func Leave(s *Source) { gauges.leave(s) }

// gaugeSet reads, at each scrape, what the running configuration knows about itself. Its counters go on where those of the
// configuration before have ended.
type gaugeSet struct {
	mu             sync.Mutex
	source         *Source // guarded by mu
	before, missed uint64  // guarded by mu: hits and misses of earlier configurations

	hashing, queued, cached, cachedBytes, viewed, holders *prometheus.Desc
	hits, misses                                          *prometheus.Desc
}

func newGauges() *gaugeSet {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("gatehouse_"+name, help, nil, nil)
	}
	return &gaugeSet{
		hashing:     desc("argon2_in_flight", "Password hashes being computed."),
		queued:      desc("argon2_queued", "Password hashes waiting to be computed."),
		cached:      desc("validation_cache_entries", "Tokens in the validation cache."),
		cachedBytes: desc("validation_cache_bytes", "Size of the validation cache."),
		hits:        desc("validation_cache_hits_total", "Validations answered from the cache."),
		misses:      desc("validation_cache_misses_total", "Validations that checked a signature."),
		viewed:      desc("revocations", "Revocations that the gate knows of."),
		holders:     desc("store_holders", "Configurations that hold the store: one, and one more during a reload."),
	}
}

func (g *gaugeSet) follow(source *Source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keepLocked()
	g.source = source
}

func (g *gaugeSet) leave(source *Source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.source == source {
		g.keepLocked()
		g.source = nil
	}
}

func (g *gaugeSet) keepLocked() {
	if g.source != nil {
		access, sessions := g.source.Caches()
		g.before += access.Hits + sessions.Hits
		g.missed += access.Misses + sessions.Misses
	}
}

// Describe sends the descriptions.
func (g *gaugeSet) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.hashing, g.queued, g.cached, g.cachedBytes, g.hits, g.misses, g.viewed, g.holders} {
		out <- d
	}
}

// Collect sends what the running configuration knows; nothing when there is none.
func (g *gaugeSet) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	from := g.source
	if from == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value int64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value))
	}
	hasher := from.Hashing()
	gauge(g.hashing, hasher.InFlight)
	gauge(g.queued, hasher.Queued)
	gauge(g.viewed, int64(from.Revoked()))
	gauge(g.holders, int64(from.Holders()))
	access, sessions := from.Caches()
	gauge(g.cached, int64(access.Entries+sessions.Entries))
	gauge(g.cachedBytes, int64(access.Bytes+sessions.Bytes))
	counter := func(d *prometheus.Desc, value uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value))
	}
	counter(g.hits, g.before+access.Hits+sessions.Hits)
	counter(g.misses, g.missed+access.Misses+sessions.Misses)
}
