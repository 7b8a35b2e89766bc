// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/validation"
)

// values returns what a scrape of a new configuration's registry finds among the named metrics, sums and counts included.
func values(t *testing.T, names ...string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	for range 2 { // a second time changes nothing
		if err := meter.Register(registry); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, name := range names {
			if f.GetName() != "gatehouse_"+name {
				continue
			}
			for _, m := range f.GetMetric() {
				found[name] += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return found
}

// TestGauges: they are those of the configuration that runs, and the counters among them go on from one to the next.
func TestGauges(t *testing.T) { // not in parallel: the metrics are those of the process
	names := []string{
		"argon2_in_flight", "argon2_queued", "revocations", "store_holders", "validation_cache_entries", "validation_cache_bytes",
		"validation_cache_hits_total", "validation_cache_misses_total",
	}
	source := func(hits uint64) *meter.Source {
		return &meter.Source{
			Hashing: func() identity.Stats { return identity.Stats{InFlight: 1, Queued: 2} },
			Caches: func() (access, sessions validation.Stats) {
				return validation.Stats{Hits: hits, Misses: 1, Entries: 3, Bytes: 100}, validation.Stats{Hits: 1, Misses: 1, Entries: 4, Bytes: 10}
			},
			Revoked: func() int { return 5 },
			Holders: func() int { return 6 },
		}
	}
	want := map[string]float64{
		"argon2_in_flight": 1, "argon2_queued": 2, "revocations": 5, "store_holders": 6, "validation_cache_entries": 7,
		"validation_cache_bytes": 110, "validation_cache_hits_total": 11, "validation_cache_misses_total": 2,
	}
	if got := values(t, names...); len(got) > 0 {
		t.Errorf("before there is a configuration: %v", got)
	}
	first, second := source(10), source(20)
	meter.Follow(first)
	if diff := cmp.Diff(want, values(t, names...)); diff != "" {
		t.Error(diff)
	}
	meter.Follow(second)
	meter.Leave(first) // the one before stops after the next one has started
	want["validation_cache_hits_total"], want["validation_cache_misses_total"] = 11+21, 4
	if diff := cmp.Diff(want, values(t, names...)); diff != "" {
		t.Error(diff)
	}
	meter.Leave(second)
	if got := values(t, names...); len(got) > 0 {
		t.Errorf("after the last configuration: %v", got)
	}
	meter.Follow(first)
	defer meter.Leave(first)
	if got := values(t, "validation_cache_hits_total")["validation_cache_hits_total"]; got != 11+21+11 {
		t.Errorf("after another start there are %v hits", got)
	}
}

// TestCounters count what they are told of.
func TestCounters(t *testing.T) {
	names := []string{
		"gate_decisions_total", "endpoint_requests_total", "token_requests_total", "realm_attempts_total", "store_transaction_seconds",
	}
	before := values(t, names...)
	meter.Gate("passed")
	meter.Endpoint("token", "200")
	meter.Token("refresh_token", "issued")
	meter.Realm("password", "success")
	meter.Store("update", time.Millisecond, nil)
	after := values(t, names...)
	for _, name := range names {
		if after[name] != before[name]+1 {
			t.Errorf("%s went from %v to %v", name, before[name], after[name])
		}
	}
	meter.Store("update", time.Millisecond, errors.New("broken"))
	if n := values(t, "store_transaction_seconds")["store_transaction_seconds"]; n != after["store_transaction_seconds"]+1 {
		t.Errorf("of a transaction that fails %v are counted", n)
	}
}

// TestDeliveries are counted by how they end, and those that end well by how long it took.
func TestDeliveries(t *testing.T) {
	names := []string{"outbox_tries_total", "outbox_delivered_seconds"}
	before := values(t, names...)
	for _, outcome := range []outbox.Outcome{outbox.Delivered, outbox.Retried, outbox.Died} {
		meter.Delivery(outbox.Observation{Kind: "call", Outcome: outcome, Age: time.Second})
	}
	after := values(t, names...)
	if after[names[0]] != before[names[0]]+3 || after[names[1]] != before[names[1]]+1 {
		t.Errorf("from %v to %v", before, after)
	}
}

// TestServices that are left alone are told by host.
func TestServices(t *testing.T) {
	meter.Service("a.example.com", true)
	meter.Service("b.example.com", true)
	if n := values(t, "web_service_open")["web_service_open"]; n != 2 {
		t.Errorf("%v services are left alone, not 2", n)
	}
	meter.Service("a.example.com", false)
	meter.Service("b.example.com", false)
	if n := values(t, "web_service_open")["web_service_open"]; n != 0 {
		t.Errorf("%v services are left alone, not 0", n)
	}
}
