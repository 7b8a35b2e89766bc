// SPDX-License-Identifier: Apache-2.0

package sites_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/validation"
)

// TestCheck: where requests are confirmed, none slips past their rule as another one that the upstream takes for it.
func TestCheck(t *testing.T) {
	t.Parallel()
	plain := new(sites.Group)
	confirming := &sites.Group{Exact: true}
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

// tokens takes one token and no other.
type tokens string

func (k tokens) Validate(_ context.Context, c validation.Credential) (*validation.Principal, error) {
	if c.Token != string(k) {
		return nil, validation.ErrAudience
	}
	return &validation.Principal{Subject: c.Token}, nil
}

// TestConfirm: whoever has a token of any rule that has requests confirmed may ask, and nobody before there is one; what a rule was
// built with stays as it is.
func TestConfirm(t *testing.T) {
	t.Parallel()
	g, built := new(sites.Group), &site.Rule{Realm: "r"}
	if _, err := g.Validate(t.Context(), validation.Bearer("a")); !errors.Is(err, validation.ErrAudience) {
		t.Errorf("without a rule: %v", err)
	}
	g.Confirm(tokens("a"), built)
	first := g.Status
	g.Confirm(tokens("b"), new(site.Rule))
	if g.Status != first || g.Status.Tokens != site.TokenValidator(g) || g.Status.Realm != "r" || built.Tokens != nil {
		t.Errorf("the rule is %+v, from %+v", g.Status, built)
	}
	for raw, want := range map[string]bool{"a": true, "b": true, "c": false, "": false} {
		if p, err := g.Status.Tokens.Validate(t.Context(), validation.Bearer(raw)); (err == nil) != want || want && p.Subject != raw {
			t.Errorf("token %q: %v %v", raw, p, err)
		}
	}
}
