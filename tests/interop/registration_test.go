// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// registrationCaddyfile is an issuer at which meters register.
const registrationCaddyfile = `{
	admin %s
	auto_https off
	gatehouse {
		issuer http://%s
		storage badger data
		scope meters:write
		registration {
			application meter {
				grants client_credentials
				scopes meters:write
			}
		}
	}
}
http://%s {
	authorization_server
}
`

// TestRegistrationWithOpenIDClient: an app of others finds the endpoint, registers by the operator's token, authenticates by its own key,
// and manages its registration; what it may not reaches it under the name of the specification.
func TestRegistrationWithOpenIDClient(t *testing.T) {
	t.Parallel()
	npmInstall(t, "registration")
	dir := t.TempDir()
	p, err := program.Start(t.Context(), program.Config{
		Path: built, Dir: dir, Ports: 1, Ready: "/jwks",
		Caddyfile: func(a []string) string { return fmt.Sprintf(registrationCaddyfile, program.SocketIn(dir), a[0], a[0]) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // the test is over
	issuer := "http://" + p.Addresses[0]
	out, err := p.Command(t.Context(), "client", "token", "issue", "meter", "--json", "--address", p.Socket()).Output()
	var issued struct {
		Token string `json:"token"`
	}
	if err != nil || json.Unmarshal(out, &issued) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	app := exec.CommandContext(t.Context(), "node", "client.mjs", issuer, issued.Token)
	app.Dir = "registration"
	var failed strings.Builder
	app.Stderr = &failed
	if out, err = app.Output(); err != nil {
		t.Fatalf("%v\n%s", err, &failed)
	}
	var said map[string]any
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	id, _ := said["id"].(string)
	if !strings.HasPrefix(id, "ins_") {
		t.Errorf("its client id is %q", id)
	}
	want := map[string]any{
		"endpoint": issuer + "/register", "id": id, "method": "private_key_jwt", "scope": "meters:write", "read": "A meter", "updated": "The meter",
		"stale": 401., "deleted": 204., "gone": 401., "unknown": "invalid_client", "again": "invalid_token", "wrong": "invalid_token",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("what it says (-want +got):\n%s", diff)
	}
}
