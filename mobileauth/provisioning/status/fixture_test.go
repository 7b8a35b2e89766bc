// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/status"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const path = "/base/provisioning/"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// records are the certificates that were issued.
type records struct {
	mu    sync.Mutex
	list  []provisioning.Certificate
	err   error
	asked int
}

func (r *records) Issued(_ context.Context, authority string, serial *big.Int) (provisioning.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	for _, c := range r.list {
		if c.Authority == authority && c.Serial == hex.EncodeToString(serial.Bytes()) {
			return c, r.err
		}
	}
	if r.err != nil {
		return provisioning.Certificate{}, r.err
	}
	return provisioning.Certificate{}, storage.ErrNotFound
}

func (r *records) Revoked(_ context.Context, authority string) (list []provisioning.Certificate, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	for _, c := range r.list {
		if c.Authority == authority && !c.RevokedAt.IsZero() {
			list = append(list, c)
		}
	}
	return list, r.err
}

// world is an authority with what it has issued, and the handler that tells of it.
type world struct {
	t       testing.TB
	clock   *storagetest.Clock
	db      *storagetest.FaultyDB
	sealer  storage.Sealer
	records *records
	issuers *status.Issuers
	handler http.Handler
	local   *provisioning.Local
	root    *x509.Certificate
	rootKey crypto.Signer
	by      provisioning.Issuer
	log     bytes.Buffer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clock: storagetest.NewClock(), records: new(records)}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	must(t, err)
	w.db = storagetest.Faulty(storagetest.Twice(db, 3))
	w.sealer, err = seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789abcdef")})
	must(t, err)
	w.clock.Set(time.Now().Truncate(time.Second)) // openssl looks at the real one
	w.rootKey = newKey(t)
	w.root = w.certificate(&x509.Certificate{Subject: pkix.Name{CommonName: "root"}}, nil, w.rootKey)
	w.rotate(newKey(t))
	w.start("https://auth.example.com/provisioning/")
	return w
}

// start begins anew over the store that there is, as another node does.
func (w *world) start(base string) {
	w.t.Helper()
	logger := slog.New(slog.NewTextHandler(&w.log, nil))
	var err error
	w.issuers, err = status.NewIssuers(status.IssuersConfig{DB: w.db, Sealer: w.sealer, Base: base, Now: w.clock.Now, Logger: logger})
	must(w.t, err)
	bound, err := limit.New(limit.Config{Burst: 100, Every: time.Second, Keys: 10, Now: w.clock.Now})
	must(w.t, err)
	w.handler, err = status.New(status.Config{
		Issuers: w.issuers, Certificates: w.records, Path: path, Limit: bound, Now: w.clock.Now, Logger: logger,
	})
	must(w.t, err)
	w.local, err = provisioning.NewLocal(func() (provisioning.Issuer, error) { return w.by, nil }, w.clock.Now)
	must(w.t, err)
	w.local.Before(w.issuers.Before)
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// certificate makes that of an authority; without a parent it is the root's.
func (w *world) certificate(template, parent *x509.Certificate, key crypto.Signer) *x509.Certificate {
	w.t.Helper()
	now := w.clock.Now()
	template.SerialNumber = big.NewInt(now.UnixNano())
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(2*365*24*time.Hour)
	template.IsCA, template.BasicConstraintsValid = true, true
	if template.KeyUsage == 0 {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	by := w.rootKey
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	must(w.t, err)
	c, err := x509.ParseCertificate(der)
	must(w.t, err)
	return c
}

// rotate gives the authority another key and certificate under its old name.
func (w *world) rotate(key crypto.Signer) {
	w.t.Helper()
	w.by = provisioning.Issuer{
		Chain: []*x509.Certificate{w.certificate(&x509.Certificate{Subject: pkix.Name{CommonName: "devices"}}, w.root, key)}, Key: key,
	}
}

func (w *world) authority() string { return provisioning.AuthorityID(w.by.Chain[0]) }

// issue has a certificate issued, with its chain.
func (w *world) issue() []*x509.Certificate {
	w.t.Helper()
	key := newKey(w.t)
	der, err := x509.CreateCertificateRequest(rand.Reader, new(x509.CertificateRequest), key)
	must(w.t, err)
	csr, err := provisioning.ReadCSR(der)
	must(w.t, err)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	must(w.t, err)
	now := w.clock.Now()
	chain, err := w.local.Issue(w.t.Context(), provisioning.Order{CSR: csr, Template: &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: "device"}, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}})
	must(w.t, err)
	w.records.mu.Lock()
	defer w.records.mu.Unlock()
	w.records.list = append(w.records.list, provisioning.Certificate{
		ID: rand.Text(), Serial: hex.EncodeToString(chain[0].SerialNumber.Bytes()), Authority: provisioning.AuthorityID(chain[1]), NotAfter: chain[0].NotAfter,
	})
	return chain
}

// revoke takes a certificate away.
func (w *world) revoke(c *x509.Certificate) {
	w.t.Helper()
	w.records.mu.Lock()
	for i := range w.records.list {
		if one := &w.records.list[i]; one.Serial == hex.EncodeToString(c.SerialNumber.Bytes()) {
			one.RevokedAt = w.clock.Now()
		}
	}
	w.records.mu.Unlock()
	must(w.t, w.db.Update(w.t.Context(), func(tx storage.Tx) error { return w.issuers.OnChange(tx) }))
}

func (w *world) send(method, target string, body []byte, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, bytes.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder
}

// listed gets a list and checks whom it is from.
func (w *world) listed(by *x509.Certificate) *x509.RevocationList {
	w.t.Helper()
	got := w.send(http.MethodGet, path+provisioning.AuthorityID(by)+".crl", nil)
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/pkix-crl" {
		w.t.Fatalf("the list is %d, %s", got.Code, got.Header())
	}
	list, err := x509.ParseRevocationList(got.Body.Bytes())
	must(w.t, err)
	must(w.t, list.CheckSignatureFrom(by))
	return list
}

func (w *world) ask(body []byte) *httptest.ResponseRecorder {
	return w.send(http.MethodPost, path+"ocsp", body, "Content-Type", "application/ocsp-request")
}

// told asks about a certificate and checks who has answered.
func (w *world) told(c, by *x509.Certificate) *ocsp.Response {
	w.t.Helper()
	request, err := ocsp.CreateRequest(c, by, nil)
	must(w.t, err)
	got := w.ask(request)
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/ocsp-response" {
		w.t.Fatalf("the answer is %d, %s", got.Code, got.Header())
	}
	response, err := ocsp.ParseResponseForCert(got.Body.Bytes(), c, by)
	must(w.t, err)
	return response
}

// write keeps certificates, or something else, as PEM.
func (w *world) write(name, kind string, ders ...[]byte) string {
	w.t.Helper()
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	file := filepath.Join(w.t.TempDir(), name)
	must(w.t, os.WriteFile(file, text, 0o600))
	return file
}
