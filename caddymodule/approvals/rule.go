// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/approval"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// ParseRule reads:
//
//	details <type> {
//		match <member> <field>
//		once
//	}
func ParseRule(into *[]*approval.Rule) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		rule := new(approval.Rule)
		if err := option.String(&rule.Type)(d); err != nil {
			return err
		}
		err := option.Block{
			Options: map[string]option.Parse{"match": option.Pair(&rule.Match), "once": option.Flag(&rule.Once)},
			Repeat:  []string{"match"},
		}.Parse(d)
		*into = append(*into, rule)
		return err
	}
}

// CheckRules builds the rules of a route, each of another registered type, and takes over what the types say.
func CheckRules(rules []*approval.Rule, types []Type) error {
	for i, u := range rules {
		registered, ok := Find(types, u.Type)
		switch {
		case !ok:
			return fmt.Errorf("details %q: there is no such type: add \"authorization_details %s\" to gatehouse", u.Type, u.Type)
		case slices.ContainsFunc(rules[:i], func(other *approval.Rule) bool { return other.Type == u.Type }):
			return fmt.Errorf("details %q: it stands twice", u.Type)
		}
		if u.Once = u.Once || registered.Once; u.Once && len(registered.Narrow) > 0 {
			return fmt.Errorf("details %q: it is good once, and each narrower form of it would be one more", u.Type)
		}
		if err := u.Build(); err != nil {
			return err
		}
	}
	return nil
}
