// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// What a scope requires, it requires wherever it opens a route: alone, or as one of several. A token keeps its scopes for as
// long as it is refreshed, and its proofs do not stay fresh for as long.
func TestAnyScopeAsksForTheRealmsOfTheScope(t *testing.T) {
	t.Parallel()
	policy := &validation.Policy{
		AnyScope: validation.Scopes{"payments:write", "accounts:read", "public"},
		AnyRequirements: map[string][]validation.Requirement{
			"payments:write": {need("password", time.Hour), need("pin", minute)},
			"accounts:read":  {need("password", time.Hour)},
		},
	}
	cases := []struct {
		name   string
		scopes string
		proofs []validation.Proof
		want   oauth.Code
		ask    []string
	}{
		{"fresh", "payments:write", []validation.Proof{proven("password", time.Minute), proven("pin", 0)}, "", nil},
		{"stale", "payments:write", []validation.Proof{proven("password", time.Minute), proven("pin", time.Hour)},
			oauth.InsufficientUserAuth, []string{"pin"}},
		{"nothing proven", "accounts:read", nil, oauth.InsufficientUserAuth, []string{"password"}},
		{"one of two scopes is fresh", "payments:write accounts:read", []validation.Proof{proven("password", 0)}, "", nil},
		{"neither of two is", "payments:write accounts:read", []validation.Proof{proven("pin", 0)},
			oauth.InsufficientUserAuth, []string{"password"}},
		{"a scope that requires nothing", "public", nil, "", nil},
		{"no scope", "other", []validation.Proof{proven("password", 0)}, oauth.InsufficientScope, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := policy.Check(who(c.scopes, c.proofs...), start)
			if c.want == "" {
				if err != nil {
					t.Errorf("refused with %v", err)
				}
				return
			}
			if err == nil || oauth.AsError(err).Code != c.want {
				t.Fatalf("judged %v, want %s", err, c.want)
			}
			if diff := cmp.Diff(c.ask, validation.ChallengeFor(err).ACRValues); diff != "" {
				t.Errorf("unexpected challenge (-want +got):\n%s", diff)
			}
		})
	}
}
