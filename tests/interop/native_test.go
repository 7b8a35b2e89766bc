// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// nativeCaddyfile is an issuer with an app of its own, and an API for it.
const nativeCaddyfile = `{
	admin %s
	auto_https off
	gatehouse {
		issuer http://%s
		storage badger data
		realm password {
			authenticator form
			login_module identity_store
		}
		realm again {
			authenticator form
			login_module identity_store
			max_age 1m
		}
		scope accounts:read password
		scope payments:write password again
		client demo-native {
			first_party
			native
			grants authorization_code refresh_token
			scopes openid accounts:read payments:write
		}
		user alice {
			password wonderland-2026
		}
	}
}
http://%s {
	authorization_server
}
http://%s {
	protect /payments payments:write
	protect accounts:read
	respond "hello {http.auth.user.client_id}"
}
`

// The example app, in a terminal: it asks when it has to, and only for what is missing.
func TestNativeApp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := program.Start(t.Context(), program.Config{
		Path: built, Dir: dir, Ports: 2, Ready: "/jwks",
		Caddyfile: func(a []string) string { return fmt.Sprintf(nativeCaddyfile, program.SocketIn(dir), a[0], a[0], a[1]) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	app := filepath.Join(dir, "native")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", app, "../../examples/native").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(answers string, arguments ...string) (string, error) {
		c := exec.CommandContext(t.Context(), app, append([]string{"-issuer", "http://" + p.Addresses[0]}, arguments...)...)
		c.Stdin = strings.NewReader(answers)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	api := "http://" + p.Addresses[1]
	for _, tt := range []struct {
		name, answers, realms string
		asks                  []string // what stands on the screen, in order
		fails                 bool
	}{
		{"a wrong answer, the right one, and then only what is missing", "alice\nwrong\nalice\nwonderland-2026\nwonderland-2026\n", "password again",
			[]string{"User name: ", "Password: ", "could not sign you in", "User name: ", "Password: ", "200 OK", "hello demo-native",
				"Password: ", "200 OK", "hello demo-native"}, false},
		{"the person leaves", "alice\n", "password again", []string{"User name: ", "Password: ", "cancelled"}, true},
		{"a realm without a screen", "alice\nwonderland-2026\n", "password", []string{"200 OK", `no handler for the realm "again"`}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := run(tt.answers, "-realms", tt.realms, api+"/accounts", api+"/payments")
			if tt.fails != (err != nil) {
				t.Errorf("it ended with %v", err)
			}
			rest := out
			for _, want := range tt.asks {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("%q does not follow:\n%s", want, out)
				}
				rest = after
			}
			if strings.Contains(rest, ": ") && !tt.fails {
				t.Errorf("more is asked: %q", rest)
			}
		})
	}
}
