// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// unlisted are clients for which the list of callbacks is switched off.
type unlisted []string

// parse reads "callback_allow_list off <client...>". The clients are named: there is no way to switch the list off for all.
func (u *unlisted) parse(d *caddyfile.Dispenser) error {
	if !d.NextArg() || d.Val() != "off" {
		return d.Err("callback_allow_list is on; to switch it off say \"callback_allow_list off <client...>\"")
	}
	clients := d.RemainingArgs()
	if len(clients) == 0 {
		return d.Err("callback_allow_list off needs the clients for which it is off")
	}
	*u = append(*u, clients...)
	return nil
}

// check refuses clients that are not there: whoever has misspelt one would believe the list to be off.
func (u unlisted) check(known restapi.Clients) error {
	for _, id := range u {
		if known == nil || !slices.ContainsFunc(known.List(), func(c wire.Client) bool { return c.ID == id }) {
			return fmt.Errorf("callback_allow_list: there is no client %q", id)
		}
	}
	return nil
}
