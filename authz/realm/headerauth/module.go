// SPDX-License-Identifier: Apache-2.0

package headerauth

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Reasons of a refusal.
const (
	reasonNoHeader = "no_header"
	reasonNoID     = "unusable_id"
)

// Module is a login module: who an authenticator has found out by itself is who it is. It is safe for concurrent use.
type Module struct {
	mapping realm.Mapping
}

// keyPrimary holds the authenticator's own id among the values of a mapping. No header field has such a name.
const keyPrimary = ":id"

// NewModule returns a module, or an error that names what does not fit. The values that the mapping names are header fields;
// without an ID the field that the authenticator is about is the id.
func NewModule(m realm.Mapping) (*Module, error) {
	module := &Module{mapping: realm.Mapping{ID: keyPrimary, AMR: slices.Clone(m.AMR), Attributes: map[string]string{}}}
	var err error
	if m.ID != "" {
		if module.mapping.ID, err = field(m.ID); err != nil {
			return nil, err
		}
	}
	if m.Name != "" {
		if module.mapping.Name, err = field(m.Name); err != nil {
			return nil, err
		}
	}
	for attribute, from := range m.Attributes {
		if module.mapping.Attributes[attribute], err = field(from); err != nil {
			return nil, fmt.Errorf("attribute %q: %w", attribute, err)
		}
	}
	if err := module.mapping.Check(); err != nil {
		return nil, fmt.Errorf("reading header fields: %w", err)
	}
	return module, nil
}

// Verify accepts the identity that the authenticator is sure of, and refuses when it has none: what callers answer does not
// count here.
func (m *Module) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Identity == nil || c.Identity.ExternalID == "" {
		return realm.Result{Status: realm.Refused, Reason: reasonNoHeader}, nil
	}
	values := maps.Clone(c.Identity.Attributes)
	if values == nil {
		values = map[string]string{}
	}
	values[keyPrimary] = c.Identity.ExternalID
	identity, ok := m.mapping.Identity(values)
	if !ok {
		return realm.Result{Status: realm.Refused, Reason: reasonNoID}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}
