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
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
)

// Authenticator is the type of the authenticator that asks for a device.
const Authenticator = "device"

// Namespace is where the authorities are.
const Namespace = "gatehouse.provisioning"

// HookNamespace is where those are whom mode custom asks.
const HookNamespace = "gatehouse.provisioning_hooks"

// defaultAuthority is Caddy's own PKI, with a CA for devices and nothing else.
const defaultAuthority = `{"type":"caddy_pki"}`

// Config says how devices come to certificates.
type Config struct {
	// Who issues them. Default: caddy_pki, with a CA of its own.
	AuthorityRaw json.RawMessage `json:"authority,omitempty" caddy:"namespace=gatehouse.provisioning inline_key=type"`
	// none, which asks for no certificate and believes what it is told; auto, which issues to every app that asks; or custom, which asks
	// the hooks. Required.
	Mode string `json:"mode,omitempty"`
	// What devices that ask for a certificate have to show of themselves. Default: nothing.
	Attestation *Attestation `json:"attestation,omitempty"`
	// Who decides about a device that asks for its first certificate, in mode custom. Default: nobody, so that every app gets one.
	ValidateCSRRaw json.RawMessage `json:"validate_csr,omitempty" caddy:"namespace=gatehouse.provisioning_hooks inline_key=type"`
	// Who decides about a device at each new session, in mode custom. Default: nobody, so that a certificate is enough.
	ValidateCertificateRaw json.RawMessage `json:"validate_certificate,omitempty" caddy:"namespace=gatehouse.provisioning_hooks inline_key=type"`
	// Authorities of other systems, whose certificates devices have. Default: none.
	Former []Former `json:"former,omitempty"`
	// What a key stands for: application, "group NAME" or device. Realms may say otherwise. Default: application.
	Entity string `json:"entity,omitempty"`
	// The applications of each group, by its name.
	Groups map[string][]string `json:"groups,omitempty"`
	// How long certificates are valid. Default: 90 days.
	Validity caddy.Duration `json:"validity,omitempty"`
	// How many devices that nobody knew before may get a certificate in a day, on each node; renewals do not count. Default: 50000.
	NewDevices int `json:"new_devices,omitempty"`
	// How many of them at most from one address. Default: 1000.
	NewDevicesPerAddress int `json:"new_devices_per_address,omitempty"`
	// The address, written into certificates, below which others can ask what was revoked; or off, which tells nobody. Default:
	// provisioning/ below the issuer, where the server answers in any case.
	Status string `json:"status,omitempty"`
}

// Attestation says what devices have to show.
type Attestation struct {
	// The least grade that is enough: hardware, tee or software.
	Minimum string `json:"minimum"`
	// required (without it there is no certificate), preferred (there is none where what is shown is wrong) or record (it is written down).
	// Default: required.
	Mode string `json:"mode,omitempty"`
}

// Realm says what the keys of a realm stand for.
type Realm struct {
	// application, "group NAME" or device. Default: what the provisioning block says.
	Entity string `json:"entity,omitempty"`
	// The least grade that has to have been shown of a certificate's key: hardware, tee or software. Default: nothing has.
	Attestation string `json:"attestation,omitempty"`
}

// Parse reads:
//
//	provisioning {
//		authority               <type> ...
//		mode                    none|auto|custom
//		attestation             hardware|tee|software [required|preferred|record]
//		validate_csr            <type> ...
//		validate_certificate    <type> ...
//		former                  <path> { ... }
//		entity                  application|group <name>|device
//		group                   <name> <application...>
//		validity                <duration>
//		new_devices             <number>
//		new_devices_per_address <number>
//		status    <url>|off
//	}
func Parse(into **Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := new(Config)
		*into = c
		return option.Block{
			Options: map[string]option.Parse{
				"authority":               option.Guest((*[]byte)(&c.AuthorityRaw), Namespace, "type"),
				"mode":                    option.String(&c.Mode),
				"attestation":             c.parseAttestation,
				"validate_csr":            option.Guest((*[]byte)(&c.ValidateCSRRaw), HookNamespace, "type"),
				"validate_certificate":    option.Guest((*[]byte)(&c.ValidateCertificateRaw), HookNamespace, "type"),
				"former":                  c.parseFormer,
				"entity":                  ParseEntity(&c.Entity),
				"group":                   c.parseGroup,
				"validity":                option.Duration(&c.Validity),
				"new_devices":             parseBudget(&c.NewDevices),
				"new_devices_per_address": parseBudget(&c.NewDevicesPerAddress),
				"status":                  option.String(&c.Status),
			},
			Repeat: []string{"group", "former"},
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

// parseAttestation reads: attestation hardware|tee|software [required|preferred|record]
func (c *Config) parseAttestation(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 && len(args) != 2 {
		return d.Err("attestation needs the least grade that is enough, and may have required, preferred or record")
	}
	c.Attestation = &Attestation{Minimum: args[0]}
	if len(args) == 2 {
		c.Attestation.Mode = args[1]
	}
	return nil
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

// parseBudget reads a number that is not zero, which would say nothing.
func parseBudget(into *int) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		err := option.Number(into)(d)
		if err == nil && *into == 0 {
			err = d.Errf("%s is 1 at least", name)
		}
		return err
	}
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
	if err := c.checkMode(); err != nil {
		return err
	}
	if err := provisioning.Groups(c.Groups).Check(); err != nil {
		return err
	}
	if err := c.checkAttestation(applications); err != nil {
		return err
	}
	if err := c.checkFormer(applications); err != nil {
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
	if err := errors.Join(c.checkBudget(), c.checkStatus()); err != nil {
		return err
	}
	_, err := c.entity("")
	return err
}

func (c *Config) checkMode() error {
	hooks := c.ValidateCSRRaw != nil || c.ValidateCertificateRaw != nil
	mode := deviceauth.Mode(c.Mode)
	switch mode {
	case deviceauth.None, deviceauth.Auto, deviceauth.Custom:
	case "":
		return errors.New("mode is missing: none, auto or custom")
	default:
		return fmt.Errorf("mode %q is none of: none, auto, custom", c.Mode)
	}
	switch {
	case mode == deviceauth.None && c.AuthorityRaw != nil:
		return errors.New("mode none issues no certificates: leave authority out")
	case mode == deviceauth.Custom && !hooks:
		return errors.New("mode custom asks a service of yours: name it with validate_csr, validate_certificate or both")
	case mode != deviceauth.Custom && hooks:
		return fmt.Errorf("validate_csr and validate_certificate are for mode custom, and not for mode %s", mode)
	}
	return nil
}

// checkAttestation refuses what nobody could show, or nobody asks for.
func (c *Config) checkAttestation(applications []apps.Config) error {
	if c.Attestation == nil {
		return nil
	}
	switch mode := c.Attestation.mode(); {
	case c.Mode == string(deviceauth.None):
		return errors.New("mode none issues no certificates: leave attestation out")
	case mode != provisioning.AttestationRequired && mode != provisioning.AttestationPreferred && mode != provisioning.AttestationRecord:
		return fmt.Errorf("attestation %s: %q is none of required, preferred and record", c.Attestation.Minimum, mode)
	}
	return apps.CheckAsked(applications, "", attestation.Grade(c.Attestation.Minimum))
}

// mode returns what becomes of a device that shows less; empty where none is asked.
func (a *Attestation) mode() string {
	if a == nil {
		return ""
	}
	return cmp.Or(a.Mode, provisioning.AttestationRequired)
}

// maxNewDevices bounds what may be allowed in a day: more than that is no bound.
const maxNewDevices = 100_000_000

func (c *Config) checkBudget() error {
	for _, n := range []int{c.NewDevices, c.NewDevicesPerAddress} {
		switch {
		case n < 0 || n > maxNewDevices:
			return fmt.Errorf("new_devices and new_devices_per_address are 1 at least and %d at most, not %d", maxNewDevices, n)
		case n > 0 && c.Mode == string(deviceauth.None):
			return errors.New("mode none issues no certificates: leave new_devices and new_devices_per_address out")
		}
	}
	return nil
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
	if guest.Attestation != "" && c.Attestation == nil {
		return errors.New("its authenticator wants to know what a device has shown: say in the provisioning block that attestation is asked")
	}
	if grade := attestation.Grade(guest.Attestation); grade != "" && !grade.AtLeast(attestation.Software) {
		return fmt.Errorf("attestation %q: want hardware, tee or software", grade)
	}
	_, err := c.entity(guest.Entity)
	return err
}
