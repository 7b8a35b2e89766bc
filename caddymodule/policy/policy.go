// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
)

// ErrQuestion is returned for what no request can be made of.
var ErrQuestion = errors.New("there is no such request")

// Question is a request that is thought of.
type Question struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	// Headers are more of its fields.
	Headers http.Header `json:"headers,omitempty"`
	// From is the address it comes from. Default: 127.0.0.1.
	From string `json:"from,omitempty"`
}

// Explanation says what would become of a request.
type Explanation struct {
	Request string `json:"request"`
	// Server is the HTTP server that listens there; empty when none does.
	Server string `json:"server,omitempty"`
	// Rules decide the request, the outermost first: it passes only if each lets it.
	Rules []Rule `json:"rules"`
	// Path says what is wrong with the path; such a request is refused, whoever asks.
	Path string `json:"path,omitempty"`
	// Headers tell the upstream who is asking, by the claim they carry.
	Headers map[string]string `json:"headers,omitempty"`
	// Answers is the handler that answers, by its module's name; empty when nothing does.
	Answers string `json:"answers,omitempty"`
	// Verdict sums it up in a sentence.
	Verdict string `json:"verdict"`
}

// Rule is one "protect" that decides a request.
type Rule struct {
	// Matches is what the rule is for; empty for every request of its block.
	Matches string `json:"matches,omitempty"`
	// Requires is what it asks, in words.
	Requires string   `json:"requires"`
	Off      bool     `json:"off"`
	Optional bool     `json:"optional"`
	Session  bool     `json:"session"`
	Scopes   []string `json:"scopes,omitempty"`
	AnyScope []string `json:"any_scope,omitempty"`
	ACR      []string `json:"acr,omitempty"`
	MaxAge   string   `json:"max_age,omitempty"`
	// Realms are those that a person proves for all scopes, or for one of AnyScope, which then stands beside them.
	Realms       []Realm  `json:"realms,omitempty"`
	Audience     []string `json:"audience,omitempty"`
	Issuers      []string `json:"issuers,omitempty"`
	Assertion    string   `json:"assertion,omitempty"`
	ForwardToken bool     `json:"forward_token"`
	LenientPaths bool     `json:"lenient_paths"`
}

// Realm is one that has to be proven.
type Realm struct {
	Name string `json:"name"`
	// Step counts from 1: those of a step are proven in any order, those of the next one after them.
	Step   int    `json:"step"`
	MaxAge string `json:"max_age"`
	// Scope is the one of several scopes that it is for; empty when all are required.
	Scope string `json:"scope,omitempty"`
}

// Explain says what would become of a request in the configuration of the two apps. It sends nothing: handlers that answer are
// only named, and those that change a request for the matchers after them are asked to do that.
func Explain(app *caddymodule.App, served *caddyhttp.App, q Question) (*Explanation, error) {
	r, port, err := q.request()
	if err != nil {
		return nil, err
	}
	at, _ := url.Parse(q.URL) // which has just been done
	e := &Explanation{Request: r.Method + " " + q.URL, Rules: []Rule{}}
	names := listening(served, at.Hostname(), port)
	switch len(names) {
	case 0:
		e.Verdict = "nothing listens on port " + strconv.Itoa(port)
		return e, nil
	case 1:
		e.Server = names[0]
	default:
		e.Verdict = fmt.Sprintf("%d servers listen on port %d, each on an address of its own: name the address in the URL, and the host in a header field Host",
			len(names), port)
		return e, nil
	}
	server := served.Servers[e.Server]
	w := httptest.NewRecorder()
	repl := caddy.NewReplacer()
	walk := &walker{app: app, server: server, w: w, r: caddyhttp.PrepareRequest(r, repl, w, server)}
	if err := walk.routes(server.Routes); err != nil {
		return nil, fmt.Errorf("asking the matchers: %w", err)
	}
	walk.report(e)
	return e, nil
}

// request makes the request that is thought of, and says on which port it would come.
func (q Question) request() (*http.Request, int, error) {
	r, err := http.NewRequestWithContext(context.Background(), strings.ToUpper(q.Method), q.URL, nil)
	if err != nil || r.URL.Host == "" || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return nil, 0, fmt.Errorf("%w: expected a method and a URL such as https://api.example.com/orders/1", ErrQuestion)
	}
	port := map[string]int{"http": 80, "https": 443}[r.URL.Scheme]
	if text := r.URL.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil {
			return nil, 0, fmt.Errorf("%w: its port is no number", ErrQuestion)
		}
	}
	from := q.From
	if from == "" {
		from = "127.0.0.1"
	}
	if net.ParseIP(from) == nil {
		return nil, 0, fmt.Errorf("%w: it comes from no IP address", ErrQuestion)
	}
	r.RemoteAddr = net.JoinHostPort(from, "1024")
	if r.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: r.URL.Hostname(), Version: tls.VersionTLS13}
	}
	for name, values := range q.Headers {
		for _, value := range values {
			r.Header.Add(name, value)
		}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	r.Header.Del("Host")
	r.RequestURI = r.URL.RequestURI()
	if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil { // as a server sees it
		return nil, 0, fmt.Errorf("%w: its path is none", ErrQuestion)
	}
	return r, port, nil
}

// listening returns the names of the servers that may get what comes to a host and a port: those that listen on this very address,
// or else on all, or else on another one, which the name may stand for.
func listening(app *caddyhttp.App, host string, port int) []string {
	if app == nil {
		return nil
	}
	var here, all, elsewhere []string
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		for _, listen := range app.Servers[name].Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err != nil || address.IsUnixNetwork() || uint(port) < address.StartPort || uint(port) > address.EndPort {
				continue
			}
			into := &elsewhere
			switch ip := net.ParseIP(address.Host); {
			case strings.EqualFold(address.Host, host) || ip != nil && ip.Equal(net.ParseIP(host)):
				into = &here
			case address.Host == "" || ip != nil && ip.IsUnspecified():
				into = &all
			}
			if !slices.Contains(*into, name) {
				*into = append(*into, name)
			}
		}
	}
	for _, names := range [][]string{here, all} {
		if len(names) > 0 {
			return names
		}
	}
	return elsewhere
}

// report says what the walk has found.
func (w *walker) report(e *Explanation) {
	e.Rules, e.Answers = append(e.Rules, w.rules...), w.answers
	asks := 0
	for _, p := range w.met {
		if !p.Off {
			asks++
			e.Headers = maps.Clone(p.IdentityHeaders)
			if p.Assertion != "" {
				e.Headers[site.AssertionHeader] = "a signed assertion for " + p.Assertion
			}
		}
	}
	if w.path != nil {
		e.Path = w.path.Error()
	}
	switch {
	case w.own:
		e.Verdict = "the site answers this itself: it is a path that it keeps, and nobody has to be logged in"
	case e.Path != "":
		e.Verdict = "refused with 400, whoever asks: " + e.Path
	case asks > 1:
		e.Verdict = fmt.Sprintf("%d rules apply, and each of them has to let it pass", asks)
	case asks == 1:
		e.Verdict = "one rule applies"
	case len(w.met) > 0:
		e.Verdict = "nothing protects this: the rule that applies is off"
	case w.answers == "":
		e.Verdict = "nothing protects this, and nothing answers it"
	default:
		e.Verdict = "nothing protects this"
	}
}

// ruleOf says what a rule asks.
func ruleOf(app *caddymodule.App, p *handlers.Protect, matches string) Rule {
	rule := Rule{
		Matches: matches, Requires: Words(app, p), Off: p.Off, Optional: p.Optional, Session: p.Session, Scopes: p.Scopes,
		AnyScope: p.AnyScope, ACR: p.ACR, Audience: p.Audience, Assertion: p.Assertion, ForwardToken: p.ForwardToken,
		LenientPaths: p.LenientPaths,
	}
	if p.Off {
		return rule
	}
	if len(rule.Audience) == 0 {
		rule.Audience = app.Audience
	}
	if p.MaxAge != nil {
		rule.MaxAge = time.Duration(*p.MaxAge).String()
	}
	for i := range p.Issuers {
		rule.Issuers = append(rule.Issuers, p.Issuers[i].Issuer)
	}
	rule.Realms = realms(app.Server().Requirements(p.Scopes), "")
	for _, scope := range p.AnyScope {
		rule.Realms = append(rule.Realms, realms(app.Server().Requirements([]string{scope}), scope)...)
	}
	return rule
}

func realms(requirements []realm.Requirement, scope string) []Realm {
	var all []Realm
	for _, r := range requirements {
		all = append(all, Realm{Name: r.Realm, Step: r.Step + 1, MaxAge: r.MaxAge.String(), Scope: scope})
	}
	return all
}
