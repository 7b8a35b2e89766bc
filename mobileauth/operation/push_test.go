// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// TestNobodyIsNotified: a notification is promised where one can be sent, to a device that may answer, and what cannot be sent
// spends nothing.
func TestNobodyIsNotified(t *testing.T) {
	has := func(d *handset.Device) bool { return d.Push != nil && d.Push.DeadAt.IsZero() }
	address := func(d *handset.Device) { d.Push = &handset.Push{Service: "fcm", Address: d.ID} }
	for _, test := range []struct {
		name   string
		pushes func(*handset.Device) bool
		// phones of the user; the question is put to the first one where it is put to one.
		phones []func(*handset.Device)
		one    bool
		want   string
	}{
		{"no service", nil, []func(*handset.Device){address}, false, operation.PushNone},
		{"no address", has, []func(*handset.Device){func(*handset.Device) {}}, false, operation.PushNone},
		{"an address", has, []func(*handset.Device){address}, false, operation.PushQueued},
		{"the address of another phone", has, []func(*handset.Device){func(*handset.Device) {}, address}, false, operation.PushQueued},
		{"the address of a phone that is not asked", has, []func(*handset.Device){func(*handset.Device) {}, address}, true, operation.PushNone},
		{"the phone that is asked", has, []func(*handset.Device){address, func(*handset.Device) {}}, true, operation.PushQueued},
		{"the address of a phone that may not answer", has, []func(*handset.Device){func(*handset.Device) {}, func(d *handset.Device) {
			address(d)
			d.Status = handset.Quarantined
		}}, false, operation.PushNone},
		{"the address of another app's phone", has, []func(*handset.Device){func(*handset.Device) {}, func(d *handset.Device) {
			address(d)
			d.Application = "shop"
		}}, false, operation.PushNone},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for i := range engines.All {
				w := newWorld(t, i, func(c *operation.Config) { c.Pushes = test.pushes })
				var first *phone
				for _, make := range test.phones {
					p := w.phone("usr_1", make)
					if first == nil {
						first = p
					}
				}
				// More than the budget of a minute: what is not sent is not counted.
				for range 6 {
					o := w.ask("usr_1", func(s *operation.Start) {
						s.Application = "bank"
						if test.one {
							s.DeviceID = first.id
						}
					})
					if o.Push != test.want && o.Push != operation.PushHeldBudget || test.want == operation.PushNone && o.Push != test.want {
						t.Errorf("it says %q, want %q", o.Push, test.want)
					}
					if _, err := w.Cancel(t.Context(), o.ID, ""); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
