// SPDX-License-Identifier: Apache-2.0

package webpush_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
)

func TestDomain(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"fcm.googleapis.com": "fcm.googleapis.com", // whose names are given to many
		"a.slow.example":     "slow.example",
		"B.A.Slow.Example.":  "slow.example",
		"slow.example":       "slow.example",
		"a.slow.co.uk":       "slow.co.uk",
		"localhost":          "localhost",
		"co.uk":              "co.uk",
		"192.0.2.7":          "192.0.2.7",
		"::ffff:192.0.2.7":   "192.0.2.7",
		"2001:db8::1":        "2001:db8::/64",
		"2001:db8::2":        "2001:db8::/64",
	} {
		if got := webpush.Domain(host); got != want {
			t.Errorf("%s is in %s, want %s", host, got, want)
		}
	}
}

// TestASlowHostHoldsItsShare: what is under way to one domain leaves places for the others, by whatever names it is reached, and who
// waits for its places holds none.
func TestASlowHostHoldsItsShare(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, test := range []struct {
		name   string
		places int
		hosts  []string
		most   int
	}{
		{"any host", 8, nil, 2},
		{"hosts of a list", 8, []string{"127.0.0.1", "*.slow.example"}, 4},
		{"few places", 2, nil, 1},
		{"by default", 0, nil, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := w.sender(t, func(c *webpush.Config) { c.Places, c.Hosts = test.places, test.hosts })
			release, held := s.Hold(t.Context(), "a.slow.example")
			if held != test.most {
				t.Errorf("one domain holds %d places, want %d", held, test.most)
			}
			over, stop := context.WithCancel(t.Context())
			stop()
			if _, more := s.Hold(over, "b.slow.example"); more != 0 {
				t.Errorf("by another name it holds %d more", more)
			}
			// Others go out all the same.
			sub := w.subscribe(t, w.key)
			if err := s.Send(t.Context(), message(sub.JSON)); err != nil {
				t.Errorf("to another host: %v", err)
			}
			release()
			if n := s.Domains(); n != 0 {
				t.Errorf("%d domains are remembered", n)
			}
		})
	}
}

// TestWaitingForAShareEnds: who waits for the places of a host that answers nothing gives up in time, and is tried again.
func TestWaitingForAShareEnds(t *testing.T) {
	t.Parallel()
	w := start(t)
	s := w.sender(t, func(c *webpush.Config) { c.Timeout = 50 * time.Millisecond })
	release, _ := s.Hold(t.Context(), "127.0.0.1")
	sub := w.subscribe(t, w.key)
	if f := failure(t, s.Send(t.Context(), message(sub.JSON))); f.Class != push.Transient || f.Reason != "timeout" {
		t.Errorf("it fails with %+v", f)
	}
	release()
	patient := w.sender(t, nil)
	release, _ = patient.Hold(t.Context(), "127.0.0.1")
	sent := make(chan error, 1)
	go func() { sent <- patient.Send(t.Context(), message(sub.JSON)) }()
	release()
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
