// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// Parse reads:
//
//	registration {
//		admit              either|both|anyone
//		unused             <duration>
//		per_address        <number> <interval>
//		per_token          <number> <interval>
//		per_day            <number>
//		application        <id> { ... }
//		software_statement <issuer> { ... }
//	}
func Parse(into **Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := new(Config)
		*into = c
		return option.Block{
			Options: map[string]option.Parse{
				"admit":              option.String(&c.Admit),
				"unused":             option.Duration(&c.Unused),
				"per_address":        parseRate(&c.PerAddress),
				"per_token":          parseRate(&c.PerToken),
				"per_day":            option.Number(&c.PerDay),
				"application":        c.parseApplication,
				"software_statement": c.parseStatement,
			},
			Repeat: []string{"application", "software_statement"},
		}.Parse(d)
	}
}

// parseRate reads a number and an interval.
func parseRate(into **Rate) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		r := new(Rate)
		*into = r
		if err := option.Number(&r.Burst)(d); err != nil {
			return err
		}
		return option.Duration(&r.Every)(d)
	}
}

// parseApplication reads:
//
//	application <id> {
//		name                        <text>
//		redirect_uri                <uri...>
//		post_logout_redirect_uri    <uri...>
//		grants                      <grant type...>
//		scopes                      <scope...>
//		default_scopes              <scope...>
//		authorization_details_types <type...>
//		audience                    <audience...>
//		first_party
//		native
//		dpop_bound_access_tokens
//		access_ttl                  <duration>
//		refresh_ttl                 <duration>
//		id_token_alg                <algorithm>
//		attestation                 hardware|tee|software
//	}
func (c *Config) parseApplication(d *caddyfile.Dispenser) error {
	var a Application
	if err := option.String(&a.ID)(d); err != nil {
		return err
	}
	err := option.Block{
		Options: map[string]option.Parse{
			"name":                        option.String(&a.Name),
			"redirect_uri":                option.Strings(&a.RedirectURIs),
			"post_logout_redirect_uri":    option.Strings(&a.PostLogoutRedirectURIs),
			"grants":                      option.Strings(&a.Grants),
			"scopes":                      option.Strings(&a.Scopes),
			"default_scopes":              option.Strings(&a.DefaultScopes),
			"authorization_details_types": option.Strings(&a.DetailTypes),
			"audience":                    option.Strings(&a.Audience),
			"first_party":                 option.Flag(&a.FirstParty),
			"native":                      option.Flag(&a.Native),
			"dpop_bound_access_tokens":    option.Flag(&a.BoundTokens),
			"access_ttl":                  option.Duration(&a.AccessTTL),
			"refresh_ttl":                 option.Duration(&a.RefreshTTL),
			"id_token_alg":                option.String(&a.IDTokenAlg),
			"attestation":                 option.String(&a.Attestation),
		},
		Repeat: []string{"redirect_uri", "post_logout_redirect_uri", "scopes"},
	}.Parse(d)
	c.Applications = append(c.Applications, a)
	return err
}

// parseStatement reads:
//
//	software_statement <issuer> {
//		jwks_file    <path>
//		may          <member...>
//		applications <id...>
//	}
func (c *Config) parseStatement(d *caddyfile.Dispenser) error {
	var s Statement
	if err := option.String(&s.Issuer)(d); err != nil {
		return err
	}
	err := option.Block{Options: map[string]option.Parse{
		"jwks_file":    option.String(&s.JWKSFile),
		"may":          option.Strings(&s.May),
		"applications": option.Strings(&s.Applications),
	}}.Parse(d)
	c.Statements = append(c.Statements, s)
	return err
}
