// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// BenchmarkSignedIn measures what an application's silent login costs: a session read and a code written.
func BenchmarkSignedIn(b *testing.B) {
	w := newWorld(b)
	browser := w.Browser(b)
	browser.SignIn(faces.AliceLogin)
	cookies := browser.Cookies()
	target := "/authorize?" + faces.Encode(faces.Params("prompt", "none"))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, nil)
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code != http.StatusSeeOther {
			b.Fatalf("status %d", rec.Code)
		}
	}
}

// BenchmarkStranger measures what anybody can cause: a request written.
func BenchmarkStranger(b *testing.B) {
	w := newWorld(b)
	target := "/authorize?" + faces.Encode(faces.Params())
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, nil))
		if rec.Code != http.StatusSeeOther {
			b.Fatalf("status %d", rec.Code)
		}
	}
}
