// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// mutualCaddyfile is an issuer that knows clients by their certificates, and an API to which they show them.
const mutualCaddyfile = `{
	admin ADMIN
	auto_https off
	default_bind 127.0.0.1
	gatehouse {
		issuer https://ISSUER
		storage badger data
		realm anyone {
			authenticator form
			login_module identity_store
		}
		user_identity anyone
		scope jobs anyone
		mutual_tls https://MUTUAL {
			ca_file clients.pem
		}
		client issued {
			tls_client_auth san_dns issued.example.com
			grants client_credentials
			scopes jobs
			tls_client_certificate_bound_access_tokens
		}
		client own {
			self_signed_tls_client_auth own.pem
			grants client_credentials
			scopes jobs
			tls_client_certificate_bound_access_tokens
		}
	}
}

(shown) {
	tls server.pem server.key {
		client_auth {
			mode request
		}
	}
}

http://READY {
	respond /ready 200
}

https://ISSUER {
	tls server.pem server.key
	authorization_server
}

https://MUTUAL {
	import shown
	authorization_server
}

https://API {
	import shown
	protect jobs
	respond "done for {http.auth.user.id}"
}
`

// shownCertificates has openssl make what the servers and the clients show: a client's own certificate, and two that one authority has issued.
const shownCertificates = `set -e
ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout $1.key -out $1.pem; }
issue() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout $1.key -out $1.csr
	printf 'subjectAltName=DNS:%s\nextendedKeyUsage=%s\n' $3 $4 > $1.ext
	openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -days 1 -extfile $1.ext -out $1.pem
}
ca servers; ca clients; ca own
issue server servers localhost serverAuth
issue issued clients issued.example.com clientAuth
issue other clients other.example.com clientAuth
`

// mutualSays is what a client says at its end.
type mutualSays struct {
	Aliases  string     `json:"aliases"`
	Methods  []string   `json:"methods"`
	Bound    bool       `json:"bound"`
	Mine     dpopAnswer `json:"mine"`
	Thief    dpopAnswer `json:"thief"`
	Nobody   dpopAnswer `json:"nobody"`
	Impostor dpopAnswer `json:"impostor"`
}

// TestMutualTLSWithLibrariesOfOthers: they find out where certificates are shown (RFC 8705 5), are known by theirs (2.1, 2.2), and get tokens
// that are worth nothing without it (3).
func TestMutualTLSWithLibrariesOfOthers(t *testing.T) {
	t.Parallel()
	npmInstall(t, "mutualtls")
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir, err := os.MkdirTemp("", "gh") // short, since the path of a Unix socket must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is temporary anyway
	making := exec.CommandContext(t.Context(), "sh", "-c", shownCertificates)
	making.Dir = dir
	if said, err := making.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, said)
	}
	p, err := program.Start(t.Context(), program.Config{
		Path: built, Dir: dir, Ports: 4, Host: "localhost", Ready: "/ready",
		Caddyfile: func(a []string) string {
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "READY", a[0], "ISSUER", a[1], "MUTUAL", a[2], "API", a[3]).
				Replace(mutualCaddyfile)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // the test is over
	refused := dpopAnswer{Status: 401, Error: "invalid_token"}
	for _, script := range []string{"openid.mjs", "oauth4webapi.mjs"} {
		for _, id := range []string{"issued", "own"} {
			t.Run(script+" "+id, func(t *testing.T) {
				t.Parallel()
				client := exec.CommandContext(t.Context(), "node", script,
					"https://"+p.Addresses[1], "https://"+p.Addresses[3], id, dir, id, "other")
				client.Dir = "mutualtls"
				out, err := client.Output()
				var got mutualSays
				if err != nil || json.Unmarshal(out, &got) != nil {
					t.Fatalf("%v: %s\n%s", err, out, stderr(err))
				}
				want := mutualSays{
					Aliases: "https://" + p.Addresses[2] + "/token", Methods: []string{"self_signed_tls_client_auth", "tls_client_auth"}, Bound: true,
					Mine: dpopAnswer{Status: 200, Body: "done for " + id}, Thief: refused, Nobody: refused,
					Impostor: dpopAnswer{Status: 401, Error: "invalid_client"},
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
