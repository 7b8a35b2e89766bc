// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"maps"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// Mapping says which of the values that a guest knows about somebody become what of the user.
type Mapping struct {
	// The value that is the user's id, by which he is found again.
	ID string `json:"id,omitempty"`
	// The value that is the name to show. Default: none.
	Name string `json:"name,omitempty"`
	// The user's attributes, each with the name of the value that it holds.
	Attributes map[string]string `json:"attributes,omitempty"`
	// The authentication methods (RFC 8176) that tokens tell of.
	AMR []string `json:"amr,omitempty"`
}

// options returns the Caddyfile's options for a mapping, and others.
func (m *Mapping) options(others map[string]option.Parse) option.Block {
	options := map[string]option.Parse{
		"id": option.String(&m.ID), "name": option.String(&m.Name), "attribute": option.Pair(&m.Attributes), "amr": option.Strings(&m.AMR),
	}
	maps.Copy(options, others)
	return option.Block{Options: options, Repeat: []string{"attribute"}}
}

// read reads the block that ends a guest's line and has check look at its options together, as far as the Caddyfile alone tells.
func read(d *caddyfile.Dispenser, b option.Block, check func() error) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	places := new(option.Places)
	b.Places = places
	if err := b.Parse(d); err != nil {
		return err
	}
	if err := check(); err != nil {
		return places.Wrap(err)
	}
	return nil
}

func (m *Mapping) mapping() realm.Mapping {
	return realm.Mapping{ID: m.ID, Name: m.Name, Attributes: m.Attributes, AMR: m.AMR}
}
