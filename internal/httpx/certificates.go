// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"crypto/x509"
	"net/http"
)

// Certificates returns those that the other side of a request's connection has shown, its own first, whoever has issued them: it has
// proven to hold the key of the first. A request that came as early data has shown none: somebody else may have sent it again (RFC 8446 8,
// RFC 8470 3).
func Certificates(r *http.Request) []*x509.Certificate {
	if r.TLS == nil || !r.TLS.HandshakeComplete {
		return nil
	}
	return r.TLS.PeerCertificates
}
