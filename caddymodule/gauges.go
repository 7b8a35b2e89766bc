// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
)

// gaugeSet reads, at each scrape, what the running configuration knows about itself. Its counters go on where those of the
// configuration before have ended.
type gaugeSet struct {
	mu             sync.Mutex
	app            *App   // guarded by mu
	before, missed uint64 // guarded by mu: hits and misses of earlier configurations

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

// follow makes an app the one to read from.
func (g *gaugeSet) follow(app *App) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keepLocked()
	g.app = app
}

// leave ends reading from an app, unless another has taken its place.
func (g *gaugeSet) leave(app *App) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.app == app {
		g.keepLocked()
		g.app = nil
	}
}

func (g *gaugeSet) keepLocked() {
	if g.app != nil {
		access, sessions := g.app.server.Stats()
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
	app := g.app
	if app == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value int64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value))
	}
	hasher := app.hasher.Stats()
	gauge(g.hashing, hasher.InFlight)
	gauge(g.queued, hasher.Queued)
	gauge(g.viewed, int64(app.node.Revoked().Len()))
	gauge(g.holders, int64(pool.Holders(app.nodeKey)))
	access, sessions := app.server.Stats()
	gauge(g.cached, int64(access.Entries+sessions.Entries))
	gauge(g.cachedBytes, int64(access.Bytes+sessions.Bytes))
	counter := func(d *prometheus.Desc, value uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value))
	}
	counter(g.hits, g.before+access.Hits+sessions.Hits)
	counter(g.misses, g.missed+access.Misses+sessions.Misses)
}
