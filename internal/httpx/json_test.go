// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		header     map[string]string
		status     int
	}{
		{"JSON", "{}", nil, 0},
		{"UTF-8", "{}", map[string]string{"Content-Type": "application/json; charset=utf-8"}, 0},
		{"as much as may be", strings.Repeat("x", 8), nil, 0},
		{"too much", strings.Repeat("x", 9), nil, http.StatusRequestEntityTooLarge},
		{"a form", "{}", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"another kind of JSON", "{}", map[string]string{"Content-Type": "application/problem+json"}, http.StatusUnsupportedMediaType},
		{"another charset", "{}", map[string]string{"Content-Type": "application/json; charset=latin1"}, http.StatusUnsupportedMediaType},
		{"compressed", "{}", map[string]string{"Content-Encoding": "gzip"}, http.StatusUnsupportedMediaType},
		{"no type", "{}", map[string]string{"Content-Type": ""}, http.StatusUnsupportedMediaType},
	} {
		for _, length := range []bool{true, false} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", "application/json")
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			if !length {
				r.ContentLength = -1
			}
			body, err := httpx.JSON(r, 8)
			switch {
			case tt.status == 0 && (err != nil || string(body) != tt.body):
				t.Errorf("%s: read is %q, %v", tt.name, body, err)
			case tt.status != 0 && (err == nil || oauth.AsError(err).HTTPStatus() != tt.status):
				t.Errorf("%s: the error is %v, want %d", tt.name, err, tt.status)
			}
		}
	}
}
