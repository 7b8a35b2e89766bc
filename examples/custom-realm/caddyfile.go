// SPDX-License-Identifier: Apache-2.0

package customrealm

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// UnmarshalCaddyfile reads: badge
func (*Badge) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.Next(); d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// UnmarshalCaddyfile reads: magic_word <word>
func (m *MagicWord) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.Next(); !d.AllArgs(&m.Word) {
		return d.ArgErr()
	}
	return nil
}

// The compiler says when a guest does not fit.
var (
	_ realm.Authenticator   = (*Badge)(nil)
	_ realm.LoginModule     = (*MagicWord)(nil)
	_ caddy.Provisioner     = (*MagicWord)(nil)
	_ caddyfile.Unmarshaler = (*Badge)(nil)
	_ caddyfile.Unmarshaler = (*MagicWord)(nil)
)
