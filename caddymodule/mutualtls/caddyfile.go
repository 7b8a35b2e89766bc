// SPDX-License-Identifier: Apache-2.0

package mutualtls

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// Parse reads:
//
//	mutual_tls [<origin>] {
//		ca_file <path>
//		from_proxy
//	}
func Parse(into **Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := new(Config)
		*into = c
		if d.NextArg() {
			c.Origin = d.Val()
		}
		return option.Block{Options: map[string]option.Parse{
			"ca_file": option.String(&c.CAFile), "from_proxy": option.Flag(&c.FromProxy),
		}}.Parse(d)
	}
}

// ParseName reads a kind of name and the name.
func ParseName(into **Name) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Err("tls_client_auth needs a kind of name, such as san_dns, and the name")
		}
		*into = &Name{Kind: args[0], Value: args[1]}
		return nil
	}
}
