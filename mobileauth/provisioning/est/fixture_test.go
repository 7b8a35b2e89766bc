// SPDX-License-Identifier: Apache-2.0

package est_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/est"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// signer is an authority of the tests.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (s *signer) sign(t testing.TB, template *x509.Certificate, key any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, s.cert, key, s.key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c
}

// newSigner makes an authority, whose certificate is signed by another, or by itself.
func newSigner(t testing.TB, name string, by *signer) *signer {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(365 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if by == nil {
		by = &signer{template, key}
	}
	return &signer{by.sign(t, template, key.Public()), key}
}

// server is an EST server over TLS.
type server struct {
	t     testing.TB
	clock *storagetest.Clock
	*httptest.Server
	roots *x509.CertPool // vouch for it

	mu          sync.Mutex
	web         *signer
	root, ca    *signer
	calls       map[string]int
	requests    [][]byte     // in DER
	header      http.Header  // of the last request
	peers       int          // certificates that the last caller has shown
	answer      http.Handler // instead of enrolling
	change      func(*x509.Certificate)
	key         any // instead of the request's
	certificate func([]byte) ([]byte, error)
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, clock: storagetest.NewClock(), calls: map[string]int{}, roots: x509.NewCertPool(), certificate: pkcs7.DegenerateCertificate}
	s.root = newSigner(t, "root", nil)
	s.ca = newSigner(t, "devices", s.root)
	s.web = newSigner(t, "web", nil)
	s.roots.AddCert(s.web.cert)
	key := newKey(t)
	leaf := s.web.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, key.Public())
	s.Server = httptest.NewUnstartedServer(s)
	s.Server.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}, ClientAuth: tls.RequestClientCert,
	}
	s.Server.StartTLS()
	t.Cleanup(s.Server.Close)
	return s
}

// authority returns a client of the server.
func (s *server) authority(change ...func(*est.Config)) *est.Authority {
	s.t.Helper()
	_, port, _ := cut(s.Listener.Addr().String())
	c := est.Config{URL: "https://localhost:" + port, Roots: s.roots, Username: "gatehouse", Password: "secret", Now: s.clock.Now}
	for _, change := range change {
		change(&c)
	}
	a, err := est.New(c)
	must(s.t, err)
	s.t.Cleanup(a.Close)
	return a
}

func cut(address string) (host, port string, ok bool) {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == ':' {
			return address[:i], address[i+1:], true
		}
	}
	return address, "", false
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.URL.Path]++
	s.header, s.peers = r.Header, len(r.TLS.PeerCertificates)
	switch r.URL.Path {
	case "/.well-known/est/cacerts":
		s.give(w, append(append([]byte{}, s.root.cert.Raw...), s.ca.cert.Raw...))
	case "/.well-known/est/simpleenroll", "/.well-known/est/simplereenroll":
		if s.answer != nil {
			s.answer.ServeHTTP(w, r)
			return
		}
		s.enroll(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *server) enroll(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "gatehouse" || password != "secret" {
		w.Header().Set("WWW-Authenticate", `Basic realm="est"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body)
	must(s.t, err)
	der, err := base64.StdEncoding.DecodeString(string(body))
	must(s.t, err)
	s.requests = append(s.requests, der)
	csr, err := x509.ParseCertificateRequest(der)
	must(s.t, err)
	must(s.t, csr.CheckSignature())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(s.requests)) + 10), RawSubject: csr.RawSubject, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if s.change != nil {
		s.change(template)
	}
	key := csr.PublicKey
	if s.key != nil {
		key = s.key
	}
	s.give(w, s.ca.sign(s.t, template, key).Raw)
}

// give sends certificates, in lines.
func (s *server) give(w http.ResponseWriter, ders []byte) {
	content, err := s.certificate(ders)
	must(s.t, err)
	w.Header().Set("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
	w.Header().Set("Content-Transfer-Encoding", "base64")
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > 64 {
		_, _ = io.WriteString(w, text[:64]+"\r\n") // the client has gone
		text = text[64:]
	}
	_, _ = io.WriteString(w, text+"\r\n") // the client has gone
}

func (s *server) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls["/.well-known/est"+path]
}

// order is one for a certificate of a device with a key.
func order(t testing.TB, key *ecdsa.PrivateKey) provisioning.Order {
	t.Helper()
	return named(t, key, "a device")
}

// named is the order of a device that calls itself something.
func named(t testing.TB, key *ecdsa.PrivateKey, name string) provisioning.Order {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	must(t, err)
	csr, err := provisioning.ReadCSR(der)
	must(t, err)
	return provisioning.Order{CSR: csr, Template: new(x509.Certificate)}
}
