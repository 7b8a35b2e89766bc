// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [<file>]",
		Short: "Checks a configuration, beside the running server, and says what each site requires",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			return check(cmd, args)
		},
	}
	return group("config", "Looks into a configuration", cmd)
}

// Route is what one route of a site requires.
type Route struct {
	Site     []string `json:"site"`
	Matches  string   `json:"matches"`
	Requires string   `json:"requires"`
}

func check(cmd *cobra.Command, args []string) error {
	flags := cmd.Flags()
	file, err := flags.GetString("config")
	if err != nil {
		return err
	}
	adapter, err := flags.GetString("adapter")
	if err != nil {
		return err
	}
	if len(args) == 1 {
		file = args[0]
	}
	if file != "" && adapter == "" && !strings.HasSuffix(file, ".json") {
		adapter = "caddyfile"
	}
	data, used, _, err := caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return err
	}
	if used == "" {
		return errors.New("no configuration: name a file, or have a Caddyfile in this folder")
	}
	routes, err := explainConfig(data)
	if err != nil {
		return err
	}
	if err := validate(data); err != nil {
		return err
	}
	asJSON, err := flags.GetBool("json")
	if err != nil {
		return err
	}
	c := &client{json: asJSON, cmd: cmd}
	return c.print(routes, "SITE\tREQUESTS\tREQUIRE", func(add func(...any)) {
		for _, r := range routes {
			add(strings.Join(r.Site, ", "), r.Matches, r.Requires)
		}
	})
}

// validate provisions the configuration as "caddy validate" does: it opens nothing.
func validate(data []byte) error {
	var config caddy.Config
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return caddy.Validate(&config)
}

type route struct {
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []json.RawMessage            `json:"handle"`
}

// explainConfig says, in the order in which they are judged, what the protected routes of a configuration require.
func explainConfig(data []byte) ([]Route, error) {
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Listen []string `json:"listen"`
					Routes []route  `json:"routes"`
				} `json:"servers"`
			} `json:"http"`
			Gatehouse *caddymodule.App `json:"gatehouse"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if config.Apps.Gatehouse == nil {
		return nil, errors.New("the configuration has no gatehouse block")
	}
	e := explainer{app: config.Apps.Gatehouse}
	servers := config.Apps.HTTP.Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		e.listen = servers[name].Listen
		e.walk(servers[name].Routes, e.listen, nil)
	}
	return e.found, nil
}

type explainer struct {
	app    *caddymodule.App
	listen []string // of the server at hand
	found  []Route
}

func (e *explainer) walk(routes []route, site, matches []string) {
	for _, r := range routes {
		within := site
		if hosts := r.hosts(); len(hosts) > 0 {
			within = e.addresses(hosts)
		}
		inside := matches
		if text := r.describe(); text != "" {
			inside = append(slices.Clone(matches), text)
		}
		for _, raw := range r.Handle {
			e.handler(raw, within, inside)
		}
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
		delete(set, "host")
		if text := describe(set); text != "" {
			sets = append(sets, text)
		}
	}
	return strings.Join(sets, " or ")
}

// addresses adds to hosts the ports of the server, where they are not the usual ones.
func (e *explainer) addresses(hosts []string) []string {
	var all []string
	for _, host := range hosts {
		for _, listen := range e.listen {
			port := listen[strings.LastIndex(listen, ":")+1:]
			if port == "443" || port == "80" {
				all = append(all, host)
			} else {
				all = append(all, host+":"+port)
			}
		}
	}
	return all
}

func (e *explainer) handler(raw json.RawMessage, site, matches []string) {
	var kind struct {
		Handler string  `json:"handler"`
		Routes  []route `json:"routes"`
	}
	if json.Unmarshal(raw, &kind) != nil {
		return
	}
	switch kind.Handler {
	case "subroute":
		e.walk(kind.Routes, site, matches)
	case "authorization_server":
		e.add(site, matches, "nothing: this is the authorization server of "+e.app.Issuer)
	case "protect":
		var p caddymodule.Protect
		if json.Unmarshal(raw, &p) == nil {
			e.add(site, matches, e.requires(&p))
		}
	}
}

func (e *explainer) add(site, matches []string, requires string) {
	text := "all others"
	if len(matches) > 0 {
		text = strings.Join(matches, " and ")
	}
	e.found = append(e.found, Route{Site: site, Matches: text, Requires: requires})
}

// requires puts a rule in words.
func (e *explainer) requires(p *caddymodule.Protect) string {
	if p.Off {
		return "nothing: the rule is off"
	}
	words := []string{"a bearer token"}
	if p.Session {
		words = []string{"a bearer token or a browser login"}
	}
	scopes := p.Scopes
	if len(scopes) == 0 && len(p.AnyScope) == 0 {
		scopes = e.app.DefaultScope
	}
	if len(scopes) > 0 {
		words = append(words, "scope "+strings.Join(scopes, " and "))
	}
	if len(p.AnyScope) > 0 {
		words = append(words, "one of the scopes "+strings.Join(p.AnyScope, ", "))
	}
	if realms := e.realms(scopes); len(realms) > 0 {
		words = append(words, "proven by "+strings.Join(realms, " and "))
	}
	if len(p.ACR) > 0 {
		words = append(words, "acr "+strings.Join(p.ACR, " or "))
	}
	if p.MaxAge != nil {
		words = append(words, "a login not older than "+time.Duration(*p.MaxAge).String())
	}
	for _, issuer := range p.Issuers {
		words = append(words, "also tokens of "+issuer.Issuer)
	}
	if p.Optional {
		words = append(words, "or no credential at all")
	}
	return strings.Join(words, ", ")
}

func (e *explainer) realms(scopes []string) []string {
	var realms []string
	for _, s := range e.app.Scopes {
		if !slices.Contains(scopes, s.Name) {
			continue
		}
		for _, name := range s.Realms {
			if !slices.Contains(realms, name) {
				realms = append(realms, name)
			}
		}
	}
	return realms
}

// describe puts a matcher set in words: as its JSON says it, without the punctuation.
func describe(set map[string]json.RawMessage) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		text := strings.NewReplacer(`"`, "", "[", "", "]", "", ",", " ").Replace(string(set[name]))
		words = append(words, name+" "+text)
	}
	return strings.Join(words, ", ")
}
