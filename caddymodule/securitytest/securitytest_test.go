// SPDX-License-Identifier: Apache-2.0

package securitytest_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/securitytest"
)

func parse(text string) ([]securitytest.Config, error) {
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	var got []securitytest.Config
	err := securitytest.Parse(&got)(d)
	return got, err
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       securitytest.Config
		refusal    string
	}{
		{"custom by default", "security_test t {\n step a b\n step c\n}",
			securitytest.Config{Name: "t", Kind: "custom", Steps: [][]string{{"a", "b"}, {"c"}}}, ""},
		{"custom", "security_test t custom {\n step a\n}", securitytest.Config{Name: "t", Kind: "custom", Steps: [][]string{{"a"}}}, ""},
		{"web", "security_test t web {\n user a\n}", securitytest.Config{Name: "t", Kind: "web", User: "a"}, ""},
		{"web, and nothing else", "security_test t web", securitytest.Config{Name: "t", Kind: "web"}, ""},
		{"mobile", "security_test t mobile {\n device d\n user a\n}", securitytest.Config{Name: "t", Kind: "mobile", Device: "d", User: "a"}, ""},
		{"no name", "security_test", securitytest.Config{}, "needs a name"},
		{"too many words", "security_test t web a", securitytest.Config{}, "needs a name"},
		{"another kind", "security_test t desktop", securitytest.Config{}, `not "desktop"`},
		{"a step where there are none", "security_test t web {\n step a\n}", securitytest.Config{}, `unknown option "step"`},
		{"a device in the web", "security_test t web {\n device a\n}", securitytest.Config{}, `unknown option "device"`},
		{"a user in a custom one", "security_test t {\n user a\n}", securitytest.Config{}, `unknown option "user"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(tt.text)
			if tt.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refusal) {
					t.Errorf("the error is %v, want something about %q", err, tt.refusal)
				}
				return
			}
			if diff := cmp.Diff([]securitytest.Config{tt.want}, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func TestTests(t *testing.T) {
	t.Parallel()
	apps := []string{"bank", "shop"}
	for _, tt := range []struct {
		name    string
		config  securitytest.Config
		apps    []string
		want    [][]string
		refusal string
	}{
		{"custom", securitytest.Config{Name: "t", Steps: [][]string{{"a"}, {"b"}}}, apps, [][]string{{"a"}, {"b"}}, ""},
		{"web", securitytest.Config{Name: "t", Kind: "web"}, nil, [][]string{{"person"}}, ""},
		{"web of another realm", securitytest.Config{Name: "t", Kind: "web", User: "card"}, nil, [][]string{{"card"}}, ""},
		{"mobile", securitytest.Config{Name: "t", Kind: "mobile"}, apps, [][]string{apps, {"person"}}, ""},
		{"mobile with a device", securitytest.Config{Name: "t", Kind: "mobile", Device: "d", User: "card"}, apps, [][]string{apps, {"d"}, {"card"}}, ""},
		{"mobile without an app", securitytest.Config{Name: "t", Kind: "mobile"}, nil, nil, `security_test "t": a mobile test begins with the app`},
		{"another kind", securitytest.Config{Name: "t", Kind: "desktop"}, apps, nil, `its kind is "desktop"`},
		{"a name of two words", securitytest.Config{Name: "t t"}, apps, nil, "not a scope token"},
		{"no name", securitytest.Config{}, apps, nil, "not a scope token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := securitytest.Tests([]securitytest.Config{tt.config}, "person", tt.apps)
			if tt.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refusal) {
					t.Errorf("the error is %v, want something about %q", err, tt.refusal)
				}
				return
			}
			if diff := cmp.Diff([]realm.SecurityTest{{Name: "t", Steps: tt.want}}, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}
