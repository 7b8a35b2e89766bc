// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

func TestVerifiedChain(t *testing.T) {
	t.Parallel()
	leaf, ca := new(x509.Certificate), new(x509.Certificate)
	for _, tt := range []struct {
		name  string
		state *tls.ConnectionState
		want  int
	}{
		{"no TLS", nil, 0},
		{"no certificate", new(tls.ConnectionState), 0},
		{"a certificate that nobody verified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, 0},
		{"a verified one", &tls.ConnectionState{
			PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, ca}},
		}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.TLS = tt.state
			got := httpx.VerifiedChain(r)
			if len(got) != tt.want || tt.want > 0 && got[0] != leaf {
				t.Errorf("the chain is %v, want %d certificates", got, tt.want)
			}
		})
	}
}
