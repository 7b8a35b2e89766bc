// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// TestCarried has the figures of one service and of no other.
func TestCarried(t *testing.T) {
	t.Parallel()
	const name = "carried test"
	if got := meter.Carried("push", name); len(got.Outcomes) != 0 || got.Mean != 0 || got.Most != 0 {
		t.Errorf("before anything was sent: %+v", got)
	}
	send := func(channel operation.Channel, outcome delivery.Outcome, took time.Duration) {
		meter.Send(delivery.Observation{Channel: channel, Service: name, Outcome: outcome, Took: took})
	}
	for range 19 {
		send(operation.ByPush, delivery.Sent, 10*time.Millisecond)
	}
	send(operation.ByPush, delivery.Sent, 210*time.Millisecond)
	send(operation.ByPush, "dead", time.Hour)
	send(operation.BySMS, "dead", time.Hour)
	want := meter.Carriage{Outcomes: map[string]uint64{"sent": 20, "dead": 1}, Mean: 20 * time.Millisecond, Most: 15 * time.Millisecond}
	got := meter.Carried("push", name)
	got.Mean = got.Mean.Round(time.Millisecond)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
