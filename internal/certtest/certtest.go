// SPDX-License-Identifier: Apache-2.0

package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"
)

// Authority issues certificates. Where it is nil they are signed by their own keys.
type Authority struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	above       *Authority
}

// NewAuthority returns a root that is good for two days around a time.
func NewAuthority(t testing.TB, name string, now time.Time) *Authority {
	t.Helper()
	return (*Authority)(nil).Below(t, name, now)
}

// Below returns an authority below this one; below none it is a root.
func (a *Authority) Below(t testing.TB, name string, now time.Time) *Authority {
	t.Helper()
	issued := a.Issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
	}, now)
	return &Authority{Certificate: issued.Leaf, key: issued.PrivateKey.(*ecdsa.PrivateKey), above: a}
}

// Issue returns a certificate with a new key, and what is between it and the root. Without dates it is good for two hours around a time.
func (a *Authority) Issue(t testing.TB, template *x509.Certificate, now time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	filled := *template
	filled.SerialNumber = serial
	if filled.NotBefore.IsZero() {
		filled.NotBefore, filled.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	}
	parent, signer := &filled, key
	if a != nil {
		parent, signer = a.Certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &filled, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	issued := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if issued.Leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	for between := a; between != nil && between.above != nil; between = between.above {
		issued.Certificate = append(issued.Certificate, between.Certificate.Raw)
	}
	return issued
}

// Client returns a certificate for clients of TLS with a common name.
func (a *Authority) Client(t testing.TB, name string, now time.Time) tls.Certificate {
	t.Helper()
	return a.Issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now)
}

// Chain returns the certificates of one that was issued, as a connection shows them.
func Chain(t testing.TB, issued tls.Certificate) (chain []*x509.Certificate) {
	t.Helper()
	for _, der := range issued.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, certificate)
	}
	return chain
}

// Pool returns a pool with the certificates of authorities.
func Pool(authorities ...*Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AddCert(a.Certificate)
	}
	return pool
}

// Write puts certificates into a PEM file.
func Write(t testing.TB, path string, certificates ...*x509.Certificate) {
	t.Helper()
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
