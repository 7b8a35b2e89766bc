// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/validation"
)

// TestFreshUntilAgreesWithCheck: whatever a policy asks and a token proves, Check accepts the token up to the moment that
// FreshUntil names, and not after it.
func TestFreshUntilAgreesWithCheck(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	names := []string{"password", "phone", "card"}
	rapid.Check(t, func(t *rapid.T) {
		age := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(1, int64(4*time.Hour/time.Microsecond)).Draw(t, "age")) * time.Microsecond
		})
		requirements := rapid.Custom(func(t *rapid.T) []validation.Requirement {
			var all []validation.Requirement
			for _, name := range names {
				if rapid.Bool().Draw(t, name) {
					all = append(all, validation.Requirement{Realm: name, MaxAge: age.Draw(t, "max age")})
				}
			}
			return all
		})
		policy := &validation.Policy{
			Requirements: requirements.Draw(t, "requirements"),
			Levels:       map[string][]validation.Requirement{"gold": requirements.Draw(t, "gold"), "silver": requirements.Draw(t, "silver")},
			ACRValues:    rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"gold", "silver", "theirs", ""}), 0, 3, rapid.ID).Draw(t, "acr"),
			AnyScope:     rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b"}), 0, 2, rapid.ID).Draw(t, "any scope"),
			AnyRequirements: map[string][]validation.Requirement{
				"a": requirements.Draw(t, "a"), "b": requirements.Draw(t, "b"),
			},
		}
		if rapid.Bool().Draw(t, "with max_age") {
			maxAge := age.Draw(t, "max_age")
			policy.MaxAge = &maxAge
		}
		who := &validation.Principal{ACR: "theirs", Scopes: validation.Scopes{"a"}, AuthTime: start.Add(-age.Draw(t, "authenticated"))}
		if rapid.Bool().Draw(t, "says nothing of when") {
			who.AuthTime = time.Time{}
		}
		if rapid.Bool().Draw(t, "both scopes") {
			who.Scopes = append(who.Scopes, "b")
		}
		for _, name := range names {
			if rapid.Bool().Draw(t, "proves "+name) {
				who.Realms = append(who.Realms, validation.Proof{Realm: name, At: start.Add(-age.Draw(t, name+" ago"))})
			}
		}
		until, limited := policy.FreshUntil(who)
		accepts := policy.Check(who, start) == nil
		switch {
		case !accepts && !limited:
			t.Fatal("no limit for what is refused")
		case accepts && !limited:
			if err := policy.Check(who, start.Add(1000*time.Hour)); err != nil {
				t.Fatalf("no limit, and later: %v", err)
			}
		case accepts:
			if err := policy.Check(who, until); err != nil || until.Before(start) {
				t.Fatalf("until %v: %v", until, err)
			}
			fallthrough
		default:
			if later := until.Add(time.Microsecond); !later.Before(start) && policy.Check(who, later) == nil {
				t.Fatalf("accepted after %v", until)
			}
		}
	})
}

// TestFreshUntilOfNothing: without a policy nothing ages, and nobody is fresh.
func TestFreshUntilOfNothing(t *testing.T) {
	t.Parallel()
	var none *validation.Policy
	if until, limited := none.FreshUntil(&validation.Principal{}); limited {
		t.Errorf("without a policy: %v", until)
	}
	if until, limited := new(validation.Policy).FreshUntil(nil); !limited || !until.IsZero() {
		t.Errorf("of nobody: %v, %v", until, limited)
	}
	long := &validation.Policy{Requirements: []validation.Requirement{{Realm: "card", MaxAge: 290 * 365 * 24 * time.Hour}}}
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	who := &validation.Principal{Realms: validation.Realms{{Realm: "card", At: at}}}
	if until, _ := long.FreshUntil(who); until.Year() < 2300 {
		t.Errorf("a proof that counts for centuries ends at %v", until)
	}
}
