// SPDX-License-Identifier: Apache-2.0

package asking_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// plainly has closures run once, and a budget that a benchmark does not use up.
func plainly(w *world) {
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(w.t, err)
	w.budget, err = budget.New(budget.Config{DB: w.db, Sealer: sealer, Now: w.clock.Now})
	must(w.t, err)
	w.config.Budget = w.budget
}

// BenchmarkStart is the whole choice and the start of what was chosen: a phone, a message, a code that is scanned, and a message since
// there is no phone.
func BenchmarkStart(b *testing.B) {
	for _, tt := range []struct{ name, typ, user string }{
		{"phone", "pin", "usr_phone"}, {"message", "sms", "usr_number"}, {"scanned", "scan", ""}, {"message in the place of a phone", "pin", "usr_number"},
	} {
		for i, engine := range engines.All {
			b.Run(tt.name+"/"+engine.Name, func(b *testing.B) {
				w := newWorldOver(b, engines.All[i].Plain, plainly)
				w.people["usr_phone"], w.people["usr_number"] = asking.Person{Number: mobile}, asking.Person{Number: mobile}
				w.phone("usr_phone", "bank", "pin")
				ask := request(tt.user, tt.typ)
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					w.clock.Advance(25 * time.Hour) // what was asked is over, and what was sent forgotten
					b.StartTimer()
					if _, _, err := w.Start(b.Context(), ask); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
