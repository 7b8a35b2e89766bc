// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// guarded is a handler that keeps what clients say about themselves from upstreams.
type guarded interface {
	sites.Member
	standAlone()
	identityHeaders(into map[string]string)
}

// membership is what a member knows of its list.
type membership struct {
	among atomic.Pointer[sites.Group]
}

// passage is what a request carries on its way through the rules, where no client can reach it.
type passage struct {
	came    credentials
	cleaned bool // by a guard
	// decided is the list of which a rule has let the request pass first; lists further in come after it.
	decided *sites.Group
	further []*sites.Group
}

// fresh reports whether no rule or guard has seen the request before.
func (p *passage) fresh() bool { return p.decided == nil && !p.cleaned }

func (p *passage) decidedBy(s *sites.Group) bool {
	return p.decided == s || slices.Contains(p.further, s)
}

func (p *passage) decide(s *sites.Group) {
	if p.decided == nil {
		p.decided = s
		return
	}
	p.further = append(p.further, s)
}

// credentials are the header fields that may prove who is asking.
type credentials struct{ authorization, cookies []string }

func credentialsOf(r *http.Request) credentials {
	return credentials{authorization: r.Header["Authorization"], cookies: r.Header["Cookie"]}
}

func (c credentials) put(r *http.Request) {
	put(r.Header, "Authorization", c.authorization)
	put(r.Header, "Cookie", c.cookies)
}

func put(header http.Header, name string, values []string) {
	if values == nil {
		delete(header, name)
		return
	}
	header[name] = values
}

const passageVar = "gatehouse.passage"

// String keeps credentials out of whatever prints the variables of a request.
func (*passage) String() string { return "" }

// enter returns the passage of a request, which begins at the first rule or guard that sees it.
func enter(r *http.Request) *passage {
	if p, ok := caddyhttp.GetVar(r.Context(), passageVar).(*passage); ok {
		return p
	}
	p := &passage{came: credentialsOf(r)}
	caddyhttp.SetVar(r.Context(), passageVar, p)
	return p
}

// conceal takes off a request what is not for the upstream: our cookies and, unless it is forwarded, the token that the
// request came with. What another handler has put in the token's place stays.
func (p *passage) conceal(r *http.Request, forward bool) {
	site.StripCookies(r)
	if !forward && slices.Equal(r.Header["Authorization"], p.came.authorization) {
		delete(r.Header, "Authorization")
	}
}

// allowed reports whether an origin is a site of ours where browsers log in.
func (a *App) allowed(origin string) bool {
	served := a.sites.Load()
	return served != nil && served.Has(origin, oauth.IsLoopback(hostOf(a.Issuer)))
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// foresee refuses a configuration in which a login can begin and not end, before anything starts.
func (a *App) foresee(ctx caddy.Context) error {
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok && !a.foreseen {
			a.foreseen = true
			return sites.Foresee(app)
		}
	}
	return nil
}

// readSites collects what the HTTP app serves. All apps are provisioned by the time one of them starts.
func (a *App) readSites() error {
	module, err := a.ctx.AppIfConfigured("http")
	if err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
		return err
	}
	app, _ := module.(*caddyhttp.App)
	served, err := sites.Read(app)
	if err != nil {
		return err
	}
	headers := map[string]string{}
	for _, m := range a.guarded {
		m.standAlone()
		m.identityHeaders(headers)
	}
	a.strip = site.NewHeaders(headers)
	a.sites.Store(served)
	return nil
}

// pageOf returns what the browser asked for, before Caddy rewrote it.
func pageOf(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL.RequestURI()
	}
	return r.URL.RequestURI()
}

// refuse hands a refusal to Caddy, so that handle_errors works, with its challenge already set.
func refuse(w http.ResponseWriter, status int, challenge string, err error) error {
	header := w.Header()
	if challenge != "" {
		header.Set("WWW-Authenticate", challenge)
	}
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	header.Set("Cache-Control", "no-store")
	return caddyhttp.Error(status, err)
}
