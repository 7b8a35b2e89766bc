// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
)

func init() { caddy.RegisterModule(Mobile{}) }

// Mobile asks people on their phones. It needs no login module beside it.
type Mobile struct {
	phones.Realm

	guest *challenge.Guest
}

// CaddyModule returns the Caddy module information.
func (Mobile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID: caddy.ModuleID("gatehouse.authenticators." + phones.Authenticator), New: func() caddy.Module { return new(Mobile) },
	}
}

// UsePhones takes the mobile side.
func (m *Mobile) UsePhones(side func() *challenge.Phones) (err error) {
	config := m.Challenge()
	config.Phones, config.Now = side, time.Now
	m.guest, err = challenge.New(config)
	return err
}

// ShowsTransaction tells that the phone shows what is approved.
func (m *Mobile) ShowsTransaction() bool { return true }

// Collect asks.
func (m *Mobile) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return m.guest.Collect(ctx, in)
}

// Verify redeems what was approved.
func (m *Mobile) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.guest.Verify(ctx, c)
}

// Watch waits for news from the phone.
func (m *Mobile) Watch(ctx context.Context, in realm.Input, since string, most time.Duration) (bool, error) {
	return m.guest.Watch(ctx, in, since, most)
}

// Withdraw takes a question back.
func (m *Mobile) Withdraw(ctx context.Context, in realm.Input) error {
	return m.guest.Withdraw(ctx, in)
}

// UnmarshalCaddyfile reads:
//
//	mobile <type> {
//		also     <type...>
//		fallback <any|same_or_higher|none>
//		attestation <hardware|tee|software>
//	}
func (m *Mobile) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&m.MobileType)(d); err != nil {
		return err
	}
	return option.Block{Options: map[string]option.Parse{
		"also": option.Strings(&m.Also), "fallback": option.String(&m.Fallback),
		"attestation": option.String(&m.Attestation),
	}}.Parse(d)
}

// Interface guards.
var (
	_ realm.Authenticator    = (*Mobile)(nil)
	_ realm.ShowsTransaction = (*Mobile)(nil)
	_ realm.LoginModule      = (*Mobile)(nil)
	_ realm.Watcher          = (*Mobile)(nil)
	_ realm.Withdrawer       = (*Mobile)(nil)
	_ caddymodule.PhoneUser  = (*Mobile)(nil)
	_ caddyfile.Unmarshaler  = (*Mobile)(nil)
)
