// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
)

// Reports of gateways from one address: a gateway that sends a thousand messages a minute tells of each some three times, from few
// addresses. Whoever has no secret gets no further than that.
const reportBurst, reportEvery = 600, 20 * time.Millisecond

// bounded admits so many requests from each address, whatever is in them, and answers the others with 429 before anything is read.
func bounded(by *limit.Limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		budget := by.Take(limit.Address(httpx.CallerOf(r.Context()).ClientIP))
		if budget.Wait > 0 {
			w.Header().Set("Retry-After", httpx.Seconds(budget.Wait))
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}
