// SPDX-License-Identifier: Apache-2.0

package mobiletype_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
)

// steps are the methods by what they prove, the least first; those of one step prove as much.
var steps = [][]mobiletype.Method{
	{mobiletype.SMS}, {mobiletype.OTP}, {mobiletype.Push}, {mobiletype.PushCustom}, {mobiletype.PushPIN, mobiletype.PushFingerprint},
}

func stepOf(m mobiletype.Method) int {
	return slices.IndexFunc(steps, func(step []mobiletype.Method) bool { return slices.Contains(step, m) })
}

// The name of an assurance is given for what proves as much as its type asks, and for nothing less: whoever trusts "gold" does not get it
// for a text message.
func TestNoAssuranceForLess(t *testing.T) {
	t.Parallel()
	for _, used := range mobiletype.Methods() {
		for _, of := range mobiletype.Methods() {
			enough := stepOf(used) >= stepOf(of)
			if used.Reaches(of) != enough {
				t.Errorf("%s reaches %s: %t", used, of, !enough)
			}
			want := string(used)
			if enough {
				want = "gold"
			}
			if got := mobiletype.ACR(used, of, "gold"); got != want {
				t.Errorf("%s where %s is gold is %q, want %q", used, of, got, want)
			}
			if got := mobiletype.ACR(used, of, ""); got != string(used) {
				t.Errorf("%s where %s has no name is %q", used, of, got)
			}
		}
	}
	// What nobody knows proves nothing, and is never an assurance of what asks for a phone.
	for _, of := range mobiletype.Methods() {
		if of != mobiletype.SMS && mobiletype.ACR("pigeon", of, "gold") == "gold" {
			t.Errorf("a method that there is not is gold where %s is asked", of)
		}
	}
}

// A policy takes from a chain and adds nothing to it, keeps its order, and never what was asked for; two policies are stricter than one.
func TestPoliciesNarrow(t *testing.T) {
	t.Parallel()
	policies := []mobiletype.Fallbacks{mobiletype.AnyFallback, mobiletype.SameOrHigher, mobiletype.NoFallback}
	rapid.Check(t, func(t *rapid.T) {
		// A type may lead to those after it, so that the chain ends, and nothing but a phone's method is in it.
		n := rapid.IntRange(1, 6).Draw(t, "types")
		types := make([]mobiletype.Type, n)
		for i := range types {
			types[i] = mobiletype.Type{Name: fmt.Sprint("t", i), Method: rapid.SampledFrom(mobiletype.Methods()).Draw(t, "method")}
			switch {
			case types[i].Method == mobiletype.PushCustom:
				types[i].Custom = "voice"
			case types[i].Method == mobiletype.OTP && i > 0:
				types[i].Method = mobiletype.SMS
			}
			if i+1 < n && types[i].Method != mobiletype.OTP {
				types[i].Fallback = fmt.Sprint("t", rapid.IntRange(i+1, n-1).Draw(t, "fallback"))
			}
		}
		chain := func(own mobiletype.Fallbacks, also ...mobiletype.Fallbacks) []mobiletype.Type {
			s, err := mobiletype.New(types, mobiletype.Config{Fallback: own})
			if err != nil {
				t.Fatal(err)
			}
			found, err := s.Chain("t0", also...)
			if err != nil || len(found) == 0 || found[0].Name != "t0" {
				t.Fatalf("the chain is %v, %v", names(found), err)
			}
			return found
		}
		own, also := rapid.SampledFrom(policies).Draw(t, "own"), rapid.SampledFrom(policies).Draw(t, "also")
		whole, both := chain(mobiletype.AnyFallback), chain(own, also)
		var want []string
		for i, ty := range whole {
			allowed := func(f mobiletype.Fallbacks) bool {
				return f == mobiletype.AnyFallback || f == mobiletype.SameOrHigher && stepOf(ty.Method) >= stepOf(whole[0].Method)
			}
			if i == 0 || allowed(own) && allowed(also) {
				want = append(want, ty.Name)
			}
		}
		if diff := cmp.Diff(want, names(both)); diff != "" {
			t.Errorf("by %s and %s:\n%s", own, also, diff)
		}
		if diff := cmp.Diff(names(both), names(chain(also, own))); diff != "" {
			t.Errorf("whose policy it is makes a difference:\n%s", diff)
		}
	})
}

// What stands at a bound is allowed: a rule that refuses it is as wrong as one that lets more pass.
func TestBounds(t *testing.T) {
	t.Parallel()
	languages := map[string]string{}
	for i := range mobiletype.MaxLanguages {
		languages[fmt.Sprintf("en-x-a%d", i)] = "Hello"
	}
	for _, tt := range []struct {
		name string
		ty   mobiletype.Type
	}{
		{"one attempt", mobiletype.Type{Attempts: 1}},
		{"the most attempts", mobiletype.Type{Attempts: mobiletype.MaxAttempts}},
		{"attempts without end", mobiletype.Type{Attempts: mobiletype.Unlimited}},
		{"one more", mobiletype.Type{Resends: 1}},
		{"the most resends", mobiletype.Type{Resends: mobiletype.MaxResends}},
		{"no resends", mobiletype.Type{Resends: mobiletype.NoResends}},
		{"the longest time", mobiletype.Type{TimeToLive: 10 * time.Minute}},
		{"a name of one letter", mobiletype.Type{Name: "a"}},
		{"a long name", mobiletype.Type{Name: strings.Repeat("a", 64)}},
		{"a long message of two bytes each", mobiletype.Type{Messages: map[string]string{"en": strings.Repeat("ä", mobiletype.MaxMessage)}}},
		{"as many languages as there may be", mobiletype.Type{Messages: languages}},
		{"a long acr", mobiletype.Type{ACR: strings.Repeat("a", 64)}},
		{"signing", mobiletype.Type{Signing: true}},
		{"an origin with a port", mobiletype.Type{Method: mobiletype.SMS, Origin: "login.example.com:8443"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.ty.Name == "" {
				tt.ty.Name = "type"
			}
			if tt.ty.Method == "" {
				tt.ty.Method = mobiletype.Push
			}
			if _, err := mobiletype.New([]mobiletype.Type{tt.ty}, mobiletype.Config{}); err != nil {
				t.Error(err)
			}
		})
	}
	late := mobiletype.Type{Name: "a", Method: mobiletype.Push, After: mobiletype.MinAfter, Fallback: "b"}
	if _, err := mobiletype.New([]mobiletype.Type{late, {Name: "b", Method: mobiletype.SMS}}, mobiletype.Config{}); err != nil {
		t.Errorf("as soon as may be: %v", err)
	}
	most := make([]mobiletype.Type, mobiletype.MaxTypes)
	for i := range most {
		most[i] = mobiletype.Type{Name: fmt.Sprint("t", i), Method: mobiletype.Push}
	}
	s, err := mobiletype.New(most, mobiletype.Config{})
	if err != nil || len(s.All()) != mobiletype.MaxTypes {
		t.Errorf("as many as there may be: %v", err)
	}
}

// A set is what it was made from, whatever becomes of that.
func TestSetIsItsOwn(t *testing.T) {
	t.Parallel()
	messages := map[string]string{"en": "Sign in"}
	types := []mobiletype.Type{{Name: "a", Method: mobiletype.PushPIN, Messages: messages}}
	s := set(t, mobiletype.AnyFallback, types...)
	messages["en"], messages["nl"] = "Pay", "Betaal"
	types[0].Method = mobiletype.SMS
	got, _ := s.Get("a")
	if text, in, _ := got.Message("nl"); text != "Sign in" || in != "en" || got.Method != mobiletype.PushPIN {
		t.Errorf("it says %q in %q by %s", text, in, got.Method)
	}
}
