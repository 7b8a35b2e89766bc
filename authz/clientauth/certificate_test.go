// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/internal/certtest"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// TestRFC8705Section2: a client that has certificates is authenticated by client_id and connection, and by nothing else.
func TestRFC8705Section2(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := f.clock.Now()
	root := certtest.NewAuthority(t, "Root", now)
	bank := root.Issue(t, &x509.Certificate{DNSNames: []string{"bank.example.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, now)
	other := root.Issue(t, &x509.Certificate{DNSNames: []string{"other.example.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, now)
	own := (*certtest.Authority)(nil).Client(t, "partner", now)
	with := func(id string, method authz.AuthMethod, certificates client.Certificates) *authz.Client {
		return &authz.Client{ID: id, Auth: method, Certificates: &certificates, Audience: []string{"x"}, AccessTTL: time.Minute}
	}
	issued := func(id, name string) *authz.Client {
		return with(id, authz.AuthTLS, client.Certificates{
			Roots: certtest.Pool(root), Name: client.CertificateName{Kind: client.NameDNS, Value: name},
		})
	}
	clients, err := authz.NewClients(authz.Sites{}, issued("bank", "bank.example.com"), issued("other", "other.example.com"),
		with("partner", authz.AuthSelfSignedTLS, client.Certificates{Own: []*x509.Certificate{own.Leaf}}),
		newClient("basic", authz.AuthClientSecretBasic, secret), newClient("public", authz.AuthNone))
	check(t, err)
	f.auth.Clients = clients
	f.auth.Limiter = nil
	for _, test := range []struct {
		name string
		attempt
		shown *tls.Certificate
		id    string
		code  oauth.Code
	}{
		{"2.1 pki", attempt{body: form("client_id", "bank")}, &bank, "bank", ""},
		{"2.2 self-signed", attempt{body: form("client_id", "partner")}, &own, "partner", ""},
		{"2 client_id: another client's certificate", attempt{body: form("client_id", "bank")}, &other, "", oauth.InvalidClient},
		{"2 client_id: missing", attempt{}, &bank, "", oauth.InvalidClient},
		{"2.1 pki: a certificate of its own", attempt{body: form("client_id", "bank")}, &own, "", oauth.InvalidClient},
		{"2.2 self-signed: an issued certificate", attempt{body: form("client_id", "partner")}, &bank, "", oauth.InvalidClient},
		{"2 no certificate", attempt{body: form("client_id", "bank")}, nil, "", oauth.InvalidClient},
		{"2 no certificate, self-signed", attempt{body: form("client_id", "partner")}, nil, "", oauth.InvalidClient},
		{"a secret instead", attempt{body: form("client_id", "bank", "client_secret", secret)}, &bank, "", oauth.InvalidClient},
		{"a secret in the header instead", attempt{header: []string{basic("bank", "")}}, &bank, "", oauth.InvalidClient},
		{"a client with a secret shows a certificate", attempt{body: form("client_id", "basic")}, &bank, "", oauth.InvalidClient},
		{"and its secret", attempt{header: []string{basic("basic", secret)}}, &bank, "basic", ""},
		{"a browser's form", attempt{body: form("client_id", "bank"), more: http.Header{"Origin": {issuer}}}, &bank, "", oauth.InvalidClient},
		{
			"a browser's form of the same site", attempt{body: form("client_id", "partner"), more: http.Header{"Sec-Fetch-Site": {"same-origin"}}},
			&own, "", oauth.InvalidClient,
		},
		{"RFC 8470 3 early data", attempt{body: form("client_id", "bank"), early: true}, &bank, "", oauth.InvalidClient},
		{"a public client shows one", attempt{body: form("client_id", "public")}, &bank, "public", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.attempt.shown = test.shown
			f.want(t, test.attempt, test.id, test.code)
		})
	}
}

// TestCertificatesComeFromTLSAlone: no field of the request stands in for the connection (RFC 8705 3, RFC 9440 4).
func TestCertificatesComeFromTLSAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	shown := (*certtest.Authority)(nil).Client(t, "x", f.clock.Now())
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/token", nil)
	for _, name := range []string{"Client-Cert", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-SSL-Cert"} {
		r.Header.Set(name, ":"+string(shown.Leaf.Raw)+":")
	}
	var e *oauth.Error
	if thumbprint, err := clientauth.Certificate(r); thumbprint != "" || !errors.As(err, &e) || e.Code != oauth.InvalidRequest {
		t.Errorf("%q %v", thumbprint, err)
	}
	r.TLS = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{shown.Leaf}}
	if thumbprint, err := clientauth.Certificate(r); err != nil || thumbprint != jose.CertificateThumbprint(shown.Leaf) {
		t.Errorf("%q %v", thumbprint, err)
	}
}

// TestAddressAtTheOtherOrigin: a proof names the address as it is published there (RFC 9449 4.2, RFC 8705 5).
func TestAddressAtTheOtherOrigin(t *testing.T) {
	t.Parallel()
	a := &clientauth.Authenticator{Issuer: issuer + "/t1", MutualTLS: "https://mtls.example.com"}
	for host, want := range map[string]string{
		"auth.example.com": issuer + "/t1/token", "10.0.0.1:8443": issuer + "/t1/token", "mtls.example.com.evil.example": issuer + "/t1/token",
		"mtls.example.com": "https://mtls.example.com/t1/token", "MTLS.example.com": "https://mtls.example.com/t1/token",
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/t1/token", nil)
		r.Host = host
		if got := a.Address(r); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
}
