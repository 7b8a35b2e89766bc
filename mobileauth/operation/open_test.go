// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// TestOpenByChannel: what is open counts once, on the channel where it is now, until it has ended or its time is over.
func TestOpenByChannel(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		check := func(when string, want map[operation.Channel]int) {
			t.Helper()
			by, more, err := w.Open(t.Context(), 100)
			if diff := cmp.Diff(want, by); err != nil || more || diff != "" {
				t.Errorf("%s: %v, more %t, %s", when, err, more, diff)
			}
		}
		check("at the beginning", map[operation.Channel]int{})
		p := w.phone("usr_1")
		first := w.ask("usr_1", late)
		w.ask("usr_2", texting)
		w.ask("", scanning)
		w.ask("usr_3", func(s *operation.Start) { s.Kind = operation.Registration })
		check("all begun", map[operation.Channel]int{operation.ByPush: 1, operation.BySMS: 1, operation.ByOTP: 1, "": 1})
		if _, more, err := w.Open(t.Context(), 2); err != nil || !more {
			t.Errorf("of more than are counted it says %t, %v", more, err)
		}
		w.clock.Advance(30 * time.Second)
		must(t, w.Tick(t.Context()))
		check("gone over to sms", map[operation.Channel]int{operation.BySMS: 2, operation.ByOTP: 1, "": 1})
		expect(t, w.verify(first, w.get(first.ID).SMS.Code), operation.Accepted, "")
		expect(t, p.approve(w.ask("usr_1")), operation.Accepted, "")
		check("approved", map[operation.Channel]int{operation.BySMS: 1, operation.ByOTP: 1, "": 1})
		w.clock.Advance(time.Hour)
		check("expired", map[operation.Channel]int{})
	})
}
