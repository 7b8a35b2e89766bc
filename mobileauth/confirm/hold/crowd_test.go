// SPDX-License-Identifier: Apache-2.0

package hold_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
)

// TestTenThousandCome: as many wait as may, everybody else is told at once how it stands and when to come again, and when all have gone
// nothing is left of them; what was asked can be answered still, and passes once.
func TestTenThousandCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, seats = 10_000, 5_000
		w := bubbled(t, func(c *hold.Config) { c.Seats = hold.Seats{Client: callers, User: callers} })
		waits := rule(t, func(r *hold.Rule) { r.Wait = time.Minute })
		ctx, cancel := context.WithCancel(t.Context())
		type answer struct {
			passed bool
			told   told
		}
		answers := make(chan answer, callers)
		for i := range callers {
			go func() {
				passed, told := w.send(request(ctx), waits, caller())
				answers <- answer{passed != nil, told}
			}()
			if i%1000 == 999 { // the race detector knows 8,128 goroutines at once
				synctest.Wait()
			}
		}
		if n := w.holder.Waiting(); n != seats {
			t.Errorf("%d wait, want %d", n, seats)
		}
		var operation string
		for range callers - seats {
			turned := <-answers
			operation = turned.told.Operation
			if turned.passed || turned.told.Status != http.StatusServiceUnavailable || turned.told.Header.Get("Retry-After") == "" || operation == "" {
				t.Fatalf("one too many is told %+v", turned)
			}
		}
		cancel()
		for range seats {
			if gone := <-answers; gone.passed {
				t.Fatal("one passes without its caller")
			}
		}
		synctest.Wait()
		if n := w.holder.Waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
		w.Approve(operation)
		for i := range 2 {
			if passed, told := w.send(request(t.Context()), rule(t), caller(operation)); (passed != nil) != (i == 0) {
				t.Errorf("time %d: %+v", i, told)
			}
		}
	})
}
