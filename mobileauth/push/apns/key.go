// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/crypto/pkcs12"
)

// ErrCredential is wrapped by every error about a key or certificate. None of them repeats any of it.
var ErrCredential = errors.New("credential for Apple's push service refused")

// maxCredential bounds a file that holds one, in bytes.
const maxCredential = 64 << 10

// Key is a key that Apple has issued for provider tokens. It does not print its secret.
type Key struct{ private *ecdsa.PrivateKey }

// ParseKey reads a .p8 file: PEM with a key on P-256 in PKCS #8.
func ParseKey(data []byte) (*Key, error) {
	if len(data) > maxCredential {
		return nil, fmt.Errorf("reading a key: it is too large: %w", ErrCredential)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("reading a key: it is not the .p8 file from Apple, which begins with BEGIN PRIVATE KEY: %w", ErrCredential)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading a key: it is damaged: %w", ErrCredential)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("reading a key: it is not one on the curve P-256: %w", ErrCredential)
	}
	return &Key{private: private}, nil
}

// String keeps the secret from being printed.
func (k *Key) String() string { return "a key for Apple's push service" }

// GoString keeps %#v from printing the secret.
func (k *Key) GoString() string { return k.String() }

// LogValue keeps structured logs from printing the secret.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a secret is not written by accident.
func (k *Key) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("writing a key: %w", ErrCredential)
}

// Certificate is a TLS certificate for Apple's push service with its key, which it does not print.
type Certificate struct{ pair tls.Certificate }

// ParseCertificate reads PEM that holds a certificate and its key without password, as
//
//	openssl pkcs12 -legacy -nodes -in push.p12
//
// writes it.
func ParseCertificate(data []byte) (*Certificate, error) {
	if len(data) > maxCredential {
		return nil, fmt.Errorf("reading a certificate: it is too large: %w", ErrCredential)
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: it is not PEM with a certificate and its key, without password: %w", ErrCredential)
	}
	return &Certificate{pair: pair}, nil
}

// ParsePKCS12 reads a .p12 file as macOS exports it. The newer forms that OpenSSL 3 writes unless told otherwise are not read: such a
// file is written again with -legacy, or turned into PEM.
func ParsePKCS12(data []byte, password string) (*Certificate, error) {
	if len(data) > maxCredential {
		return nil, fmt.Errorf("reading a certificate: it is too large: %w", ErrCredential)
	}
	key, cert, err := pkcs12.Decode(data, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, fmt.Errorf("reading a certificate: the password of the .p12 file is wrong: %w", ErrCredential)
	case err != nil:
		return nil, fmt.Errorf("reading a certificate: it is no .p12 file with one certificate and its key in the form that macOS "+
			"exports; turn it into PEM with openssl pkcs12 -nodes: %w", ErrCredential)
	}
	return &Certificate{pair: tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}}, nil
}

// NotAfter is when the certificate ends. Apple's are good for a year.
func (c *Certificate) NotAfter() time.Time { return c.pair.Leaf.NotAfter }

// String keeps the secret from being printed.
func (c *Certificate) String() string { return "a certificate for Apple's push service" }

// GoString keeps %#v from printing the secret.
func (c *Certificate) GoString() string { return c.String() }

// LogValue keeps structured logs from printing the secret.
func (c *Certificate) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON refuses: a secret is not written by accident.
func (c *Certificate) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("writing a certificate: %w", ErrCredential)
}
