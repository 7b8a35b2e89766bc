// SPDX-License-Identifier: Apache-2.0

package option_test

import (
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// TestPlaces: an error has the line of the option that it begins with, and is still the same error.
func TestPlaces(t *testing.T) {
	t.Parallel()
	var places option.Places
	var once, twice []string
	d := caddyfile.NewTestDispenser("block x {\n once a b\n twice a\n twice \"b c\" {\n }\n twice a\n under_line\n}")
	d.Next()
	d.Next()
	nothing := func(d *caddyfile.Dispenser) error { return option.Block{}.Parse(d) }
	err := option.Block{
		Options: map[string]option.Parse{
			"once": option.Strings(&once), "under_line": nothing,
			"twice": func(d *caddyfile.Dispenser) error {
				twice = append(twice, d.RemainingArgs()...)
				return nothing(d)
			},
		},
		Repeat: []string{"twice"}, Places: &places,
	}.Parse(d)
	if err != nil || len(once) != 2 || len(twice) != 3 {
		t.Fatalf("%v: %q, %q", err, once, twice)
	}
	for text, want := range map[string]string{
		`once "a" is bad`:         "Testfile:2",
		`once "b" is bad`:         "Testfile:2",
		`once: bad`:               "Testfile:2",
		`once`:                    "Testfile:2",
		`once more`:               "Testfile:2",
		`onceness`:                "Testfile:1",
		`twice "a" is bad`:        "Testfile:6",
		`twice "b c": bad`:        "Testfile:4",
		`twice "z" is bad`:        "Testfile:1",
		`twice is bad`:            "Testfile:1",
		`under_line is bad`:       "Testfile:7",
		`under line is bad`:       "Testfile:7",
		`all is bad, once "a" is`: "Testfile:1",
	} {
		cause := errors.New(text)
		got := places.Wrap(cause)
		if got.Error() != text+", at "+want || !errors.Is(got, cause) {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}
