// SPDX-License-Identifier: Apache-2.0

package mutualtls_test

import (
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/caddymodule/mutualtls"
	"github.com/gatehouse-id/gatehouse/internal/certtest"
)

func TestServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config *mutualtls.Config
		want   *endpoints.MutualTLS
	}{
		"nothing":        {nil, nil},
		"no authorities": {&mutualtls.Config{}, &endpoints.MutualTLS{Methods: []string{"self_signed_tls_client_auth"}}},
		"both": {&mutualtls.Config{Origin: "https://mtls.example.com", CAFile: "ca.pem"}, &endpoints.MutualTLS{
			Origin: "https://mtls.example.com", Methods: []string{"self_signed_tls_client_auth", "tls_client_auth"},
		}},
	} {
		if diff := cmp.Diff(test.want, test.config.Server()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for origin, ok := range map[string]bool{
		"": true, "https://mtls.example.com": true, "https://mtls.example.com:8443": true,
		"http://mtls.example.com": false, "https://mtls.example.com/": false, "https://mtls.example.com?x": false, "https://": false,
		"https://a@mtls.example.com": false, "https://AUTH.example.com": false, "https://auth.example.com": false, "mtls.example.com": false,
	} {
		if err := (&mutualtls.Config{Origin: origin}).Check("https://auth.example.com/t1"); (err == nil) != ok {
			t.Errorf("%q: %v", origin, err)
		}
	}
	if err := (*mutualtls.Config)(nil).Check("https://auth.example.com"); err != nil {
		t.Error(err)
	}
}

// TestApply: the files make the client, and what is wrong with one says which.
func TestApply(t *testing.T) {
	t.Parallel()
	now := time.Now()
	root, own := certtest.NewAuthority(t, "Root", now), (*certtest.Authority)(nil).Client(t, "own", now)
	dir := t.TempDir()
	ca, mine, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "mine.pem"), filepath.Join(dir, "empty.pem")
	certtest.Write(t, ca, root.Certificate)
	certtest.Write(t, mine, own.Leaf)
	certtest.Write(t, empty)
	issued := root.Issue(t, &x509.Certificate{DNSNames: []string{"a.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, now)
	byName := &mutualtls.Name{Kind: "san_dns", Value: "a.example"}

	client := &authz.Client{Auth: authz.AuthNone}
	show := mutualtls.Client{Issued: byName}
	if err := show.Apply(&mutualtls.Config{CAFile: ca}, client); err != nil || client.Auth != authz.AuthTLS {
		t.Fatalf("%s %v", client.Auth, err)
	}
	if err := client.Certificates.Match(client.Auth, certtest.Chain(t, issued), now); err != nil {
		t.Error(err)
	}
	client = &authz.Client{Auth: authz.AuthNone}
	show = mutualtls.Client{Own: []string{ca, mine}}
	if err := show.Apply(&mutualtls.Config{}, client); err != nil || client.Auth != authz.AuthSelfSignedTLS || len(client.Certificates.Own) != 2 {
		t.Fatalf("%s %v", client.Auth, err)
	}
	if err := client.Certificates.Match(client.Auth, certtest.Chain(t, own), now); err != nil {
		t.Error(err)
	}
	client = &authz.Client{Auth: authz.AuthNone}
	if err := (&mutualtls.Client{CertificateBound: true}).Apply(&mutualtls.Config{}, client); err != nil || client.Auth != authz.AuthNone || client.Certificates != nil {
		t.Errorf("a public client became %s: %v", client.Auth, err)
	}
	for name, test := range map[string]struct {
		show mutualtls.Client
		ca   string
		want string
	}{
		"no such authorities": {mutualtls.Client{Issued: byName}, filepath.Join(dir, "none.pem"), "ca_file"},
		"no authorities":      {mutualtls.Client{Issued: byName}, empty, "ca_file"},
		"no such certificate": {mutualtls.Client{Own: []string{mine, filepath.Join(dir, "none.pem")}}, ca, "none.pem"},
		"an empty file":       {mutualtls.Client{Own: []string{empty}}, ca, "no certificate"},
	} {
		if err := test.show.Apply(&mutualtls.Config{CAFile: test.ca}, new(authz.Client)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
