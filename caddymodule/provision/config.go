// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
)

// Authenticator is the type of the authenticator that asks for a device.
const Authenticator = "device"

// Namespace is where the authorities are.
const Namespace = "gatehouse.provisioning"

// defaultAuthority is Caddy's own PKI, with a CA for devices and nothing else.
const defaultAuthority = `{"type":"caddy_pki"}`

// Config says how devices come to certificates.
type Config struct {
	// Who issues them. Default: caddy_pki, with a CA of its own.
	AuthorityRaw json.RawMessage `json:"authority,omitempty" caddy:"namespace=gatehouse.provisioning inline_key=type"`
	// none, which asks for no certificate and believes what it is told; or auto, which issues to every app that asks. Required.
	Mode string `json:"mode,omitempty"`
	// What a key stands for: application, "group NAME" or device. Realms may say otherwise. Default: application.
	Entity string `json:"entity,omitempty"`
	// The applications of each group, by its name.
	Groups map[string][]string `json:"groups,omitempty"`
	// How long certificates are valid. Default: 90 days.
	Validity caddy.Duration `json:"validity,omitempty"`
}

// Realm says what the keys of a realm stand for.
type Realm struct {
	// application, "group NAME" or device. Default: what the provisioning block says.
	Entity string `json:"entity,omitempty"`
}

// Parse reads:
//
//	provisioning {
//		authority <type> ...
//		mode      none|auto
//		entity    application|group <name>|device
//		group     <name> <application...>
//		validity  <duration>
//	}
func Parse(into **Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := new(Config)
		*into = c
		return option.Block{
			Options: map[string]option.Parse{
				"authority": option.Guest((*[]byte)(&c.AuthorityRaw), Namespace, "type"),
				"mode":      option.String(&c.Mode),
				"entity":    ParseEntity(&c.Entity),
				"group":     c.parseGroup,
				"validity":  option.Duration(&c.Validity),
			},
			Repeat: []string{"group"},
		}.Parse(d)
	}
}

// ParseEntity reads: application|group <name>|device
func ParseEntity(into *string) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		switch len(args) {
		case 1:
			*into = args[0]
		case 2:
			*into = args[0] + " " + args[1]
		default:
			return d.Err("entity is application, device, or group with the name of one")
		}
		if _, err := provisioning.ParseEntity(*into); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}
}

// parseGroup reads: group <name> <application...>
func (c *Config) parseGroup(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("group needs a name and the applications in it")
	}
	if _, twice := c.Groups[args[0]]; twice {
		return d.Errf("group %q stands twice", args[0])
	}
	if c.Groups == nil {
		c.Groups = map[string][]string{}
	}
	c.Groups[args[0]] = args[1:]
	return nil
}

// Check returns an error that names the first thing that does not fit.
func Check(c *Config, applications []apps.Config) error {
	if c == nil {
		return nil
	}
	if err := c.check(applications); err != nil {
		return fmt.Errorf("provisioning: %w", err)
	}
	return nil
}

func (c *Config) check(applications []apps.Config) error {
	switch deviceauth.Mode(c.Mode) {
	case deviceauth.Auto:
	case deviceauth.None:
		if c.AuthorityRaw != nil {
			return errors.New("mode none issues no certificates: leave authority out")
		}
	case "":
		return errors.New("mode is missing: none or auto")
	default:
		return fmt.Errorf("mode %q is none of: none, auto", c.Mode)
	}
	if err := provisioning.Groups(c.Groups).Check(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		for _, app := range c.Groups[name] {
			if !slices.ContainsFunc(applications, func(a apps.Config) bool { return a.ID == app }) {
				return fmt.Errorf("group %q: application %q is not defined", name, app)
			}
		}
	}
	if err := c.profile().Check(); err != nil {
		return err
	}
	_, err := c.entity("")
	return err
}

// profile is what certificates have in common.
func (c *Config) profile() provisioning.Profile {
	return provisioning.Profile{Validity: time.Duration(c.Validity)}
}

// entity returns what a key stands for, by what a realm says, or else the block.
func (c *Config) entity(of string) (provisioning.Entity, error) {
	e, err := provisioning.ParseEntity(cmp.Or(of, c.Entity, string(provisioning.KindApplication)))
	if err == nil && e.Kind == provisioning.KindGroup && c.Groups[e.Group] == nil {
		err = fmt.Errorf("entity group %q: there is no group of that name", e.Group)
	}
	return e, err
}

// AsksDevice reports whether an authenticator asks for a device, which is nobody.
func AsksDevice(authenticator json.RawMessage) bool {
	_, asks := readRealm(authenticator)
	return asks
}

// readRealm returns how a realm asks for devices; false for one of another kind, or malformed, which loading it tells.
func readRealm(authenticator json.RawMessage) (Realm, bool) {
	var guest struct {
		Name string `json:"type"`
		Realm
	}
	err := json.Unmarshal(authenticator, &guest)
	return guest.Realm, err == nil && guest.Name == Authenticator
}

// CheckRealm refuses a realm whose authenticator asks for a device in a way that a configuration does not have.
func CheckRealm(authenticator, module json.RawMessage, c *Config, identifies bool) error {
	guest, asks := readRealm(authenticator)
	switch {
	case !asks:
		return nil
	case c == nil:
		return errors.New("its authenticator asks for a device: define how it gets its certificate in a provisioning block")
	case module != nil:
		return errors.New("its authenticator asks for a device and judges by itself: leave login_module out")
	case identifies:
		return errors.New("its authenticator asks for a device, which is nobody: it cannot be the realm of user_identity")
	}
	_, err := c.entity(guest.Entity)
	return err
}
