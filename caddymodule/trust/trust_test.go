// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
)

// files writes a certificate and its key, each as PEM.
func files(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "CERTIFICATE", der), write(t, "PRIVATE KEY", encoded)
}

func write(t *testing.T, kind string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.ReplaceAll(kind, " ", "-")+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPool(t *testing.T) {
	t.Parallel()
	certificate, key := files(t)
	if pool, err := trust.Pool(""); pool != nil || err != nil {
		t.Errorf("without a file: %v, %v", pool, err)
	}
	pool, err := trust.Pool(certificate)
	if err != nil {
		t.Fatal(err)
	}
	found, err := trust.Certificates(certificate)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d certificates, %v", len(found), err)
	}
	if _, err := found[0].Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a key": key, "no file": "nowhere.pem", "nothing": empty, "no certificate": write(t, "CERTIFICATE", []byte("paper")),
	} {
		if _, err := trust.Pool(path); err == nil || !strings.Contains(err.Error(), "ca_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPair(t *testing.T) {
	t.Parallel()
	certificate, key := files(t)
	if pair, err := trust.Pair(certificate, key); err != nil || len(pair.Certificate) != 1 {
		t.Errorf("%d certificates, %v", len(pair.Certificate), err)
	}
	_, other := files(t)
	if _, err := trust.Pair(certificate, other); err == nil {
		t.Error("the key of another certificate is taken")
	}
}
