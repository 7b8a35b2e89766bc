// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestAllowedNetworks: a back end calls from its networks alone, by its secret as by its token, and an address counts as Caddy
// determines it: what a stranger writes into a field is no address.
func TestAllowedNetworks(t *testing.T) {
	t.Parallel()
	h := knowing(t)
	got := send(t, http.MethodPost, h.issuer+"/token", basic("backend", portalSecret), func(r *http.Request) {
		setBody(r, "application/x-www-form-urlencoded", "grant_type=client_credentials&scope=gatehouse:users")
	})
	var own tokens
	if err := json.Unmarshal([]byte(got.Body), &own); err != nil || own.Access == "" {
		t.Fatalf("the token endpoint answers %d %s", got.Status, got.Body)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+own.Access) }
	for _, test := range []struct {
		name, from, forwarded string
		status                int
	}{
		{"from a network of its own", "127.0.0.3", "", http.StatusOK},
		{"through the proxy", proxy, "10.1.2.3", http.StatusOK},
		{"through the proxy, from elsewhere", proxy, "10.2.2.3", http.StatusForbidden},
		{"from elsewhere", stranger, "", http.StatusForbidden},
		{"who says it is from there", stranger, "10.1.2.3", http.StatusForbidden},
	} {
		for how, credentials := range map[string]func(*http.Request){"secret": basic("backend", portalSecret), "token": bearer} {
			fields := []string{}
			if test.forwarded != "" {
				fields = []string{"X-Forwarded-For", test.forwarded}
			}
			client := newBrowser(t).through(test.from, fields...).client
			got := sendWith(t, client, http.MethodGet, h.issuer+"/api/v1/users", credentials)
			if got.Status != test.status || strings.Contains(got.Body, `"forbidden"`) != (test.status == http.StatusForbidden) {
				t.Errorf("%s by %s: %d %s", test.name, how, got.Status, got.Body)
			}
		}
	}
}
