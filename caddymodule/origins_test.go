// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"strings"
	"testing"
)

// TestOriginsWhereBrowsersLogIn: those that lead to a protect with sessions, and no other.
func TestOriginsWhereBrowsersLogIn(t *testing.T) {
	t.Parallel()
	const sites = `
https://app.example.com, https://*.tenant.example.com:8443 {
	protect {
		session on
	}
}
https://api.example.com {
	protect
}
https://open.example.com {
	respond ok
}
https://*.example.org {
	@inner host inner.example.org
	handle @inner {
		protect {
			session on
		}
	}
}
https://behind.example.com {
	protect /app* {
		session on https://outside.example.net
	}
}
http://localhost:8081 {
	protect {
		session on
	}
}
http://localhost:8083 {
	protect
}
:8444 {
	protect {
		session on
	}
}
`
	cases := map[string]bool{
		"https://app.example.com":              true,
		"https://app.example.com:444":          false,
		"http://app.example.com":               false,
		"https://a.tenant.example.com:8443":    true,
		"https://a.tenant.example.com:9443":    false,
		"https://a.b.tenant.example.com:8443":  false,
		"https://api.example.com":              false,
		"https://open.example.com":             false,
		"https://inner.example.org":            true,
		"https://other.example.org":            false,
		"https://behind.example.com":           true,
		"https://outside.example.net":          true,
		"https://outside.example.net:8443":     false,
		"https://elsewhere.example.net":        false,
		"http://localhost:8081":                true,
		"http://localhost:8083":                false,
		"http://localhost:8082":                false,
		"http://localhost":                     false,
		"http://127.0.0.1:8081":                false,
		"http://127.0.0.1:8444":                true,
		"https://app.example.com.evil.org":     false,
		"https://evil.org#app.example.com":     false,
		"https://evil.org/app.example.com":     false,
		"https://user@app.example.com":         true, // CheckOrigin refuses it before
		"":                                     false,
		"://":                                  false,
		"https://whatever-host.example.com:84": false,
	}
	r := open(t, usual, sites)
	if r.app.Allowed("https://app.example.com") {
		t.Error("an origin is allowed before the sites are known")
	}
	if err := r.app.Ready(); err != nil {
		t.Fatal(err)
	}
	for origin, want := range cases {
		if got := r.app.Allowed(origin); got != want {
			t.Errorf("%s: %v, want %v", origin, got, want)
		}
	}
}

// TestLoopbackIsForDevelopment: where the issuer is on a real host, no site on a loopback host is one of its own.
func TestLoopbackIsForDevelopment(t *testing.T) {
	t.Parallel()
	r := open(t, usual, "http://localhost:8081 {\n protect {\n session on\n }\n}\n")
	r.app.Issuer = "https://auth.example.com"
	if err := r.app.Ready(); err != nil {
		t.Fatal(err)
	}
	if r.app.Allowed("http://localhost:8081") {
		t.Error("a loopback host is a site of an issuer that is not on one")
	}
}

// TestLoginsMustEnd: a site where browsers could begin a login and never end it is refused before anything starts, whatever
// other sites stand on its port.
func TestLoginsMustEnd(t *testing.T) {
	t.Parallel()
	const protect = "protect {\n session on\n}\n"
	cases := []struct {
		name, site string
		good       bool
	}{
		{"site", protect, true},
		{"with a matcher", "protect /app* {\n session on\n}\n", true},
		{"route", "route {\n" + protect + "}\n", true},
		{"handle for all", "handle {\n" + protect + "}\n", true},
		{"handle of a host", "@h host localhost\nhandle @h {\n" + protect + "}\n", true},
		{"handle of a path", "handle /app* {\n" + protect + "}\n", false},
		{"handle_path", "handle_path /app/* {\n" + protect + "}\n", false},
		{"deep", "handle {\nroute /app* {\nhandle {\n" + protect + "}\n}\n}\n", false},
		{"handle of a path, and the way back", "handle /app* {\n" + protect + "}\nhandle /_gatehouse/* {\n" + protect + "}\n", true},
		{"without sessions", "handle /app* {\nprotect\n}\n", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, other := range map[string]string{
				"alone":  "",
				"before": "http://127.0.0.1:8081 {\n" + protect + "}\n",
				"after":  "http://otherwise.example.com:8081 {\n" + protect + "}\n",
			} {
				storage := `{"engine":"memory","name":"` + t.Name() + name + `"}`
				r, err := provision(t, usual, other+"http://localhost:8081 {\n"+c.site+"}\n", storage)
				if (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), `localhost: "session on" stands where no login can end`) {
					t.Errorf("%s: provisioning says %v", name, err)
				}
				if err == nil && r.app.Ready() != nil {
					t.Errorf("%s: what was provisioned does not start", name)
				}
			}
		})
	}
}
