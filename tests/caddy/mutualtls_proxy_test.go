// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// behindCaddyfile is an issuer and a site behind a proxy that ends TLS, here another site of the same program, which connects from the only
// address that is trusted. A second proxy is not set up as it should be.
const behindCaddyfile = `{
	admin ADMIN
	auto_https off
	default_bind 127.0.0.1
	servers {
		trusted_proxies static 127.0.0.2/32
	}
	gatehouse {
		issuer https://FRONT
		storage badger data
		realm password {
			authenticator form
			login_module identity_store
		}
		user_identity password
		scope payments
		mutual_tls {
			ca_file clients-ca.pem
			from_proxy
		}
		client bank {
			tls_client_auth san_dns bank.example.com
			grants client_credentials
			scopes payments
			tls_client_certificate_bound_access_tokens
		}
		client partner {
			self_signed_tls_client_auth partner.pem
			grants client_credentials
			scopes payments
		}
	}
}

http://BEHIND {
	respond /ready 200
	handle /pay {
		protect payments
		reverse_proxy UPSTREAM
	}
	handle /open {
		protect {
			off
		}
		reverse_proxy UPSTREAM
	}
	authorization_server
}

(passes_on) {
	tls server.pem server.key {
		client_auth {
			mode request
		}
	}
	reverse_proxy BEHIND {
		header_up Client-Cert {args[0]}
		header_up -Client-Cert-Chain
		transport http {
			local_address 127.0.0.2
		}
	}
}

https://FRONT {
	import passes_on ":{http.request.tls.client.certificate_der_base64}:"
}

https://WRONG {
	import passes_on "-----BEGIN%20CERTIFICATE-----"
}
`

// TestClientCertificatesBehindAProxy: clients show certificates to a proxy that ends TLS (RFC 9440), and what anybody else writes into the
// same header fields is worth nothing.
func TestClientCertificatesBehindAProxy(t *testing.T) {
	t.Parallel()
	m, behind, wrong := newBehind(t)
	token, refused := m.token(t, m.issuer, "bank", "bank")
	if token == "" {
		t.Fatalf("the bank gets %s", refused)
	}
	if another, refused := m.token(t, m.issuer, "partner", "partner"); another == "" {
		t.Errorf("the partner gets %s", refused)
	}
	der, err := exec.CommandContext(t.Context(), "sh", "-c",
		"openssl x509 -in "+filepath.Join(m.Dir, "bank.pem")+" -outform DER | base64 -w0").Output()
	if err != nil {
		t.Fatal(err)
	}
	forged := "Client-Cert: :" + string(der) + ":"
	for _, as := range []string{"", "other", "false", "partner"} {
		if _, refused := m.token(t, m.issuer, as, "bank"); refused != "invalid_client" {
			t.Errorf("%q as the bank: %q", as, refused)
		}
	}
	form := []string{"-d", "grant_type=client_credentials", "-d", "client_id=bank"}
	bearer := []string{"-H", "Authorization: Bearer " + token}
	for _, test := range []struct {
		name, as, address, status string
		more                      []string
	}{
		{"the bank at the site", "bank", m.issuer + "/pay", "200", bearer},
		{"nobody with the bank's token", "", m.issuer + "/pay", "401", bearer},
		{"another one with the bank's token", "other", m.issuer + "/pay", "401", bearer},
		{"nobody, who writes the field, with the bank's token", "", m.issuer + "/pay", "401", append(bearer, "-H", forged)},
		{"past the proxy, with the bank's token", "", behind + "/pay", "401", append(bearer, "-H", forged)},
		{"nobody, who writes the field, as the bank", "", m.issuer + "/token", "401", append(form, "-H", forged)},
		{"past the proxy, as the bank", "", behind + "/token", "401", append(form, "-H", forged)},
		{"past the proxy, in a form that is none", "", behind + "/token", "401", append(form, "-H", "Client-Cert: none")},
		{"a proxy that writes something else", "bank", wrong + "/token", "400", form},
		{"a proxy that writes something else, at the site", "bank", wrong + "/pay", "400", bearer},
	} {
		if status, body := m.curl(t, test.as, append([]string{test.address}, test.more...)...); status != test.status {
			t.Errorf("%s: %s %s", test.name, status, body)
		}
	}
	if !strings.Contains(m.Log(), "does not pass on certificates as RFC 9440 says") {
		t.Error("the log does not say what is wrong with the second proxy")
	}
	for address, heard := range map[string]bool{m.issuer + "/open": true, behind + "/open": false} {
		status, body := m.curl(t, "bank", address, "-H", forged, "-H", "client_cert: x", "-H", "Client-Cert-Chain: "+forged[len("Client-Cert: "):])
		if status != "200" || strings.Contains(body, `"Client-Cert":`) != heard || strings.Contains(body, `"Client-Cert-Chain":`) ||
			strings.Contains(strings.ToLower(body), `"client_cert":`) {
			t.Errorf("%s: the upstream hears %s %s", address, status, body)
		}
	}
}

// newBehind is like [newMutual], behind proxies.
func newBehind(t *testing.T) (m *mutual, behind, wrong string) {
	t.Helper()
	for _, tool := range []string{"openssl", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s was not found (apt-get install %s)", tool, tool)
		}
	}
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is temporary anyway
	making := exec.CommandContext(t.Context(), "sh", "-c", certificates)
	making.Dir = dir
	if said, err := making.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, said)
	}
	up := newUpstream()
	t.Cleanup(up.Close)
	m = new(mutual)
	m.Program, err = program.Start(context.Background(), program.Config{
		Path: binary, Dir: dir, Ports: 3, Host: "localhost", Ready: "/ready", Caddyfile: func(at []string) string {
			behind, m.issuer, wrong = "http://"+at[0], "https://"+at[1], "https://"+at[2]
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "BEHIND", at[0], "FRONT", at[1], "WRONG", at[2],
				"UPSTREAM", up.Listener.Addr().String()).Replace(behindCaddyfile)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() }) // the test is over
	return m, behind, wrong
}
