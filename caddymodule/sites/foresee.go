// SPDX-License-Identifier: Apache-2.0

package sites

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Foresee finds in an HTTP app that is being provisioned the sites where browsers could begin a login and not end it. It is
// called for the first rule that is provisioned: by then no rule has been loaded, and Caddy keeps the JSON of a handler until
// it is. So a configuration is refused where nothing starts, too, as in "caddy validate". It wraps [ErrUnreachable].
func Foresee(app *caddyhttp.App) error {
	for name, server := range app.Servers {
		ahead := &caddyhttp.Server{Routes: thaw(server.Routes), NamedRoutes: map[string]*caddyhttp.Route{}}
		for name, route := range server.NamedRoutes {
			ahead.NamedRoutes[name] = &thaw(caddyhttp.RouteList{*route})[0]
		}
		if server.Errors != nil {
			ahead.Errors = &caddyhttp.HTTPErrorConfig{Routes: thaw(server.Errors.Routes)}
		}
		if err := new(Served).server(ahead); err != nil {
			return fmt.Errorf("reading the HTTP server %q: %w", name, err)
		}
	}
	return nil
}

// foreseen stands for a rule or a guard that has not been loaded.
type foreseen struct {
	caddyhttp.MiddlewareHandler // none: it is only looked at

	session bool
}

// Join tells that browsers log in.
func (f *foreseen) Join(group *Group, _ bool) bool {
	group.Session = group.Session || f.session
	return true
}

// thaw returns what matters here of routes, from their JSON. Whoever loads them tells what is wrong with it.
func thaw(routes caddyhttp.RouteList) caddyhttp.RouteList {
	all := make(caddyhttp.RouteList, len(routes))
	for i := range routes {
		all[i].MatcherSets = routes[i].MatcherSets // when they have been loaded
		for _, set := range routes[i].MatcherSetsRaw {
			all[i].MatcherSets = append(all[i].MatcherSets, thawMatchers(set))
		}
		for _, raw := range routes[i].HandlersRaw {
			if handler := thawHandler(raw); handler != nil {
				all[i].Handlers = append(all[i].Handlers, handler)
			}
		}
	}
	return all
}

func thawMatchers(set caddy.ModuleMap) (all caddyhttp.MatcherSet) {
	var hosts caddyhttp.MatchHost
	if json.Unmarshal(set["host"], &hosts) == nil {
		all = append(all, &hosts)
	}
	var paths caddyhttp.MatchPath
	if json.Unmarshal(set["path"], &paths) == nil && paths.Provision(caddy.Context{}) == nil {
		all = append(all, &paths)
	}
	return all
}

func thawHandler(raw json.RawMessage) caddyhttp.MiddlewareHandler {
	var kind struct {
		Handler string `json:"handler"`
		Session bool   `json:"session"`
		// Confirm is there where requests are confirmed: callers ask below the same paths how that stands.
		Confirm *struct{} `json:"confirm"`
	}
	if json.Unmarshal(raw, &kind) != nil {
		return nil
	}
	switch kind.Handler {
	case "protect", "gatehouse_site":
		return &foreseen{session: kind.Session || kind.Confirm != nil}
	case "subroute":
		var sub caddyhttp.Subroute
		if json.Unmarshal(raw, &sub) != nil {
			return nil
		}
		sub.Routes = thaw(sub.Routes)
		if sub.Errors != nil {
			sub.Errors.Routes = thaw(sub.Errors.Routes)
		}
		return &sub
	}
	return nil
}
