// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/validation"
)

func init() { caddy.RegisterModule(Protect{}) }

// Protect lets a request pass only when its token or its browser session proves what the route asks. Where several rules
// match one request the first decides, so a narrow rule stands before a wide one.
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
	// Whether requests without any credential pass, without identity.
	Optional bool `json:"optional,omitempty"`
	// Whether the rule lets everything pass, to exempt a route from a wider rule. Identity headers are removed all the same.
	Off bool `json:"off,omitempty"`
	// Issuers other than ours whose tokens are accepted.
	Issuers []ForeignIssuer `json:"issuers,omitempty"`
	// The header fields that tell the upstream who is asking, by the claim they carry. Default: the Gatehouse-* fields.
	IdentityHeaders map[string]string `json:"identity_headers,omitempty"`
	// The audience of a signed assertion sent to the upstream in Gatehouse-Assertion. Default: none is sent.
	Assertion string `json:"assertion,omitempty"`
	// Whether the bearer token is sent on to the upstream. Default: it is removed.
	ForwardToken bool `json:"forward_token,omitempty"`

	app     *App
	rule    *site.Rule
	headers *site.Headers
}

// CaddyModule returns the Caddy module information.
func (Protect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.protect", New: func() caddy.Module { return new(Protect) }}
}

// Provision finds the app and builds the rule, once.
func (p *Protect) Provision(ctx caddy.Context) (err error) {
	if p.app, err = findApp(ctx); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	if p.IdentityHeaders == nil {
		p.IdentityHeaders = site.DefaultHeaders()
	}
	p.headers = site.NewHeaders(p.IdentityHeaders)
	if p.Off {
		return nil
	}
	if len(p.Scopes) == 0 && len(p.AnyScope) == 0 {
		p.Scopes = p.app.DefaultScope
	}
	tokens, err := p.validators()
	if err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	if p.rule, err = p.app.server.Rule(p.demand()); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	p.rule.Tokens, p.rule.Session, p.rule.Optional = tokens, p.Session, p.Optional
	p.rule.Metadata = func(r *http.Request) string { return originOf(r, p.Origins) + validation.MetadataPath }
	return nil
}

func (p *Protect) check() error {
	scopes := p.app.scopeNames()
	switch {
	case p.Off && (len(p.Scopes)+len(p.AnyScope)+len(p.ACR)+len(p.Issuers) > 0 || p.Session || p.Optional):
		return errors.New("off goes with no other option")
	case len(p.Issuers) == 0 && slices.ContainsFunc(p.Scopes, func(s string) bool { return !scopes.Has(s) }):
		return fmt.Errorf("one of the scopes %v is not defined: add \"scope <name> <realm...>\" to the gatehouse block", p.Scopes)
	case len(p.Issuers) == 0 && slices.ContainsFunc(p.AnyScope, func(s string) bool { return !scopes.Has(s) }):
		return fmt.Errorf("one of the scopes %v is not defined: add \"scope <name> <realm...>\" to the gatehouse block", p.AnyScope)
	}
	return nil
}

// ServeHTTP decides a request. The identity headers that a client sent are gone before anything else happens.
func (p *Protect) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if decided(r) {
		return next.ServeHTTP(w, r)
	}
	p.headers.Strip(r.Header)
	if p.Off {
		markDecided(r)
		return next.ServeHTTP(w, r)
	}
	origin := originOf(r, p.Origins)
	d := p.app.server.Gate().Decide(w, r, origin, p.rule)
	switch {
	case d.Done:
		return nil
	case d.Err != nil:
		return refuse(w, d)
	}
	markDecided(r)
	if err := p.introduce(r, d.Principal); err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	site.StripCookies(r)
	if !p.ForwardToken {
		r.Header.Del("Authorization")
	}
	return next.ServeHTTP(w, r)
}

// introduce tells the upstream, the placeholders and the access log who is asking.
func (p *Protect) introduce(r *http.Request, principal *validation.Principal) error {
	if principal == nil {
		return nil
	}
	p.headers.Set(r.Header, principal)
	if p.Assertion != "" {
		assertion, err := p.app.server.Assertion(principal, p.Assertion)
		if err != nil {
			return err
		}
		r.Header.Set(site.AssertionHeader, assertion)
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(userPlaceholders(principal))
	}
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.String("client_id", principal.ClientID))
		extra.Add(zap.String("sub", principal.Subject))
		extra.Add(zap.String("acr", principal.ACR))
	}
	return nil
}

// userPlaceholders answers {http.auth.user.*} from the token, when somebody asks.
func userPlaceholders(principal *validation.Principal) caddy.ReplacerFunc {
	return func(key string) (any, bool) {
		claim, ok := strings.CutPrefix(key, "http.auth.user.")
		if !ok {
			return nil, false
		}
		switch claim {
		case "id":
			claim = "sub"
		case "scopes":
			claim = "scope"
		}
		return site.ClaimText(principal, claim), true
	}
}

// refuse hands a refusal to Caddy, so that handle_errors works, with its challenge already set.
func refuse(w http.ResponseWriter, d site.Decision) error {
	if d.Challenge != "" {
		w.Header().Set("WWW-Authenticate", d.Challenge)
	}
	status := d.Err.HTTPStatus()
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Cache-Control", "no-store")
	return caddyhttp.Error(status, d.Err)
}

// The mark that a rule has let the request pass travels with the request, where no client can reach it.
const decidedVar = "gatehouse.decided"

func decided(r *http.Request) bool { return caddyhttp.GetVar(r.Context(), decidedVar) != nil }

func markDecided(r *http.Request) { caddyhttp.SetVar(r.Context(), decidedVar, true) }

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
)
