// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

const minute = time.Minute

// levels are those of a bank: two realms make gold, three make platinum, and each realm is a level by its own name.
func levels() map[string][]validation.Requirement {
	password, phone, card := need("password", 8*time.Hour), need("phone", 5*minute), need("card", 2*minute)
	return map[string][]validation.Requirement{
		"password": {password}, "phone": {phone}, "card": {card},
		"gold": {password, phone}, "platinum": {password, phone, card},
		// As good as gold, so that the choice between them shows.
		"zinc": {password, phone}, "tin": {password, phone}, "lead": {phone, password}, "iron": {password, phone}, "mercury": {password, phone},
	}
}

func need(realm string, age time.Duration) validation.Requirement {
	return validation.Requirement{Realm: realm, MaxAge: age}
}

// who proved realms so long ago, and has the scopes.
func who(scopes string, proofs ...validation.Proof) *validation.Principal {
	parsed, err := oauth.ParseScopes(scopes)
	if err != nil {
		panic(err)
	}
	return &validation.Principal{Subject: "usr_1", Audience: []string{audience}, Scopes: parsed, Realms: proofs}
}

func proven(realm string, ago time.Duration) validation.Proof {
	return validation.Proof{Realm: realm, At: start.Add(-ago)}
}

func TestPolicyScopes(t *testing.T) {
	t.Parallel()
	all, either := validation.Scopes{"read", "write"}, validation.Scopes{"admin", "audit"}
	tests := []struct {
		name   string
		policy validation.Policy
		scopes string
		want   validation.Scopes // named by the refusal; nil when the policy is met
	}{
		{"nothing is asked", validation.Policy{}, "", nil},
		{"RFC6750/3.1 all", validation.Policy{AllScopes: all}, "write read other", nil},
		{"RFC6750/3.1 one is missing", validation.Policy{AllScopes: all}, "read", validation.Scopes{"read", "write"}},
		{"RFC6750/3.1 none at all", validation.Policy{AllScopes: all}, "", validation.Scopes{"read", "write"}},
		{"RFC6749/3.3 another case", validation.Policy{AllScopes: all}, "READ write", validation.Scopes{"read", "write"}},
		{"a longer scope is another", validation.Policy{AllScopes: all}, "read write2", validation.Scopes{"read", "write"}},
		{"any, the first", validation.Policy{AnyScope: either}, "admin", nil},
		{"any, the second", validation.Policy{AnyScope: either}, "audit", nil},
		{"any, none", validation.Policy{AnyScope: either}, "read", validation.Scopes{"admin", "audit"}},
		{"both", validation.Policy{AllScopes: all, AnyScope: either}, "read write audit", nil},
		{"both, any missing", validation.Policy{AllScopes: all, AnyScope: either}, "read write", validation.Scopes{"read", "write", "admin", "audit"}},
		{"both, all missing: what is held is not lost", validation.Policy{AllScopes: all, AnyScope: either}, "audit", validation.Scopes{"read", "write", "audit"}},
		{"both missing", validation.Policy{AllScopes: all, AnyScope: either}, "", validation.Scopes{"read", "write", "admin", "audit"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.policy.Check(who(test.scopes), start)
			if test.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := wantCode(t, err, oauth.InsufficientScope, 403)
			if diff := cmp.Diff(&oauth.Demand{Scopes: test.want}, e.Demand); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicyAuthentication(t *testing.T) {
	t.Parallel()
	fresh, stale := proven("phone", minute), proven("phone", 6*minute)
	password := proven("password", time.Hour)
	needs := []validation.Requirement{need("password", 8*time.Hour), need("phone", 5*minute)}
	tests := []struct {
		name   string
		policy validation.Policy
		who    *validation.Principal
		want   *oauth.Demand // nil when the policy is met
	}{
		{"realms proven", validation.Policy{Requirements: needs}, who("", password, fresh), nil},
		{"realm exactly as old as allowed", validation.Policy{Requirements: needs}, who("", password, proven("phone", 5*minute)), nil},
		{"realm a moment older", validation.Policy{Requirements: needs}, who("", password, proven("phone", 5*minute+1)), &oauth.Demand{ACRValues: []string{"phone"}}},
		{"one realm stale", validation.Policy{Requirements: needs, Levels: levels()}, who("", password, stale), &oauth.Demand{ACRValues: []string{"phone"}}},
		{"one realm missing", validation.Policy{Requirements: needs, Levels: levels()}, who("", fresh), &oauth.Demand{ACRValues: []string{"password"}}},
		{"two missing, of the levels that cover them the first by name", validation.Policy{Requirements: needs, Levels: levels()}, who(""), &oauth.Demand{ACRValues: []string{"gold"}}},
		{
			"two missing, only a wider level covers them",
			validation.Policy{Requirements: []validation.Requirement{need("phone", minute), need("card", minute)}, Levels: levels()},
			who("", password), &oauth.Demand{ACRValues: []string{"platinum"}},
		},
		{"two missing, no level covers them", validation.Policy{Requirements: needs}, who(""), &oauth.Demand{ACRValues: []string{"password"}}},
		{"proof from the future", validation.Policy{Requirements: needs}, who("", password, proven("phone", -time.Hour)), &oauth.Demand{ACRValues: []string{"phone"}}},
		{"proof ahead by the skew of a clock", validation.Policy{Requirements: needs}, who("", password, proven("phone", -validation.Skew)), nil},
		{"proof without a time", validation.Policy{Requirements: needs}, who("", password, validation.Proof{Realm: "phone"}), &oauth.Demand{ACRValues: []string{"phone"}}},
		{"requirement without an age is never met", validation.Policy{Requirements: []validation.Requirement{need("phone", 0)}}, who("", fresh), &oauth.Demand{ACRValues: []string{"phone"}}},
		{"realm in another case", validation.Policy{Requirements: needs}, who("", password, proven("PHONE", minute)), &oauth.Demand{ACRValues: []string{"phone"}}},

		{"RFC9470/6 eval acr by name", validation.Policy{ACRValues: []string{"loa3", "loa4"}}, withACR(who(""), "loa4"), nil},
		{"RFC9470/6 eval acr by another name", validation.Policy{ACRValues: []string{"loa3"}}, withACR(who(""), "loa4"), &oauth.Demand{ACRValues: []string{"loa3"}}},
		{"RFC9470/6 eval acr missing", validation.Policy{ACRValues: []string{"loa3"}}, who(""), &oauth.Demand{ACRValues: []string{"loa3"}}},
		{"RFC9470/6 an empty acr is none", validation.Policy{ACRValues: []string{""}}, who(""), &oauth.Demand{ACRValues: []string{""}}},
		{"level by its realms", validation.Policy{ACRValues: []string{"gold"}, Levels: levels()}, who("", password, fresh), nil},
		{"RFC9068/2.2.1 level by its name after its realms aged", validation.Policy{ACRValues: []string{"gold"}, Levels: levels()}, withACR(who("", password, stale), "gold"), &oauth.Demand{ACRValues: []string{"gold"}}},
		{"level by a stronger one's realms", validation.Policy{ACRValues: []string{"gold"}, Levels: levels()}, withACR(who("", password, fresh, proven("card", minute)), "platinum"), nil},
		{"one factor short (CVE-2025-64103)", validation.Policy{ACRValues: []string{"gold"}, Levels: levels()}, withACR(who("", password), "gold"), &oauth.Demand{ACRValues: []string{"gold"}}},
		{"level of no realms", validation.Policy{ACRValues: []string{"empty"}, Levels: map[string][]validation.Requirement{"empty": {}}}, withACR(who(""), "empty"), &oauth.Demand{ACRValues: []string{"empty"}}},
		{"several levels, in order of preference", validation.Policy{ACRValues: []string{"platinum", "gold"}, Levels: levels()}, who("", password), &oauth.Demand{ACRValues: []string{"platinum", "gold"}}},
		{
			"level and realm missing: only levels with that realm help",
			validation.Policy{ACRValues: []string{"gold", "platinum"}, Requirements: []validation.Requirement{need("card", minute)}, Levels: levels()},
			who("", password), &oauth.Demand{ACRValues: []string{"platinum"}},
		},
		{
			"level missing and a realm no level has",
			validation.Policy{ACRValues: []string{"gold"}, Requirements: []validation.Requirement{need("card", minute)}, Levels: levels()},
			who("", password), &oauth.Demand{ACRValues: []string{"gold"}},
		},
		{
			"level met and a realm missing",
			validation.Policy{ACRValues: []string{"gold"}, Requirements: []validation.Requirement{need("card", minute)}, Levels: levels()},
			who("", password, fresh), &oauth.Demand{ACRValues: []string{"card"}},
		},

		{"RFC9470/3 max_age", validation.Policy{MaxAge: age(minute)}, authenticated(who(""), minute), nil},
		{"RFC9470/3 max_age passed", validation.Policy{MaxAge: age(minute)}, authenticated(who(""), minute+1), &oauth.Demand{MaxAge: minute, HasMaxAge: true}},
		{"RFC9470/6 auth_time missing", validation.Policy{MaxAge: age(minute)}, who(""), &oauth.Demand{MaxAge: minute, HasMaxAge: true}},
		{"auth_time from the future", validation.Policy{MaxAge: age(minute)}, authenticated(who(""), -time.Hour), &oauth.Demand{MaxAge: minute, HasMaxAge: true}},
		{
			"RFC9470/6 auth_time missing, however long ago it may be", validation.Policy{MaxAge: age(math.MaxInt64)}, who(""),
			&oauth.Demand{MaxAge: math.MaxInt64, HasMaxAge: true},
		},
		{"max_age of zero", validation.Policy{MaxAge: age(0)}, authenticated(who(""), time.Second), &oauth.Demand{HasMaxAge: true}},
		{
			"too old at the right level: the level is asked again", validation.Policy{ACRValues: []string{"gold"}, Levels: levels(), MaxAge: age(minute)},
			authenticated(who("", password, fresh), time.Hour), &oauth.Demand{ACRValues: []string{"gold"}, MaxAge: minute, HasMaxAge: true},
		},
		{
			"too weak and recent: no age is asked", validation.Policy{ACRValues: []string{"gold"}, Levels: levels(), MaxAge: age(time.Hour)},
			authenticated(who("", password), minute), &oauth.Demand{ACRValues: []string{"gold"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.policy.Check(test.who, start)
			if test.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := wantCode(t, err, oauth.InsufficientUserAuth, 401)
			if diff := cmp.Diff(test.want, e.Demand, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func withACR(p *validation.Principal, acr string) *validation.Principal {
	p.ACR = acr
	return p
}

func authenticated(p *validation.Principal, ago time.Duration) *validation.Principal {
	p.AuthTime = start.Add(-ago)
	return p
}

// What is wrong first is said first: audience, scope, authentication.
func TestPolicyOrder(t *testing.T) {
	t.Parallel()
	policy := &validation.Policy{
		Audience: []string{audience}, AllScopes: validation.Scopes{"write"}, ACRValues: []string{"gold"}, MaxAge: age(minute),
	}
	other := who("")
	other.Audience = []string{"https://other.example"}
	err := policy.Check(other, start)
	wantRefused(t, nil, err, validation.ErrAudience)
	wantCode(t, policy.Check(who(""), start), oauth.InsufficientScope, 403)
	wantCode(t, policy.Check(who("write"), start), oauth.InsufficientUserAuth, 401)
	if err := policy.Check(withACR(authenticated(who("write"), 0), "gold"), start); err != nil {
		t.Error(err)
	}
}

func TestPolicyOfNothing(t *testing.T) {
	t.Parallel()
	var none *validation.Policy
	if err := none.Check(who(""), start); err != nil {
		t.Error(err)
	}
	for _, p := range []*validation.Policy{none, {}} {
		if err := p.Check(nil, start); err == nil {
			t.Error("nobody passes")
		}
	}
}

// A client that comes back with what it was told to ask for passes, after at most one round for each thing that was
// missing: no demand sends it round in circles.
func TestDemandsLeadToAPass(t *testing.T) {
	t.Parallel()
	known := levels()
	realms := []string{"password", "phone", "card"}
	rapid.Check(t, func(t *rapid.T) {
		subset := func(label string, of []string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, len(of), rapid.ID[string]).Draw(t, label)
		}
		policy := validation.Policy{AllScopes: subset("all", []string{"a", "b"}), AnyScope: subset("any", []string{"c", "d"}), Levels: known}
		policy.ACRValues = subset("acr", []string{"gold", "platinum", "password", "zinc"})
		for _, realm := range subset("realms", realms) {
			policy.Requirements = append(policy.Requirements, need(realm, 2*minute))
		}
		if rapid.Bool().Draw(t, "aged") {
			policy.MaxAge = age(minute)
		}
		p := authenticated(who(""), rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "ago"))
		p.Scopes = subset("scopes", []string{"a", "b", "c", "d"})
		for _, realm := range subset("proven", realms) {
			p.Realms = append(p.Realms, proven(realm, rapid.SampledFrom([]time.Duration{0, 3 * minute, 9 * time.Hour}).Draw(t, realm)))
		}
		for range 6 {
			err := policy.Check(p, start)
			if err == nil {
				return
			}
			obtain(t, p, oauth.AsError(err), known)
		}
		t.Fatalf("still refused: %v", policy.Check(p, start))
	})
}

// obtain does what an authorization server does for a client that asks for what a challenge names.
func obtain(t *rapid.T, p *validation.Principal, refusal *validation.Error, known map[string][]validation.Requirement) {
	if refusal.Demand == nil {
		t.Fatalf("%v names nothing to ask for", refusal)
	}
	if refusal.Code == oauth.InsufficientScope {
		p.Scopes = refusal.Demand.Scopes
		return
	}
	p.AuthTime = start
	if len(refusal.Demand.ACRValues) == 0 {
		return
	}
	p.ACR = refusal.Demand.ACRValues[0]
	for _, r := range known[p.ACR] {
		rest := validation.Realms{}
		for _, proof := range p.Realms {
			if proof.Realm != r.Realm {
				rest = append(rest, proof)
			}
		}
		p.Realms = append(rest, validation.Proof{Realm: r.Realm, At: start})
	}
}
