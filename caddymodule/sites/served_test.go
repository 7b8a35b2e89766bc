// SPDX-License-Identifier: Apache-2.0

package sites_test

import (
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
)

func TestMatchHost(t *testing.T) {
	t.Parallel()
	cases := []struct {
		pattern, host string
		want          bool
	}{
		{"app.example.com", "app.example.com", true},
		{"APP.example.com", "app.example.com", true},
		{"app.example.com", "app.example.com.evil.org", false},
		{"app.example.com", "evil-app.example.com", false},
		{"*.example.com", "app.example.com", true},
		{"*.example.com", "a.b.example.com", false},
		{"*.example.com", "example.com", false},
		{"app.*.com", "app.example.com", true},
		{"*", "localhost", true},
		{"*", "example.com", false},
		{"", "example.com", false},
		{"a*.example.com", "app.example.com", false},
	}
	for _, c := range cases {
		if got := sites.MatchHost(c.pattern, c.host); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.host, got, c.want)
		}
	}
}

func TestLetsCallback(t *testing.T) {
	t.Parallel()
	for paths, want := range map[string]bool{
		"*": true, "/*": true, "/_gatehouse/*": true, "/_gatehouse/callback": true, "*callback": true,
		"/app /_gatehouse*": true, "/app*": false, "/": false, "/_gatehouse": false, "": false,
	} {
		if got := sites.LetsCallback(strings.Fields(paths)...); got != want {
			t.Errorf("%q: %v, want %v", paths, got, want)
		}
	}
}

func TestOriginOf(t *testing.T) {
	t.Parallel()
	named := &sites.Group{Origins: []string{"https://app.example.com", "https://www.example.com:8443"}}
	cases := []struct {
		name, host string
		group      *sites.Group
		secure     bool
		want       string
	}{
		{"plain", "localhost:8081", new(sites.Group), false, "http://localhost:8081"},
		{"secure", "APP.example.com", new(sites.Group), true, "https://app.example.com"},
		{"named, behind another proxy", "app.example.com", named, false, "https://app.example.com"},
		{"named, with its port", "www.example.com:8443", named, false, "https://www.example.com:8443"},
		{"like a named one", "evil-app.example.com", named, false, "http://evil-app.example.com"},
		{"named, with another port", "app.example.com:444", named, true, "https://app.example.com:444"},
	}
	for _, c := range cases {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = c.host
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-Host", "evil.example.com")
		if c.secure {
			r.TLS = new(tls.ConnectionState)
		}
		if got := c.group.OriginOf(r); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestKeeps(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct{ with, without bool }{
		"/.well-known/oauth-protected-resource":    {true, true},
		"/.well-known/oauth-protected-resource/a":  {true, true},
		"/.well-known/oauth-protected-resource-a":  {false, false},
		"/.well-known/oauth-authorization-server":  {false, false},
		"/_gatehouse/callback":                     {true, false},
		"/_gatehouse/":                             {true, false},
		"/_gatehouse":                              {false, false},
		"/_gatehousex":                             {false, false},
		"/a/_gatehouse/callback":                   {false, false},
		"/a/.well-known/oauth-protected-resource/": {false, false},
	} {
		with, without := &sites.Group{Session: true}, new(sites.Group)
		if with.Keeps(path) != want.with || without.Keeps(path) != want.without {
			t.Errorf("%s: kept is %v with sessions and %v without", path, with.Keeps(path), without.Keeps(path))
		}
	}
}
