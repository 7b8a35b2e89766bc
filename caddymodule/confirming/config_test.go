// SPDX-License-Identifier: Apache-2.0

package confirming_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
)

func parse(t *testing.T, text string) (*confirming.Config, error) {
	t.Helper()
	var c *confirming.Config
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	err := confirming.Parse(&c)(d)
	return c, err
}

// mobile has a type that asks phones, and one that sends codes.
func mobile() *phones.Config {
	return &phones.Config{Config: channels.Config{Types: []channels.Type{
		{Name: "push_pin", Method: "push_pin", Messages: map[string]string{"en": "Confirm"}},
		{Name: "code", Method: "sms", Messages: map[string]string{"en": "{code}"}},
	}}}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse(t, `confirm push_pin {
		message en "Pay {json.amount}"
		bind body
		bind header X-A X-B
		max_body 128KB
		wait 30s
		number_match 6
	}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &confirming.Config{
		Type: "push_pin", Message: "Pay {json.amount}", Language: "en", Headers: []string{"X-A", "X-B"}, MaxBody: 128 << 10,
		Wait: caddy.Duration(30 * time.Second), NumberMatch: 6,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := got.Check(mobile()); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		"confirm", "confirm a {\n message\n}", "confirm a {\n message a b c\n}", "confirm a {\n bind\n}", "confirm a {\n bind all\n}",
		"confirm a {\n bind header\n}", "confirm a {\n max_body many\n}", "confirm a {\n max_body -1\n}", "confirm a {\n other\n}",
		"confirm a {\n wait long\n}",
	} {
		if c, err := parse(t, text); err == nil {
			t.Errorf("%q is %+v", text, c)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*confirming.Config)
		mobile *phones.Config
		says   string
	}{
		{"no message", func(c *confirming.Config) { c.Message = "" }, mobile(), "no words of its own"},
		{"bad message", func(c *confirming.Config) { c.Message = "Pay {env.SECRET}" }, mobile(), "no field of a request"},
		{"no phones", func(*confirming.Config) {}, nil, `needs "mobile"`},
		{"no such type", func(c *confirming.Config) { c.Type = "other" }, mobile(), "no such type"},
		{"a type without a signature", func(c *confirming.Config) { c.Type = "code" }, mobile(), "signs what it shows"},
		{"header", func(c *confirming.Config) { c.Headers = []string{"authorization"} }, mobile(), "cannot be bound"},
		{"header that is none", func(c *confirming.Config) { c.Headers = []string{"a b"} }, mobile(), "cannot be bound"},
		{"language", func(c *confirming.Config) { c.Language = "?" }, mobile(), "no language"},
		{"body", func(c *confirming.Config) { c.MaxBody = 2 << 20 }, mobile(), "max_body"},
		{"wait", func(c *confirming.Config) { c.Wait = caddy.Duration(time.Hour) }, mobile(), "wait is"},
		{"digits", func(c *confirming.Config) { c.NumberMatch = 1 }, mobile(), "number_match"},
	} {
		c := &confirming.Config{Type: "push_pin", Message: "Pay"}
		test.change(c)
		if err := c.Check(test.mobile); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
