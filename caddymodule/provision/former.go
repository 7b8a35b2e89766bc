// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/former"
)

// Former is an authority of another system: devices that have a certificate of it renew that one to a certificate of ours, once.
type Former struct {
	// A file with its certificates, in PEM. Required.
	CAFile string `json:"ca_file,omitempty"`
	// What names the device in a certificate: a part of the subject, such as CN or UID, or an object identifier. Required.
	Device string `json:"device,omitempty"`
	// What its certificates stand for here. Required.
	StandsFor []StandsFor `json:"stands_for,omitempty"`
	// A file with the devices that the other system has blocked, and the certificates that it has revoked: "device NAME" or "serial HEX" in
	// each line. Default: none.
	BlockedFile string `json:"blocked_file,omitempty"`
	// Takes certificates that are signed with SHA-1, too. Default: off.
	SHA1 bool `json:"sha1,omitempty"`
}

// StandsFor says what the certificates with a name stand for, or, without one, all of them.
type StandsFor struct {
	// application, "group NAME" or device. Required.
	Entity string `json:"entity,omitempty"`
	// The application, where that is the entity.
	Application string `json:"application,omitempty"`
	// The part of the subject, or the object identifier, that names it, and its value. Default: all certificates.
	Attribute string `json:"attribute,omitempty"`
	// The value of the attribute.
	Value string `json:"value,omitempty"`
}

// parseFormer reads:
//
//	former <path> {
//		device     <attribute>
//		stands_for application <id>|group <name>|device [<attribute> <value>]
//		blocked    <path>
//		sha1
//	}
func (c *Config) parseFormer(d *caddyfile.Dispenser) error {
	var f Former
	if err := option.String(&f.CAFile)(d); err != nil {
		return err
	}
	if d.CountRemainingArgs() > 0 {
		return d.ArgErr()
	}
	err := option.Block{
		Options: map[string]option.Parse{
			"device": option.String(&f.Device), "stands_for": f.parseStandsFor, "blocked": option.String(&f.BlockedFile), "sha1": option.Flag(&f.SHA1),
		},
		Repeat: []string{"stands_for"},
	}.Parse(d)
	c.Former = append(c.Former, f)
	return err
}

// parseStandsFor reads: stands_for application <id>|group <name>|device [<attribute> <value>]
func (f *Former) parseStandsFor(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	var s StandsFor
	switch {
	case len(args) > 1 && args[0] == string(provisioning.KindApplication):
		s.Entity, s.Application, args = args[0], args[1], args[2:]
	case len(args) > 1 && args[0] == string(provisioning.KindGroup):
		s.Entity, args = args[0]+" "+args[1], args[2:]
	case len(args) > 0 && args[0] == string(provisioning.KindDevice):
		s.Entity, args = args[0], args[1:]
	default:
		return d.Err("stands_for needs application or group with its name, or device")
	}
	switch len(args) {
	case 0:
	case 2:
		s.Attribute, s.Value = args[0], args[1]
	default:
		return d.Err("stands_for needs a name and its value, such as OU com.example.bank, or neither")
	}
	f.StandsFor = append(f.StandsFor, s)
	return nil
}

// authority is what is known of it before the server runs.
func (f *Former) authority() (a former.Authority, err error) {
	if f.Device != "" {
		if a.Device, err = former.ParseAttribute(f.Device); err != nil {
			return a, err
		}
	}
	for _, s := range f.StandsFor {
		r := former.Rule{Value: s.Value, Application: s.Application}
		if s.Attribute != "" {
			if r.Attribute, err = former.ParseAttribute(s.Attribute); err != nil {
				return a, err
			}
		}
		if r.Entity, err = provisioning.ParseEntity(s.Entity); err != nil {
			return a, err
		}
		a.Rules = append(a.Rules, r)
	}
	a.SHA1 = f.SHA1
	return a, a.Check()
}

// checkFormer refuses authorities of others that nobody could use.
func (c *Config) checkFormer(applications []apps.Config) error {
	for i := range c.Former {
		f := &c.Former[i]
		err := c.checkOneFormer(f, applications)
		if err != nil {
			return fmt.Errorf("former %q: %w", f.CAFile, err)
		}
	}
	return nil
}

func (c *Config) checkOneFormer(f *Former, applications []apps.Config) error {
	switch {
	case c.Mode == string(deviceauth.None):
		return errors.New("mode none issues no certificates: leave former out")
	case f.CAFile == "":
		return errors.New("ca_file is missing: it says who has issued the certificates")
	}
	a, err := f.authority()
	if err != nil {
		return err
	}
	for _, r := range a.Rules {
		known := slices.ContainsFunc(applications, func(a apps.Config) bool { return a.ID == r.Application })
		switch {
		case r.Entity.Kind == provisioning.KindApplication && !known:
			return fmt.Errorf("stands_for: application %q is not defined", r.Application)
		case r.Entity.Kind == provisioning.KindGroup && c.Groups[r.Entity.Group] == nil:
			return fmt.Errorf("stands_for: there is no group %q", r.Entity.Group)
		}
	}
	return nil
}

// former reads the files, and returns who judges the certificates of others; nil where there are none.
func (s *Side) former() (provisioning.Former, error) {
	var all []former.Authority
	for i := range s.config.Former {
		f := &s.config.Former[i]
		a, err := f.authority()
		if err == nil {
			a.Certificates, err = f.issuers()
		}
		if err == nil {
			a.Blocked, err = f.blocked()
		}
		if err != nil {
			return nil, fmt.Errorf("former %q: %w", f.CAFile, err)
		}
		all = append(all, a)
		s.parts.Logger.Info("provisioning: certificates of a former authority are renewed", "ca_file", f.CAFile, "blocked", a.Blocked.Len(), "sha1", a.SHA1)
	}
	if len(all) == 0 {
		return nil, nil
	}
	judge, err := former.New(all...)
	if err != nil {
		return nil, err
	}
	return judge, nil
}

func (f *Former) issuers() ([]*x509.Certificate, error) {
	file, err := os.Open(caddy.NewReplacer().ReplaceAll(f.CAFile, ""))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it is only read
	text, err := io.ReadAll(io.LimitReader(file, former.MaxFile+1))
	if err != nil {
		return nil, err
	}
	return former.ParseIssuers(text)
}

func (f *Former) blocked() (former.Blocked, error) {
	if f.BlockedFile == "" {
		return former.Blocked{}, nil
	}
	file, err := os.Open(caddy.NewReplacer().ReplaceAll(f.BlockedFile, ""))
	if err != nil {
		return former.Blocked{}, err
	}
	defer func() { _ = file.Close() }() // it is only read
	list, err := former.ReadBlocked(file)
	if err != nil {
		return former.Blocked{}, fmt.Errorf("blocked %q: %w", f.BlockedFile, err)
	}
	return list, nil
}
