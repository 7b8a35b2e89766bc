// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// A realm that approves something has to be proven for that very request, whatever it was proven for before.
func TestAnApprovalIsForOneRequest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	need := realm.Requirement{Realm: "phone", MaxAge: time.Hour, Request: "req_1"}
	for _, tt := range []struct {
		name  string
		proof realm.Proof
		want  bool
	}{
		{"for it", realm.Proof{Time: now, Request: "req_1"}, true},
		{"for another", realm.Proof{Time: now, Request: "req_2"}, false},
		{"for none", realm.Proof{Time: now}, false},
		{"for it, too long ago", realm.Proof{Time: now.Add(-2 * time.Hour), Request: "req_1"}, false},
	} {
		if got := need.MetBy(realm.Proofs{"phone": tt.proof}, now); got != tt.want {
			t.Errorf("a proof %s: met is %v, want %v", tt.name, got, tt.want)
		}
		plain := realm.Requirement{Realm: "phone", MaxAge: 3 * time.Hour}
		if !plain.MetBy(realm.Proofs{"phone": tt.proof}, now) {
			t.Errorf("a proof %s says no longer who somebody is", tt.name)
		}
	}
}

func TestRequireForAnApproval(t *testing.T) {
	t.Parallel()
	e, err := realm.New(realm.Config{
		Realms: []*realm.Realm{define("password", time.Hour), define("phone", time.Hour)}, Identity: []string{"password"},
		Scopes: map[string][]string{"pay": {"password", "phone"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []realm.Demand{
		{Approving: []string{"phone"}, Request: "req_1"},
		{Approving: []string{"phone"}, Request: "req_1", Scopes: []string{"pay"}},
		{Approving: []string{"phone"}, Request: "req_1", ACRValues: []string{"phone"}},
	} {
		got, err := e.Require(d)
		if err != nil || len(got) != 2 || got[0].Realm != "password" || got[0].Request != "" || got[1].Realm != "phone" || got[1].Request != "req_1" {
			t.Errorf("%+v requires %+v (%v)", d, got, err)
		}
	}
	if again := e.ForScopes([]string{"pay"}); again[1].Request != "" {
		t.Error("the engine has kept a request")
	}
}
