// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// ordered is the standard model with security tests.
func ordered(tests ...realm.SecurityTest) realm.Config {
	c := standard()
	c.Tests = tests
	return c
}

func test(name string, steps ...[]string) realm.SecurityTest {
	return realm.SecurityTest{Name: name, Steps: steps}
}

// steps writes requirements as text: realms of a step joined by a plus, steps by a blank.
func steps(requirements []realm.Requirement) string {
	var text []string
	for i, r := range requirements {
		if i > 0 && requirements[i-1].Step == r.Step {
			text[len(text)-1] += "+" + r.Realm
			continue
		}
		text = append(text, r.Realm)
	}
	return strings.Join(text, " ")
}

func TestSecurityTestsOrderRealms(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, func() realm.Config {
		c := ordered(
			test("mobile", []string{"app"}, []string{"password"}),
			test("transfer", []string{"password", "card"}, []string{"phone"}),
			test("check", []string{"app"}, []string{"phone"}),
		)
		c.Scopes["pay"] = []string{"transfer"}
		return c
	}())
	for _, tt := range []struct{ name, scopes, acr, want string }{
		{"a test is a scope", "mobile", "", "app password"},
		{"a scope may name a test", "pay", "", "password+card phone"},
		{"two tests", "mobile transfer", "", "app+card password phone"},
		{"in the other order", "transfer mobile", "", "card+app password phone"},
		{"the others after the user is known", "write device", "", "password phone+app"},
		{"a test that knows nobody", "check", "", "password app phone"},
		{"a test and a level", "mobile", "gold", "app password phone"},
		{"nothing", "free", "", "password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			demand := realm.Demand{Scopes: strings.Fields(tt.scopes), ACRValues: strings.Fields(tt.acr)}
			got, err := engine.Require(demand)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "order", steps(got), tt.want)
		})
	}
}

func TestTestsThatDoNotFit(t *testing.T) {
	t.Parallel()
	scoped := ordered(test("t", []string{"app"}))
	scoped.Scopes["t"] = []string{"app"}
	level := ordered(test("gold", []string{"app"}))
	for _, tt := range []struct {
		name   string
		config realm.Config
		want   string
	}{
		{"no name", ordered(test("", []string{"app"})), "not one word"},
		{"two words", ordered(test("a b", []string{"app"})), "not one word"},
		{"the name of a realm", ordered(test("app", []string{"app"})), "name of a realm"},
		{"twice", ordered(test("t", []string{"app"}), test("t", []string{"card"})), "defined twice"},
		{"no step", ordered(test("t")), "names no realm"},
		{"an empty step", ordered(test("t", nil)), "empty step"},
		{"an unknown realm", ordered(test("t", []string{"sms"})), `"sms"`},
		{"a realm in two steps", ordered(test("t", []string{"app"}, []string{"app"})), "twice"},
		{"two tests that contradict each other", ordered(test("t", []string{"app"}, []string{"phone"}),
			test("u", []string{"phone"}, []string{"app"})), "[app phone]"},
		{"a circle of three", ordered(test("t", []string{"app"}, []string{"phone"}), test("u", []string{"phone"}, []string{"card"}),
			test("v", []string{"card"}, []string{"app"})), "contradict"},
		{"the name of a scope", scoped, `scope "t"`},
		{"the name of a level", level, `acr "gold"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			engine, err := realm.New(tt.config)
			if err == nil || engine != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, %v, want an error that says %q", engine, err, tt.want)
			}
		})
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, ordered(test("t", []string{"app", "password"}, []string{"phone", "card"})))
	requirements := engine.ForScopes([]string{"t"})
	for _, tt := range []struct {
		name   string
		proofs realm.Proofs
		want   string
	}{
		{"nothing proven", nil, "app+password"},
		{"one of the first step", proven("app", time.Minute), "password"},
		{"a later one is no help", proven("phone", time.Minute), "app+password"},
		{"the first step", proven("app", time.Minute, "password", time.Minute), "phone+card"},
		{"the first step, stale", proven("app", 2*time.Hour, "password", time.Minute, "phone", time.Minute), "app"},
		{"everything", proven("app", time.Minute, "password", time.Minute, "phone", time.Minute, "card", time.Minute), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "remaining", steps(realm.Remaining(requirements, tt.proofs, start)), tt.want)
		})
	}
}

// Whatever tests there are and whatever is asked: following what remains asks each realm once, in the order of every test
// that was named, ends, and determines a user.
func TestOrderHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := standard()
		line := rapid.Permutation([]string{"password", "card", "phone", "app"}).Draw(t, "order")
		for i := range rapid.IntRange(1, 3).Draw(t, "tests") {
			first := rapid.IntRange(0, 2).Draw(t, "first")
			second := rapid.IntRange(first+1, 3).Draw(t, "second")
			c.Tests = append(c.Tests, test(fmt.Sprint("t", i), []string{line[first]}, []string{line[second]}))
		}
		engine, err := realm.New(c)
		if err != nil {
			t.Fatal(err)
		}
		scopes := []string{"read", "write", "device", "either", "free"}
		for _, test := range c.Tests {
			scopes = append(scopes, test.Name)
		}
		asked := rapid.SliceOfN(rapid.SampledFrom(scopes), 1, 4).Draw(t, "scopes")
		requirements, err := engine.Require(realm.Demand{Scopes: asked})
		if err != nil {
			t.Fatal(err)
		}
		proofs := realm.Proofs{}
		for remaining := realm.Remaining(requirements, proofs, start); len(remaining) > 0; remaining = realm.Remaining(requirements, proofs, start) {
			next := rapid.SampledFrom(remaining).Draw(t, "next").Realm
			for _, test := range c.Tests {
				if slices.Contains(asked, test.Name) && test.Steps[1][0] == next && proofs[test.Steps[0][0]].Realm == "" {
					t.Fatalf("%s is asked before %s", next, test.Steps[0][0])
				}
			}
			if proofs[next].Realm != "" {
				t.Fatalf("%s is asked twice", next)
			}
			proofs[next] = realm.Proof{Realm: next, Subject: alice, Time: start}
		}
		if _, ok := engine.Identity(proofs); !ok {
			t.Fatalf("%v determine nobody", slices.Collect(maps.Keys(proofs)))
		}
	})
}

func TestEngineOwnsItsTests(t *testing.T) {
	t.Parallel()
	c := ordered(test("t", []string{"app"}, []string{"password"}))
	engine := newEngine(t, c)
	c.Tests[0].Steps[0][0] = "card"
	if diff := cmp.Diff([]string{"app", "password"}, names(engine.ForScopes([]string{"t"}))); diff != "" {
		t.Errorf("realms (-want +got):\n%s", diff)
	}
}
