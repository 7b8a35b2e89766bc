// SPDX-License-Identifier: Apache-2.0

package passage_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
)

func request(header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = header
	return r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{}))
}

// TestDecisions: a passage belongs to its request, and knows every list of which a rule has let it pass.
func TestDecisions(t *testing.T) {
	t.Parallel()
	outer, inner, other := new(sites.Group), &sites.Group{Session: true}, &sites.Group{Issuer: true}
	r := request(http.Header{})
	p := passage.Enter(r)
	if !p.Fresh() || p.Decided() || p.DecidedBy(outer) {
		t.Errorf("at first it is %+v", p)
	}
	p.Decide(outer)
	p.Decide(inner)
	again := passage.Enter(r)
	if again.Fresh() || !again.Decided() || !again.DecidedBy(outer) || !again.DecidedBy(inner) || again.DecidedBy(other) {
		t.Errorf("after two lists it is %+v", again)
	}
	if passage.Enter(request(http.Header{})).Decided() {
		t.Error("another request has passed as well")
	}
	cleaned := passage.Enter(request(http.Header{}))
	cleaned.Cleaned = true
	if cleaned.Fresh() || cleaned.Decided() {
		t.Error("what a guard has cleaned is fresh, or decided")
	}
}

// TestConceal: the upstream gets neither our cookies nor the token, but what another handler has put in its place.
func TestConceal(t *testing.T) {
	t.Parallel()
	came := http.Header{"Authorization": {"Bearer secret"}, "Cookie": {"__Host-gh_site_00=secret; theme=dark"}}
	cases := []struct {
		name    string
		forward bool
		replace string
		want    http.Header
	}{
		{"usual", false, "", http.Header{"Cookie": {"theme=dark"}}},
		{"forwarded", true, "", http.Header{"Authorization": {"Bearer secret"}, "Cookie": {"theme=dark"}}},
		{"replaced", false, "Basic other", http.Header{"Authorization": {"Basic other"}, "Cookie": {"theme=dark"}}},
	}
	for _, c := range cases {
		r := request(came.Clone())
		p := passage.Enter(r)
		if c.replace != "" {
			r.Header.Set("Authorization", c.replace)
		}
		p.Conceal(r, c.forward)
		if diff := cmp.Diff(c.want, r.Header); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
		if vars := fmt.Sprint(r.Context().Value(caddyhttp.VarsCtxKey)); strings.Contains(vars, "secret") {
			t.Errorf("%s: the variables of the request print as %s", c.name, vars)
		}
		p.Came.Put(r)
		if diff := cmp.Diff(came, r.Header); diff != "" {
			t.Errorf("%s: what the request came with is\n%s", c.name, diff)
		}
	}
}

// TestPutNothing: a request that came without credentials is without them again.
func TestPutNothing(t *testing.T) {
	t.Parallel()
	r := request(http.Header{})
	p := passage.Enter(r)
	r.Header.Set("Authorization", "Basic other")
	r.Header.Set("Cookie", "a=b")
	p.Came.Put(r)
	if len(r.Header) > 0 {
		t.Errorf("it has %v", r.Header)
	}
}
