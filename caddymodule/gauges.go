// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// gaugeSet reads, at each scrape, what the running configuration knows about itself.
type gaugeSet struct {
	app                                          atomic.Pointer[App]
	hashing, queued, cached, cachedBytes, viewed *prometheus.Desc
	hits, misses                                 *prometheus.Desc
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
	}
}

// Describe sends the descriptions.
func (g *gaugeSet) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.hashing, g.queued, g.cached, g.cachedBytes, g.hits, g.misses, g.viewed} {
		out <- d
	}
}

// Collect sends what the running configuration knows; nothing when there is none.
func (g *gaugeSet) Collect(out chan<- prometheus.Metric) {
	app := g.app.Load()
	if app == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value int64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value))
	}
	hasher := app.hasher.Stats()
	gauge(g.hashing, hasher.InFlight)
	gauge(g.queued, hasher.Queued)
	gauge(g.viewed, int64(app.node.view.Len()))
	access, sessions := app.server.Stats()
	gauge(g.cached, int64(access.Entries+sessions.Entries))
	gauge(g.cachedBytes, int64(access.Bytes+sessions.Bytes))
	counter := func(d *prometheus.Desc, value uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value))
	}
	counter(g.hits, access.Hits+sessions.Hits)
	counter(g.misses, access.Misses+sessions.Misses)
}
