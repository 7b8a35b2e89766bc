// SPDX-License-Identifier: Apache-2.0

package mutualtls

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/internal/clientcert"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// Shown returns a request that tells which certificates its sender has shown, where that is for a proxy to say: one that the server
// trusts (trusted_proxies), by the fields of RFC 9440. Whatever anybody else writes into them says nothing, and a request that the proxy has
// from early data comes without (RFC 8470 5.1). It refuses what no proxy would have written that is set up as it should be.
func (c *Config) Shown(r *http.Request) (*http.Request, error) {
	if c == nil || !c.FromProxy || !Proxied(r) {
		return r, nil
	}
	if httpx.ShownByProxy(r) { // a rule further out has seen to it
		return r, nil
	}
	shown, err := clientcert.Read(r.Header)
	if err != nil {
		return nil, err
	}
	if len(r.Header["Early-Data"]) > 0 {
		shown = nil
	}
	return r.WithContext(httpx.WithCertificates(r.Context(), shown)), nil
}

// Proxied reports whether Caddy, by its trusted_proxies, takes the connection of a request for that of a proxy of the operator's.
func Proxied(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}
