// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
	fake "github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// certificatePEM is a certificate of the fake Apple's with its key.
func certificatePEM(t *testing.T, authority *loopback.Authority, sandbox bool, until time.Time) []byte {
	t.Helper()
	pair, err := fake.Certificate(authority, topic, sandbox, until)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), pkcs8(t, pair.PrivateKey)...)
}

func certificate(t *testing.T, authority *loopback.Authority, sandbox bool, until time.Time) *apns.Certificate {
	t.Helper()
	cert, err := apns.ParseCertificate(certificatePEM(t, authority, sandbox, until))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestACertificateStandsInsteadOfAKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		sandbox bool
		until   time.Time
		class   push.Class
		reason  string
		status  int
		calls   int
	}{
		{"good", false, start.AddDate(0, 6, 0), "", "", 0, 1},
		{"of the sandbox", true, start.AddDate(0, 6, 0), push.Config, "BadCertificateEnvironment", 403, 1},
		{"over", false, start.Add(-time.Second), push.Config, "certificate_expired", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := build(t, func(c *apns.Config, authority *loopback.Authority) {
				c.Key, c.TeamID, c.KeyID = nil, "", ""
				c.Certificate = certificate(t, authority, tt.sandbox, tt.until)
			})
			want(t, w.send(t), tt.class, tt.reason, tt.status)
			if got := w.Requests(); len(got) != tt.calls {
				t.Errorf("%d requests, want %d", len(got), tt.calls)
			} else if tt.calls > 0 && got[0].Fields["authorization"] != "" {
				t.Error("a token was sent beside the certificate")
			}
		})
	}
}

func TestACertificateThatTheServiceDoesNotTake(t *testing.T) {
	t.Parallel()
	others, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := build(t, func(c *apns.Config, _ *loopback.Authority) {
		c.Key, c.TeamID, c.KeyID = nil, "", ""
		c.Certificate = certificate(t, others, false, start.AddDate(0, 6, 0))
	})
	// The service's alert may be overtaken by the end of the connection; then it is one that broke.
	if err := w.send(t); push.ClassOf(err) != push.Config && push.ClassOf(err) != push.Transient {
		t.Errorf("Send = %v", err)
	}
	if n := w.Stats().Requests; n != 0 {
		t.Errorf("%d requests were read", n)
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"no PEM", []byte("secret")},
		{"another curve", pkcs8(t, p384)},
		{"an RSA key", pkcs8(t, rsaKey)},
		{"a certificate", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
		{"a damaged key", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
		{"too much", bytes.Repeat([]byte("x"), 65<<10)},
	} {
		if key, err := apns.ParseKey(tt.data); !errors.Is(err, apns.ErrCredential) || key != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: ParseKey = %v, %v", tt.name, key, err)
		}
	}
}

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	cert, err := apns.ParsePKCS12(read("push.p12"), "correct")
	if err != nil || cert.NotAfter().Before(start) {
		t.Fatalf("reading what macOS exports: %v", err)
	}
	for _, tt := range []struct {
		name, password, hint string
		data                 []byte
	}{
		{"wrong password", "secret", "password", read("push.p12")},
		{"the form of OpenSSL 3", "correct", "openssl", read("modern.p12")},
		{"no .p12", "secret", "openssl", []byte("secret")},
		{"too much", "", "too large", bytes.Repeat([]byte("x"), 65<<10)},
	} {
		_, err := apns.ParsePKCS12(tt.data, tt.password)
		if !errors.Is(err, apns.ErrCredential) || !strings.Contains(err.Error(), tt.hint) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: ParsePKCS12 = %v", tt.name, err)
		}
	}
	for _, data := range [][]byte{nil, []byte("secret"), bytes.Repeat([]byte("x"), 65<<10)} {
		if _, err := apns.ParseCertificate(data); !errors.Is(err, apns.ErrCredential) || strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseCertificate(%.10q) = %v", data, err)
		}
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	key, err := apns.ParseKey(pkcs8(t, private))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert := certificate(t, authority, false, start)
	for _, v := range []any{key, cert, apns.Config{Key: key, Certificate: cert}} {
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "v", v)
		for _, text := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), logged.String()} {
			if strings.Contains(text, fmt.Sprint(raw[0])+" "+fmt.Sprint(raw[1])+" "+fmt.Sprint(raw[2])) || strings.Contains(text, "PrivateKey") {
				t.Errorf("it prints as %s", text)
			}
		}
		if data, err := json.Marshal(v); err == nil {
			t.Errorf("it is written as %s", data)
		}
	}
}
