// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
)

func init() { caddy.RegisterModule(APNs{}) }

// APNs notifies iPhones and Macs by Apple's push service. One key serves all applications of a team, in production and in
// development.
type APNs struct {
	// The id of the team at Apple's: ten letters and digits.
	TeamID string `json:"team_id,omitempty"`
	// The id of the key: ten letters and digits.
	KeyID string `json:"key_id,omitempty"`
	// The file of the key, AuthKey_KEYID.p8.
	KeyFile string `json:"key_file,omitempty"`
	// The file of a certificate instead of a key, .p12 or PEM. It ends after a year and serves one application: prefer a key.
	CertificateFile string `json:"certificate_file,omitempty"`
	// The password of a .p12 file, usually {env.NAME} or {file.PATH}.
	CertificatePassword string `json:"certificate_password,omitempty"`
	// The address of the service for builds in development, where it is not the provider's own.
	SandboxEndpoint string `json:"sandbox_endpoint,omitempty"`
	// The names of the texts in the app that the phone shows. Default: GATEHOUSE_TITLE and GATEHOUSE_BODY.
	TitleKey string `json:"title_key,omitempty"`
	BodyKey  string `json:"body_key,omitempty"`
	// The sound, and the category of the notification in the app. Default: default and APPROVAL.
	Sound    string `json:"sound,omitempty"`
	Category string `json:"category,omitempty"`
	Outward

	push.Sender `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (APNs) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.push.apns", New: func() caddy.Module { return new(APNs) }}
}

// Provision reads the credential. It connects to nothing.
func (m *APNs) Provision(ctx caddy.Context) error {
	c, err := m.config(ctx.Slogger())
	if err != nil {
		return fmt.Errorf("apns: %w", err)
	}
	sender, err := apns.New(c)
	if err != nil {
		return fmt.Errorf("apns: %w", err)
	}
	m.Sender, m.close = sender, sender.Close
	return nil
}

func (m *APNs) config(logger *slog.Logger) (c apns.Config, err error) {
	to, err := m.resolve()
	if err != nil {
		return c, err
	}
	c = apns.Config{
		BaseURL: to.endpoint, Proxy: to.proxy, Roots: to.roots, Timeout: to.timeout, Places: to.places, Now: time.Now,
		Alert: apns.Alert{Title: m.TitleKey, Body: m.BodyKey, Sound: m.Sound, Category: m.Category},
	}
	if c.SandboxURL, err = known(m.SandboxEndpoint, "sandbox_endpoint"); err != nil {
		return c, err
	}
	if c.TeamID, err = known(m.TeamID, "team_id"); err != nil {
		return c, err
	}
	if c.KeyID, err = known(m.KeyID, "key_id"); err != nil {
		return c, err
	}
	switch {
	case (m.KeyFile == "") == (m.CertificateFile == ""):
		return c, errors.New("it needs a key_file with team_id and key_id, or else a certificate_file")
	case m.KeyFile != "":
		c.Key, err = m.key()
	default:
		logger.Warn("a certificate for Apple's push service ends after a year; a key (key_file, team_id, key_id) does not")
		c.Certificate, err = m.certificate(logger)
	}
	return c, err
}

func (m *APNs) key() (*apns.Key, error) {
	data, err := readFile(m.KeyFile, "key_file")
	if err != nil {
		return nil, err
	}
	return apns.ParseKey(data)
}

func (m *APNs) certificate(logger *slog.Logger) (*apns.Certificate, error) {
	data, err := readFile(m.CertificateFile, "certificate_file")
	if err != nil {
		return nil, err
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return apns.ParseCertificate(data)
	}
	password := m.CertificatePassword
	if password != "" {
		if password, err = secret.Resolve(password, "certificate_password", logger); err != nil {
			return nil, fmt.Errorf("certificate_password: %w", err)
		}
	}
	return apns.ParsePKCS12(data, password)
}

// UnmarshalCaddyfile reads:
//
//	apns {
//		team_id              <id>
//		key_id               <id>
//		key_file             <path>
//		certificate_file     <path>
//		certificate_password <password>
//		sandbox_endpoint     <url>
//		title_key            <name>
//		body_key             <name>
//		sound                <name>
//		category             <name>
//		endpoint             <url>
//		proxy                <url>
//		ca_file              <path>
//		time_out             <duration>
//		places               <number>
//	}
func (m *APNs) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{Options: m.options(map[string]option.Parse{
		"team_id": option.String(&m.TeamID), "key_id": option.String(&m.KeyID), "key_file": option.String(&m.KeyFile),
		"certificate_file": option.String(&m.CertificateFile), "certificate_password": option.String(&m.CertificatePassword),
		"sandbox_endpoint": option.String(&m.SandboxEndpoint), "title_key": option.String(&m.TitleKey),
		"body_key": option.String(&m.BodyKey), "sound": option.String(&m.Sound), "category": option.String(&m.Category),
	})})
}

// Interface guards.
var (
	_ push.Sender           = (*APNs)(nil)
	_ caddy.Provisioner     = (*APNs)(nil)
	_ caddy.CleanerUpper    = (*APNs)(nil)
	_ caddyfile.Unmarshaler = (*APNs)(nil)
)
