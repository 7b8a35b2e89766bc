// SPDX-License-Identifier: Apache-2.0

package mobileauth_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// ruleKey is what there is one override for.
type ruleKey struct{ app, pattern, platform string }

// model is what is set, and what each node has read of it.
type model struct {
	set  map[ruleKey]mobileauth.Status
	seen []map[ruleKey]mobileauth.Status
}

// configuredFor are the rules of the two apps of the model.
var configuredFor = map[string][]mobileauth.Rule{
	"bank":   {rule("1.*", mobileauth.Active), rule("1.1", mobileauth.NoRegistration, "ios"), rule("*", mobileauth.Disabled)},
	"wallet": nil,
}

// status says by the words of the documentation what becomes of a version.
func (m *model) status(node int, app, platform, version string) mobileauth.Status {
	rules := map[ruleKey]mobileauth.Status{}
	for _, r := range configuredFor[app] {
		rules[ruleKey{app, r.Pattern, r.Platform}] = r.Status
	}
	for k, status := range m.seen[node] {
		if k.app == app {
			rules[k] = status
		}
	}
	want, best := mobileauth.Disabled, -1
	if len(configuredFor[app]) == 0 {
		want = mobileauth.Active
	}
	for k, status := range rules {
		if s := specificity(mobileauth.Rule{Pattern: k.pattern, Platform: k.platform}, platform, version); s > best {
			want, best = status, s
		}
	}
	return want
}

// TestNodesAgreeWithTheModel lets operators at two nodes set and unset in any order, over a store whose closures run twice and whose
// commits fail now and then: the node that was told knows at once, the other after it has looked, and one that starts knows all.
func TestNodesAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	apps := []mobileauth.Application{
		bank(configuredFor["bank"]...),
		{ID: "wallet", Platforms: map[string]string{"ios": "w", "android": "w"}},
	}
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t, engines.All[0])
		nodes := []*mobileauth.Registry{h.node(apps...), h.node(apps...)}
		m := &model{set: map[ruleKey]mobileauth.Status{}, seen: []map[ruleKey]mobileauth.Status{{}, {}}}
		key := rapid.Custom(func(rt *rapid.T) ruleKey {
			return ruleKey{
				rapid.SampledFrom([]string{"bank", "wallet"}).Draw(rt, "app"),
				rapid.SampledFrom([]string{"*", "1.*", "1", "1.1", "1.1.*", "1.1.1", "2"}).Draw(rt, "pattern"),
				rapid.SampledFrom([]string{"", "ios", "android"}).Draw(rt, "platform"),
			}
		})
		draw := func() (int, ruleKey) { return rapid.IntRange(0, 1).Draw(rt, "node"), key.Draw(rt, "rule") }
		rt.Repeat(map[string]func(*rapid.T){
			"set": func(rt *rapid.T) {
				node, k := draw()
				status := rapid.SampledFrom(mobileauth.Statuses()).Draw(rt, "status")
				if _, err := nodes[node].Set(t.Context(), k.app, rule(k.pattern, status, k.platform)); err != nil {
					rt.Fatal(err)
				}
				m.set[k] = status
				m.seen[node] = maps.Clone(m.set)
			},
			"unset": func(rt *rapid.T) {
				node, k := draw()
				_, err := nodes[node].Unset(t.Context(), k.app, k.pattern, k.platform)
				if _, there := m.set[k]; errors.Is(err, mobileauth.ErrNoOverride) == there || err != nil && there {
					rt.Fatalf("unsetting %v, which is there: %v: %v", k, there, err)
				}
				if err == nil {
					delete(m.set, k)
					m.seen[node] = maps.Clone(m.set)
				}
			},
			"fail": func(rt *rapid.T) {
				node, k := draw()
				h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: errBroken})
				if _, err := nodes[node].Set(t.Context(), k.app, rule(k.pattern, mobileauth.Disabled, k.platform)); !errors.Is(err, errBroken) {
					rt.Fatalf("a commit that fails: %v", err)
				}
			},
			"look": func(rt *rapid.T) {
				node, _ := draw()
				must(t, nodes[node].Refresh(t.Context()))
				m.seen[node] = maps.Clone(m.set)
			},
			"restart": func(rt *rapid.T) {
				node, _ := draw()
				nodes[node] = h.node(apps...)
				m.seen[node] = maps.Clone(m.set)
			},
			"": func(rt *rapid.T) { compare(rt, m, nodes) },
		})
	})
}

var errBroken = errors.New("the store is broken")

// compare asks both nodes about everything.
func compare(rt *rapid.T, m *model, nodes []*mobileauth.Registry) {
	for i, node := range nodes {
		for _, app := range []string{"bank", "wallet"} {
			for _, platform := range []string{"ios", "android"} {
				for _, version := range []string{"1", "1.0", "1.1", "1.1.1", "1.1.2", "2", "2.0"} {
					want := m.status(i, app, platform, version)
					if got, _ := node.Status(app, platform, version); got != want {
						rt.Fatalf("node %d: %s %s on %s is %s, want %s by %v", i, app, version, platform, got, want, m.seen[i])
					}
				}
			}
		}
		if n := overridesOf(node.List()); n != len(m.seen[i]) {
			rt.Fatalf("node %d lists %d overrides, want %d", i, n, len(m.seen[i]))
		}
	}
}

func overridesOf(list []mobileauth.Listing) int {
	n := 0
	for _, app := range list {
		for _, entry := range app.Rules {
			if entry.Override {
				n++
			}
		}
	}
	return n
}

// TestACommitThatNobodyHeardOf: an operator is told that it failed, and it is seen all the same once somebody looks.
func TestACommitThatNobodyHeardOf(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		here, there := h.node(bank()), h.node(bank())
		h.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
		if _, err := here.Set(t.Context(), "bank", rule("1.0", mobileauth.Disabled)); err == nil {
			t.Fatal("a change whose outcome is unknown is reported as made")
		}
		for _, node := range []*mobileauth.Registry{here, there} {
			must(t, node.Refresh(t.Context()))
			want(t, node, "1.0", mobileauth.Disabled)
		}
	})
}

// TestAChangeThatThisNodeCannotReadBack: it is made, this node says that it does not know it yet, and knows it when it can read.
func TestAChangeThatThisNodeCannotReadBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0])
	r := h.node(bank())
	h.db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 1, Err: errBroken})
	if _, err := r.Set(t.Context(), "bank", rule("1.0", mobileauth.Disabled)); !errors.Is(err, errBroken) {
		t.Fatalf("the error is %v", err)
	}
	want(t, r, "1.0", mobileauth.Active)
	must(t, r.Refresh(t.Context()))
	want(t, r, "1.0", mobileauth.Disabled)
}

// TestLargestOverrideFits: whatever a rule may hold can be stored, also where every byte of it has to be escaped.
func TestLargestOverrideFits(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		r := h.node(bank())
		text := make([]byte, 1000)
		for i := range text {
			text[i] = '<' // six bytes in JSON
		}
		big := rule("1.*", mobileauth.Disabled)
		big.Messages = map[string]string{}
		for _, locale := range []string{"en", "nl", "de", "fr", "es", "it", "pt", "fi"} {
			big.Messages[locale] = string(text)
		}
		big.URL = "https://example.com/" + string(text)
		_, err := r.Set(t.Context(), "bank", big)
		must(t, err)
		big.Messages["sv"] = string(text)
		if _, err := r.Set(t.Context(), "bank", big); !errors.Is(err, mobileauth.ErrInvalid) {
			t.Errorf("more than that: %v", err)
		}
		delete(big.Messages, "sv")
		_, notice := h.node(bank()).Status("bank", "ios", "1.2")
		if notice.Text("fi") != string(text) || notice.URL != big.URL {
			t.Error("what comes back is something else")
		}
	})
}

// TestNobodyChangesWhatWasGiven: what a caller does to its maps afterwards changes nothing here.
func TestNobodyChangesWhatWasGiven(t *testing.T) {
	t.Parallel()
	app := bank(rule("2.*", mobileauth.Active))
	r := inMemory(t, app)
	app.Rules[0].Status = mobileauth.Disabled
	app.Platforms["windows"] = "x"
	off := rule("1.*", mobileauth.Disabled)
	off.Messages = map[string]string{"en": "Please update"}
	_, err := r.Set(t.Context(), "bank", off)
	must(t, err)
	off.Messages["en"] = "changed"
	list := r.List()
	list[0].Platforms["linux"] = "x"
	list[0].Rules[0].Status = mobileauth.Active
	want(t, r, "2.0", mobileauth.Active)
	want(t, r, "1.0", mobileauth.Disabled)
	if got, _ := r.Status("bank", "windows", "2.0"); got != mobileauth.Unknown {
		t.Errorf("a platform that was added afterwards is %s", got)
	}
	if _, notice := r.Status("bank", "ios", "1.0"); notice.Text() != "Please update" {
		t.Errorf("the message is %q", notice.Text())
	}
	again, err := r.Find("bank")
	must(t, err)
	if slices.Contains(slices.Collect(maps.Keys(again.Platforms)), "linux") || again.Rules[0].Status != mobileauth.Disabled {
		t.Errorf("the listing is %+v", again)
	}
}

// TestOverridesAreTheirOwnRules: of two apps with like names each has its own, whatever stands between the parts of a key.
func TestOverridesAreTheirOwnRules(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		var apps []mobileauth.Application
		for _, id := range []string{"a", "a.ios", "a-ios", "aios"} {
			apps = append(apps, mobileauth.Application{ID: id, Platforms: map[string]string{"ios": "x", "ios-2": "x"}})
		}
		r := h.node(apps...)
		statuses := mobileauth.Statuses()
		expected := map[string]mobileauth.Status{}
		for i, app := range apps {
			for j, platform := range []string{"ios", "ios-2"} {
				status := statuses[(i+j)%len(statuses)]
				_, err := r.Set(t.Context(), app.ID, rule("2.0", status, platform))
				must(t, err)
				expected[app.ID+" "+platform] = status
			}
		}
		got := map[string]mobileauth.Status{}
		for _, app := range apps {
			for platform := range app.Platforms {
				got[app.ID+" "+platform], _ = r.Status(app.ID, platform, "2.0")
			}
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Example switches a version off and on again.
func Example() {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	registry, ctx := exampleRegistry()
	off := mobileauth.Rule{
		Pattern: "1.*", Status: mobileauth.Disabled, URL: "https://example.com/get",
		Messages: map[string]string{"en": "Please update", "nl": "Werk de app bij"},
	}
	effects, err := registry.Set(ctx, "bank", off)
	must(err)
	for _, e := range effects {
		fmt.Println(e.Platform, e.Status)
	}
	status, notice := registry.Status("bank", "ios", "1.7")
	fmt.Println(status, notice.Text("nl-BE"), notice.URL)
	_, err = registry.Unset(ctx, "bank", "1.*", "")
	must(err)
	fmt.Println(registry.Disabled("bank", "ios", "1.7"))
	// Output:
	// android disabled
	// ios disabled
	// disabled Werk de app bij https://example.com/get
	// false
}
