// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

func TestCertificates(t *testing.T) {
	t.Parallel()
	leaf := new(x509.Certificate)
	for name, test := range map[string]struct {
		connection *tls.ConnectionState
		want       int
	}{
		"no TLS":                   {nil, 0},
		"none shown":               {&tls.ConnectionState{HandshakeComplete: true}, 0},
		"shown":                    {&tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{leaf}}, 1},
		"RFC 8470 3 in early data": {&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, 0},
	} {
		if got := httpx.Certificates(&http.Request{TLS: test.connection}); len(got) != test.want {
			t.Errorf("%s: %d", name, len(got))
		}
	}
}
