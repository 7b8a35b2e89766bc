// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// TestOverride: RFC 3875, section 4.1.18, makes one name of several.
func TestOverride(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"X-Http-Method-Override": true, "X_HTTP_Method_Override": true, "x-method.override": true, "X-Original-Url": true,
		"X-Rewrite_URL": true, "X-Http-Method": true, "X-Method": false, "Content-Type": false, "X-Original": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header = http.Header{"Accept": {"*/*"}, name: {"DELETE"}}
		if got := httpx.Override(r); (got == name) != want || !want && got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for target, want := range map[string]string{
		"/?_method=DELETE": "_method", "/?a=b&%5FMethod=PUT": "_method", "/?_method": "_method", "/?method=DELETE": "", "/?a=_method": "",
		"/?_methods=1": "", "/_method": "",
	} {
		for method, counts := range map[string]bool{http.MethodPost: true, http.MethodGet: false} {
			got := httpx.Override(httptest.NewRequestWithContext(t.Context(), method, target, nil))
			if counts && got != want || !counts && got != "" {
				t.Errorf("%s %s: %q", method, target, got)
			}
		}
	}
	if got := httpx.Fold("X_Amount.Of-É"); got != "x-amount-of---" {
		t.Errorf("folded to %q", got)
	}
}

// TestDrops: what Connection names is gone behind the next proxy (RFC 9110, section 7.6.1).
func TestDrops(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options []string
		want    bool
	}{
		{nil, false}, {[]string{"close"}, false}, {[]string{"Keep-Alive, TE"}, false}, {[]string{""}, false},
		{[]string{"X-Amount"}, true}, {[]string{"close, X-Amount"}, true}, {[]string{"close", "content-type"}, true}, {[]string{"Upgrade"}, true},
	} {
		if got := httpx.Drops(http.Header{"Connection": tt.options}); got != tt.want {
			t.Errorf("%q: %v", tt.options, got)
		}
	}
}

// TestTwin: a field has one spelling, or some upstream reads another.
func TestTwin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{[]string{"X-Amount", "Accept"}, ""}, {[]string{"X_amount"}, "X_amount"}, {[]string{"X-Amount", "X.Amount"}, "X.Amount"},
		{[]string{"x-amount"}, "x-amount"}, {[]string{"X-Amounts"}, ""}, {nil, ""},
	} {
		h := http.Header{}
		for _, name := range tt.fields {
			h[name] = []string{"1"}
		}
		twin, name, found := httpx.Twin(h, []string{"Currency", "x-amount"})
		if twin != tt.want || found != (tt.want != "") || found && name != "x-amount" {
			t.Errorf("%q: %q for %q, %v", tt.fields, twin, name, found)
		}
	}
}
