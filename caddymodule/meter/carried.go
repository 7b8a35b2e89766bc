// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Carriage is how sending through one push service or gateway went since the process was started.
type Carriage struct {
	// Outcomes are how often something was to be sent, and what was reported of it later, by outcome.
	Outcomes map[string]uint64
	// Mean is how long it took for what was accepted; nineteen of twenty took at most Most, a bound of a bucket, or the last bound
	// where they took longer. Both are zero where nothing was accepted.
	Mean, Most time.Duration
}

// Carried returns what [Send] was told of a service on a channel.
func Carried(channel, service string) Carriage {
	c := Carriage{Outcomes: map[string]uint64{}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(mobileSends, mobileSendSeconds) // an empty registry refuses neither
	families, err := registry.Gather()
	if err != nil {
		return c // what was gathered contradicts itself: there is nothing to show
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["channel"] != channel || labels["service"] != service {
				continue
			}
			if m.GetCounter() != nil {
				c.Outcomes[labels["outcome"]] = uint64(m.GetCounter().GetValue())
				continue
			}
			h := m.GetHistogram()
			c.Mean = seconds(h.GetSampleSum() / float64(max(h.GetSampleCount(), 1)))
			for _, b := range h.GetBucket() {
				c.Most = seconds(b.GetUpperBound())
				if 20*b.GetCumulativeCount() >= 19*h.GetSampleCount() {
					break
				}
			}
		}
	}
	return c
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
