// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// nonceHeader is that of RFC 9449 8.
const nonceHeader = "DPoP-Nonce"

// Announce tells the caller what an error says of its next request: when to send it, unless Retry-After is set already, and the nonce for
// its DPoP proof, if any, where scripts of other origins may read it (RFC 9449 8).
func Announce(h http.Header, err error) {
	e := oauth.AsError(err)
	if status := e.HTTPStatus(); status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		setDefault(h, "Retry-After", Seconds(max(retryAfter, e.RetryAfter)))
	}
	if e.Nonce == "" {
		return
	}
	h.Set(nonceHeader, e.Nonce)
	if h.Get("Access-Control-Expose-Headers") == "" {
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, "+nonceHeader)
	}
}

// CORS lets scripts of any origin read the answer of an endpoint that is not protected by cookies (OpenID Connect
// Discovery 3). No credentials are allowed along, so nothing that a browser would add by itself can be used. It reports
// whether the request was a preflight; that has been answered then. The authorization endpoint never calls it (RFC 9700
// 2.6).
func CORS(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = []string{"*"}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h["Access-Control-Expose-Headers"] = []string{"WWW-Authenticate, Retry-After, " + nonceHeader}
		return false
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
