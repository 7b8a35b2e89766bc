// SPDX-License-Identifier: Apache-2.0

package approvals_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/approval"
	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
)

const schema = `{"properties":{"amount":{"type":"string"},"to":{"type":"object"}},"required":["amount"]}`

func types() []approvals.Type {
	return []approvals.Type{
		{Name: "payment", Schema: []byte(schema), Messages: map[string]string{"": "Pay {amount}"}, Realms: []string{"phone"}, Once: true},
		{Name: "reading", Schema: []byte(schema), Messages: map[string]string{"": "Read {amount}"}, Narrow: []string{"actions"}},
		{Name: "transfer", Schema: []byte(schema), Messages: map[string]string{"": "Send {amount}"}},
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	amount := map[string]string{"amount": "{json.amount}"}
	rules := []*approval.Rule{{Type: "payment", Match: amount}, {Type: "transfer", Match: amount}, {Type: "reading", Match: amount}}
	if err := approvals.CheckRules(rules, types()); err != nil {
		t.Fatal(err)
	}
	if !rules[0].Once || rules[1].Once || rules[2].Once {
		t.Errorf("what the types say of once: %+v", rules)
	}
	for _, tt := range []struct {
		name  string
		rules []*approval.Rule
		says  string
	}{
		{"an unknown type", []*approval.Rule{{Type: "x", Match: amount}}, "there is no such type"},
		{"a type twice", []*approval.Rule{{Type: "payment", Match: amount}, {Type: "transfer", Match: amount}, {Type: "payment", Match: amount}}, "stands twice"},
		{"once, of what can be narrowed", []*approval.Rule{{Type: "reading", Match: amount, Once: true}}, "narrower"},
		{"nothing to compare", []*approval.Rule{{Type: "payment"}}, "compares nothing"},
	} {
		if err := approvals.CheckRules(tt.rules, types()); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestParseRule(t *testing.T) {
	t.Parallel()
	d := caddyfile.NewTestDispenser("details payment {\n\tmatch amount {json.amount}\n\tmatch to.name {json.to.name}\n\tonce\n}")
	d.Next()
	var got []*approval.Rule
	if err := approvals.ParseRule(&got)(d); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Type != "payment" || !got[0].Once || !cmp.Equal(got[0].Match, map[string]string{"amount": "{json.amount}", "to.name": "{json.to.name}"}) {
		t.Errorf("it is %+v", got)
	}
	for _, text := range []string{"", "payment {\nmatch amount\n}", "payment {\nmatch amount {json.a}\nmatch amount {json.b}\n}", "payment {\nother\n}"} {
		d := caddyfile.NewTestDispenser("details " + text)
		d.Next()
		if err := approvals.ParseRule(new([]*approval.Rule))(d); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	d := caddyfile.NewTestDispenser("authorization_details payment {\n\tschema `{\"type\":\"object\"}`\n\tmessage \"Pay {a}\"\n\tmessage nl \"Betaal {a}\"\n\trealm phone\n\tnarrow b c\n\tonce\n}")
	d.Next()
	var got []approvals.Type
	if err := approvals.ParseType(&got)(d); err != nil {
		t.Fatal(err)
	}
	want := []approvals.Type{{
		Name: "payment", Schema: []byte(`{"type":"object"}`), Messages: map[string]string{"": "Pay {a}", "nl": "Betaal {a}"},
		Realms: []string{"phone"}, Narrow: []string{"b", "c"}, Once: true,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{"{\nmessage a b c\n}", "{\nmessage a\nmessage b\n}", "{\nschema `{x`\n}", "{\nmessage\n}", "{\nother\n}"} {
		d := caddyfile.NewTestDispenser("authorization_details t " + text)
		d.Next()
		if err := approvals.ParseType(new([]approvals.Type))(d); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(file, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	all := append(types(), approvals.Type{Name: "filed", SchemaFile: file, Messages: map[string]string{"": "Do it"}})
	r, err := approvals.Registry(all)
	if err != nil || len(r.Names()) != 4 {
		t.Fatalf("%v (%v)", r.Names(), err)
	}
	if r, err := approvals.Registry(nil); r != nil || err != nil {
		t.Errorf("none is %v (%v)", r, err)
	}
	approves := func(realm string) error {
		if realm != "phone" {
			return errors.New("it is not defined")
		}
		return nil
	}
	if err := approvals.Check(all, approves); err != nil {
		t.Error(err)
	}
	for name, typ := range map[string]approvals.Type{
		"a file that is not there": {Name: "x", SchemaFile: file + "x", Messages: map[string]string{"": "x"}},
		"both":                     {Name: "x", SchemaFile: file, Schema: []byte(schema), Messages: map[string]string{"": "x"}},
	} {
		if _, err := approvals.Registry([]approvals.Type{typ}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for name, typ := range map[string]approvals.Type{
		"a realm that is not defined": {Name: "x", Schema: []byte(schema), Messages: map[string]string{"": "x"}, Realms: []string{"sms"}},
		"no message":                  {Name: "x", Schema: []byte(schema)},
		"narrowed and good once": {
			Name: "x", Schema: []byte(schema), Messages: map[string]string{"": "x"}, Narrow: []string{"to"}, Once: true,
		},
	} {
		if err := approvals.Check([]approvals.Type{typ}, approves); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
