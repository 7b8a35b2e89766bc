// SPDX-License-Identifier: Apache-2.0

package mobileauth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	r := inMemory(t,
		bank(
			rule("2.*", mobileauth.Active), rule("2.1.*", mobileauth.Notify), rule("2.1.7", mobileauth.Disabled),
			rule("2.*", mobileauth.NoRegistration, "android"), rule("1.*", mobileauth.Disabled), rule("1.9", mobileauth.Active, "ios"),
			rule("3", mobileauth.Active),
		),
		mobileauth.Application{ID: "wallet", Platforms: map[string]string{"web": "https://wallet.example.com"}},
		mobileauth.Application{
			ID: "all", Platforms: map[string]string{"web": "x"}, Rules: []mobileauth.Rule{rule("*", mobileauth.Notify)},
		},
	)
	for _, test := range []struct {
		name, app, platform, version string
		want                         mobileauth.Status
	}{
		{"pattern", "bank", "ios", "2.0", mobileauth.Active},
		{"pattern is also the version itself", "bank", "ios", "2", mobileauth.Active},
		{"pattern is no other number", "bank", "ios", "20.1", mobileauth.Disabled},
		{"longer pattern", "bank", "ios", "2.1.3", mobileauth.Notify},
		{"longer pattern itself", "bank", "ios", "2.1", mobileauth.Notify},
		{"longer pattern is no other number", "bank", "ios", "2.10", mobileauth.Active},
		{"exact version", "bank", "ios", "2.1.7", mobileauth.Disabled},
		{"exact version and more", "bank", "ios", "2.1.7.1", mobileauth.Notify},
		{"rule of the platform", "bank", "android", "2.0", mobileauth.NoRegistration},
		{"longer pattern of all platforms before a shorter one of the platform", "bank", "android", "2.1.0", mobileauth.Notify},
		{"exact version of the platform", "bank", "ios", "1.9", mobileauth.Active},
		{"exact version of another platform", "bank", "android", "1.9", mobileauth.Disabled},
		{"no rule", "bank", "ios", "4.0", mobileauth.Disabled},
		{"no version", "bank", "ios", "", mobileauth.Disabled},
		{"exact version is not its beginning", "bank", "ios", "3.0", mobileauth.Disabled},
		{"another case is another version", "bank", "ios", "2.1.7A", mobileauth.Notify},
		{"unknown platform", "bank", "windows", "2.0", mobileauth.Unknown},
		{"no platform", "bank", "", "2.0", mobileauth.Unknown},
		{"another case is another platform", "bank", "iOS", "2.0", mobileauth.Unknown},
		{"unknown application", "blank", "ios", "2.0", mobileauth.Unknown},
		{"no application", "", "ios", "2.0", mobileauth.Unknown},
		{"application without rules", "wallet", "web", "0.0.1", mobileauth.Active},
		{"application without rules on another platform", "wallet", "ios", "0.0.1", mobileauth.Unknown},
		{"every version", "all", "web", "17", mobileauth.Notify},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _ := r.Status(test.app, test.platform, test.version)
			if status != test.want {
				t.Errorf("the status is %s, want %s", status, test.want)
			}
			refused := test.want == mobileauth.Disabled || test.want == mobileauth.Unknown
			if got := r.Disabled(test.app, test.platform, test.version); got != refused {
				t.Errorf("disabled is %v", got)
			}
		})
	}
}

// specificity of a rule for a version on a platform by the words of the documentation; negative when it does not match.
func specificity(r mobileauth.Rule, platform, version string) int {
	if r.Platform != "" && r.Platform != platform {
		return -1
	}
	own := 0
	if r.Platform != "" {
		own = 1
	}
	begin, wild := strings.CutSuffix(r.Pattern, "*")
	switch {
	case !wild && r.Pattern == version:
		return 1_000_000 + own
	case wild && (begin == "" || version+"." == begin || strings.HasPrefix(version, begin)):
		return 2*len(begin) + own
	}
	return -1
}

// TestMostSpecificRuleWins compares the registry with a search through all rules.
func TestMostSpecificRuleWins(t *testing.T) {
	t.Parallel()
	versions := rapid.StringMatching(`[12](\.[12]){0,3}`)
	patterns := rapid.OneOf(versions, rapid.StringMatching(`[12](\.[12]){0,2}\.\*`), rapid.Just("*"))
	platforms := rapid.SampledFrom([]string{"", "ios", "android"})
	statuses := rapid.SampledFrom(mobileauth.Statuses())
	rapid.Check(t, func(rt *rapid.T) {
		seen := map[string]bool{}
		draw := func(label string) []mobileauth.Rule {
			var rules []mobileauth.Rule
			for range rapid.IntRange(0, 8).Draw(rt, label) {
				r := rule(patterns.Draw(rt, "pattern"), statuses.Draw(rt, "status"), platforms.Draw(rt, "platform"))
				if k := r.Pattern + " " + r.Platform; !seen[k] {
					seen[k] = true
					rules = append(rules, r)
				}
			}
			return rules
		}
		configured := draw("configured")
		h := newHouse(t, engines.All[0])
		registry := h.node(bank(configured...))
		all := map[string]mobileauth.Rule{}
		for _, r := range configured {
			all[r.Pattern+" "+r.Platform] = r
		}
		seen = map[string]bool{}
		for _, r := range draw("overrides") {
			if _, err := registry.Set(t.Context(), "bank", r); err != nil {
				rt.Fatal(err)
			}
			all[r.Pattern+" "+r.Platform] = r
		}
		platform, version := rapid.SampledFrom([]string{"ios", "android"}).Draw(rt, "on"), versions.Draw(rt, "version")
		want, best := mobileauth.Disabled, -1
		if len(configured) == 0 {
			want = mobileauth.Active
		}
		for _, r := range all {
			if s := specificity(r, platform, version); s > best {
				want, best = r.Status, s
			}
		}
		if got, _ := registry.Status("bank", platform, version); got != want {
			rt.Fatalf("%s on %s is %s, want %s by %v", version, platform, got, want, all)
		}
		effects, err := registry.Preview("bank", rule(version, mobileauth.Disabled))
		if err != nil {
			rt.Fatal(err)
		}
		for _, e := range effects {
			own, has := all[version+" "+e.Platform]
			if has && e.Status != own.Status || !has && e.Status != mobileauth.Disabled {
				rt.Fatalf("the preview for %s on %s says %s by %v", version, e.Platform, e.Status, all)
			}
		}
	})
}

func TestApplicationsThatCannotBe(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range mobileauth.MaxMessages + 1 {
		many[fmt.Sprintf("en-%03d", i)] = "x"
	}
	with := func(change func(*mobileauth.Rule)) mobileauth.Application {
		r := rule("1.*", mobileauth.Disabled)
		change(&r)
		return bank(r)
	}
	for _, test := range []struct {
		name, want string
		app        mobileauth.Application
	}{
		{"no id", "its id", mobileauth.Application{Platforms: map[string]string{"ios": "x"}}},
		{"id of two words", "its id", mobileauth.Application{ID: "a b", Platforms: map[string]string{"ios": "x"}}},
		{"id with a slash", "its id", mobileauth.Application{ID: "a/b", Platforms: map[string]string{"ios": "x"}}},
		{"long id", "its id", mobileauth.Application{ID: strings.Repeat("a", 65), Platforms: map[string]string{"ios": "x"}}},
		{"no platform", "no platform", mobileauth.Application{ID: "a"}},
		{"platform in capitals", `platform "iOS"`, mobileauth.Application{ID: "a", Platforms: map[string]string{"iOS": "x"}}},
		{"no identifier", "no identifier", mobileauth.Application{ID: "a", Platforms: map[string]string{"ios": ""}}},
		{"identifier of two lines", "no identifier", mobileauth.Application{ID: "a", Platforms: map[string]string{"ios": "a\nb"}}},
		{"pattern in the middle", `version "1.*.2"`, bank(rule("1.*.2", mobileauth.Active))},
		{"pattern without a dot", `version "1*"`, bank(rule("1*", mobileauth.Active))},
		{"pattern of a dot", `version ".*"`, bank(rule(".*", mobileauth.Active))},
		{"empty pattern", `version ""`, bank(rule("", mobileauth.Active))},
		{"pattern with a slash", `version "1/2"`, bank(rule("1/2", mobileauth.Active))},
		{"two patterns", `version "1.*.*"`, bank(rule("1.*.*", mobileauth.Active))},
		{"long version", "version", bank(rule(strings.Repeat("1", 65), mobileauth.Active))},
		{"no status", `status ""`, bank(rule("1.*", ""))},
		{"status that only answers have", `status "unknown"`, bank(rule("1.*", mobileauth.Unknown))},
		{"platform it is not there for", `"windows"`, bank(rule("1.*", mobileauth.Active, "windows"))},
		{"twice", `version "1.*" stands twice`, bank(rule("1.*", mobileauth.Active), rule("1.*", mobileauth.Disabled))},
		{"twice on a platform", `version "1.*" on ios stands twice`,
			bank(rule("1.*", mobileauth.Active, "ios"), rule("1.*", mobileauth.Active), rule("1.*", mobileauth.Disabled, "ios"))},
		{"notify without a message", "notify needs a message", bank(mobileauth.Rule{Pattern: "1", Status: mobileauth.Notify})},
		{"message in no language", `message "english!"`, with(func(r *mobileauth.Rule) { r.Messages = map[string]string{"english!": "x"} })},
		{"empty message", `message "en"`, with(func(r *mobileauth.Rule) { r.Messages = map[string]string{"en": ""} })},
		{"message of two lines", `message "en"`, with(func(r *mobileauth.Rule) { r.Messages = map[string]string{"en": "a\nb"} })},
		{"message that is no text", `message "en"`, with(func(r *mobileauth.Rule) { r.Messages = map[string]string{"en": "\xff"} })},
		{"long message", `message "en"`, with(func(r *mobileauth.Rule) {
			r.Messages = map[string]string{"en": strings.Repeat("a", mobileauth.MaxMessage+1)}
		})},
		{"too many languages", "more than 32 languages", with(func(r *mobileauth.Rule) { r.Messages = many })},
		{"too much of it", "together", with(func(r *mobileauth.Rule) {
			r.Messages = map[string]string{}
			for _, locale := range strings.Fields("en nl de fr es it pt da sv fi pl") {
				r.Messages[locale] = strings.Repeat("a", mobileauth.MaxMessage)
			}
		})},
		{"message id of two words", "message_id", with(func(r *mobileauth.Rule) { r.MessageID = "a b" })},
		{"plain URL", "url", with(func(r *mobileauth.Rule) { r.URL = "http://example.com/get" })},
		{"URL that runs", "url", with(func(r *mobileauth.Rule) { r.URL = "javascript:alert(1)" })},
		{"URL without a host", "url", with(func(r *mobileauth.Rule) { r.URL = "https:///get" })},
		{"URL with a user", "url", with(func(r *mobileauth.Rule) { r.URL = "https://example.com@evil.example/" })},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := mobileauth.Check([]mobileauth.Application{test.app})
			if !errors.Is(err, mobileauth.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
		})
	}
	if err := mobileauth.Check([]mobileauth.Application{bank(), bank()}); err == nil || !strings.Contains(err.Error(), `"bank" stands twice`) {
		t.Errorf("two applications of one name: %v", err)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, good := range map[string]bool{
		"*": true, "1": true, "1.*": true, "1.2.3": true, "1.2.*": true, "1.0-rc.1": true, "1.0+build_7": true, "2026.08": true, "v1.*": true,
		"": false, ".*": false, "**": false, "*.1": false, "1*": false, "1.*2": false, "-1": false, "1 2": false, "1/2": false, "1.*.*": false,
		"é": false, "1\n": false, strings.Repeat("1", 63) + ".*": false,
	} {
		if err := mobileauth.CheckPattern(pattern); (err == nil) != good {
			t.Errorf("pattern %q: %v", pattern, err)
		}
	}
	for _, status := range mobileauth.Statuses() {
		if err := mobileauth.CheckStatus(status); err != nil {
			t.Error(err)
		}
	}
}

// FuzzStatus: whatever is claimed, an exact rule is about that one version, and what is not configured is refused.
func FuzzStatus(f *testing.F) {
	for _, seed := range []string{"bank ios 1.0", "bank ios 1", "bank android 1.*", "bank  ", "BANK ios 1", "bank ios \x00"} {
		part := strings.SplitN(seed, " ", 3)
		f.Add(part[0], part[1], part[2])
	}
	r := inMemory(f, bank(rule("1.0", mobileauth.Disabled), rule("1.*", mobileauth.Active)))
	f.Fuzz(func(t *testing.T, app, platform, version string) {
		status, _ := r.Status(app, platform, version)
		known := app == "bank" && (platform == "ios" || platform == "android")
		want := mobileauth.Unknown
		switch {
		case known && version != "1.0" && (version == "1" || strings.HasPrefix(version, "1.")):
			want = mobileauth.Active
		case known:
			want = mobileauth.Disabled
		}
		if status != want || r.Disabled(app, platform, version) != (want != mobileauth.Active) {
			t.Errorf("%q %q %q is %s, want %s", app, platform, version, status, want)
		}
	})
}

func TestEffects(t *testing.T) {
	t.Parallel()
	r := inMemory(t, bank(
		rule("2.*", mobileauth.Active), rule("2.1.*", mobileauth.Notify), rule("2.0", mobileauth.Disabled), rule("1.*", mobileauth.Disabled),
		rule("2.*", mobileauth.NoRegistration, "ios"), rule("2.5", mobileauth.Disabled, "ios"),
	))
	type seen struct {
		Platform string
		Status   mobileauth.Status
		By       string
		But      []string
	}
	name := func(r *mobileauth.Rule) string {
		if r == nil {
			return ""
		}
		return strings.TrimSpace(r.Pattern + " " + r.Platform)
	}
	for _, test := range []struct {
		name string
		rule mobileauth.Rule
		want []seen
	}{
		{"exact version", rule("2.2", mobileauth.Disabled), []seen{
			{"android", mobileauth.Disabled, "2.2", nil}, {"ios", mobileauth.Disabled, "2.2", nil},
		}},
		{"exact version that a platform has a rule for", rule("2.5", mobileauth.Active), []seen{
			{"android", mobileauth.Active, "2.5", nil}, {"ios", mobileauth.Disabled, "2.5 ios", nil},
		}},
		{"pattern", rule("2.*", mobileauth.Disabled), []seen{
			{"android", mobileauth.Disabled, "2.*", []string{"2.1.*"}},
			{"ios", mobileauth.NoRegistration, "2.* ios", []string{"2.0", "2.1.*", "2.5 ios"}},
		}},
		{"pattern on one platform", rule("2.*", mobileauth.Disabled, "ios"), []seen{{"ios", mobileauth.Disabled, "2.* ios", []string{"2.1.*"}}}},
		{"every version", rule("*", mobileauth.Disabled), []seen{
			{"android", mobileauth.Disabled, "*", []string{"2.*", "2.1.*"}},
			{"ios", mobileauth.Disabled, "*", []string{"2.* ios", "2.1.*"}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			effects, err := r.Preview("bank", test.rule)
			must(t, err)
			var got []seen
			for _, e := range effects {
				s := seen{Platform: e.Platform, Status: e.Status, By: name(e.Rule)}
				for i := range e.Exceptions {
					s.But = append(s.But, name(&e.Exceptions[i]))
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
