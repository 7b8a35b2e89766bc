// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// dpopCaddyfile is an issuer that demands nonces, and an API that takes bound tokens only.
const dpopCaddyfile = `{
	admin %s
	auto_https off
	gatehouse {
		issuer http://%s
		storage badger data
		tokens {
			dpop_nonces
		}
		realm anyone {
			authenticator form
			login_module identity_store
		}
		user_identity anyone
		scope jobs anyone
		client worker {
			secret worker-secret-0123456789-0123456789
			redirect_uri http://127.0.0.1/callback
			grants authorization_code client_credentials
			scopes jobs
			dpop_bound_access_tokens
		}
	}
}
http://%s {
	authorization_server
}
http://%s {
	protect jobs {
		dpop required
	}
	respond "done for {http.auth.user.id}: {header.DPoP}{header.Authorization}"
}
`

// dpopSays is what a client says at its end.
type dpopSays struct {
	Algorithms []string   `json:"algorithms"`
	Pushed     bool       `json:"pushed"`
	Type       string     `json:"type"`
	Bound      bool       `json:"bound"`
	Mine       dpopAnswer `json:"mine"`
	Again      dpopAnswer `json:"again"`
	Thief      dpopAnswer `json:"thief"`
	Bearer     dpopAnswer `json:"bearer"`
}

type dpopAnswer struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
	Error  string `json:"error"`
}

// TestDPoPWithLibrariesOfOthers: they find out that there is DPoP, answer demands for nonces, and get bound tokens that work for them,
// as often as they like, and for nobody else.
func TestDPoPWithLibrariesOfOthers(t *testing.T) {
	t.Parallel()
	npmInstall(t, "dpop")
	dir := t.TempDir()
	p, err := program.Start(t.Context(), program.Config{
		Path: built, Dir: dir, Ports: 2, Ready: "/jwks",
		Caddyfile: func(a []string) string { return fmt.Sprintf(dpopCaddyfile, program.SocketIn(dir), a[0], a[0], a[1]) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // the test is over
	passed := dpopAnswer{Status: 200, Body: "done for worker: "}
	want := dpopSays{
		Algorithms: []string{"ES256", "EdDSA", "PS256", "RS256"}, Pushed: true, Type: "dpop", Bound: true, Mine: passed, Again: passed,
		Thief: dpopAnswer{Status: 401, Error: "invalid_token"}, Bearer: dpopAnswer{Status: 401, Error: "invalid_token"},
	}
	for _, script := range []string{"openid.mjs", "oauth4webapi.mjs"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			client := exec.CommandContext(t.Context(), "node", script,
				"http://"+p.Addresses[0], "http://"+p.Addresses[1], "worker", "worker-secret-0123456789-0123456789")
			client.Dir = "dpop"
			out, err := client.Output()
			var got dpopSays
			if err != nil || json.Unmarshal(out, &got) != nil {
				t.Fatalf("%v: %s\n%s", err, out, stderr(err))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// stderr is what a command said that failed.
func stderr(err error) []byte {
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return nil
	}
	return failed.Stderr
}
