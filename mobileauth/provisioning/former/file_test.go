// SPDX-License-Identifier: Apache-2.0

package former_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/former"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return der
}

// TestParseIssuers: what is no authority in PEM is refused, and of a key store it is said how to export it.
func TestParseIssuers(t *testing.T) {
	t.Parallel()
	c := newCA(t, ecKey(t, elliptic.P256()), nil)
	good := block("CERTIFICATE", c.cert.Raw)
	if all, err := former.ParseIssuers(append([]byte("Bag Attributes\n"), append(good, good...)...)); err != nil || len(all) != 2 {
		t.Errorf("it holds %v, %v", all, err)
	}
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "no certificate in PEM"},
		{"too large", make([]byte, former.MaxFile+1), "more than"},
		{"JKS", []byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2}, "keytool -exportcert -rfc"},
		{"JCEKS", []byte{0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2}, "keytool -exportcert -rfc"},
		{"PKCS#12", []byte{0x30, 0x82, 1, 2, 2, 1, 3}, "openssl pkcs12 -in FILE -nokeys"},
		{"a key beside it", append(block("PRIVATE KEY", pkcs8(t, c.key)), good...), "holds a PRIVATE KEY"},
		{"a broken one", block("CERTIFICATE", []byte("x")), "certificate 1: "},
		{"a device's", append(good, block("CERTIFICATE", c.issue(ecKey(t, elliptic.P256()).Public(), nil))...), "certificate 2: it is no authority"},
	} {
		if _, err := former.ParseIssuers(tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestCheckKey: the key is the certificate's, whichever way it is written down.
func TestCheckKey(t *testing.T) {
	t.Parallel()
	ec, rs := ecKey(t, elliptic.P256()), rsaKey(t, 2048)
	c, r := newCA(t, ec, nil), newCA(t, rs, nil)
	sec1, err := x509.MarshalECPrivateKey(ec)
	must(t, err)
	must(t, former.CheckKey(block("PRIVATE KEY", pkcs8(t, ec)), c.cert))
	must(t, former.CheckKey(block("EC PRIVATE KEY", sec1), c.cert))
	must(t, former.CheckKey(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), r.cert))
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "openssl pkcs12 -in FILE -nocerts"},
		{"too large", make([]byte, former.MaxFile+1), "more than"},
		{"a key store", []byte{0x30, 0x82, 1, 2}, "keytool -importkeystore"},
		{"encrypted", block("ENCRYPTED PRIVATE KEY", []byte("x")), "openssl pkey"},
		{"something else", block("CERTIFICATE", c.cert.Raw), "no private key"},
		{"another", block("PRIVATE KEY", pkcs8(t, rs)), "not the key of the certificate"},
	} {
		if err := former.CheckKey(tt.file, c.cert); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
