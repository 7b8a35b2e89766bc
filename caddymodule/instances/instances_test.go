// SPDX-License-Identifier: Apache-2.0

package instances_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/caddymodule/instances"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parse(text string) (*instances.Config, error) {
	var c *instances.Config
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	err := instances.Parse(&c)(d)
	return c, err
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse(`registration {
		admit anyone
		unused 30d
		per_address 20 1m
		per_token 500 100ms
		application bank {
			name "Example Bank"
			redirect_uri a b
			redirect_uri c
			post_logout_redirect_uri d
			grants authorization_code
			scopes openid read
			scopes pay
			default_scopes openid
			authorization_details_types payment
			audience x
			first_party
			native
			dpop_bound_access_tokens
			access_ttl 1m
			refresh_ttl 1h
			id_token_alg RS256
		}
		application meter
		software_statement https://vendor.example.com {
			jwks_file keys.json
			may software_id scope
			applications bank
		}
	}`)
	must(t, err)
	want := &instances.Config{
		Admit: "anyone", Unused: caddy.Duration(30 * 24 * time.Hour), PerAddress: &instances.Rate{Burst: 20, Every: caddy.Duration(time.Minute)},
		PerToken: &instances.Rate{Burst: 500, Every: caddy.Duration(100 * time.Millisecond)},
		Applications: []instances.Application{{
			ID: "bank", Name: "Example Bank", RedirectURIs: []string{"a", "b", "c"}, PostLogoutRedirectURIs: []string{"d"}, Grants: []string{"authorization_code"},
			Scopes: []string{"openid", "read", "pay"}, DefaultScopes: []string{"openid"}, DetailTypes: []string{"payment"}, Audience: []string{"x"}, FirstParty: true,
			Native: true, BoundTokens: true, AccessTTL: caddy.Duration(time.Minute), RefreshTTL: caddy.Duration(time.Hour), IDTokenAlg: "RS256",
		}, {ID: "meter"}},
		Statements: []instances.Statement{
			{Issuer: "https://vendor.example.com", JWKSFile: "keys.json", May: []string{"software_id", "scope"}, Applications: []string{"bank"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the configuration (-want +got):\n%s", diff)
	}
	for _, text := range []string{
		"registration {\nopen\n}", "registration {\nadmit\n}", "registration {\nper_address many 1s\n}", "registration {\nper_address 1\n}",
		"registration {\napplication\n}", "registration {\napplication a {\nsecret x\n}\n}", "registration {\nsoftware_statement\n}",
		"registration {\nsoftware_statement a {\nkeys x\n}\n}",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

// parts are those of an issuer whose apps may read.
func parts(t *testing.T) instances.Parts {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	must(t, err)
	keys, err := jose.MarshalSet([]jose.PublicKey{key.Public()})
	must(t, err)
	return instances.Parts{
		Issuer: "https://auth.example.com", Algorithms: []string{"ES256"}, Now: time.Now,
		Terms: func(a *instances.Application) (*authz.Client, error) {
			if a.Scopes != nil {
				return nil, errors.New("the scope is not defined")
			}
			return &authz.Client{
				ID: a.ID, Name: a.Name, Grants: []authz.GrantType{authz.GrantClientCredentials}, Scopes: oauth.Scopes{"read"}, Audience: []string{"x"}, AccessTTL: time.Minute,
			}, nil
		},
		Read: func(path string) ([]byte, error) {
			if path == "keys.json" {
				return keys, nil
			}
			return []byte("{"), map[bool]error{true: errors.New("no such file")}[path == "none.json"]
		},
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	if got, err := (*instances.Config)(nil).Server(parts(t)); got != nil || err != nil {
		t.Errorf("without a configuration: %+v, %v", got, err)
	}
	c := &instances.Config{
		Unused: caddy.Duration(48 * time.Hour), PerAddress: &instances.Rate{Burst: 2, Every: caddy.Duration(time.Second)},
		Applications: []instances.Application{{ID: "bank", Name: "The bank"}},
		Statements:   []instances.Statement{{Issuer: "https://vendor.example.com", JWKSFile: "keys.json"}},
	}
	got, err := c.Server(parts(t))
	must(t, err)
	if got.Admit != endpoint.AdmitEither || got.Unused != 48*time.Hour || got.PerAddress != (server.Rate{Burst: 2, Every: time.Second}) || got.PerToken != (server.Rate{}) {
		t.Errorf("it is %+v", got)
	}
	if !got.Reader.Knows("bank") || got.Reader.Applications[0].Terms.Name != "The bank" || len(got.Reader.Authorities[0].Keys) != 1 {
		t.Errorf("the reader is %+v", got.Reader)
	}
	if diff := cmp.Diff([]string{"software_id", "software_version", "client_name"}, got.Reader.Authorities[0].May); diff != "" {
		t.Errorf("a statement may (-want +got):\n%s", diff)
	}
	unread := parts(t)
	unread.Read = nil
	c.Statements[0].JWKSFile = "none.json"
	if _, err := c.Server(unread); err != nil {
		t.Errorf("what stands in no file: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*instances.Config)
		want   string
	}{
		{"nobody is admitted", func(c *instances.Config) { c.Admit = "nobody" }, `admit "nobody"`},
		{"both without a statement", func(c *instances.Config) { c.Admit, c.Statements = "both", nil }, "admit both"},
		{"forgotten at once", func(c *instances.Config) { c.Unused = caddy.Duration(time.Hour) }, "unused"},
		{"too many in a day", func(c *instances.Config) { c.PerDay = 100_000_001 }, "per_day"},
		{"less than none in a day", func(c *instances.Config) { c.PerDay = -1 }, "per_day"},
		{"scopes of back ends", func(c *instances.Config) { c.Applications[0].Scopes = []string{"read", "gatehouse:users"} }, `the scope "gatehouse:users" is for back ends`},
		{"a rate of none", func(c *instances.Config) { c.PerToken = &instances.Rate{Every: 1} }, "per_token"},
		{"a rate without an interval", func(c *instances.Config) { c.PerAddress = &instances.Rate{Burst: 1} }, "per_address"},
		{"no application", func(c *instances.Config) { c.Applications = nil }, "application"},
		{"an application that may not be", func(c *instances.Config) { c.Applications[0].Scopes = []string{"x"} }, "not defined"},
		{"an application twice", func(c *instances.Config) { c.Applications = append(c.Applications, c.Applications[0]) }, "twice"},
		{"no keys", func(c *instances.Config) { c.Statements[0].JWKSFile = "" }, "jwks_file"},
		{"no such keys", func(c *instances.Config) { c.Statements[0].JWKSFile = "none.json" }, "no such file"},
		{"keys that are none", func(c *instances.Config) { c.Statements[0].JWKSFile = "bad.json" }, "bad.json"},
		{"a statement that may too much", func(c *instances.Config) { c.Statements[0].May = []string{"software_id", "jwks"} }, "jwks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &instances.Config{
				Applications: []instances.Application{{ID: "bank"}},
				Statements:   []instances.Statement{{Issuer: "https://vendor.example.com", JWKSFile: "keys.json"}},
			}
			tt.change(c)
			if _, err := c.Server(parts(t)); err == nil || !strings.HasPrefix(err.Error(), "registration: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want a word on %q", err, tt.want)
			}
		})
	}
}

// TestOpen: who registers without being given anything is named.
func TestOpen(t *testing.T) {
	t.Parallel()
	statements := []instances.Statement{{Issuer: "https://vendor.example.com"}}
	for _, tt := range []struct {
		name   string
		config *instances.Config
		open   bool
	}{
		{"nobody", nil, false},
		{"who has a token", &instances.Config{}, false},
		{"who has a token or a statement", &instances.Config{Statements: statements}, true},
		{"who has both", &instances.Config{Admit: "both", Statements: statements}, false},
		{"anyone", &instances.Config{Admit: "anyone"}, true},
	} {
		if got := tt.config.Open(); (got != "") != tt.open {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
