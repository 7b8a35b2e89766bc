// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// served is what the configuration of Caddy's HTTP app says about where sites are reached.
type served struct {
	hosts, ports, origins []string
}

// allowed reports whether an origin is a site of ours: named after "session on"; or with a host that some route matches, on
// a port that some server listens on; or, when the issuer itself is on a loopback host, any loopback host on such a port.
// It reads the configuration of the HTTP app and nothing of any request, so a forged Host header names no site.
func (a *App) allowed(origin string) bool {
	s := a.sites.Load()
	return s != nil && s.has(origin, oauth.IsLoopback(hostOf(a.Issuer)))
}

// readSites collects what the HTTP app serves. All apps are provisioned by the time one of them starts.
func (a *App) readSites() error {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil // without sites there is nothing to log in to
	}
	s := new(served)
	for _, server := range app.(*caddyhttp.App).Servers {
		for _, address := range server.Listen {
			parsed, err := caddy.ParseNetworkAddress(address)
			if err != nil {
				return fmt.Errorf("reading the listen address %q: %w", address, err)
			}
			for port := parsed.StartPort; port <= parsed.EndPort; port++ {
				s.ports = append(s.ports, strconv.FormatUint(uint64(port), 10))
			}
		}
		s.walk(server.Routes)
	}
	a.sites.Store(s)
	return nil
}

// walk collects host matchers and the origins of "protect" handlers, however deep they stand in subroutes.
func (s *served) walk(routes caddyhttp.RouteList) {
	for _, route := range routes {
		for _, set := range route.MatcherSets {
			for _, matcher := range set {
				s.matcher(matcher)
			}
		}
		for _, handler := range route.Handlers {
			switch handler := handler.(type) {
			case *caddyhttp.Subroute:
				s.walk(handler.Routes)
			case *Protect:
				s.origins = append(s.origins, handler.Origins...)
			}
		}
	}
}

func (s *served) matcher(matcher any) {
	switch hosts := matcher.(type) {
	case caddyhttp.MatchHost:
		s.hosts = append(s.hosts, hosts...)
	case *caddyhttp.MatchHost:
		s.hosts = append(s.hosts, *hosts...)
	}
}

func (s *served) has(origin string, development bool) bool {
	if slices.Contains(s.origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	port := u.Port()
	if port != "" && !slices.Contains(s.ports, port) {
		return false
	}
	if oauth.IsLoopback(u.Hostname()) {
		return development
	}
	return u.Scheme == "https" && slices.ContainsFunc(s.hosts, func(pattern string) bool { return matchHost(pattern, u.Hostname()) })
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

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
