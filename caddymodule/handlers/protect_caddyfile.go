// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/foreign"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// parseProtect reads: protect [<matcher>] [<scope...>] { ... }
//
// It makes one route, and with a matcher a second for the requests that it does not match.
func parseProtect(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	app, err := caddymodule.Declared(h)
	if err != nil {
		return nil, err
	}
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	p := new(Protect)
	if err := p.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if err := p.check(app); err != nil {
		return nil, p.places.Wrap(err)
	}
	routes := h.NewRoute(matcher, p)
	if matcher != nil {
		routes = append(routes, h.NewRoute(nil, new(SiteEndpoints))...)
	}
	return routes, nil
}

// UnmarshalCaddyfile reads what follows the matcher:
//
//	protect [<matcher>] [<scope...>] {
//		scope            <scope...>
//		any_scope        <scope...>
//		acr              <level...>
//		max_age          <duration>
//		audience         <audience...>
//		session          on|off [<origin...>]
//		dpop             accepted|required [<origin...>]
//		optional
//		off
//		issuer           <url> { ... }
//		identity_headers { <header> <claim> }
//		confirm          <type> { ... }
//		details          <type> { ... }
//		assertion        <audience>
//		forward_token
//		lenient_paths
//		streams          close|revoked|keep
//	}
func (p *Protect) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.Val() == "" {
		d.Next() // the directive's name
	}
	p.Scopes = d.RemainingArgs()
	return option.Block{
		Options: map[string]option.Parse{
			"scope":            option.Strings(&p.Scopes),
			"any_scope":        option.Strings(&p.AnyScope),
			"acr":              option.Strings(&p.ACR),
			"max_age":          p.parseMaxAge,
			"audience":         option.Strings(&p.Audience),
			"session":          p.parseSession,
			"dpop":             p.parseDPoP,
			"optional":         option.Flag(&p.Optional),
			"off":              option.Flag(&p.Off),
			"issuer":           p.parseIssuer,
			"identity_headers": p.parseIdentityHeaders,
			"confirm":          confirming.Parse(&p.Confirm),
			"details":          approvals.ParseRule(&p.Details),
			"assertion":        option.String(&p.Assertion),
			"forward_token":    option.Flag(&p.ForwardToken),
			"lenient_paths":    option.Flag(&p.LenientPaths),
			"streams":          option.String(&p.Streams),
		},
		Repeat: []string{"issuer", "scope", "any_scope", "audience", "details"},
		Places: &p.places,
	}.Parse(d)
}

func (p *Protect) parseMaxAge(d *caddyfile.Dispenser) error {
	p.MaxAge = new(caddy.Duration)
	return option.Duration(p.MaxAge)(d)
}

// parseSession reads: session on|off [<origin...>]
func (p *Protect) parseSession(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "off":
		p.Session = false
	case len(args) >= 1 && args[0] == "on":
		p.Session = true
		p.Origins = append(p.Origins, args[1:]...)
	default:
		return d.Err("session is on or off; after on may come the origins of the site, such as https://app.example.com")
	}
	return p.originsAt(d)
}

// parseDPoP reads: dpop accepted|required [<origin...>]
func (p *Protect) parseDPoP(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || args[0] != dpopAccepted && args[0] != dpopRequired {
		return d.Err("dpop is accepted or required; after it may come the origins of the site, such as https://api.example.com")
	}
	p.DPoP = args[0]
	p.Origins = append(p.Origins, args[1:]...)
	return p.originsAt(d)
}

// originsAt refuses what is no origin, and says where it stands.
func (p *Protect) originsAt(d *caddyfile.Dispenser) error {
	if err := p.checkOrigins(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseIssuer reads:
//
//	issuer <url> {
//		audience   <audience...>
//		jwks       <url>
//		algorithms <algorithm...>
//		any_type
//	}
func (p *Protect) parseIssuer(d *caddyfile.Dispenser) error {
	var i foreign.Issuer
	if err := option.String(&i.Issuer)(d); err != nil {
		return err
	}
	err := option.Block{Options: map[string]option.Parse{
		"audience":   option.Strings(&i.Audience),
		"jwks":       option.String(&i.JWKS),
		"algorithms": option.Strings(&i.Algorithms),
		"any_type":   option.Flag(&i.AnyType),
	}}.Parse(d)
	p.Issuers = append(p.Issuers, i)
	return err
}

// parseIdentityHeaders reads:
//
//	identity_headers {
//		<header> <claim>
//	}
func (p *Protect) parseIdentityHeaders(d *caddyfile.Dispenser) error {
	p.IdentityHeaders = map[string]string{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		header, args := d.Val(), d.RemainingArgs()
		if len(args) != 1 {
			return d.Errf("header %q needs the one claim that it carries", header)
		}
		if _, twice := p.IdentityHeaders[header]; twice {
			return d.Errf("header %q stands twice", header)
		}
		p.IdentityHeaders[header] = args[0]
	}
	return nil
}
