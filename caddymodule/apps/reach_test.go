// SPDX-License-Identifier: Apache-2.0

package apps_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
)

const notified = `application bank {
	ios com.example.bank {
		push apple unified
		version 3.* {
			apns_environment development
		}
		version 3.1 {
			identifier com.example.bank.beta
		}
		version * {
			identifier com.example.bank.old
		}
	}
	android com.example.bank {
		push google
	}
	web https://bank.example.com
}`

// TestTarget: environment and bundle id are those of the application's version.
func TestTarget(t *testing.T) {
	t.Parallel()
	configs, err := parse(notified)
	if err != nil {
		t.Fatal(err)
	}
	if err := apps.Check(configs); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, platform, version, service string
		want                             apps.Target
		known                            bool
	}{
		{"a version of no build", "android", "1.0", "google", apps.Target{Identifier: "com.example.bank"}, true},
		{"the build of all versions", "ios", "2.0", "apple", apps.Target{Identifier: "com.example.bank.old"}, true},
		{"a build of some versions", "ios", "3.0", "apple", apps.Target{Identifier: "com.example.bank", Sandbox: true}, true},
		{"the build of one version", "ios", "3.1", "apple", apps.Target{Identifier: "com.example.bank.beta"}, true},
		{"the second service", "ios", "3.1", "unified", apps.Target{Identifier: "com.example.bank.beta"}, true},
		{"a service of another platform", "ios", "3.1", "google", apps.Target{}, false},
		{"a platform without push", "web", "1.0", "apple", apps.Target{}, false},
		{"no such platform", "tvos", "1.0", "apple", apps.Target{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, known := configs[0].Target(c.platform, c.version, c.service)
			if diff := cmp.Diff(c.want, got); diff != "" || known != c.known {
				t.Error(known, diff)
			}
		})
	}
	if diff := cmp.Diff([]string{"apple", "google", "unified"}, apps.Services(configs)); diff != "" {
		t.Error(diff)
	}
}

func TestPushRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, problem string }{
		{"an environment that is none", "ios com.example.bank {\n apns_environment sandbox\n}", "production or development"},
		{"one of a version", "ios com.example.bank {\n version 1 {\n apns_environment test\n}\n}", "production or development"},
		{"a pattern that is none", "ios com.example.bank {\n version 2* {\n identifier x\n}\n}", "2*"},
		{"an option that is none", "ios com.example.bank {\n bundle x\n}", "bundle"},
		{"no version", "ios com.example.bank {\n version {\n identifier x\n}\n}", "version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			configs, err := parse("application bank {\n" + c.text + "\n}")
			if err == nil {
				err = apps.Check(configs)
			}
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
}
