// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
)

// walker goes the way that a request goes through the routes of a server.
type walker struct {
	app    *caddymodule.App
	server *caddyhttp.Server
	w      http.ResponseWriter
	r      *http.Request

	groups  map[string]bool // of which a route has matched, as Caddy has it
	met     []*handlers.Protect
	rules   []Rule
	path    error // what a rule or a guard has against the path as it stood there
	own     bool  // the site answers by itself
	answers string
	ended   bool
	depth   int
}

// maxDepth bounds how deep named routes may invoke one another.
const maxDepth = 32

// changes are handlers that only change what later matchers see. Asking them does nothing else.
var changes = []string{"rewrite", "vars", "map", "headers"}

// answering are handlers after which nothing comes: Caddy's own, and ours.
var answering = []string{"reverse_proxy", "static_response", "file_server", "error", "metrics", "acme_server", "demo_echo"}

// routes goes through one list, in which the first rule that matches decides.
func (w *walker) routes(list caddyhttp.RouteList) error {
	if w.depth++; w.depth > maxDepth {
		return nil
	}
	defer func() { w.depth-- }()
	for i := range list {
		if w.ended {
			return nil
		}
		route := &list[i]
		if route.Group != "" && w.groups[route.Group] {
			continue
		}
		matches, err := route.MatcherSets.AnyMatchWithError(w.r)
		if err != nil {
			return err
		}
		if !matches {
			continue
		}
		if route.Group != "" {
			if w.groups == nil {
				w.groups = map[string]bool{}
			}
			w.groups[route.Group] = true
		}
		if err := w.route(route); err != nil {
			return err
		}
		w.ended = w.ended || route.Terminal
	}
	return nil
}

// route goes through the handlers of a route that matches.
func (w *walker) route(route *caddyhttp.Route) error {
	for _, handler := range route.Handlers {
		if w.ended {
			return nil
		}
		var err error
		switch handler := handler.(type) {
		case *caddyhttp.Subroute:
			err = w.routes(handler.Routes)
		case *caddyhttp.Invoke:
			if named, ok := w.server.NamedRoutes[handler.Name]; ok {
				err = w.routes(caddyhttp.RouteList{*named})
			}
		case *handlers.Protect:
			w.rule(handler, route)
		case *handlers.SiteEndpoints:
			w.guard(handler.Group())
		default:
			err = w.handler(handler)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rule does to the request what a rule does to one that it lets pass.
func (w *walker) rule(p *handlers.Protect, route *caddyhttp.Route) {
	group, pass := p.Group(), passage.Enter(w.r)
	if pass.DecidedBy(group) || w.keeps(group) {
		return
	}
	if !w.clean(p.LenientPaths) {
		return
	}
	pass.Conceal(w.r, p.Off || p.ForwardToken)
	pass.Decide(group)
	w.met = append(w.met, p)
	w.rules = append(w.rules, ruleOf(w.app, p, matchersOf(route)))
}

// guard does what the guard of a list does to a request that no rule has seen yet.
func (w *walker) guard(group *sites.Group) {
	pass := passage.Enter(w.r)
	if pass.Decided() || w.keeps(group) || pass.Cleaned {
		return
	}
	if w.clean(group != nil && group.Lenient) {
		pass.Conceal(w.r, true)
		pass.Cleaned = true
	}
}

// keeps looks whether the site answers by itself.
func (w *walker) keeps(group *sites.Group) bool {
	if group != nil && (group.Keeps(w.r.URL.Path) || group.Issuer && w.app.Server().Serves(w.r.URL.Path)) {
		w.own, w.ended, w.answers = true, true, "protect"
	}
	return w.own
}

// clean takes off what a client must not send, and looks at the path, which is another one behind a rewrite.
func (w *walker) clean(lenient bool) bool {
	w.app.Guards().Clean(w.r)
	if err := site.CheckPath(w.r.URL, lenient); err != nil {
		w.path, w.ended = err, true
	}
	return !w.ended
}

// handler asks a handler of another kind to do to the request what it does, if that is all it does.
func (w *walker) handler(handler caddyhttp.MiddlewareHandler) error {
	name := nameOf(handler)
	switch {
	case name == "authorization_server" && w.app.Server().Serves(w.r.URL.Path):
		w.own, w.ended, w.answers = true, true, name
	case slices.Contains(changes, name):
		next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			w.r = r
			return nil
		})
		return handler.ServeHTTP(w.w, w.r, next)
	case passesOn(handler):
	case slices.Contains(answering, name):
		w.ended, w.answers = true, name
	}
	return nil
}

// passesOn tells of a handler that usually answers that it asks somebody about the request and lets it go on, as forward_auth does, or
// leaves to others what it does not have.
func passesOn(handler caddyhttp.MiddlewareHandler) bool {
	switch handler := handler.(type) {
	case *reverseproxy.Handler:
		return len(handler.HandleResponse) > 0
	case *fileserver.FileServer:
		return handler.PassThru
	}
	return false
}

// nameOf returns the name of a handler, as a Caddyfile's JSON has it.
func nameOf(handler any) string {
	module, ok := handler.(caddy.Module)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(string(module.CaddyModule().ID), "http.handlers.")
}

// matchersOf puts the matchers of a route in words.
func matchersOf(route *caddyhttp.Route) string {
	var sets []string
	for _, set := range route.MatcherSets {
		raw := map[string]json.RawMessage{}
		for _, matcher := range set {
			module, ok := matcher.(caddy.Module)
			if !ok {
				continue
			}
			if text, err := json.Marshal(matcher); err == nil {
				raw[strings.TrimPrefix(string(module.CaddyModule().ID), "http.matchers.")] = text
			}
		}
		if text := Match(raw); text != "" {
			sets = append(sets, text)
		}
	}
	return strings.Join(sets, " or ")
}
