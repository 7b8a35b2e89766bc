// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

const mutualCaddyfile = `{
	admin ADMIN
	auto_https off
	default_bind 127.0.0.1
	gatehouse {
		issuer https://ISSUER
		storage badger data
		realm password {
			authenticator form
			login_module identity_store
		}
		user_identity password
		scope payments
		mutual_tls https://MUTUAL {
			ca_file clients-ca.pem
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
			introspect
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
	tls server.pem server.key {
		client_auth {
			mode request
		}
	}
	authorization_server
}

https://SITE {
	tls server.pem server.key {
		client_auth {
			mode request
		}
	}
	protect payments
	reverse_proxy UPSTREAM
}
`

// mutual is a program whose clients show certificates that openssl has made, and a folder with them.
type mutual struct {
	*program.Program
	issuer, aliases, site string
}

// certificates has openssl make an authority for the servers, and one that issues to clients, with a certificate of a client that was
// issued, two that nobody has issued, and one that another authority of the same name has issued.
const certificates = `set -e
ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$2" -keyout $1.key -out $1.pem; }
key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout $1.key -out $1.csr; }
issue() { printf 'subjectAltName=DNS:%s\nextendedKeyUsage=%s\n' $3 $4 > $1.ext; openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -days 1 -extfile $1.ext -out $1.pem; }
ca servers Servers; ca clients-ca Clients; ca false-ca Clients
key server /CN=localhost; issue server servers localhost serverAuth
key bank '/C=CH/O=Bank/CN=pay'; issue bank clients-ca bank.example.com clientAuth
key other '/C=CH/O=Bank/CN=pay'; issue other clients-ca other.example.com clientAuth
key false '/C=CH/O=Bank/CN=pay'; issue false false-ca bank.example.com clientAuth
ca partner partner; ca twin partner
`

func newMutual(t *testing.T) *mutual {
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
	m := new(mutual)
	m.Program, err = program.Start(context.Background(), program.Config{
		Path: binary, Dir: dir, Ports: 4, Host: "localhost", Ready: "/ready", Caddyfile: func(at []string) string {
			m.issuer, m.aliases, m.site = "https://"+at[1], "https://"+at[2], "https://"+at[3]
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "READY", at[0], "ISSUER", at[1], "MUTUAL", at[2], "SITE", at[3],
				"UPSTREAM", up.Listener.Addr().String()).Replace(mutualCaddyfile)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() }) // the test is over
	return m
}

// curl asks with the certificate of a name, or with none, and returns status and body.
func (m *mutual) curl(t *testing.T, as string, args ...string) (status, body string) {
	t.Helper()
	all := []string{"-sS", "--cacert", "servers.pem", "-w", "\n%{http_code}"}
	if as != "" {
		all = append(all, "--cert", as+".pem", "--key", as+".key")
	}
	asking := exec.CommandContext(t.Context(), "curl", append(all, args...)...)
	asking.Dir = m.Dir
	said, err := asking.CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v\n%s", err, said)
	}
	end := strings.LastIndexByte(string(said), '\n')
	return string(said[end+1:]), string(said[:end])
}

// token asks for one and returns it, or the error.
func (m *mutual) token(t *testing.T, origin, as, client string) (token, refused string) {
	t.Helper()
	status, body := m.curl(t, as, origin+"/token", "-d", "grant_type=client_credentials", "-d", "client_id="+client, "-d", "scope=payments")
	var got struct {
		Access string `json:"access_token"`
		Error  string `json:"error"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%s %s: %v", status, body, err)
	}
	return got.Access, got.Error
}

// TestMutualTLS: clients are who their certificates say (RFC 8705 2), and a token is worth nothing without the certificate it was given
// for (3).
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	m := newMutual(t)
	_, metadata := m.curl(t, "", m.issuer+"/.well-known/oauth-authorization-server")
	for _, want := range []string{
		`"mtls_endpoint_aliases":{"token_endpoint":"` + m.aliases + `/token"`, `"tls_client_certificate_bound_access_tokens":true`,
		`"self_signed_tls_client_auth","tls_client_auth"`,
	} {
		if !strings.Contains(metadata, want) {
			t.Errorf("the metadata are %s, without %s", metadata, want)
		}
	}
	for _, test := range []struct{ name, origin, as, client, want string }{
		{"another certificate of the same authority", m.aliases, "other", "bank", "invalid_client"},
		{"an authority of the same name", m.aliases, "false", "bank", "invalid_client"},
		{"a certificate of one's own for one that is issued", m.aliases, "partner", "bank", "invalid_client"},
		{"no certificate", m.aliases, "", "bank", "invalid_client"},
		{"where none is asked for", m.issuer, "bank", "bank", "invalid_client"},
		{"a twin of one's own", m.aliases, "twin", "partner", "invalid_client"},
		{"one that is issued for one's own", m.aliases, "bank", "partner", "invalid_client"},
	} {
		if token, refused := m.token(t, test.origin, test.as, test.client); token != "" || refused != test.want {
			t.Errorf("%s: %q %q", test.name, token, refused)
		}
	}
	token, refused := m.token(t, m.aliases, "bank", "bank")
	if token == "" {
		t.Fatalf("the bank gets %s", refused)
	}
	for as, want := range map[string]string{"bank": "200", "": "401", "other": "401", "partner": "401"} {
		if status, body := m.curl(t, as, m.site+"/pay", "-H", "Authorization: Bearer "+token, "-H", "Client-Cert: :"+token+":"); status != want {
			t.Errorf("%q with the bank's token: %s %s", as, status, body)
		}
	}
	if unbound, refused := m.token(t, m.aliases, "partner", "partner"); unbound == "" {
		t.Errorf("the partner gets %s", refused)
	}
	_, body := m.curl(t, "partner", m.aliases+"/introspect", "-d", "client_id=partner", "-d", "token="+token)
	if !strings.Contains(body, `"active":true`) || !strings.Contains(body, `"cnf":{"x5t#S256":"`+m.thumbprint(t, "bank")+`"}`) {
		t.Errorf("introspection says %s", body)
	}
}

// thumbprint has openssl compute that of a certificate.
func (m *mutual) thumbprint(t *testing.T, name string) string {
	t.Helper()
	computing := exec.CommandContext(t.Context(), "sh", "-c",
		"openssl x509 -in "+name+".pem -outform DER | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '='")
	computing.Dir = m.Dir
	said, err := computing.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(said))
}

// TestCertificatesAreReplacedByAReload: a certificate file is read again when the configuration is, so that one can be replaced without a restart.
func TestCertificatesAreReplacedByAReload(t *testing.T) {
	t.Parallel()
	m := newMutual(t)
	if token, refused := m.token(t, m.aliases, "twin", "partner"); token != "" {
		t.Fatalf("it is not registered, and gets a token: %s", refused)
	}
	var both []byte
	for _, name := range []string{"partner.pem", "twin.pem"} {
		data, err := os.ReadFile(filepath.Join(m.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, data...)
	}
	if err := os.WriteFile(filepath.Join(m.Dir, "partner.pem"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := m.Command(t.Context(), "reload", "--config", "Caddyfile", "--force", "--address", m.Socket()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, as := range []string{"partner", "twin"} {
		if token, refused := m.token(t, m.aliases, as, "partner"); token == "" {
			t.Errorf("%s gets %s", as, refused)
		}
	}
}
