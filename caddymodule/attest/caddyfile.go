// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// Parse reads what is asked on platforms:
//
//	attestation <platform> required|preferred|record {
//		minimum     hardware|tee|software
//		android_key { ... }
//		app_attest  { ... }
//		play_integrity { ... }
//	}
func Parse(into *map[string]Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Err("attestation needs a platform, such as android, and required, preferred or record")
		}
		if _, twice := (*into)[args[0]]; twice {
			return d.Errf("attestation of platform %q stands twice", args[0])
		}
		c := Config{Mode: args[1]}
		err := option.Block{Options: map[string]option.Parse{
			"minimum": option.String(&c.Minimum), "android_key": c.parseAndroidKey, "app_attest": c.parseAppAttest,
			"play_integrity": c.parsePlayIntegrity,
		}}.Parse(d)
		if *into == nil {
			*into = map[string]Config{}
		}
		(*into)[args[0]] = c
		return err
	}
}

// parseAndroidKey reads:
//
//	android_key {
//		package      <name...>
//		digest       <sha256...>
//		root         <file...>
//		revoked      <file> [<max age>]
//		patch_months <number>
//	}
func (c *Config) parseAndroidKey(d *caddyfile.Dispenser) error {
	a := new(AndroidKey)
	c.AndroidKey = a
	return option.Block{Options: map[string]option.Parse{
		"package": option.Strings(&a.Packages), "digest": option.Strings(&a.Digests), "root": option.Strings(&a.Roots),
		"revoked": fileAndAge(&a.Revoked, &a.RevokedMaxAge), "patch_months": option.Number(&a.PatchMonths),
	}}.Parse(d)
}

// parseAppAttest reads:
//
//	app_attest {
//		team        <id>
//		bundle      <identifier>
//		environment production|development
//		root        <file...>
//		category    <name...>
//	}
func (c *Config) parseAppAttest(d *caddyfile.Dispenser) error {
	a := new(AppAttest)
	c.AppAttest = a
	return option.Block{Options: map[string]option.Parse{
		"team": option.String(&a.Team), "bundle": option.String(&a.Bundle), "environment": option.String(&a.Environment),
		"root": option.Strings(&a.Roots), "category": option.Strings(&a.Categories),
	}}.Parse(d)
}

// parsePlayIntegrity reads:
//
//	play_integrity {
//		package          <name...>
//		digest           <sha256...>
//		decryption_key   <base64>
//		verification_key <base64>
//		max_age          <duration>
//	}
func (c *Config) parsePlayIntegrity(d *caddyfile.Dispenser) error {
	p := new(PlayIntegrity)
	c.PlayIntegrity = p
	return option.Block{Options: map[string]option.Parse{
		"package": option.Strings(&p.Packages), "digest": option.Strings(&p.Digests), "decryption_key": option.String(&p.DecryptionKey),
		"verification_key": option.String(&p.VerificationKey), "max_age": option.Duration(&p.MaxAge),
	}}.Parse(d)
}

// fileAndAge reads a file, and an age if one is there.
func fileAndAge(file *string, age *caddy.Duration) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		if err := option.String(file)(d); err != nil {
			return err
		}
		if d.CountRemainingArgs() == 0 {
			return nil
		}
		return option.Duration(age)(d)
	}
}
