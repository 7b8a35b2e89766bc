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

// TestCertificatesOfAProxysClient: what the proxy says counts, and nothing that its own connection shows.
func TestCertificatesOfAProxysClient(t *testing.T) {
	t.Parallel()
	own, client := new(x509.Certificate), &x509.Certificate{Raw: []byte{1}}
	r := &http.Request{TLS: &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{own}}}
	for name, shown := range map[string][]*x509.Certificate{"shown": {client}, "none shown": nil} {
		told := r.WithContext(httpx.WithCertificates(t.Context(), shown))
		if got := httpx.Certificates(told); !httpx.ShownByProxy(told) || len(got) != len(shown) || len(got) > 0 && got[0] != client {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := httpx.Certificates(r); httpx.ShownByProxy(r) || len(got) != 1 || got[0] != own {
		t.Errorf("without a proxy: %v", got)
	}
}
