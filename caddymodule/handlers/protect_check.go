// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
	"github.com/gatehouse-id/gatehouse/caddymodule/profile"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// check refuses rules that contradict themselves, or that speak of what the app does not have.
func (p *Protect) check(app *caddymodule.App) error {
	if p.Off {
		return p.checkOff()
	}
	for _, err := range []error{
		p.checkScopes(app), p.checkLevels(app), p.checkHeaders(), p.checkOrigins(), p.checkDPoP(), p.checkConfirm(app), p.checkDetails(app), p.checkStreams(app),
	} {
		if err != nil {
			return err
		}
	}
	if p.MaxAge != nil && *p.MaxAge < 0 {
		return errors.New("max_age is negative")
	}
	return p.checkIssuers(app)
}

// checkConfirm refuses requests to be confirmed by people who are not known here.
func (p *Protect) checkConfirm(app *caddymodule.App) error {
	switch {
	case p.Confirm == nil:
		return nil
	case p.Optional:
		return errors.New("confirm and optional contradict one another: nobody is asked about a request without a user")
	case len(p.Issuers) > 0:
		return errors.New("confirm asks the users of this issuer: it goes with no other issuer")
	}
	return p.Confirm.Check(app.Mobile)
}

// checkDPoP refuses to demand proofs of those who have no key to prove.
func (p *Protect) checkDPoP() error {
	switch {
	case p.DPoP != "" && p.DPoP != dpopAccepted && p.DPoP != dpopRequired:
		return fmt.Errorf("dpop is %q, expected one of: %v", p.DPoP, []string{dpopAccepted, dpopRequired})
	case p.DPoP == dpopRequired && p.Session:
		return errors.New("dpop required and session contradict one another: a browser's cookie comes without proof of a key")
	}
	return nil
}

// checkStreams refuses requests that last in a way that there is not, or that the profile of the configuration has no place for.
func (p *Protect) checkStreams(app *caddymodule.App) error {
	if ways := []string{"", closeStreams, untilRevoked, keepStreams}; !slices.Contains(ways, p.Streams) {
		return fmt.Errorf("streams is %q, expected one of: %v", p.Streams, ways[1:])
	}
	if p.Streams != keepStreams {
		return nil
	}
	scopes := slices.Concat(p.Scopes, p.AnyScope)
	if len(scopes) == 0 {
		scopes = app.DefaultScope
	}
	route := profile.Route{Keeps: true, Confirms: p.Confirm != nil}
	for _, rule := range p.Details {
		for i := range app.DetailTypes {
			if t := &app.DetailTypes[i]; t.Name == rule.Type {
				route.Realms = append(route.Realms, t.Realms...)
			}
		}
	}
	return app.CheckRoute(scopes, p.ACR, route)
}

func (p *Protect) checkIssuers(app *caddymodule.App) error {
	known := []string{app.Issuer}
	for i := range p.Issuers {
		name := p.Issuers[i].Issuer
		switch _, err := p.Issuers[i].Validator(slog.New(slog.DiscardHandler)); {
		case err != nil:
			return fmt.Errorf("issuer %q: %w", name, err)
		case name == app.Issuer:
			return fmt.Errorf("issuer %q is this server itself, whose tokens are accepted anyway", name)
		case slices.Contains(known, name):
			return fmt.Errorf("issuer %q stands twice", name)
		}
		known = append(known, name)
	}
	return nil
}

// checkDetails refuses to compare requests with what nobody has approved here.
func (p *Protect) checkDetails(app *caddymodule.App) error {
	switch {
	case len(p.Details) == 0:
		return nil
	case p.Optional:
		return errors.New("details and optional contradict one another: a request without a user has nothing approved")
	case len(p.Issuers) > 0:
		return errors.New("details are approved at this issuer: they go with no other issuer")
	}
	if err := approvals.CheckRules(p.Details, app.DetailTypes); err != nil {
		return err
	}
	for _, rule := range p.Details {
		if rule.Once && p.Confirm != nil {
			return fmt.Errorf("details %q: it is good once, and confirm has a request sent twice", rule.Type)
		}
	}
	return nil
}

// checkOff refuses a rule that is off and asks for something all the same.
func (p *Protect) checkOff() error {
	asks := len(p.Details) + len(p.Scopes) + len(p.AnyScope) + len(p.ACR) + len(p.Audience) + len(p.Issuers) + len(p.IdentityHeaders)
	if asks > 0 || p.MaxAge != nil || p.Session || p.Optional || p.Assertion != "" || p.ForwardToken || p.Confirm != nil || p.DPoP != "" || p.Streams != "" {
		return errors.New("off goes with no option but lenient_paths")
	}
	return nil
}

// checkScopes refuses scopes that nobody can have. Those of other issuers are theirs to define.
func (p *Protect) checkScopes(app *caddymodule.App) error {
	if len(p.Issuers) > 0 {
		return nil
	}
	undefined := func(scope string) error {
		return fmt.Errorf("scope %q is not defined: add \"scope %s <realm...>\" to the gatehouse block", scope, scope)
	}
	known := app.ScopeNames()
	if i := slices.IndexFunc(p.Scopes, func(s string) bool { return !known.Has(s) }); i >= 0 {
		return undefined(p.Scopes[i])
	}
	if i := slices.IndexFunc(p.AnyScope, func(s string) bool { return !known.Has(s) }); i >= 0 {
		return fmt.Errorf("any_scope: %w", undefined(p.AnyScope[i]))
	}
	return nil
}

func (p *Protect) checkLevels(app *caddymodule.App) error {
	var known []string
	for i := range app.Levels {
		known = append(known, app.Levels[i].Name)
	}
	for i := range app.Realms {
		known = append(known, app.Realms[i].Name)
	}
	for _, acr := range p.ACR {
		if !slices.Contains(known, acr) {
			return fmt.Errorf("acr %q is neither a level nor a realm, expected one of: %s", acr, strings.Join(known, ", "))
		}
	}
	return nil
}

// reserved are header fields that mean something to HTTP itself, or to us: an identity in them would break requests, and a
// client's own would be removed before it was looked at.
var reserved = []string{
	"Authorization", "Client-Cert", "Client-Cert-Chain", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Keep-Alive",
	"Origin", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Sec-Fetch-Site", "Sec-Fetch-Mode",
}

func (p *Protect) checkHeaders() error {
	folded := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.IdentityHeaders)) {
		claim, canonical := p.IdentityHeaders[name], http.CanonicalHeaderKey(name)
		form := httpx.Fold(name)
		twice := folded[form]
		folded[form] = true
		switch {
		case twice:
			return fmt.Errorf("identity_headers: %s stands twice, since many upstreams do not tell its spellings apart", canonical)
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("identity_headers: %q is not the name of a header", name)
		case slices.Contains(reserved, canonical) || strings.HasPrefix(canonical, "Sec-Websocket-"):
			return fmt.Errorf("identity_headers: %s has a meaning of its own and cannot carry an identity", canonical)
		case claim == "":
			return fmt.Errorf("identity_headers: %s carries no claim", canonical)
		}
	}
	return nil
}

func (p *Protect) checkOrigins() error {
	for _, origin := range p.Origins {
		if !oauth.CheckOrigin(origin) {
			return fmt.Errorf("%q is not an origin, such as https://app.example.com", origin)
		}
	}
	return nil
}
