// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

// discard is a ResponseWriter that costs nothing itself.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkRender(b *testing.B) {
	r := newRenderer(b, web.Config{})
	req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	req.Header.Set("Accept-Language", "nl-NL,nl;q=0.9,en;q=0.8")
	for _, s := range samples(r, "") {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := discard{header: http.Header{}}
				r.Render(&w, req, http.StatusOK, s.page)
			}
		})
	}
}

func BenchmarkLocale(b *testing.B) {
	r := newRenderer(b, web.Config{})
	b.ReportAllocs()
	for b.Loop() {
		r.Locale("", "nl-NL,nl;q=0.9,en;q=0.8")
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := web.New(web.Config{}); err != nil {
			b.Fatal(err)
		}
	}
}
