// SPDX-License-Identifier: Apache-2.0

package tour

import (
	"io"
	"net/http"
)

// Wire returns a transport that shows what a party says.
func Wire(party string, out io.Writer, base http.RoundTripper) http.RoundTripper {
	return &wire{party: party, out: out, base: base}
}
