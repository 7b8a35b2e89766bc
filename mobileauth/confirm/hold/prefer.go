// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// preferred returns how long a caller prefers to wait (RFC 7240, sections 2 and 4.3): the first that it says counts, and what is
// not understood is ignored.
func preferred(h http.Header) (time.Duration, bool) {
	for item := range httpx.Items(h["Prefer"]) {
		name, value, _ := strings.Cut(item, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		value, _, _ = strings.Cut(value, ";")
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			return 0, false
		}
		return time.Duration(n) * time.Second, true
	}
	return 0, false
}
