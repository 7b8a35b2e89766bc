// SPDX-License-Identifier: Apache-2.0

package sites

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Served is what the configuration of Caddy's HTTP app says about the sites where browsers log in.
type Served struct {
	origins []string // named after "session on"
	places  []place  // where a "protect" with sessions stands
}

// place is where in the routes of a server something stands.
type place struct {
	ports, hosts []string
	// reachable tells that a browser which comes back from its login gets there.
	reachable bool
	// invoked tells that it is in a named route, which any host may lead to.
	invoked bool
}

// Read collects what the HTTP app serves, and joins the members of each list of routes. Nothing is collected from no app.
func Read(app *caddyhttp.App) (*Served, error) {
	s := new(Served)
	if app == nil {
		return s, nil
	}
	for name, server := range app.Servers {
		if err := s.server(server); err != nil {
			return nil, fmt.Errorf("reading the HTTP server %q: %w", name, err)
		}
	}
	return s, nil
}

// Has reports whether an origin is a site where browsers log in: named after "session on"; or with a host that the routes
// to such a rule match, on a port that its server listens on. A loopback host is one in development only. It rests on the
// configuration and on nothing of any request, so a forged Host header names no site.
func (s *Served) Has(origin string, development bool) bool {
	if slices.Contains(s.origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(s.places, func(p place) bool { return p.answers(u, development) })
}

// answers reports whether an origin leads to the place. Without a port it has that of its scheme; where TLS ends at
// another proxy in front no server of ours listens on 443, so for https it is not looked at.
func (p place) answers(u *url.URL, development bool) bool {
	port := u.Port()
	if port == "" && u.Scheme == "http" {
		port = "80"
	}
	if port != "" && !slices.Contains(p.ports, port) {
		return false
	}
	named := slices.ContainsFunc(p.hosts, func(pattern string) bool { return matchHost(pattern, u.Hostname()) })
	if oauth.IsLoopback(u.Hostname()) {
		return development && (named || len(p.hosts) == 0)
	}
	return u.Scheme == "https" && named
}

// matchHost compares as Caddy's host matcher does: "*" stands for one label.
func matchHost(pattern, host string) bool {
	want, have := strings.Split(strings.ToLower(pattern), "."), strings.Split(host, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if want[i] != "*" && want[i] != have[i] {
			return false
		}
	}
	return true
}

// covers reports whether browsers that log in at another place of the same server come back here.
func (p place) covers(other place) bool {
	if len(p.hosts) == 0 || other.invoked {
		return p.reachable
	}
	return p.reachable && len(other.hosts) > 0 && !slices.ContainsFunc(other.hosts, func(host string) bool {
		host = strings.ToLower(host)
		return !slices.ContainsFunc(p.hosts, func(pattern string) bool { return matchHost(pattern, host) })
	})
}

// ErrUnreachable is returned for a site where browsers could begin a login and not end it.
var ErrUnreachable = fmt.Errorf("\"session on\" stands where no login can end: %s does not get there. "+
	"Write protect outside of the handle, handle_path or route block, and give it the matcher instead", authz.PathSiteCallback)

func (s *Served) server(server *caddyhttp.Server) error {
	top := place{reachable: true}
	for _, address := range server.Listen {
		parsed, err := caddy.ParseNetworkAddress(address)
		if err != nil {
			return fmt.Errorf("reading the listen address %q: %w", address, err)
		}
		for port := parsed.StartPort; port <= parsed.EndPort; port++ {
			top.ports = append(top.ports, strconv.FormatUint(uint64(port), 10))
		}
	}
	before := len(s.places)
	s.walk(server.Routes, top)
	if server.Errors != nil {
		s.walk(server.Errors.Routes, top)
	}
	top.invoked = true
	for _, route := range server.NamedRoutes {
		s.walk(caddyhttp.RouteList{*route}, top)
	}
	found := s.places[before:]
	for _, p := range found {
		if !p.reachable && !slices.ContainsFunc(found, func(way place) bool { return way.covers(p) }) {
			hosts := slices.Compact(slices.Sorted(slices.Values(p.hosts)))
			return fmt.Errorf("%s: %w", cmp.Or(strings.Join(hosts, ", "), "every host"), ErrUnreachable)
		}
	}
	return nil
}

// walk joins the rules and guards of one list of routes, and goes down into subroutes.
func (s *Served) walk(routes caddyhttp.RouteList, at place) {
	group := new(Group)
	stands := place{ports: at.ports, invoked: at.invoked}
	for i := range routes {
		here := at.below(&routes[i])
		for _, handler := range routes[i].Handlers {
			switch handler := handler.(type) {
			case *caddyhttp.Subroute:
				s.walk(handler.Routes, here)
				if handler.Errors != nil {
					s.walk(handler.Errors.Routes, here)
				}
			case Member:
				if handler.Join(group, len(routes[i].MatcherSets) == 0) {
					stands.hosts = append(stands.hosts, here.hosts...)
					stands.reachable = stands.reachable || here.reachable
				}
			}
		}
	}
	if group.Session {
		s.origins = append(s.origins, group.Origins...)
		s.places = append(s.places, stands)
	}
}

// below is the place inside of a route.
func (p place) below(route *caddyhttp.Route) place {
	in := place{ports: p.ports, reachable: len(route.MatcherSets) == 0, invoked: p.invoked}
	for _, set := range route.MatcherSets {
		lets := true
		for _, matcher := range set {
			switch matcher := matcher.(type) {
			case caddyhttp.MatchHost:
				in.hosts = appendHosts(in.hosts, matcher)
			case *caddyhttp.MatchHost:
				in.hosts = appendHosts(in.hosts, *matcher)
			case caddyhttp.MatchPath:
				lets = lets && letsCallback(matcher)
			case *caddyhttp.MatchPath:
				lets = lets && letsCallback(*matcher)
			}
		}
		in.reachable = in.reachable || lets
	}
	if len(in.hosts) == 0 {
		in.hosts = p.hosts
	}
	in.reachable = in.reachable && p.reachable
	return in
}

func appendHosts(to []string, hosts caddyhttp.MatchHost) []string {
	known := caddy.NewReplacer()
	for _, host := range hosts {
		to = append(to, known.ReplaceAll(host, ""))
	}
	return to
}

// letsCallback reports whether a path matcher lets a browser pass that comes back from its login.
func letsCallback(matcher caddyhttp.MatchPath) bool {
	ctx := context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+authz.PathSiteCallback, nil)
	if err != nil {
		return true
	}
	matches, err := matcher.MatchWithError(r)
	return matches || err != nil
}
