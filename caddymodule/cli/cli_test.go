// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/cli"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/guests"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/stores"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

const head = `{
	gatehouse {
		issuer https://auth.example.com
		realm password {
			authenticator form
			login_module identity_store
		}
		scope read password
		default_scope read
	}
}
`

// What each site requires is said in the order in which it is judged, with the origin under which browsers know the site.
func TestExplainConfig(t *testing.T) {
	t.Parallel()
	const asks = "a bearer token, scope read, of people also proof of password"
	for _, tt := range []struct {
		name, sites string
		want        []cli.Route
	}{
		{"the issuer and a site", `
auth.example.com {
	authorization_server
}
api.example.com, other.example.com:8443 {
	@write method POST
	protect @write {
		off
	}
	protect
	respond ok
}
`, []cli.Route{
			{Site: []string{"https://auth.example.com"}, Matches: "its endpoints", Requires: "nothing: this is the authorization server of https://auth.example.com"},
			{Site: []string{"https://api.example.com"}, Matches: "method POST", Requires: "nothing: the rule is off"},
			{Site: []string{"https://api.example.com"}, Matches: "all others", Requires: asks},
			{Site: []string{"https://other.example.com:8443"}, Matches: "method POST", Requires: "nothing: the rule is off"},
			{Site: []string{"https://other.example.com:8443"}, Matches: "all others", Requires: asks},
		}},
		{"a rule for all", "http://api.example.com {\n protect\n respond ok\n}", []cli.Route{
			{Site: []string{"http://api.example.com"}, Matches: "all", Requires: asks},
		}},
		{"a rule for some", ":8080 {\n protect /a/*\n respond ok\n}", []cli.Route{
			{Site: []string{"http://*:8080"}, Matches: "path /a/*", Requires: asks},
			{Site: []string{"http://*:8080"}, Matches: "others", Requires: "nothing: no rule matches"},
		}},
		{"a rule within a handle", "http://api.example.com {\n handle /a/* {\n protect /a/b\n }\n respond ok\n}", []cli.Route{
			{Site: []string{"http://api.example.com"}, Matches: "path /a/* and path /a/b", Requires: asks},
			{Site: []string{"http://api.example.com"}, Matches: "others of path /a/*", Requires: "nothing: no rule matches"},
		}},
		{"any host, by https", ":443 {\n protect\n}", []cli.Route{{Site: []string{"https://*"}, Matches: "all", Requires: asks}}},
		{"any host beside one with a name", "https://api.example.com:8443 {\n protect\n}\nhttps://:8443 {\n protect\n}", []cli.Route{
			{Site: []string{"https://api.example.com:8443"}, Matches: "all", Requires: asks},
			{Site: []string{"https://*:8443"}, Matches: "all", Requires: asks},
		}},
		{"no site", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(head+tt.sites), map[string]any{"filename": "Caddyfile"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := cli.ExplainConfig(data)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	for data, says := range map[string]string{"{": "reading the configuration", "{}": "no gatehouse block"} {
		if got, err := cli.ExplainConfig([]byte(data)); err == nil || !strings.Contains(err.Error(), says) || got != nil {
			t.Errorf("%s: %v, %v", data, got, err)
		}
	}
}

// The server's own words are told where it has answered, and where it is sought when it has not.
func TestExplain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`caddy responded with error: HTTP 404: {"status":404,"title":"Not Found","detail":"no such user"}`: "no such user",
		`HTTP 500: {"error":"of somebody else's"}`:                                                         "asking the server at localhost:2019 (is it running?)",
		`HTTP 500: {`:        "is it running?",
		"connection refused": "connection refused",
	} {
		cause := errors.New(text)
		err := cli.Explain("localhost:2019", cause)
		if !strings.Contains(err.Error(), want) || (want != "no such user") != errors.Is(err, cause) {
			t.Errorf("%s is explained as %v", text, err)
		}
	}
}

// Messages are given once for each language, and may have any signs in them.
func TestReadMessages(t *testing.T) {
	t.Parallel()
	got, err := cli.ReadMessages([]string{"en=a=b", "nl="})
	if diff := cmp.Diff(map[string]string{"en": "a=b", "nl": ""}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, texts := range [][]string{{"en"}, {""}, {"en=a", "en=b"}} {
		if got, err := cli.ReadMessages(texts); err == nil || got != nil {
			t.Errorf("%q is %v", texts, got)
		}
	}
}

// What people are told is shown shortened by signs and not by bytes.
func TestMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule mobileauth.Rule
		want string
	}{
		{mobileauth.Rule{}, ""},
		{mobileauth.Rule{URL: "https://x"}, "https://x"},
		{mobileauth.Rule{Messages: map[string]string{"nl": "Nee", "en": "No"}, URL: "https://x"}, "en,nl: No https://x"},
		{mobileauth.Rule{Messages: map[string]string{"el": strings.Repeat("ω", 40)}}, "el: " + strings.Repeat("ω", 40)},
		{mobileauth.Rule{Messages: map[string]string{"el": strings.Repeat("ω", 41)}}, "el: " + strings.Repeat("ω", 40) + "…"},
	} {
		if got := cli.Message(&tt.rule); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.rule, got, tt.want)
		}
	}
}

// Nothing that is typed gets out of its place in a path.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{cli.AppPath("bank"), "/gatehouse/applications/bank"},
		{cli.AppPath("../users", "versions", "2.*?x=/#"), "/gatehouse/applications/..%2Fusers/versions/2.%2A%3Fx=%2F%23"},
		{cli.Dried("/p", false), "/p"},
		{cli.Dried("/p", true), "/p?dry_run=true"},
		{cli.Dried("/p", false, "platform", ""), "/p"},
		{cli.Dried("/p", true, "platform", "a&b"), "/p?dry_run=true&platform=a%26b"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
	for want, rule := range map[string]*mobileauth.Rule{
		"no rule": nil, "2.*": {Pattern: "2.*"}, "2.* on ios": {Pattern: "2.*", Platform: "ios"},
	} {
		if got := cli.RuleName(rule); got != want {
			t.Errorf("a rule is called %q, want %q", got, want)
		}
	}
}
