// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
)

// httpServer is what matters here of a server of Caddy's HTTP app.
type httpServer struct {
	Listen         []string          `json:"listen"`
	Routes         []route           `json:"routes"`
	Policies       []json.RawMessage `json:"tls_connection_policies"`
	AutomaticHTTPS struct {
		Disable bool     `json:"disable"`
		Skip    []string `json:"skip"`
	} `json:"automatic_https"`
}

type route struct {
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []json.RawMessage            `json:"handle"`
}

// explainConfig says, in the order in which they are judged, what the protected routes of a configuration require.
func explainConfig(data []byte) (*caddymodule.App, []Route, error) {
	var config struct {
		Apps struct {
			HTTP struct {
				HTTPPort int                    `json:"http_port"`
				Servers  map[string]*httpServer `json:"servers"`
			} `json:"http"`
			Gatehouse *caddymodule.App `json:"gatehouse"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if config.Apps.Gatehouse == nil {
		return nil, nil, errors.New("the configuration has no gatehouse block")
	}
	e := explainer{app: config.Apps.Gatehouse, plainPort: cmp.Or(config.Apps.HTTP.HTTPPort, 80)}
	servers := config.Apps.HTTP.Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		e.server = servers[name]
		e.walk(e.server.Routes, e.addresses([]string{""}), nil)
	}
	return e.app, e.found, nil
}

type explainer struct {
	app       *caddymodule.App
	plainPort int
	server    *httpServer // at hand
	found     []Route
}

func (e *explainer) walk(routes []route, site, matches []string) {
	rules, all := 0, false
	for _, r := range routes {
		within := site
		if hosts := r.hosts(); len(hosts) > 0 {
			within = e.addresses(hosts)
		}
		text := r.describe()
		inside := matches
		if text != "" {
			inside = append(slices.Clone(matches), text)
		}
		for _, raw := range r.Handle {
			if e.handler(raw, within, inside) {
				rules++
				all = all || text == ""
			}
		}
	}
	if rules > 0 && !all {
		e.add(site, matches, "nothing: no rule matches", "others")
	}
}

// hosts are those of all matcher sets: any of them may match.
func (r *route) hosts() []string {
	var all []string
	for _, set := range r.Match {
		var hosts []string
		if json.Unmarshal(set["host"], &hosts) == nil {
			all = append(all, hosts...)
		}
	}
	return all
}

// describe puts the matcher sets in words, without the hosts: any of them may match.
func (r *route) describe() string {
	var sets []string
	for _, set := range r.Match {
		set = maps.Clone(set)
		delete(set, "host")
		if text := policy.Match(set); text != "" {
			sets = append(sets, text)
		}
	}
	return strings.Join(sets, " or ")
}

// addresses returns the origins under which hosts are reached, as Caddy serves them: by https unless the port is that of
// http or automatic HTTPS leaves the host alone. A host without a name is any.
func (e *explainer) addresses(hosts []string) []string {
	var all []string
	for _, host := range hosts {
		for _, listen := range e.server.Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err != nil {
				continue // validating the configuration tells
			}
			all = append(all, e.origin(host, int(address.StartPort)))
		}
	}
	return all
}

func (e *explainer) origin(host string, port int) string {
	s := e.server
	const securePort = 443
	scheme, usual := "https", securePort
	// Automatic HTTPS needs a name to get a certificate for: a server without any speaks http, but on the port of https.
	unnamed := port != securePort && !slices.ContainsFunc(s.Routes, func(r route) bool { return len(r.hosts()) > 0 })
	if len(s.Policies) == 0 && (unnamed || port == e.plainPort || s.AutomaticHTTPS.Disable || slices.Contains(s.AutomaticHTTPS.Skip, host)) {
		scheme, usual = "http", 80
	}
	origin := scheme + "://" + cmp.Or(host, "*")
	if port != usual {
		origin += ":" + strconv.Itoa(port)
	}
	return origin
}

// handler explains a handler and reports whether it is a rule.
func (e *explainer) handler(raw json.RawMessage, site, matches []string) (rule bool) {
	var kind struct {
		Handler string  `json:"handler"`
		Routes  []route `json:"routes"`
	}
	if json.Unmarshal(raw, &kind) != nil {
		return false
	}
	switch kind.Handler {
	case "subroute":
		e.walk(kind.Routes, site, matches)
	case "authorization_server":
		e.add(site, matches, "nothing: this is the authorization server of "+e.app.Issuer, "its endpoints")
	case "protect":
		var p handlers.Protect
		if json.Unmarshal(raw, &p) != nil {
			return false // validating the configuration tells
		}
		e.add(site, matches, policy.Words(e.app, &p), "all others")
		return true
	}
	return false
}

// add adds a line. What is matched by nothing of its own is called by the name of the rest.
func (e *explainer) add(site, matches []string, requires, rest string) {
	text := rest
	first := !slices.ContainsFunc(e.found, func(r Route) bool { return slices.Equal(r.Site, site) })
	switch {
	case len(matches) == 0 && rest == "all others" && first:
		text = "all"
	case len(matches) > 0 && rest == "all others":
		text = strings.Join(matches, " and ")
	case len(matches) > 0:
		text = rest + " of " + strings.Join(matches, " and ")
	}
	e.found = append(e.found, Route{Site: site, Matches: text, Requires: requires})
}
