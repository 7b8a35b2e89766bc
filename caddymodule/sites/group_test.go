// SPDX-License-Identifier: Apache-2.0

package sites_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
)

// TestCheck: where requests are confirmed, none slips past their rule as another one that the upstream takes for it.
func TestCheck(t *testing.T) {
	t.Parallel()
	plain := new(sites.Group)
	confirming := &sites.Group{Confirms: make([]site.TokenValidator, 1)}
	for _, test := range []struct {
		name, method, target, field string
		group                       *sites.Group
		want                        bool
	}{
		{"as it should be", http.MethodPost, "/transfers", "Accept", confirming, true},
		{"a method in lower case", "post", "/transfers", "Accept", confirming, false},
		{"a method in lower case, where nothing is confirmed", "Post", "/transfers", "Accept", plain, false},
		{"another method", http.MethodPost, "/payees/1", "X-Http-Method-Override", confirming, false},
		{"another target, in another spelling", http.MethodPost, "/", "X_Original_URL", confirming, false},
		{"another method, where nothing is confirmed", http.MethodPost, "/payees/1", "X-Http-Method-Override", plain, true},
		{"a path of two meanings", http.MethodPost, "/a/..%2fb", "Accept", confirming, false},
	} {
		r := httptest.NewRequest(test.method, test.target, http.NoBody)
		r.Header[test.field] = []string{"DELETE"}
		if err := test.group.Check(r, false); (err == nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
