// SPDX-License-Identifier: Apache-2.0

package testauthority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Organization stands in every certificate of a test authority.
const Organization = "Gatehouse TEST attestation"

// validity is how long root and intermediates are good.
const validity = 10 * 365 * 24 * time.Hour

// Authority makes evidence. It is safe for concurrent use as long as nobody changes Now.
type Authority struct {
	// Root is what has to be configured as believed.
	Root *x509.Certificate
	// Now is the moment that evidence is made at.
	Now func() time.Time

	key *ecdsa.PrivateKey
}

// New draws an authority.
func New(now func() time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("drawing the key of a test authority: %w", err)
	}
	a := &Authority{Now: now, key: key}
	template := a.authorityTemplate("root")
	a.Root, err = certify(template, template, &key.PublicKey, key)
	return a, err
}

// RootPEM is the certificate to configure.
func (a *Authority) RootPEM() []byte { return encode("CERTIFICATE", a.Root.Raw) }

// Marshal writes the authority, its private key included.
func (a *Authority) Marshal() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("writing a test authority: %w", err)
	}
	return append(a.RootPEM(), encode("PRIVATE KEY", der)...), nil
}

// Parse reads what Marshal wrote. The error does not quote it.
func Parse(text []byte, now func() time.Time) (*Authority, error) {
	certificate, rest := pem.Decode(text)
	private, rest := pem.Decode(rest)
	if certificate == nil || private == nil || len(rest) > 0 {
		return nil, errors.New("reading a test authority: it is not the file of one")
	}
	root, err := x509.ParseCertificate(certificate.Bytes)
	if err != nil {
		return nil, errors.New("reading a test authority: its certificate is none")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || !key.PublicKey.Equal(root.PublicKey) {
		return nil, errors.New("reading a test authority: its key is not the one of its certificate")
	}
	if len(root.Subject.Organization) != 1 || root.Subject.Organization[0] != Organization {
		return nil, errors.New("reading a test authority: its certificate does not say that it is a test")
	}
	return &Authority{Root: root, Now: now, key: key}, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (a *Authority) authorityTemplate(name string) *x509.Certificate {
	now := a.Now()
	return &x509.Certificate{
		Subject: pkix.Name{Organization: []string{Organization}, CommonName: name}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(validity), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// intermediate is a fresh key under the root.
func (a *Authority) intermediate(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	return a.under(a.Root, a.key, name)
}

func (a *Authority) under(parent *x509.Certificate, by *ecdsa.PrivateKey, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("drawing a key: %w", err)
	}
	c, err := certify(a.authorityTemplate(name), parent, &key.PublicKey, by)
	return c, key, err
}

// certify makes a certificate. Where the template has no serial number it is drawn.
func certify(template, parent *x509.Certificate, key *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	if template.SerialNumber == nil {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
		if err != nil {
			return nil, fmt.Errorf("drawing a serial number: %w", err)
		}
		template.SerialNumber = serial
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// AppDigest is the SHA-256 of the certificate that apps are signed with, as this authority says.
func (a *Authority) AppDigest() []byte {
	digest := sha256.Sum256(a.Root.Raw)
	return digest[:]
}
