// SPDX-License-Identifier: Apache-2.0

package hold_test

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
)

// most is what a thousand requests that wait may hold here, below their connections, whose buffers are the server's.
const most = 60 << 20

// TestThousandWait: they are small, and nothing of them stays.
func TestThousandWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		waits := rule(t, func(r *hold.Rule) { r.Wait = time.Minute })
		ctx, cancel := context.WithCancel(t.Context())
		before := used()
		done := make(chan bool, 1000)
		for range cap(done) {
			go func() {
				passed, _ := w.send(request(ctx, func(r *http.Request) { r.Header.Set("X-Other", "1") }), waits, caller())
				done <- passed != nil
			}()
		}
		synctest.Wait()
		if n := w.holder.Waiting(); n != cap(done) {
			t.Errorf("%d wait", n)
		}
		if took := int64(used()) - int64(before); took > most {
			t.Errorf("they hold %d bytes", took)
		} else {
			t.Logf("they hold %d bytes", took)
		}
		cancel()
		for range cap(done) {
			if <-done {
				t.Error("one passes without its caller")
			}
		}
		if n := w.holder.Waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// used returns the memory in use, of heap and stacks.
func used() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
