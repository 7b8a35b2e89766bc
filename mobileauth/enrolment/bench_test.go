// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// BenchmarkRegistration is a whole registration: started, registered with fresh keys, confirmed.
func BenchmarkRegistration(b *testing.B) {
	w := newWorld(b, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		begun := w.start(fmt.Sprint("usr_", i))
		p := w.phone(begun.Code)
		if _, err := w.register(p); err != nil {
			b.Fatal(err)
		}
		c, err := w.Confirm(w.ctx(), begun.Operation.ID, p.digits(begun.Operation.ID))
		if err != nil || c.Code != operation.Accepted {
			b.Fatal(c, err)
		}
	}
}
