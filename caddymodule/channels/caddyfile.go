// SPDX-License-Identifier: Apache-2.0

package channels

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// Namespaces of the guests.
const (
	pushNamespace = "gatehouse.push"
	smsNamespace  = "gatehouse.sms"
	geoNamespace  = "gatehouse.geolocation"
)

// Options returns the options of the block "mobile" that are this package's, and those of them that may repeat:
//
//	locales          <language...>
//	type             <name> { ... }
//	fallback         any|same_or_higher|none
//	push             <name> { <service> ... }
//	sms              <gateway> [<name>] { ... }
//	sms_limits       { ... }
//	geolocation      <source> ...
//	geolocation_time_out <duration>
//	context_template <language> <text>
func (c *Config) Options() (options map[string]option.Parse, repeat []string) {
	return map[string]option.Parse{
		"locales": option.Strings(&c.Locales), "type": c.parseType, "fallback": option.String(&c.Fallback), "push": c.parsePush,
		"sms": c.parseSMS, "sms_limits": c.parseLimits, "geolocation": option.Guest((*[]byte)(&c.GeolocationRaw), geoNamespace, "source"),
		"geolocation_time_out": option.Duration(&c.GeolocationTimeout), "context_template": option.Pair(&c.ContextTemplates),
	}, []string{"type", "push", "sms", "context_template"}
}

// parseType reads:
//
//	type <name> {
//		method       push|push_pin|push_fingerprint|push_custom <factor>|otp|sms
//		time_to_live <duration>
//		attempts     <number>
//		resends      <number>
//		fallback     <type> [<after>]
//		message      <language> <text>
//		signing
//		acr          <name>
//		origin       <host>
//	}
func (c *Config) parseType(d *caddyfile.Dispenser) error {
	t := Type{}
	if err := option.String(&t.Name)(d); err != nil {
		return err
	}
	err := option.Block{
		Options: map[string]option.Parse{
			"method": pair(&t.Method, option.String(&t.Custom)), "time_to_live": option.Duration(&t.TimeToLive),
			"attempts": counted(&t.Attempts), "resends": counted(&t.Resends),
			"fallback": pair(&t.Fallback, option.Duration(&t.FallbackAfter)), "message": option.Pair(&t.Messages),
			"signing": option.Flag(&t.Signing), "acr": option.String(&t.ACR), "origin": option.String(&t.Origin),
		},
		Repeat: []string{"message"},
	}.Parse(d)
	if err == nil && t.Method == "" {
		return d.Errf("type %q needs a method: push, push_pin, push_fingerprint, push_custom, otp or sms", t.Name)
	}
	c.Types = append(c.Types, t)
	return err
}

// pair reads one word, and what may stand behind it.
func pair(first *string, second option.Parse) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		if err := option.String(first)(d); err != nil || d.CountRemainingArgs() == 0 {
			return err
		}
		return second(d)
	}
}

// counted reads a number of which zero is a choice.
func counted(into **int) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		*into = new(int)
		return option.Number(*into)(d)
	}
}

// parsePush reads:
//
//	push <name> {
//		apns|fcm|webpush|webhook ...
//	}
func (c *Config) parsePush(d *caddyfile.Dispenser) error {
	s := Service{}
	if err := option.String(&s.Name)(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if s.SenderRaw != nil {
			return d.Errf("push %q has two services: give each a name of its own", s.Name)
		}
		service := d.Val()
		module, err := caddyfile.UnmarshalModule(d, pushNamespace+"."+service)
		if err != nil {
			return err
		}
		s.SenderRaw = caddyconfig.JSONModuleObject(module, "service", service, nil)
	}
	if s.SenderRaw == nil {
		return d.Errf("push %q needs a block with its service: apns, fcm, webpush or webhook", s.Name)
	}
	c.Push = append(c.Push, s)
	return nil
}

// parseSMS reads: sms <gateway> [<name>] { ... }
//
// The name is the gateway's kind where none stands there.
func (c *Config) parseSMS(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("sms needs a gateway: twilio, http or log")
	}
	g := Gateway{Name: d.Val()}
	kind, segment := d.Val(), d.NextSegment()
	if len(segment) > 1 && segment[1].Text != "{" {
		g.Name = segment[1].Text
		segment = slices.Delete(segment, 1, 2)
	}
	if len(segment) > 1 && segment[1].Text != "{" {
		return d.Errf("sms %s: %q is one word too many", kind, segment[1].Text)
	}
	own := caddyfile.NewDispenser(segment)
	own.Next()
	module, err := caddyfile.UnmarshalModule(own, smsNamespace+"."+kind)
	if err != nil {
		return err
	}
	g.SenderRaw = caddyconfig.JSONModuleObject(module, "gateway", kind, nil)
	c.SMS = append(c.SMS, g)
	return nil
}

// parseLimits reads:
//
//	sms_limits {
//		countries <code...>
//		kinds     <kind...>
//		number    <messages>
//		prefix    <messages>
//		user      <messages>
//		country   <code> <messages>
//		all       <messages>
//	}
func (c *Config) parseLimits(d *caddyfile.Dispenser) error {
	l := new(Limits)
	c.Limits = l
	country := func(d *caddyfile.Dispenser) error {
		var code string
		var n int
		if err := option.String(&code)(d); err != nil {
			return err
		}
		if err := option.Number(&n)(d); err != nil {
			return err
		}
		if l.Country == nil {
			l.Country = map[string]int{}
		}
		l.Country[code] = n
		return nil
	}
	return option.Block{
		Options: map[string]option.Parse{
			"countries": option.Strings(&l.Countries), "kinds": option.Strings(&l.Kinds), "number": option.Number(&l.Number),
			"prefix": option.Number(&l.Prefix), "user": option.Number(&l.User), "country": country, "all": option.Number(&l.All),
		},
		Repeat: []string{"country"},
	}.Parse(d)
}
