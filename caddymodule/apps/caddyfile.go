// SPDX-License-Identifier: Apache-2.0

package apps

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// platforms are those that have an option of their own.
var platforms = []string{"android", "ios", "linux", "macos", "web", "windows"}

// Parse reads an app and adds it:
//
//	application <id> {
//		ios|android|web|windows|macos|linux <identifier> { ... }
//		platform <name> <identifier> { ... }
//		version  <version> <status> { ... }
//		enrollment { ... }
//		pin { ... }
//		attestation <platform> <mode> { ... }
//	}
func Parse(into *[]Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := Config{Platforms: map[string]string{}}
		if err := option.String(&c.ID)(d); err != nil {
			return err
		}
		options := map[string]option.Parse{
			"platform": c.parsePlatform, "version": c.parseVersion, "enrollment": c.parseEnrollment, "pin": c.parsePIN,
			"attestation": attest.Parse(&c.Attestation),
		}
		for _, name := range platforms {
			options[name] = func(d *caddyfile.Dispenser) error { return c.addPlatform(d, name) }
		}
		err := option.Block{Options: options, Repeat: []string{"platform", "version", "attestation"}}.Parse(d)
		*into = append(*into, c)
		return err
	}
}

// parsePlatform reads: platform <name> <identifier> { ... }
func (c *Config) parsePlatform(d *caddyfile.Dispenser) error {
	var name string
	if err := option.String(&name)(d); err != nil {
		return err
	}
	return c.addPlatform(d, name)
}

// addPlatform reads: <identifier> { ... }
func (c *Config) addPlatform(d *caddyfile.Dispenser, name string) error {
	if _, twice := c.Platforms[name]; twice {
		return d.Errf("platform %q stands twice", name)
	}
	if !d.NextArg() {
		return d.Errf("platform %q needs the identifier of the app there, such as com.example.bank", name)
	}
	c.Platforms[name] = d.Val()
	return c.parsePush(d, name)
}

// parseVersion reads:
//
//	version <version> <status> {
//		platform   <name>
//		message    <language> <text>
//		message_id <id>
//		url        <url>
//	}
func (c *Config) parseVersion(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("version needs a version or a pattern such as 2.*, and its status: active, notify, no_registration or disabled")
	}
	v := Version{Version: args[0], Status: args[1]}
	if err := mobileauth.CheckPattern(v.Version); err != nil {
		return d.WrapErr(err)
	}
	if err := mobileauth.CheckStatus(mobileauth.Status(v.Status)); err != nil {
		return d.WrapErr(err)
	}
	err := option.Block{
		Options: map[string]option.Parse{
			"platform": option.String(&v.Platform), "message": v.parseMessage, "message_id": option.String(&v.MessageID),
			"url": option.String(&v.URL),
		},
		Repeat: []string{"message"},
	}.Parse(d)
	c.Versions = append(c.Versions, v)
	return err
}

// parseMessage reads: message <language> <text>
func (v *Version) parseMessage(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("message needs a language, such as en, and a text")
	}
	if v.Messages == nil {
		v.Messages = map[string]string{}
	}
	if _, twice := v.Messages[args[0]]; twice {
		return d.Errf("message %q stands twice", args[0])
	}
	v.Messages[args[0]] = args[1]
	return nil
}
