// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// binary is the program, built once for all tests.
var binary string

// shared runs for all tests that only send requests. It is started by the first one that asks for it.
var shared struct {
	once  sync.Once
	house *house
	err   error
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	if binary, err = program.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		for _, h := range []*house{shared.house, known.house} {
			if h != nil {
				h.close()
			}
		}
	}()
	return m.Run()
}

// house is a running program with its sites, and the upstream behind them.
type house struct {
	*program.Program
	up *upstream
	// The sites, as they stand in URLs.
	issuer, web, api, all, nested string
	// folder is the program's.
	folder string
	// held are the tokens of the devices that have called.
	held []string
	// extra is put into the global option, and more after the sites.
	extra, more string
}

const (
	siteIssuer = iota
	siteWeb
	siteAPI
	siteAll
	siteNested
	siteSpare
	sites
)

// common returns the program that is shared by the tests that change nothing.
func common(t *testing.T) *house {
	t.Helper()
	shared.once.Do(func() { shared.house, shared.err = open("", "") })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.house
}

// start runs a program for one test.
func start(t *testing.T, extra, more string) *house {
	t.Helper()
	h, err := open(extra, more)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.close()
		if t.Failed() {
			t.Logf("the program said:\n%s", h.warnings())
		}
	})
	return h
}

// open starts a program in a short folder, since the path of a Unix socket must be short.
func open(extra, more string) (*house, error) {
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		return nil, err
	}
	h := &house{up: newUpstream(), folder: dir, extra: extra, more: more}
	h.Program, err = program.Start(context.Background(), program.Config{
		Path: binary, Dir: dir, Ports: sites, Host: "localhost", Ready: "/jwks", Caddyfile: h.caddyfile,
	})
	if err != nil {
		h.up.Close()
	}
	return h, err
}

func (h *house) close() {
	_ = h.Stop() // the tests are over
	h.up.Close()
	_ = os.RemoveAll(h.folder) // it is temporary anyway
}

// warnings returns what the program said that is worth reading after a failure.
func (h *house) warnings() string {
	var kept strings.Builder
	for line := range strings.Lines(h.Log()) {
		if !strings.Contains(line, `"level":"info"`) && !strings.Contains(line, "skipped because it requires TLS") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// url returns the origin of a site.
func (h *house) url(site int) string { return "http://" + h.Addresses[site] }

func (h *house) caddyfile(addresses []string) string {
	at := func(site int) string { return "http://" + addresses[site] }
	h.issuer, h.web, h.api, h.all, h.nested = at(siteIssuer), at(siteWeb), at(siteAPI), at(siteAll), at(siteNested)
	config := strings.NewReplacer("EXTRA", h.extra, "MORE", h.more).Replace(caddyfile)
	return strings.NewReplacer(
		"ADMIN", program.SocketIn(h.folder), "ISSUER", h.issuer, "WEB", h.web, "API", h.api, "ALL", h.all, "NESTED", h.nested,
		"SPARE", at(siteSpare), "FRONT", "https://"+addresses[siteSpare], "UPSTREAM", h.up.Listener.Addr().String(),
	).Replace(config)
}

// path returns the path of a file in the program's folder.
func (h *house) path(name string) string { return filepath.Join(h.folder, name) }

const (
	machineSecret = "machine-secret-0123456789-0123456789"
	password      = "wonderland-2026"
)

const caddyfile = `{
	admin ADMIN
	auto_https off
	default_bind 127.0.0.1
	log {
		level INFO
	}
	metrics
	gatehouse {
		issuer ISSUER
		storage badger data
		realm password {
			authenticator form
			login_module identity_store
			max_age 8h
			audit
		}
		scope accounts:read password
		scope payments:write password
		default_scope accounts:read
		client machine {
			secret ` + machineSecret + `
			grants client_credentials
			scopes accounts:read payments:write
			introspect
			access_ttl 1h
		}
		client app {
			redirect_uri http://127.0.0.1/callback
			grants authorization_code refresh_token
			scopes openid offline_access accounts:read payments:write
			first_party
			access_ttl 1h
		}
		user alice {
			password ` + password + `
			attribute name "Alice Liddell"
		}
		user bob {
			password ` + password + `
		}
		EXTRA
	}
}

ISSUER {
	authorization_server
	@site path /site*
	protect @site {
		session on
	}
	reverse_proxy UPSTREAM
}

WEB {
	log {
		output file access.log
	}
	protect {
		session on
	}
	handle_path /prefix/* {
		reverse_proxy UPSTREAM
	}
	reverse_proxy UPSTREAM
}

API {
	log {
		output file access.log
	}
	@health path /health
	protect @health {
		off
	}
	@open path /open*
	protect @open {
		optional
	}
	@payments path /payments*
	protect @payments payments:write {
		assertion urn:upstream
	}
	@remote path /remote*
	protect @remote {
		identity_headers {
			X-Remote-User sub
			X-Remote-Nothing nothing
		}
	}
	@lenient path /lenient*
	protect @lenient {
		lenient_paths
		forward_token
	}
	protect /private*
	header >X-Placeholder "{http.auth.user.id}|{http.auth.user.scopes}|{http.vars.gatehouse.passage}"
	reverse_proxy UPSTREAM
	handle_errors {
		respond "handled {err.status_code}"
	}
}

ALL {
	protect /health {
		off
	}
	protect accounts:read
	reverse_proxy UPSTREAM
}

NESTED {
	protect /outer*
	handle /outer/inner* {
		protect payments:write {
			session on
		}
		reverse_proxy UPSTREAM
	}
	handle /off* {
		protect {
			off
		}
		reverse_proxy UPSTREAM
	}
	route {
		protect /session* {
			session on
		}
		request_header /session* Authorization "Basic dXBzdHJlYW06c2VjcmV0"
		reverse_proxy UPSTREAM
	}
}
MORE
`
