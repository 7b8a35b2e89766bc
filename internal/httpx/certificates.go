// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"context"
	"crypto/x509"
	"net/http"
)

type certificatesKey struct{}

// WithCertificates returns a context for requests that a proxy has sent which ends TLS: the certificates are those that the proxy says its
// client has shown, the client's own first. None says that it has shown none. What the connection of the proxy itself shows counts for
// nothing then.
func WithCertificates(ctx context.Context, shown []*x509.Certificate) context.Context {
	return context.WithValue(ctx, certificatesKey{}, shown)
}

// ShownByProxy reports whether the certificates of a request are those of [WithCertificates].
func ShownByProxy(r *http.Request) bool {
	_, told := r.Context().Value(certificatesKey{}).([]*x509.Certificate)
	return told
}

// Certificates returns those that the other side of a request's connection has shown, its own first, whoever has issued them: it has
// proven to hold the key of the first. A request that came as early data has shown none: somebody else may have sent it again (RFC 8446 8,
// RFC 8470 3). Of a request with [WithCertificates] they are those.
func Certificates(r *http.Request) []*x509.Certificate {
	if shown, told := r.Context().Value(certificatesKey{}).([]*x509.Certificate); told {
		return shown
	}
	if r.TLS == nil || !r.TLS.HandshakeComplete {
		return nil
	}
	return r.TLS.PeerCertificates
}
