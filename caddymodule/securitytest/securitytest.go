// SPDX-License-Identifier: Apache-2.0

package securitytest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Config is a named order of realms. It can be asked for wherever a scope can.
type Config struct {
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
	custom = "custom"
	web    = "web"
	mobile = "mobile"
)

// Parse reads a security test and adds it:
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
func Parse(into *[]Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) == 0 || len(args) > 2 {
			return d.Err("security_test needs a name and, unless it is custom, its kind: web or mobile")
		}
		c := Config{Name: args[0], Kind: custom}
		if len(args) == 2 {
			c.Kind = args[1]
		}
		block, ok := c.options()
		if !ok {
			return d.Errf("a security_test is custom, web or mobile, not %q", c.Kind)
		}
		err := block.Parse(d)
		*into = append(*into, c)
		return err
	}
}

// options returns those of the test's kind; false when there is no such kind.
func (c *Config) options() (option.Block, bool) {
	user, device := option.String(&c.User), option.String(&c.Device)
	switch c.Kind {
	case custom:
		step := func(d *caddyfile.Dispenser) error {
			c.Steps = append(c.Steps, d.RemainingArgs())
			return nil
		}
		return option.Block{Options: map[string]option.Parse{"step": step}, Repeat: []string{"step"}}, true
	case web:
		return option.Block{Options: map[string]option.Parse{"user": user}}, true
	case mobile:
		return option.Block{Options: map[string]option.Parse{"user": user, "device": device}}, true
	}
	return option.Block{}, false
}

// Tests returns the tests with what their kinds add: the user's realm, unless a test names another, and the realms that ask
// applications. An error names the test that cannot be so.
func Tests(configs []Config, user string, applications []string) ([]realm.SecurityTest, error) {
	var tests []realm.SecurityTest
	for i := range configs {
		c := &configs[i]
		if !oauth.ValidScope(c.Name) {
			return nil, fmt.Errorf("security_test %q is not a scope token (RFC 6749, section 3.3)", c.Name)
		}
		steps, err := c.steps(cmp.Or(c.User, user), applications)
		if err != nil {
			return nil, fmt.Errorf("security_test %q: %w", c.Name, err)
		}
		tests = append(tests, realm.SecurityTest{Name: c.Name, Steps: steps})
	}
	return tests, nil
}

func (c *Config) steps(user string, applications []string) ([][]string, error) {
	switch c.Kind {
	case "", custom:
		return c.Steps, nil
	case web:
		return [][]string{{user}}, nil
	case mobile:
		if len(applications) == 0 {
			return nil, errors.New("a mobile test begins with the app: define a realm with the authenticator application")
		}
		steps := [][]string{applications, {c.Device}, {user}}
		return slices.DeleteFunc(steps, func(step []string) bool { return step[0] == "" }), nil
	}
	return nil, fmt.Errorf("its kind is %q, expected custom, web or mobile", c.Kind)
}
