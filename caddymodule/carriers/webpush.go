// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
)

func init() { caddy.RegisterModule(WebPush{}) }

// WebPush notifies browsers, and phones without the services of Apple and Google (UnifiedPush).
type WebPush struct {
	// The files of the VAPID keys: PEM, JWK, or what other libraries print. New subscriptions are made with the first; the others are
	// kept for the subscriptions that were made with them.
	KeyFiles []string `json:"vapid_key_files,omitempty"`
	// How the services reach the operator: a mailto: or https: address.
	Contact string `json:"contact,omitempty"`
	// The hosts at which subscriptions may be, *.example.com for all below one. Default: any.
	Hosts []string `json:"hosts,omitempty"`
	// The addresses and networks, beside the public ones, that those hosts may stand for.
	Allow []string `json:"allow,omitempty"`
	// What browsers show by themselves. Default: the page's worker decides.
	Declarative *Declarative `json:"declarative,omitempty"`
	Proxied

	push.Sender `json:"-"`
}

// Declarative is what a browser shows by itself, the same for every question (Declarative Web Push).
type Declarative struct {
	// The title, and the text below it.
	Title string `json:"title"`
	Body  string `json:"body,omitempty"`
	// The page that is opened, with the id of the operation as its parameter "operation".
	Navigate string `json:"navigate"`
}

// CaddyModule returns the Caddy module information.
func (WebPush) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.push.webpush", New: func() caddy.Module { return new(WebPush) }}
}

// Provision reads the keys. It connects to nothing.
func (m *WebPush) Provision(ctx caddy.Context) error {
	c, err := m.config()
	if err != nil {
		return fmt.Errorf("webpush: %w", err)
	}
	sender, err := webpush.New(c)
	if err != nil {
		return fmt.Errorf("webpush: %w", err)
	}
	m.Sender, m.close = sender, sender.Close
	if len(m.Hosts) == 0 {
		ctx.Slogger().Warn("webpush: devices may name any public host for their subscriptions: list those of browsers you serve with hosts")
	}
	return nil
}

func (m *WebPush) config() (c webpush.Config, err error) {
	to, err := m.resolve()
	if err != nil {
		return c, err
	}
	c = webpush.Config{Hosts: m.Hosts, Proxy: to.proxy, Roots: to.roots, Timeout: to.timeout, Places: to.places, Now: time.Now}
	if len(m.KeyFiles) == 0 {
		return c, errors.New("it needs the file of a VAPID key: vapid_key_file <path>")
	}
	for _, path := range m.KeyFiles {
		data, err := readFile(path, "vapid_key_file")
		if err != nil {
			return c, err
		}
		key, err := webpush.ParseKey(data)
		if err != nil {
			return c, fmt.Errorf("vapid_key_file %q: %w", path, err)
		}
		c.Keys = append(c.Keys, key)
	}
	if m.Contact == "" {
		return c, errors.New("it needs the address at which the services reach you: contact mailto:<address>, or an https address")
	}
	if c.Subject, err = known(m.Contact, "contact"); err != nil {
		return c, err
	}
	if d := m.Declarative; d != nil {
		c.Declarative = &webpush.Declarative{Title: d.Title, Body: d.Body, Navigate: d.Navigate}
	}
	c.Allow, err = option.Networks("allow", m.Allow)
	return c, err
}

// UnmarshalCaddyfile reads:
//
//	webpush {
//		vapid_key_file <path...>
//		contact        <address>
//		hosts          <host...>
//		allow          <address...>
//		declarative    {
//			title    <text>
//			body     <text>
//			navigate <url>
//		}
//		proxy          <url>
//		ca_file        <path>
//		time_out       <duration>
//		places         <number>
//	}
func (m *WebPush) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{
		Options: m.options(map[string]option.Parse{
			"vapid_key_file": option.Strings(&m.KeyFiles), "contact": option.String(&m.Contact), "hosts": option.Strings(&m.Hosts),
			"allow": option.Strings(&m.Allow), "declarative": m.parseDeclarative,
		}),
		Repeat: []string{"vapid_key_file", "allow"},
	})
}

func (m *WebPush) parseDeclarative(d *caddyfile.Dispenser) error {
	shown := new(Declarative)
	m.Declarative = shown
	return option.Block{Options: map[string]option.Parse{
		"title": option.String(&shown.Title), "body": option.String(&shown.Body), "navigate": option.String(&shown.Navigate),
	}}.Parse(d)
}

// Interface guards.
var (
	_ push.Sender           = (*WebPush)(nil)
	_ caddy.Provisioner     = (*WebPush)(nil)
	_ caddy.CleanerUpper    = (*WebPush)(nil)
	_ caddyfile.Unmarshaler = (*WebPush)(nil)
)
