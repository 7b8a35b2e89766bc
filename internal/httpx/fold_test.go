// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"net/http"
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
		if got := httpx.Override(http.Header{"Accept": {"*/*"}, name: {"DELETE"}}); (got == name) != want || !want && got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := httpx.Fold("X_Amount.Of-É"); got != "x-amount-of---" {
		t.Errorf("folded to %q", got)
	}
}
