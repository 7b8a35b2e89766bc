// SPDX-License-Identifier: Apache-2.0

package mobiletype_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
)

func set(t testing.TB, policy mobiletype.Fallbacks, types ...mobiletype.Type) *mobiletype.Set {
	t.Helper()
	s, err := mobiletype.New(types, mobiletype.Config{Fallback: policy})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ladder is a chain over every channel that may be in one.
var ladder = []mobiletype.Type{
	{Name: "pin", Method: mobiletype.PushPIN, Fallback: "voice"},
	{Name: "voice", Method: mobiletype.PushCustom, Custom: "voice", Fallback: "push"},
	{Name: "push", Method: mobiletype.Push, Fallback: "sms"},
	{Name: "sms", Method: mobiletype.SMS, Fallback: "finger"},
	{Name: "finger", Method: mobiletype.PushFingerprint},
	{Name: "scan", Method: mobiletype.OTP},
}

func names(chain []mobiletype.Type) (names []string) {
	for _, t := range chain {
		names = append(names, t.Name)
	}
	return names
}

func TestChains(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		policy mobiletype.Fallbacks
		also   []mobiletype.Fallbacks
		asked  string
		want   []string
	}{
		{"the whole chain by default", "", nil, "pin", []string{"pin", "voice", "push", "sms", "finger"}},
		{"from the middle", mobiletype.AnyFallback, nil, "push", []string{"push", "sms", "finger"}},
		{"not lower than a PIN", mobiletype.SameOrHigher, nil, "pin", []string{"pin", "finger"}},
		{"not lower than a custom factor", mobiletype.SameOrHigher, nil, "voice", []string{"voice", "finger"}},
		{"anything is as high as SMS", mobiletype.SameOrHigher, nil, "sms", []string{"sms", "finger"}},
		{"none", mobiletype.NoFallback, nil, "pin", []string{"pin"}},
		{"a caller is stricter", mobiletype.AnyFallback, []mobiletype.Fallbacks{mobiletype.NoFallback}, "pin", []string{"pin"}},
		{"a caller is not more lenient", mobiletype.NoFallback, []mobiletype.Fallbacks{mobiletype.AnyFallback}, "pin", []string{"pin"}},
		{"a policy that nobody knows", mobiletype.AnyFallback, []mobiletype.Fallbacks{"sure"}, "pin", []string{"pin"}},
		{"scanning ends", mobiletype.AnyFallback, nil, "scan", []string{"scan"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chain, err := set(t, test.policy, ladder...).Chain(test.asked, test.also...)
			if diff := cmp.Diff(test.want, names(chain)); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
	if _, err := set(t, "", ladder...).Chain("none such"); !errors.Is(err, mobiletype.ErrUnknown) {
		t.Errorf("an unknown type: %v", err)
	}
}

func TestSetsThatAreRefused(t *testing.T) {
	t.Parallel()
	push := func(name, fallback string) mobiletype.Type {
		return mobiletype.Type{Name: name, Method: mobiletype.Push, Fallback: fallback}
	}
	late := push("a", "b")
	late.After = mobiletype.MinAfter
	many := make([]mobiletype.Type, mobiletype.MaxTypes+1)
	for i := range many {
		many[i] = push(fmt.Sprint(i), "")
	}
	for _, test := range []struct {
		name   string
		types  []mobiletype.Type
		policy mobiletype.Fallbacks
		want   string
	}{
		{"a fallback that is not there", []mobiletype.Type{push("a", "b")}, "", `"b": there is no such type`},
		{"itself", []mobiletype.Type{push("a", "a")}, "", "comes back"},
		{"a loop of three", []mobiletype.Type{push("a", "b"), push("b", "c"), push("c", "a")}, "", "comes back"},
		{"a loop that it leads into", []mobiletype.Type{push("a", "b"), push("b", "c"), push("c", "b")}, "", "comes back"},
		{"two of a name", []mobiletype.Type{push("a", ""), push("a", "")}, "", "two of the name"},
		{"a fallback of what is scanned", []mobiletype.Type{push("a", ""), {Name: "o", Method: mobiletype.OTP, Fallback: "a"}}, "", "has none"},
		{"what is scanned as a fallback", []mobiletype.Type{push("a", "o"), {Name: "o", Method: mobiletype.OTP}}, "", "who scans"},
		{"late without SMS", []mobiletype.Type{late, push("b", "")}, "", "nothing in the chain goes over sms"},
		{"a policy that is none", nil, "sometimes", "fallback any"},
		{"too many", many, "", "more than 256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := mobiletype.New(test.types, mobiletype.Config{Fallback: test.policy})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	s := set(t, mobiletype.NoFallback,
		mobiletype.Type{Name: "a", Method: mobiletype.Push, Attempts: mobiletype.Unlimited, Fallback: "c"},
		mobiletype.Type{Name: "b", Method: mobiletype.Push, Messages: map[string]string{"nl": "Hallo"}},
		mobiletype.Type{Name: "c", Method: mobiletype.SMS, Messages: map[string]string{"en": "Your code", "nl": "Code: {code}"}},
		mobiletype.Type{Name: "d", Method: mobiletype.Push, Messages: map[string]string{"en": "Hello"}},
	)
	want := []string{"a: attempts", "a: the policy", "b: there is no message in English", "c: the message in en has no {code}"}
	got := s.Warnings()
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], "type "+want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
	if all := names(s.All()); !slices.Equal(all, []string{"a", "b", "c", "d"}) {
		t.Errorf("all are %q", all)
	}
	if _, ok := s.Get("e"); ok {
		t.Error("there is an e")
	}
}

// TestChainsEnd: whatever types lead to whatever others, a set that is accepted has chains that end, hold nothing twice, begin with
// what was asked, and hold nothing that the policy forbids.
func TestChainsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		all := []string{"a", "b", "c", "d", "e"}
		var types []mobiletype.Type
		for _, name := range all {
			ty := mobiletype.Type{Name: name, Method: rapid.SampledFrom(mobiletype.Methods()).Draw(rt, "method")}
			if ty.Method == mobiletype.PushCustom {
				ty.Custom = "x"
			}
			if rapid.Bool().Draw(rt, "falls back") {
				ty.Fallback = rapid.SampledFrom(all).Draw(rt, "fallback")
			}
			types = append(types, ty)
		}
		policy := rapid.SampledFrom([]mobiletype.Fallbacks{mobiletype.AnyFallback, mobiletype.SameOrHigher, mobiletype.NoFallback}).Draw(rt, "policy")
		s, err := mobiletype.New(types, mobiletype.Config{Fallback: policy})
		if err != nil {
			return
		}
		for _, name := range all {
			chain, err := s.Chain(name)
			if err != nil || chain[0].Name != name || len(chain) > len(all) {
				rt.Fatalf("chain of %s: %q, %v", name, names(chain), err)
			}
			for i, link := range chain[1:] {
				switch {
				case slices.Contains(names(chain[:i+1]), link.Name):
					rt.Fatalf("%s stands twice in %q", link.Name, names(chain))
				case link.Method == mobiletype.OTP, policy == mobiletype.NoFallback,
					policy == mobiletype.SameOrHigher && !link.Method.Reaches(chain[0].Method):
					rt.Fatalf("%s falls back to %s (%s)", name, link.Name, link.Method)
				}
			}
		}
	})
}
