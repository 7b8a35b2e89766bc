// SPDX-License-Identifier: Apache-2.0

package mutualtls_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/caddymodule/mutualtls"
	"github.com/gatehouse-id/gatehouse/internal/certtest"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// TestShown: a proxy is believed where the operator has said so, twice: in trusted_proxies, and in mutual_tls.
func TestShown(t *testing.T) {
	t.Parallel()
	now := time.Now()
	client := (*certtest.Authority)(nil).Client(t, "client", now).Leaf
	connection := (*certtest.Authority)(nil).Client(t, "connection", now).Leaf
	field := ":" + base64.StdEncoding.EncodeToString(client.Raw) + ":"
	asked, not := &mutualtls.Config{FromProxy: true}, new(mutualtls.Config)
	for _, test := range []struct {
		name    string
		config  *mutualtls.Config
		trusted any
		header  http.Header
		want    *x509.Certificate
		refused bool
	}{
		{"of a trusted proxy", asked, true, http.Header{"Client-Cert": {field}}, client, false},
		{"of a trusted proxy whose client has shown none", asked, true, http.Header{}, nil, false},
		{"RFC 8470 5.1 early data", asked, true, http.Header{"Client-Cert": {field}, "Early-Data": {"1"}}, nil, false},
		{"of anybody", asked, false, http.Header{"Client-Cert": {field}}, connection, false},
		{"of anybody, where nothing is known of proxies", asked, nil, http.Header{"Client-Cert": {field}}, connection, false},
		{"of a trusted proxy that is not asked", not, true, http.Header{"Client-Cert": {field}}, connection, false},
		{"without mutual_tls", nil, true, http.Header{"Client-Cert": {field}}, connection, false},
		{"of a trusted proxy in another form", asked, true, http.Header{"Client-Cert": {"PEM"}}, nil, true},
		{"of anybody in another form", asked, false, http.Header{"Client-Cert": {"PEM"}}, connection, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/token", nil)
		r.Header = test.header
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{connection}}
		vars := map[string]any{}
		if test.trusted != nil {
			vars[caddyhttp.TrustedProxyVarKey] = test.trusted
		}
		got, err := test.config.Shown(r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars)))
		if (err != nil) != test.refused {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil {
			continue
		}
		var first *x509.Certificate
		if chain := httpx.Certificates(got); len(chain) > 0 {
			first = chain[0]
		}
		if (first == nil) != (test.want == nil) || first != nil && !first.Equal(test.want) {
			t.Errorf("%s: %v", test.name, first)
		}
		if again, err := test.config.Shown(got); err != nil || again != got && httpx.ShownByProxy(got) {
			t.Errorf("%s: a rule further in is told something else: %v", test.name, err)
		}
	}
}
