// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/validation"
)

// validators returns what validates the site's bearer tokens: our own, and those of other issuers beside them.
func (p *Protect) validators() (site.TokenValidator, error) {
	own, err := p.own()
	if err != nil || len(p.Issuers) == 0 {
		return own, err
	}
	all := []*validation.Validator{own}
	for i := range p.Issuers {
		v, err := p.Issuers[i].Validator(p.app.Logger())
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", p.Issuers[i].Issuer, err)
		}
		all = append(all, v)
	}
	return validation.NewIssuers(all...)
}

// own returns the shared validator of our tokens, or one for the audience that the site has for itself.
func (p *Protect) own() (*validation.Validator, error) {
	if len(p.Audience) == 0 || slices.Equal(p.Audience, p.app.Audience) {
		return p.app.Server().AccessValidator(), nil
	}
	return p.app.Server().Validator(p.Audience)
}
