// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// SecurityTestConfig is a named order of realms. It can be asked for wherever a scope can.
type SecurityTestConfig struct {
	// The name, which is also a scope.
	Name string `json:"name"`
	// What stands in it by itself. "custom": nothing. "web": the user. "mobile": every realm of an application, then the
	// device, if one is named, then the user. Default: custom.
	Kind string `json:"kind,omitempty"`
	// The realms of a custom test: those of a step in any order, those of the next one after all of them.
	Steps [][]string `json:"steps,omitempty"`
	// The realm of the device, in a mobile test.
	Device string `json:"device,omitempty"`
	// The realm of the user, in a web or a mobile test. Default: the first of user_identity.
	User string `json:"user,omitempty"`
}

// Kinds of security tests.
const (
	testCustom = "custom"
	testWeb    = "web"
	testMobile = "mobile"
)

// parseSecurityTest reads:
//
//	security_test <name> [custom] {
//		step <realm...>
//	}
//	security_test <name> web {
//		user <realm>
//	}
//	security_test <name> mobile {
//		device <realm>
//		user   <realm>
//	}
func (a *App) parseSecurityTest(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.Err("security_test needs a name and, unless it is custom, its kind: web or mobile")
	}
	t := SecurityTestConfig{Name: args[0], Kind: testCustom}
	if len(args) == 2 {
		t.Kind = args[1]
	}
	block := option.Block{Options: map[string]option.Parse{"user": option.String(&t.User)}}
	switch t.Kind {
	case testCustom:
		block.Options = map[string]option.Parse{"step": func(d *caddyfile.Dispenser) error {
			t.Steps = append(t.Steps, d.RemainingArgs())
			return nil
		}}
		block.Repeat = []string{"step"}
	case testWeb:
	case testMobile:
		block.Options["device"] = option.String(&t.Device)
	default:
		return d.Errf("a security_test is custom, web or mobile, not %q", t.Kind)
	}
	err := block.Parse(d)
	a.SecurityTests = append(a.SecurityTests, t)
	return err
}

// securityTests returns the tests with what their kinds add. The realms must not have been loaded yet.
func (a *App) securityTests() ([]realm.SecurityTest, error) {
	var tests []realm.SecurityTest
	for i := range a.SecurityTests {
		c := &a.SecurityTests[i]
		if !oauth.ValidScope(c.Name) {
			return nil, fmt.Errorf("security_test %q is not a scope token (RFC 6749, section 3.3)", c.Name)
		}
		steps, err := a.steps(c)
		if err != nil {
			return nil, fmt.Errorf("security_test %q: %w", c.Name, err)
		}
		tests = append(tests, realm.SecurityTest{Name: c.Name, Steps: steps})
	}
	return tests, nil
}

func (a *App) steps(c *SecurityTestConfig) ([][]string, error) {
	user := c.User
	if user == "" {
		user = a.UserIdentity[0]
	}
	switch c.Kind {
	case "", testCustom:
		return c.Steps, nil
	case testWeb:
		return [][]string{{user}}, nil
	case testMobile:
		applications := a.realmsOf("application")
		if len(applications) == 0 {
			return nil, fmt.Errorf("a mobile test begins with the app: define a realm with the authenticator application")
		}
		steps := [][]string{applications, {c.Device}, {user}}
		return slices.DeleteFunc(steps, func(step []string) bool { return step[0] == "" }), nil
	}
	return nil, fmt.Errorf("its kind is %q, expected custom, web or mobile", c.Kind)
}

// realmsOf returns the realms with an authenticator of the given type.
func (a *App) realmsOf(authenticator string) []string {
	var names []string
	for i := range a.Realms {
		var guest struct{ Type string }
		if json.Unmarshal(a.Realms[i].AuthenticatorRaw, &guest) == nil && guest.Type == authenticator {
			names = append(names, a.Realms[i].Name)
		}
	}
	return names
}
