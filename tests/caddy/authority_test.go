// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
	"github.com/gatehouse-id/gatehouse/internal/certtest"
)

// under has provisioning with another authority.
func under(authority string) string {
	return strings.ReplaceAll(strings.ReplaceAll(provisioned, "ENTITY", "application"), "mode auto", "mode auto\n"+authority)
}

// foreignCA is a certification authority of somebody else.
type foreignCA struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// state is what it does: 0 issues, 1 waits, 2 issues for another key.
	state  atomic.Int32
	serial atomic.Int64
}

func newForeignCA(t *testing.T) *foreignCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "phones of somebody else"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &foreignCA{t: t, cert: cert, key: key}
}

// ServeHTTP speaks EST.
func (e *foreignCA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	give := func(der []byte) {
		content, err := pkcs7.DegenerateCertificate(der)
		if err != nil {
			e.t.Error(err)
		}
		w.Header().Set("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
		_, _ = io.WriteString(w, base64.StdEncoding.EncodeToString(content)) // the client has gone
	}
	user, secret, _ := r.BasicAuth()
	switch {
	case r.URL.Path == "/.well-known/est/cacerts":
		give(e.cert.Raw)
	case user != "gatehouse" || secret != "a-secret" || !strings.HasSuffix(r.URL.Path, "enroll"):
		w.WriteHeader(http.StatusUnauthorized)
	case e.state.Load() == 1:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusAccepted)
	default:
		body, _ := io.ReadAll(r.Body) // what is missing does not parse
		der, _ := base64.StdEncoding.DecodeString(string(body))
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		key := csr.PublicKey
		if e.state.Load() == 2 {
			key = e.key.Public()
		}
		der, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(e.serial.Add(1) + 1), Subject: csr.Subject, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, e.cert, key, e.key)
		if err != nil {
			e.t.Error(err)
		}
		give(der)
	}
}

// TestCertificatesOverEST: devices get theirs from an authority that is asked over EST. While it decides, answers with something else, or
// is down, those who have none are told to come again, and those who have one notice nothing.
func TestCertificatesOverEST(t *testing.T) {
	t.Parallel()
	e, web := newForeignCA(t), certtest.NewAuthority(t, "web", time.Now())
	server := httptest.NewUnstartedServer(e)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{web.Issue(t, &x509.Certificate{DNSNames: []string{"localhost"}}, time.Now())}}
	server.StartTLS()
	defer server.Close()
	roots := filepath.Join(t.TempDir(), "web.pem")
	certtest.Write(t, roots, web.Certificate)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	h := start(t, under("authority est https://localhost:"+port+" {\n ca_file "+roots+"\n basic_auth gatehouse a-secret\n }"), "")
	folder := installed.Folder(t.TempDir())
	e.state.Store(1)
	if status, err := h.called(t, "bank", folder); err == nil {
		t.Errorf("while nothing is decided the call gets %d", status)
	}
	e.state.Store(2)
	if status, err := h.called(t, "bank", installed.Folder(t.TempDir())); err == nil {
		t.Errorf("with another key's certificate the call gets %d", status)
	}
	e.state.Store(0)
	deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		status, err := h.called(t, "bank", folder)
		if err == nil && status == http.StatusOK {
			break
		}
		if deadline.Err() != nil {
			t.Fatalf("the call gets %d, %v", status, err)
		}
	}
	c, _ := leaf(t, folder, "application at "+h.issuer)
	if c.CheckSignatureFrom(e.cert) != nil || c.Subject.CommonName == "" {
		t.Errorf("the certificate is of %s", c.Issuer)
	}
	server.Close()
	if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
		t.Errorf("while the authority is down the call gets %d, %v", status, err)
	}
	if status, err := h.called(t, "bank", installed.Folder(t.TempDir())); err == nil {
		t.Errorf("while the authority is down a new device gets %d", status)
	}
	// What a program has written before it answers is read here by somebody else than the answer, and maybe later.
	for _, want := range []string{"certificate_pending", "another key", "authority_failed", "asking the EST server"} {
		if !eventually(t, func() bool { return strings.Contains(h.Log(), want) }) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if strings.Contains(h.Log(), "a-secret") {
		t.Error("the log has the password")
	}
}

// TestCertificatesOfAService: the operator's service issues, here by the command of docs/provisioning.md.
func TestCertificatesOfAService(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	e := newForeignCA(t)
	work := t.TempDir()
	keep := func(name, kind string, der []byte) string {
		path := filepath.Join(work, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Error(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(e.key)
	if err != nil {
		t.Fatal(err)
	}
	ca, key := keep("ca.pem", "CERTIFICATE", e.cert.Raw), keep("ca.key", "PRIVATE KEY", der)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ CSR, URI string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Header.Get("Authorization") != "Bearer a-secret" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		extensions, request := filepath.Join(work, "extensions"), filepath.Join(work, "request.pem")
		for path, text := range map[string]string{request: asked.CSR, extensions: "subjectAltName=critical,URI:" + asked.URI +
			"\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
		text, err := exec.CommandContext(r.Context(), openssl, "x509", "-req", "-in", request, "-subj", "/", "-CA", ca, "-CAkey", key, "-days", "30",
			"-extfile", extensions).Output()
		if err != nil {
			t.Error(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.cert.Raw})...)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"chain": string(text)}) // the client has gone
	}))
	defer server.Close()
	h := start(t, under("authority webhook "+server.URL+" {\n header Authorization \"Bearer a-secret\"\n }"), "")
	folder := installed.Folder(t.TempDir())
	if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
		t.Fatalf("the call gets %d, %v\n%s", status, err, h.Log())
	}
	if c, _ := leaf(t, folder, "application at "+h.issuer); c.CheckSignatureFrom(e.cert) != nil || len(c.URIs) != 1 {
		t.Errorf("the certificate is of %s", c.Issuer)
	}
}
