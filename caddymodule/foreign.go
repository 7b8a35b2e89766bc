// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/validation"
	"github.com/gatehouse-id/gatehouse/validation/remote"
)

// ForeignIssuer is an issuer other than ours whose tokens a site accepts.
type ForeignIssuer struct {
	// The issuer, exactly as it stands in its tokens.
	Issuer string `json:"issuer"`
	// Acceptable audiences. Required: a token for somebody else is no token for this site.
	Audience []string `json:"audience,omitempty"`
	// Where its keys are. Default: what its metadata says.
	JWKS string `json:"jwks,omitempty"`
	// Acceptable signature algorithms. Default: ES256, EdDSA, RS256, PS256.
	Algorithms []string `json:"algorithms,omitempty"`
	// Whether tokens without the type at+jwt (RFC 9068) are accepted.
	AnyType bool `json:"any_type,omitempty"`
}

// fetchTimeout bounds a request for the keys of another issuer.
const fetchTimeout = 10 * time.Second

// validators returns what validates the site's bearer tokens: our own, and those of other issuers beside them.
func (p *Protect) validators() (site.TokenValidator, error) {
	own, err := p.own()
	if err != nil || len(p.Issuers) == 0 {
		return own, err
	}
	all := []*validation.Validator{own}
	for i := range p.Issuers {
		v, err := p.Issuers[i].validator(p.app.logger)
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
		return p.app.server.AccessValidator(), nil
	}
	return p.app.server.Validator(p.Audience)
}

func (i *ForeignIssuer) validator(logger *slog.Logger) (*validation.Validator, error) {
	keys, err := remote.NewKeys(remote.KeysConfig{
		Issuer: i.Issuer, JWKSURI: i.JWKS, Client: &http.Client{Timeout: fetchTimeout}, Now: time.Now,
		Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	c := validation.Config{Issuer: i.Issuer, Audience: i.Audience, Keys: keys, Now: time.Now}
	if i.AnyType {
		c.Typ = validation.TypJWT
	}
	for _, name := range i.Algorithms {
		c.Algs = append(c.Algs, validation.Algorithm(name))
	}
	return validation.New(c)
}
