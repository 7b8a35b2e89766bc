// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
)

// RFC 9700 4.12: no browser sends a form again to where it is led, and nothing keeps or passes on the location.
func TestRFC9700_4_12_Lead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, issuer, path, want string
		params                   url.Values
	}{
		{"with parameters", issuer, "/login", "/login?req=req_a%26b", url.Values{"req": {"req_a&b"}}},
		{"without", issuer, "/account", "/account", nil},
		{"below a path", issuer + "/tenant", "/login", "/tenant/login", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *session.Config) { c.Issuer = tt.issuer })
			rec := httptest.NewRecorder()
			w.Lead(rec, tt.path, tt.params)
			got := map[string]string{}
			for _, name := range []string{"Location", "Cache-Control", "Referrer-Policy"} {
				got[name] = rec.Header().Get(name)
			}
			want := map[string]string{"Location": tt.want, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
			if diff := cmp.Diff(want, got); diff != "" || rec.Code != http.StatusSeeOther {
				t.Errorf("status %d, headers (-want +got):\n%s", rec.Code, diff)
			}
		})
	}
}

func TestOnward(t *testing.T) {
	t.Parallel()
	const uri = "com.example.app:/cb"
	if diff := cmp.Diff([]string{uri, "https:"}, session.Onward(&authz.Client{}, uri)); diff != "" {
		t.Errorf("an application (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{uri}, session.Onward(&authz.Client{Site: true}, uri)); diff != "" {
		t.Errorf("a site (-want +got):\n%s", diff)
	}
}
