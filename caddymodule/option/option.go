// SPDX-License-Identifier: Apache-2.0

package option

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Parse reads the arguments, and the block, of one option. The dispenser stands on the option's name.
type Parse func(d *caddyfile.Dispenser) error

// Block names the options of a Caddyfile block. Every option stands at most once unless it is in Repeat. Places, if any, learns
// where they stand.
type Block struct {
	Options map[string]Parse
	Repeat  []string
	Places  *Places
}

// Parse reads the block that the dispenser stands before. Unknown and repeated options and arguments left over are errors
// with file and line that say what was expected.
func (b Block) Parse(d *caddyfile.Dispenser) error {
	seen := map[string]bool{}
	if b.Places != nil {
		b.Places.begin(d)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := b.option(d, seen); err != nil {
			return err
		}
	}
	return nil
}

func (b Block) option(d *caddyfile.Dispenser, seen map[string]bool) error {
	name := d.Val()
	parse, ok := b.Options[name]
	if !ok && len(b.Options) == 0 {
		return d.Errf("unexpected option %q: there are none here", name)
	}
	if !ok {
		return d.Errf("unknown option %q, expected one of: %s", name, strings.Join(slices.Sorted(maps.Keys(b.Options)), ", "))
	}
	if seen[name] && !slices.Contains(b.Repeat, name) {
		return d.Errf("option %q stands twice", name)
	}
	if b.Places != nil {
		b.Places.mark(d, seen[name])
	}
	seen[name] = true
	if err := parse(d); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("unexpected argument %q after option %q", d.Val(), name)
	}
	return nil
}

// String reads exactly one argument.
func String(into *string) Parse {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.Errf("option %q needs a value", d.Val())
		}
		*into = d.Val()
		return nil
	}
}

// Strings adds one or more arguments.
func Strings(into *[]string) Parse {
	return func(d *caddyfile.Dispenser) error {
		name, args := d.Val(), d.RemainingArgs()
		if len(args) == 0 {
			return d.Errf("option %q needs one or more values", name)
		}
		*into = append(*into, args...)
		return nil
	}
}

// Flag is an option without arguments that turns something on.
func Flag(into *bool) Parse {
	return func(*caddyfile.Dispenser) error {
		*into = true
		return nil
	}
}

// Switch reads on or off.
func Switch(into *bool) Parse {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() || d.Val() != "on" && d.Val() != "off" {
			return d.Errf("option %q is on or off", name)
		}
		*into = d.Val() == "on"
		return nil
	}
}

// Pair adds a name with its value. A name stands once.
func Pair(into *map[string]string) Parse {
	return func(d *caddyfile.Dispenser) error {
		option, args := d.Val(), d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf("option %q needs a name and a value", option)
		}
		if _, twice := (*into)[args[0]]; twice {
			return d.Errf("option %q has %q twice", option, args[0])
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[args[0]] = args[1]
		return nil
	}
}

// Duration reads exactly one duration, such as 90s, 5m, 8h or 30d.
func Duration(into *caddy.Duration) Parse {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a duration, such as 5m or 8h", name)
		}
		duration, err := caddy.ParseDuration(d.Val())
		if err != nil || duration < 0 {
			return d.Errf("option %q needs a duration, such as 5m or 8h, not %q", name, d.Val())
		}
		*into = caddy.Duration(duration)
		return nil
	}
}

// Number reads exactly one whole number that is not negative.
func Number(into *int) Parse {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs a number", name)
		}
		n, err := strconv.Atoi(d.Val())
		if err != nil || n < 0 {
			return d.Errf("option %q needs a number, not %q", name, d.Val())
		}
		*into = n
		return nil
	}
}

// Guest reads a module of a namespace by its name and stores it as JSON with the name inline under key.
func Guest(into *[]byte, namespace, key string) Parse {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		if !d.NextArg() {
			return d.Errf("option %q needs the name of a module of %s", option, namespace)
		}
		name := d.Val()
		module, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
		if err != nil {
			return err
		}
		*into = caddyconfig.JSONModuleObject(module, key, name, nil)
		return nil
	}
}
