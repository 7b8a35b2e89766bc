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
	"github.com/gatehouse-id/gatehouse/mobileauth/push/fcm"
)

func init() { caddy.RegisterModule(FCM{}) }

// FCM notifies phones with Google's services by Firebase Cloud Messaging, by its HTTP v1 API.
type FCM struct {
	// The file of a service account of the Firebase project, as Google's console writes it. It needs the role "Firebase Cloud
	// Messaging API Admin" and no other.
	ServiceAccountFile string `json:"service_account_file,omitempty"`
	// The hosts that the account may be told to fetch its tokens from. Default: Google's.
	TokenHosts []string `json:"token_hosts,omitempty"`
	// The server key of the API that Google switched off in 2024. It is refused with what to do instead.
	ServerKey string `json:"server_key,omitempty"`
	Outward

	push.Sender `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (FCM) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.push.fcm", New: func() caddy.Module { return new(FCM) }}
}

// errServerKey says what to do.
var errServerKey = errors.New("server_key: Google switched that API off in 2024. In the Firebase console, under project settings and " +
	"service accounts, generate a private key and name its file: service_account_file <path>")

// Provision reads the service account. It connects to nothing.
func (m *FCM) Provision(caddy.Context) error {
	c, err := m.config()
	if err != nil {
		return fmt.Errorf("fcm: %w", err)
	}
	sender, err := fcm.New(c)
	if err != nil {
		return fmt.Errorf("fcm: %w", err)
	}
	m.Sender, m.close = sender, sender.Close
	return nil
}

func (m *FCM) config() (c fcm.Config, err error) {
	if m.ServerKey != "" {
		return c, errServerKey
	}
	to, err := m.resolve()
	if err != nil {
		return c, err
	}
	c = fcm.Config{
		BaseURL: to.endpoint, Proxy: to.proxy, Roots: to.roots, Timeout: to.timeout, Places: to.places, Now: time.Now,
	}
	if m.ServiceAccountFile == "" {
		return c, errors.New("it needs the file of a service account: service_account_file <path>")
	}
	data, err := readFile(m.ServiceAccountFile, "service_account_file")
	if err != nil {
		return c, err
	}
	if len(m.TokenHosts) > 0 {
		c.Account, err = fcm.ParseServiceAccountFor(data, m.TokenHosts...)
	} else {
		c.Account, err = fcm.ParseServiceAccount(data)
	}
	return c, err
}

// UnmarshalCaddyfile reads:
//
//	fcm {
//		service_account_file <path>
//		token_host           <host...>
//		endpoint             <url>
//		proxy                <url>
//		ca_file              <path>
//		time_out             <duration>
//		places               <number>
//	}
func (m *FCM) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	err := read(d, option.Block{Options: m.options(map[string]option.Parse{
		"service_account_file": option.String(&m.ServiceAccountFile), "token_host": option.Strings(&m.TokenHosts),
		"server_key": option.String(&m.ServerKey),
	})})
	if err == nil && m.ServerKey != "" {
		return d.WrapErr(errServerKey)
	}
	return err
}

// Interface guards.
var (
	_ push.Sender           = (*FCM)(nil)
	_ caddy.Provisioner     = (*FCM)(nil)
	_ caddy.CleanerUpper    = (*FCM)(nil)
	_ caddyfile.Unmarshaler = (*FCM)(nil)
)
