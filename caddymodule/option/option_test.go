// SPDX-License-Identifier: Apache-2.0

package option_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

func init() { caddy.RegisterModule(new(guest)) }

// guest is a module with one argument.
type guest struct {
	Color string `json:"color,omitempty"`
}

func (*guest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.test.guest", New: func() caddy.Module { return new(guest) }}
}

func (g *guest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	d.Args(&g.Color)
	return nil
}

// config has an option of each kind.
type config struct {
	Text  string
	Texts []string
	On    bool
	For   caddy.Duration
	Count int
	Guest string
	Inner []string
	Dev   bool
	Pairs map[string]string
}

func (c *config) block(guest *[]byte) option.Block {
	return option.Block{
		Options: map[string]option.Parse{
			"text": option.String(&c.Text), "texts": option.Strings(&c.Texts), "on": option.Flag(&c.On), "for": option.Duration(&c.For),
			"dev": option.Switch(&c.Dev), "pair": option.Pair(&c.Pairs), "count": option.Number(&c.Count), "guest": option.Guest(guest, "gatehouse.test", "type"),
			"inner": func(d *caddyfile.Dispenser) error {
				return option.Block{Options: map[string]option.Parse{"text": option.Strings(&c.Inner)}}.Parse(d)
			},
		},
		Repeat: []string{"texts", "inner", "pair"},
	}
}

func parse(text string) (config, error) {
	var c config
	var module []byte
	d := caddyfile.NewTestDispenser("block {\n" + text + "\n}")
	d.Next()
	err := c.block(&module).Parse(d)
	c.Guest = string(module)
	return c, err
}

func TestParse(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, text string
		want       config
	}{
		{name: "nothing", text: ""},
		{name: "text", text: `text "a b"`, want: config{Text: "a b"}},
		{name: "empty text", text: `text ""`},
		{name: "texts", text: "texts a b\ntexts c", want: config{Texts: []string{"a", "b", "c"}}},
		{name: "flag", text: "on", want: config{On: true}},
		{name: "duration", text: "for 90s", want: config{For: caddy.Duration(90 * time.Second)}},
		{name: "duration of days", text: "for 30d", want: config{For: caddy.Duration(30 * 24 * time.Hour)}},
		{name: "number", text: "count 7", want: config{Count: 7}},
		{name: "guest", text: "guest guest red", want: config{Guest: `{"color":"red","type":"guest"}`}},
		{name: "blocks", text: "inner {\ntext a\n}\ninner {\ntext b\n}\ninner", want: config{Inner: []string{"a", "b"}}},
		{name: "switched on", text: "dev on", want: config{Dev: true}},
		{name: "switched off", text: "dev off"},
		{name: "pairs", text: "pair a b\npair c \"d e\"", want: config{Pairs: map[string]string{"a": "b", "c": "d e"}}},
		{name: "all", text: "count 1\non\ntext x", want: config{Count: 1, On: true, Text: "x"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, text, want string
		line             string
	}{
		{name: "unknown", text: "on\ncolour red", want: `unknown option "colour", expected one of: count, dev, for, guest, inner, on, pair, text, texts`, line: ":3"},
		{name: "twice", text: "on\non", want: `option "on" stands twice`, line: ":3"},
		{name: "twice inside", text: "inner {\ntext a\ntext b\n}", want: `option "text" stands twice`, line: ":4"},
		{name: "left over", text: "text a b", want: `unexpected argument "b" after option "text"`, line: ":2"},
		{name: "left over after a flag", text: "on now", want: `unexpected argument "now" after option "on"`, line: ":2"},
		{name: "left over after a block", text: "inner x", want: `unexpected argument "x"`, line: ":2"},
		{name: "no text", text: "text", want: `option "text" needs a value`, line: ":2"},
		{name: "no texts", text: "texts", want: `option "texts" needs one or more values`, line: ":2"},
		{name: "no duration", text: "for", want: `option "for" needs a duration`, line: ":2"},
		{name: "bad duration", text: "for ever", want: `option "for" needs a duration, such as 5m or 8h, not "ever"`, line: ":2"},
		{name: "duration without a unit", text: "for 90", want: `not "90"`, line: ":2"},
		{name: "negative duration", text: "for -5m", want: `not "-5m"`, line: ":2"},
		{name: "no number", text: "count", want: `option "count" needs a number`, line: ":2"},
		{name: "bad number", text: "count many", want: `option "count" needs a number, not "many"`, line: ":2"},
		{name: "negative number", text: "count -1", want: `not "-1"`, line: ":2"},
		{name: "huge number", text: "count 99999999999999999999", want: `needs a number`, line: ":2"},
		{name: "no guest", text: "guest", want: `option "guest" needs the name of a module of gatehouse.test`, line: ":2"},
		{name: "unknown guest", text: "guest stranger", want: `gatehouse.test.stranger`, line: ":2"},
		{name: "no switch", text: "dev", want: `option "dev" is on or off`, line: ":2"},
		{name: "bad switch", text: "dev true", want: `option "dev" is on or off`, line: ":2"},
		{name: "no pair", text: "pair", want: `option "pair" needs a name and a value`, line: ":2"},
		{name: "half a pair", text: "pair a", want: `option "pair" needs a name and a value`, line: ":2"},
		{name: "more than a pair", text: "pair a b c", want: `option "pair" needs a name and a value`, line: ":2"},
		{name: "pair twice", text: "pair a b\npair a b", want: `option "pair" has "a" twice`, line: ":3"},
		{name: "block of a flag", text: "on {\nx\n}", want: `on`, line: ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.line) {
				t.Errorf("the error is %v, want %q at %s", err, c.want, c.line)
			}
		})
	}
}

// TestBlockWithoutOptions: a module that has none says so.
func TestBlockWithoutOptions(t *testing.T) {
	t.Parallel()
	d := caddyfile.NewTestDispenser("block {\nx\n}")
	d.Next()
	if err := (option.Block{}).Parse(d); err == nil || !strings.Contains(err.Error(), `unexpected option "x": there are none here`) {
		t.Errorf("the error is %v", err)
	}
}

// FuzzParse: whatever a block holds, it is read or refused with a line.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"on", "text a", "inner {\ntext a\n}", "guest guest", "for 5m", "count 1", "}", "{", "on {", "\"", "texts `a`"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parse(text); err != nil && !strings.Contains(err.Error(), "at ") && !strings.Contains(err.Error(), ":") {
			t.Errorf("the error has no place: %v", err)
		}
	})
}
