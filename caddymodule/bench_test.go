// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
)

// nothing is a next handler that does nothing.
type nothing struct{}

func (nothing) ServeHTTP(http.ResponseWriter, *http.Request) error { return nil }

// BenchmarkProtect is what protect adds to a request with a known token. The contexts of the request, which Caddy makes
// in any case, are part of what "plain" costs.
func BenchmarkProtect(b *testing.B) {
	r := open(b, usual, "http://localhost:8082 {\n protect\n respond ok\n}\n")
	if err := r.app.Start(); err != nil {
		b.Fatal(err)
	}
	protect := handler[*handlers.Protect](r)
	token := "Bearer " + r.token("read")
	for _, c := range []struct {
		name    string
		handler caddyhttp.MiddlewareHandler
	}{{"plain", nil}, {"protect", protect}} {
		b.Run(c.name, func(b *testing.B) {
			w := httptest.NewRecorder()
			original := request(http.MethodGet, "http://localhost:8082/accounts/4711", "Accept", "*/*", "User-Agent", "curl/8",
				"Accept-Encoding", "gzip", "X-Request-Id", "0123456789")
			server := new(caddyhttp.Server) // without an access log
			b.ReportAllocs()
			for b.Loop() {
				header := make(http.Header, 8)
				for name, values := range original.Header {
					header[name] = values
				}
				header["Authorization"] = []string{token}
				ctx := context.WithValue(original.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
				ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{"client_ip": "127.0.0.1"})
				ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
				ctx = context.WithValue(ctx, caddyhttp.ServerCtxKey, server)
				asked := original.WithContext(ctx)
				asked.Header = header
				var err error
				if c.handler == nil {
					err = nothing{}.ServeHTTP(w, asked)
				} else {
					err = c.handler.ServeHTTP(w, asked, nothing{})
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
