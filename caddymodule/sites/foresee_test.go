// SPDX-License-Identifier: Apache-2.0

package sites_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
)

// TestForesee: what nobody has loaded yet is judged as what has been.
func TestForesee(t *testing.T) {
	t.Parallel()
	const (
		session = `{"handler":"protect","session":true}`
		guard   = `{"handler":"gatehouse_site"}`
		below   = `{"match":[{"path":["/App*"]}],"handle":[` + session + `]}`
		site    = `{"match":[{"host":["a.example.com"]}],"handle":[{"handler":"subroute","routes":[` + below + `,{"handle":[` + guard + `]}]}]}`
		inner   = `{"handle":[{"handler":"subroute","routes":[` + below + `]}]}`
	)
	at := func(host, route string) string {
		return `{"match":[{"host":["` + host + `"]}],"handle":[{"handler":"subroute","routes":[` + route + `]}]}`
	}
	cases := []struct {
		name, server string
		good         bool
	}{
		{"nothing", `{}`, true},
		{"rule for a path", `{"routes":[` + below + `]}`, false},
		{"rule for a path, with its guard", `{"routes":[` + site + `]}`, true},
		{"rule for a path, in a host without a guard", `{"routes":[` + at("a.example.com", below) + `]}`, false},
		{"beside a good site", `{"routes":[` + site + `,` + at("b.example.com", below) + `]}`, false},
		{"behind a good site of the same host", `{"routes":[` + site + `,` + at("A.example.com", inner) + `]}`, true},
		{"behind a good site of every host", `{"routes":[{"handle":[` + session + `]},` + at("b.example.com", inner) + `]}`, true},
		{"for every host, behind a good site of one", `{"routes":[` + site + `,` + inner + `]}`, false},
		{"behind a good site of a wildcard", `{"routes":[` + at("*.example.com", `{"handle":[`+session+`]}`) + `,` + at("b.example.com", below) + `]}`, true},
		{"any of two matcher sets lets the browser back", `{"routes":[{"match":[{"path":["/a"]},{"method":["GET"]}],"handle":[` + session + `]}]}`, true},
		{"the way back itself", `{"routes":[{"match":[{"path":["/_GATEHOUSE/*"]}],"handle":[` + session + `]}]}`, true},
		{"without sessions", `{"routes":[{"match":[{"path":["/a"]}],"handle":[{"handler":"protect"}]}]}`, true},
		{"in the errors", `{"errors":{"routes":[` + below + `]}}`, false},
		{"in the errors of a site", `{"routes":[{"handle":[{"handler":"subroute","errors":{"routes":[` + below + `]}}]}]}`, false},
		{"in a named route", `{"named_routes":{"a":{"handle":[{"handler":"subroute","routes":[` + below + `]}]}}}`, false},
		{"in a named route, beside a good site", `{"routes":[` + site + `],"named_routes":{"a":` + inner + `}}`, true},
		{"named route", `{"named_routes":{"a":{"handle":[` + session + `]}}}`, true},
		{"what others refuse", `{"routes":[{"match":[{"path":1,"host":"a"}],"handle":[1,{"handler":2},{"handler":"subroute","routes":3}]}]}`, true},
	}
	for _, c := range cases {
		var server caddyhttp.Server
		if err := json.Unmarshal([]byte(c.server), &server); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		before := len(server.Routes)
		err := sites.Foresee(&caddyhttp.App{Servers: map[string]*caddyhttp.Server{"s": &server}})
		if (err == nil) != c.good || err != nil && !errors.Is(err, sites.ErrUnreachable) {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(server.Routes) != before || before > 0 && (len(server.Routes[0].Handlers) > 0 || len(server.Routes[0].HandlersRaw) == 0) {
			t.Errorf("%s: the routes have changed", c.name)
		}
	}
}
