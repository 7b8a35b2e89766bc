// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// TestACrowdOfStrangers: ten thousand register at once, at an application that anyone may have who is genuine. An address has its share and
// no more, whoever shows nothing, or what somebody else has shown, gets nothing, and everybody else is told when to come back.
func TestACrowdOfStrangers(t *testing.T) {
	t.Parallel()
	const crowd, addresses, share = 10_000, 50, 5
	w := newWorld(t, endpoint.AdmitAnyone)
	seen := w.attests(w.asked(""), nil) // which one of them uses, and others copy
	bodies := make([]object, crowd)
	for i := range bodies {
		switch i % 4 {
		case 0:
			bodies[i] = w.attests(w.asked(""), nil)
		case 1:
			bodies[i] = w.says().with(object{"software_id": "vault"})
		case 2:
			bodies[i] = seen
		case 3:
			bodies[i] = w.attests(w.asked(""), object{"grade": "software"})
		}
	}
	w.Addresses = limiter(w, share) // from here on: challenges count as well
	var mu sync.Mutex
	created, byKind, counts := map[string]int{}, map[int]int{}, map[int]int{} // guarded by mu
	var group sync.WaitGroup
	for i, body := range bodies {
		address := fmt.Sprintf("198.51.100.%d", i/4%addresses)
		group.Go(func() {
			a := w.register("", body, func(r *http.Request) {
				*r = *r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: address}))
			})
			mu.Lock()
			defer mu.Unlock()
			counts[a.Code]++
			switch a.Code {
			case http.StatusCreated:
				created[address]++
				byKind[i%4]++
			case http.StatusTooManyRequests, http.StatusServiceUnavailable:
				if a.Header().Get("Retry-After") == "" {
					t.Errorf("%d says not when to come back", a.Code)
				}
			case http.StatusBadRequest:
			default:
				t.Errorf("%d %s", a.Code, a.Body)
			}
		})
	}
	group.Wait()
	if byKind[0] == 0 || byKind[1] > 0 || byKind[2] > 1 || byKind[3] > 0 || counts[http.StatusTooManyRequests] == 0 {
		t.Errorf("%v are registered by what they showed, of %v", byKind, counts)
	}
	for address, n := range created {
		if n > share {
			t.Errorf("%s has registered %d", address, n)
		}
	}
}
