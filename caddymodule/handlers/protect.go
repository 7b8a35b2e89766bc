// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz/approval"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/authz/site/stream"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/foreign"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/validation"
)

// What becomes of requests that last.
const closeStreams, untilRevoked, keepStreams = "close", "revoked", "keep"

// Whether tokens must be bound.
const dpopAccepted, dpopRequired = "accepted", "required"

// Protect lets a request pass only when its token or its browser session proves what the route asks. Of the rules in one
// block the first that matches decides, so a narrow rule stands before a wide one. Rules in a block further in, as in a
// handle, are asked as well.
type Protect struct {
	// Scopes that are all required. Default: the issuer's default_scope, unless any_scope is given.
	Scopes []string `json:"scopes,omitempty"`
	// Scopes of which one is required.
	AnyScope []string `json:"any_scope,omitempty"`
	// Acceptable assurance levels (acr).
	ACR []string `json:"acr,omitempty"`
	// How old the login may be.
	MaxAge *caddy.Duration `json:"max_age,omitempty"`
	// Acceptable audiences. Default: the issuer's.
	Audience []string `json:"audience,omitempty"`
	// Whether a browser may log in by redirect and stay logged in by cookie.
	Session bool `json:"session,omitempty"`
	// The origins under which browsers reach the site, when they do not follow from its address.
	Origins []string `json:"origins,omitempty"`
	// Whether tokens must be bound to a key that the caller proves to hold with each request (RFC 9449): "required", or "accepted"
	// beside bearer tokens. Default: accepted.
	DPoP string `json:"dpop,omitempty"`
	// Whether requests without any credential pass, without identity.
	Optional bool `json:"optional,omitempty"`
	// Whether the rule lets everything pass, to exempt a route from a wider rule. Identity headers are removed all the same.
	Off bool `json:"off,omitempty"`
	// Issuers other than ours whose tokens are accepted.
	Issuers []foreign.Issuer `json:"issuers,omitempty"`
	// The header fields that tell the upstream who is asking, by the claim they carry. Default: the Gatehouse-* fields, with
	// Gatehouse-Issuer among them where tokens of several issuers are accepted.
	IdentityHeaders map[string]string `json:"identity_headers,omitempty"`
	// How each request is confirmed on the caller's phone. Default: not at all.
	Confirm *confirming.Config `json:"confirm,omitempty"`
	// What of a request must be as it was approved in detail (RFC 9396). Default: nothing.
	Details []*approval.Rule `json:"details,omitempty"`
	// The audience of a signed assertion sent to the upstream in Gatehouse-Assertion. Default: none is sent.
	Assertion string `json:"assertion,omitempty"`
	// Whether the bearer token is sent on to the upstream. Default: it is removed.
	ForwardToken bool `json:"forward_token,omitempty"`
	// Whether paths pass that many upstreams read in their own way: encoded slashes, empty segments, path parameters,
	// characters encoded twice. Dot segments, backslashes and control characters are refused all the same.
	LenientPaths bool `json:"lenient_paths,omitempty"`
	// What becomes of requests that last, as WebSockets do: "close" ends them when what let them through is revoked or its time
	// is over, "revoked" only when it is revoked, "keep" never. Default: close.
	Streams string `json:"streams,omitempty"`

	membership

	places  option.Places // in a Caddyfile that is read
	app     *caddymodule.App
	rule    *site.Rule
	confirm *confirming.Rule // nil where requests are not confirmed
	status  *site.Rule       // what whoever asks how a confirmation stands must prove
	headers *site.Headers
	terms   *stream.Terms // nil where requests under way are kept
}

// CaddyModule returns the Caddy module information.
func (*Protect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.protect", New: func() caddy.Module { return new(Protect) }}
}

// Provision finds the app and builds the rule, once.
func (p *Protect) Provision(ctx caddy.Context) (err error) {
	if p.app, err = caddymodule.Find(ctx); err != nil {
		return err
	}
	if err := p.app.Guards().Foresee(ctx); err != nil {
		return err
	}
	if err := p.check(p.app); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	p.app.Guards().Enter(p)
	if p.IdentityHeaders == nil {
		p.IdentityHeaders = site.DefaultHeaders()
		if len(p.Issuers) > 0 { // two issuers may give one name to two people
			p.IdentityHeaders["Gatehouse-Issuer"] = "iss"
		}
	}
	p.headers = site.NewHeaders(p.IdentityHeaders)
	if p.Off {
		return nil
	}
	if len(p.Scopes) == 0 && len(p.AnyScope) == 0 {
		p.Scopes = p.app.DefaultScope
	}
	if err := p.buildRule(); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	return nil
}

func (p *Protect) buildRule() error {
	tokens, err := p.validators()
	if err != nil {
		return err
	}
	if p.rule, err = p.app.Server().Rule(p.demand()); err != nil {
		return err
	}
	p.rule.Tokens, p.rule.Session, p.rule.Optional = tokens, p.Session, p.Optional
	p.rule.DPoP = p.proven(p.DPoP == dpopRequired)
	p.rule.Metadata = func(r *http.Request) string { return p.among.Load().OriginOf(r) + metadataPath }
	p.rule.Page = pageOf
	if len(p.Details) > 0 {
		p.rule.Approve = func(r *http.Request, who *validation.Principal) error {
			return approval.Admit(r, p.Details, who, p.app.Store())
		}
	}
	if p.Streams != keepStreams {
		p.terms = p.app.Server().Terms(p.Streams == untilRevoked)
	}
	if p.Confirm == nil {
		return nil
	}
	if p.status, err = p.app.Server().Rule(validation.Policy{}); err != nil {
		return err
	}
	p.status.DPoP = p.proven(p.DPoP == dpopRequired)
	p.confirm, err = p.app.Confirming().Rule(p.Confirm, p.demand())
	return err
}

// proven says how tokens are presented that are bound to keys: by the address that the client sees, and once for all rules that judge
// the request.
func (p *Protect) proven(required bool) *validation.DPoP {
	return &validation.DPoP{
		Proofs: p.app.Server().Proofs(), Required: required,
		Address: func(r *http.Request) string { return p.among.Load().OriginOf(r) + pageOf(r) },
		Method:  methodOf,
		Kept:    func(r *http.Request) *validation.Presented { return &passage.Enter(r).Presented },
	}
}

// Join adds what the rule has to say to what is known about its list of routes.
func (p *Protect) Join(group *sites.Group, always bool) bool {
	group.Origins = append(group.Origins, p.Origins...)
	for i := range p.Issuers {
		group.Issuers = append(group.Issuers, p.Issuers[i].Issuer)
	}
	group.Session = group.Session || p.Session
	if p.confirm != nil {
		group.Confirm(p.rule.Tokens, p.status)
	}
	if group.Status != nil {
		group.Status.Session = group.Session // whoever may log in to send a request may ask by the same cookie
	}
	group.Bound = group.Bound || p.DPoP == dpopRequired
	group.Bearer = group.Bearer || !p.Off && p.DPoP != dpopRequired
	group.Exact = group.Exact || p.confirm != nil || len(p.Details) > 0
	group.Lenient = group.Lenient || p.LenientPaths && always
	p.among.Store(group)
	return true
}

// StandAlone gives the rule a list of its own, where no route leads to it.
func (p *Protect) StandAlone() {
	if p.among.Load() == nil {
		p.Join(new(sites.Group), false)
	}
}

// AddHeaders adds the fields that tell the upstream who is asking.
func (p *Protect) AddHeaders(into map[string]string) { maps.Copy(into, p.IdentityHeaders) }

// ServeHTTP decides a request. The identity headers that a client sent are gone before anything else happens.
func (p *Protect) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if err := p.app.Ready(); err != nil {
		p.app.Guards().Clean(r) // for whatever handle_errors does with it
		return refuse(w, http.StatusServiceUnavailable, nil, err)
	}
	among, pass := p.among.Load(), passage.Enter(r)
	if pass.DecidedBy(among) {
		return next.ServeHTTP(w, r)
	}
	r, err := shown(p.app, w, r)
	if err != nil {
		return err
	}
	if logsIn(p.app, r, among) {
		return serveIssuer(p.app, w, r)
	}
	if among.Keeps(r.URL.Path) {
		return serveOwn(p.app, w, r, among)
	}
	p.app.Guards().Clean(r)
	if err := among.Check(r, p.LenientPaths); err != nil {
		return refuse(w, http.StatusBadRequest, nil, err)
	}
	if p.Off {
		pass.Conceal(r, true)
		pass.Decide(among)
		return next.ServeHTTP(w, r)
	}
	d, err := p.decide(w, r, pass)
	if d.Done || err != nil {
		return err
	}
	pass.Decide(among)
	if d.Principal == nil || p.terms == nil {
		return next.ServeHTTP(w, r)
	}
	entry, streams := pass.Entry(), p.app.Streams()
	r = streams.Enter(entry, w, r, stream.Watch{Principal: d.Principal, Policy: d.Policy, Session: d.BySession}, p.terms)
	defer streams.Leave(entry)
	return next.ServeHTTP(w, r)
}

// decide judges the credentials that the request came with, and introduces the caller to the upstream.
func (p *Protect) decide(w http.ResponseWriter, r *http.Request, pass *passage.Passage) (site.Decision, error) {
	var origin string
	if p.Session || p.confirm != nil {
		origin = p.among.Load().OriginOf(r)
	}
	d := p.judge(w, r, origin, pass)
	pass.Conceal(r, p.ForwardToken)
	if d.Err != nil {
		return d, refuse(w, d.Err.HTTPStatus(), d.Challenges, d.Err)
	}
	if d.Done || d.Principal == nil {
		return d, nil
	}
	var confirmed *tokens.Confirmed
	if p.confirm != nil {
		again := func() site.Decision { return p.again(confirming.Nobody(), r, origin, pass) }
		in := &confirming.Incoming{
			Principal: d.Principal, BySession: d.BySession, Origin: origin, Operations: pass.Operations, Again: again,
		}
		if confirmed = p.confirm.Admit(w, r, in); confirmed == nil {
			d.Done = true
			return d, nil
		}
		r.Header.Set(hold.OperationHeader, confirmed.Operation)
	}
	if err := p.introduce(r, d.Principal, confirmed); err != nil {
		return d, refuse(w, http.StatusServiceUnavailable, nil, err)
	}
	return d, nil
}

// judge has the gate see the credentials that the request came with, whatever stands in their place by now.
func (p *Protect) judge(w http.ResponseWriter, r *http.Request, origin string, pass *passage.Passage) site.Decision {
	if pass.Fresh() {
		return p.app.Server().Gate().Decide(w, r, origin, p.rule)
	}
	return p.again(w, r, origin, pass)
}

// again has the gate judge a request of which the credentials have been taken off, by a rule further out or by this one.
func (p *Protect) again(w http.ResponseWriter, r *http.Request, origin string, pass *passage.Passage) site.Decision {
	now := passage.CredentialsOf(r)
	pass.Came.Put(r)
	defer now.Put(r)
	return p.app.Server().Gate().Decide(w, r, origin, p.rule)
}

// introduce tells the upstream, the placeholders and the access log who is asking.
func (p *Protect) introduce(r *http.Request, principal *validation.Principal, confirmed *tokens.Confirmed) error {
	p.headers.Set(r.Header, principal)
	if p.Assertion != "" {
		assertion, err := p.app.Server().ConfirmedAssertion(principal, p.Assertion, confirmed)
		if err != nil {
			return err
		}
		r.Header.Set(site.AssertionHeader, assertion)
	}
	passage.Introduce(r, principal)
	return nil
}

func (p *Protect) demand() validation.Policy {
	policy := validation.Policy{AllScopes: p.Scopes, AnyScope: p.AnyScope, ACRValues: p.ACR}
	if p.MaxAge != nil {
		age := time.Duration(*p.MaxAge)
		policy.MaxAge = &age
	}
	return policy
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Protect)(nil)
	_ caddyhttp.MiddlewareHandler = (*Protect)(nil)
	_ caddyfile.Unmarshaler       = (*Protect)(nil)
	_ sites.Guard                 = (*Protect)(nil)
)
