// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/twilio"
)

func init() { caddy.RegisterModule(Twilio{}) }

// Twilio sends text messages through Twilio.
type Twilio struct {
	// The account: AC and 32 digits.
	AccountSID string `json:"account_sid,omitempty"`
	// The account's primary auth token, usually {env.NAME} or {file.PATH}. Reports of deliveries need it.
	AuthToken string `json:"auth_token,omitempty"`
	// An API key, SK and 32 digits, and its secret, which requests carry instead of the auth token.
	KeySID    string `json:"key_sid,omitempty"`
	KeySecret string `json:"key_secret,omitempty"`
	// The sender: a number, a short code or a name.
	From string `json:"from,omitempty"`
	// A pool of senders instead: MG and 32 digits.
	MessagingService string `json:"messaging_service,omitempty"`
	// Where Twilio tells what became of messages: <issuer>/sms/reports/<name>/<secret>. Default: nowhere.
	StatusCallback string `json:"status_callback,omitempty"`
	// Whether Twilio discards texts after it has sent them. The account must have that.
	Redact bool `json:"redact,omitempty"`
	// Whether Twilio replaces characters that would make a message dearer.
	SmartEncoded bool `json:"smart_encoded,omitempty"`
	// enable or disable Twilio's guard against pumping. Default: as the account says.
	RiskCheck string `json:"risk_check,omitempty"`
	Outward

	reported `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (Twilio) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.sms.twilio", New: func() caddy.Module { return new(Twilio) }}
}

// Provision builds the sender. It connects to nothing.
func (m *Twilio) Provision(ctx caddy.Context) error {
	c, err := m.config(ctx.Slogger())
	if err != nil {
		return fmt.Errorf("twilio: %w", err)
	}
	sender, err := twilio.New(c)
	if err != nil {
		return fmt.Errorf("twilio: %w", err)
	}
	m.reported, m.close = reported{Sender: sender, Reporter: sender, address: c.StatusCallback}, sender.Close
	return nil
}

func (m *Twilio) config(logger *slog.Logger) (c twilio.Config, err error) {
	to, err := m.resolve()
	if err != nil {
		return c, err
	}
	c = twilio.Config{
		Redact: m.Redact, SmartEncoded: m.SmartEncoded, BaseURL: to.endpoint, Proxy: to.proxy, Roots: to.roots, Timeout: to.timeout,
		Places: to.places, Now: time.Now,
	}
	for _, o := range []struct {
		name, text string
		into       *string
	}{
		{"account_sid", m.AccountSID, &c.AccountSID}, {"key_sid", m.KeySID, &c.KeySID}, {"from", m.From, &c.From},
		{"messaging_service", m.MessagingService, &c.MessagingService}, {"status_callback", m.StatusCallback, &c.StatusCallback},
		{"risk_check", m.RiskCheck, &c.RiskCheck},
	} {
		if *o.into, err = known(o.text, o.name); err != nil {
			return c, err
		}
	}
	if c.AuthToken, err = password(m.AuthToken, "auth_token", logger); err != nil {
		return c, err
	}
	c.KeySecret, err = password(m.KeySecret, "key_secret", logger)
	return c, err
}

// password resolves a secret that need not be there.
func password(text, of string, logger *slog.Logger) (sms.Secret, error) {
	if text == "" {
		return "", nil
	}
	resolved, err := secret.Resolve(text, of, logger)
	if err != nil {
		return "", fmt.Errorf("%s: %w", of, err)
	}
	return sms.Secret(resolved), nil
}

// UnmarshalCaddyfile reads:
//
//	twilio {
//		account_sid       <sid>
//		auth_token        <token>
//		key_sid           <sid>
//		key_secret        <secret>
//		from              <sender>
//		messaging_service <sid>
//		status_callback   <url>
//		redact
//		smart_encoded
//		risk_check        enable|disable
//		endpoint          <url>
//		proxy             <url>
//		ca_file           <path>
//		time_out          <duration>
//		places            <number>
//	}
func (m *Twilio) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{Options: m.options(map[string]option.Parse{
		"account_sid": option.String(&m.AccountSID), "auth_token": option.String(&m.AuthToken), "key_sid": option.String(&m.KeySID),
		"key_secret": option.String(&m.KeySecret), "from": option.String(&m.From),
		"messaging_service": option.String(&m.MessagingService), "status_callback": option.String(&m.StatusCallback),
		"redact": option.Flag(&m.Redact), "smart_encoded": option.Flag(&m.SmartEncoded), "risk_check": option.String(&m.RiskCheck),
	})})
}

// Interface guards.
var (
	_ sms.Sender            = (*Twilio)(nil)
	_ sms.Reporter          = (*Twilio)(nil)
	_ caddy.Provisioner     = (*Twilio)(nil)
	_ caddy.CleanerUpper    = (*Twilio)(nil)
	_ caddyfile.Unmarshaler = (*Twilio)(nil)
)
