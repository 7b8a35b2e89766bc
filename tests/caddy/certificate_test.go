// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.issue(template)
	return a
}

// issue returns a certificate that is valid now, signed by the authority, or by itself when that has none yet.
func (a *authority) issue(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// client returns Alice's certificate, with that use.
func (a *authority) client(use ...x509.ExtKeyUsage) tls.Certificate {
	a.t.Helper()
	cert, key := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Alice", Organization: []string{"Example"}}, EmailAddresses: []string{"alice@example.com"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: use,
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key}
}

// write puts PEM blocks into a file.
func write(t *testing.T, path string, blocks ...*pem.Block) {
	t.Helper()
	var content []byte
	for _, b := range blocks {
		content = append(content, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func certificateBlock(c *x509.Certificate) *pem.Block {
	return &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}
}

const certificateCaddyfile = `{
	admin ADMIN
	auto_https off
	default_bind 127.0.0.1
	gatehouse {
		issuer https://ISSUER
		storage badger data
		user_identity badge narrow
		scope door
		realm badge {
			authenticator certificate {
				name cn
				amr sc
			}
		}
		realm narrow {
			authenticator certificate {
				id san_email
				issuer_ca staff.pem
			}
		}
	}
}

http://READY {
	respond /ready 200
}

https://ISSUER {
	tls server.pem server.key {
		client_auth {
			mode verify_if_given
			trust_pool file trusted.pem
		}
	}
	authorization_server
}

https://SITE {
	tls server.pem server.key
	protect /badge* door {
		session on
		acr badge
	}
	protect /narrow* door {
		session on
		acr narrow
	}
	reverse_proxy UPSTREAM
}
`

// certified is a program that asks for certificates.
type certified struct {
	*program.Program
	site  string
	roots *x509.CertPool
}

// newCertified starts one that trusts two authorities, and in one realm the first of them alone.
func newCertified(t *testing.T, staff, partners *authority) *certified {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is temporary anyway
	servers := newAuthority(t, "Servers")
	cert, key := servers.issue(&x509.Certificate{
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "server.pem"), certificateBlock(cert))
	write(t, filepath.Join(dir, "server.key"), &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	write(t, filepath.Join(dir, "staff.pem"), certificateBlock(staff.cert))
	write(t, filepath.Join(dir, "trusted.pem"), certificateBlock(staff.cert), certificateBlock(partners.cert))
	up := newUpstream()
	t.Cleanup(up.Close)
	c := &certified{roots: x509.NewCertPool()}
	c.roots.AddCert(servers.cert)
	c.Program, err = program.Start(t.Context(), program.Config{
		Path: binary, Dir: dir, Ports: 3, Host: "localhost", Ready: "/ready", Caddyfile: func(at []string) string {
			c.site = "https://" + at[2]
			return strings.NewReplacer(
				"ADMIN", program.SocketIn(dir), "READY", at[0], "ISSUER", at[1], "SITE", at[2], "UPSTREAM", up.Listener.Addr().String(),
			).Replace(certificateCaddyfile)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() }) // the test is over
	return c
}

// browser returns a browser with certificates.
func (c *certified) browser(t *testing.T, certificates ...tls.Certificate) *browser {
	t.Helper()
	b := newBrowser(t)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: c.roots, Certificates: certificates, MinVersion: tls.VersionTLS13},
	}
	t.Cleanup(transport.CloseIdleConnections)
	b.client.Transport = transport
	return b
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	staff, partners := newAuthority(t, "Staff"), newAuthority(t, "Partners")
	c := newCertified(t, staff, partners)
	clients := x509.ExtKeyUsageClientAuth
	for _, tt := range []struct {
		name, path   string
		certificates []tls.Certificate
		in           bool
	}{
		{"staff", "/badge", []tls.Certificate{staff.client(clients)}, true},
		{"staff, where nobody else is", "/narrow", []tls.Certificate{staff.client(clients)}, true},
		{"a partner", "/badge", []tls.Certificate{partners.client(clients)}, true},
		{"a partner, where only staff is", "/narrow", []tls.Certificate{partners.client(clients)}, false},
		{"no certificate", "/badge", nil, false},
		{"one for anything", "/badge", []tls.Certificate{staff.client()}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.browser(t, tt.certificates...).get(c.site + tt.path)
			if got.reached() != tt.in {
				t.Fatalf("the browser is at %s with %d: %s", got.URL, got.Status, got.Body)
			}
			if !tt.in {
				if got.Status != http.StatusOK || !strings.Contains(got.Body, "takes a certificate") || strings.Contains(got.Body, "password") {
					t.Errorf("the browser is at %s with %d: %s", got.URL, got.Status, got.Body)
				}
				return
			}
			heard := got.heard(t).Header
			if !strings.HasPrefix(heard.Get("Gatehouse-Subject"), "usr_") || heard.Get("Gatehouse-Acr") != tt.path[1:] {
				t.Errorf("the upstream hears %v", heard)
			}
			if tt.path == "/badge" && (heard.Get("Gatehouse-Amr") != "sc" || heard.Get("Gatehouse-Name") != "Alice") {
				t.Errorf("the upstream hears %v", heard)
			}
		})
	}
	// One person, two certificates: the subject's name is what counts.
	one, two := c.browser(t, staff.client(clients)).get(c.site+"/badge"), c.browser(t, staff.client(clients)).get(c.site+"/badge")
	if a, b := one.heard(t).Header.Get("Gatehouse-Subject"), two.heard(t).Header.Get("Gatehouse-Subject"); a != b {
		t.Errorf("one person is %q and %q", a, b)
	}
	// Of an authority that nobody trusts the server does not even take one.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.site+"/badge", nil)
	if err != nil {
		t.Fatal(err)
	}
	navigate(r)
	b := c.browser(t)
	b.client.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		mine := newAuthority(t, "Staff").client(clients) // whatever the server would like to see
		return &mine, nil
	}
	if response, err := b.client.Do(r); err == nil {
		_ = response.Body.Close() // it is not read
		t.Errorf("the server takes it and answers %d", response.StatusCode)
	}
	if !strings.Contains(c.Log(), "clientAuth") || !strings.Contains(c.Log(), "not of an accepted issuer") {
		t.Error("the log does not say why certificates were not accepted")
	}
}
