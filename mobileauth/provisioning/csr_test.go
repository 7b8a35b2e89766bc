// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

func makeCSR(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	must(t, err)
	return der
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	must(t, err)
	return key
}

// craft signs a request whose attributes and subject are what they are given as.
func craft(t testing.TB, subject asn1.RawValue, attributes ...any) []byte {
	t.Helper()
	key := newKey(t)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	if subject.FullBytes == nil {
		subject.FullBytes = []byte{0x30, 0}
	}
	var list []byte
	for _, a := range attributes {
		der, err := asn1.Marshal(a)
		must(t, err)
		list = append(list, der...)
	}
	info, err := asn1.Marshal(struct {
		Version    int
		Subject    asn1.RawValue
		Key        asn1.RawValue
		Attributes asn1.RawValue
	}{0, subject, asn1.RawValue{FullBytes: spki}, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: list}})
	must(t, err)
	sum := sha256.Sum256(info)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	must(t, err)
	der, err := asn1.Marshal(struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: info}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	must(t, err)
	return der
}

// attribute is one of a request.
type attribute struct {
	ID     asn1.ObjectIdentifier
	Values []string `asn1:"set"`
}

func challengePassword(text string) attribute {
	return attribute{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}, []string{text}}
}

func names(t testing.TB, rdns ...pkix.RelativeDistinguishedNameSET) asn1.RawValue {
	t.Helper()
	der, err := asn1.Marshal(pkix.RDNSequence(rdns))
	must(t, err)
	return asn1.RawValue{FullBytes: der}
}

func rdn(values ...string) pkix.RelativeDistinguishedNameSET {
	var set pkix.RelativeDistinguishedNameSET
	for i, v := range values {
		set = append(set, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3 + 7*i}, Value: v})
	}
	return set
}

func TestReadCSR(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	extension := func(id asn1.ObjectIdentifier, value ...byte) *x509.CertificateRequest {
		return &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: id, Value: value}}}
	}
	for _, tt := range []struct {
		name string
		der  []byte
	}{
		{"P-256", makeCSR(t, newKey(t), new(x509.CertificateRequest))},
		{"P-384", makeCSR(t, p384, new(x509.CertificateRequest))},
		{"RSA", makeCSR(t, rsaKey(t, 2048), new(x509.CertificateRequest))},
		{"PSS", makeCSR(t, rsaKey(t, 2048), &x509.CertificateRequest{SignatureAlgorithm: x509.SHA256WithRSAPSS})},
		{"a subject", makeCSR(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: "Voilà", Organization: []string{"Example"}}})},
		{"no authority", makeCSR(t, newKey(t), extension(asn1.ObjectIdentifier{2, 5, 29, 19}, 0x30, 0))},
		{"a usage, which is not ours to follow", makeCSR(t, newKey(t), extension(asn1.ObjectIdentifier{2, 5, 29, 15}, 3, 2, 7, 0x80))},
		{"a challenge password", craft(t, asn1.RawValue{}, challengePassword("x"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			csr, err := provisioning.ReadCSR(tt.der)
			must(t, err)
			if !bytes.Equal(csr.Raw, tt.der) || csr.Hash != hash(tt.der) || csr.Key != hash(csr.Parsed.RawSubjectPublicKeyInfo) {
				t.Errorf("the request is read as %+v", csr)
			}
		})
	}
}

func TestReadCSRRefuses(t *testing.T) {
	t.Parallel()
	good := makeCSR(t, newKey(t), new(x509.CertificateRequest))
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
	ext := func(extensions ...pkix.Extension) []byte {
		return makeCSR(t, newKey(t), &x509.CertificateRequest{ExtraExtensions: extensions})
	}
	many := make([]pkix.Extension, 17)
	for i := range many {
		many[i] = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, i}, Value: []byte{5, 0}}
	}
	var attributes []any
	for i := range 9 {
		attributes = append(attributes, attribute{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, i}, []string{"x"}})
	}
	usage := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 2, 7, 0x80}}
	weakRSA := func(e int) []byte {
		key := rsaKey(t, 2048)
		key.E = e
		return unsigned(t, &key.PublicKey)
	}
	for _, tt := range []struct {
		name string
		der  []byte
		want provisioning.Reason
	}{
		{"nothing", nil, provisioning.ReasonMalformed},
		{"no DER", []byte("-----BEGIN CERTIFICATE REQUEST-----"), provisioning.ReasonMalformed},
		{"cut short", good[:len(good)-1], provisioning.ReasonMalformed},
		{"with something behind it", append(bytes.Clone(good), 0), provisioning.ReasonMalformed},
		{"huge", make([]byte, provisioning.MaxCSR+1), provisioning.ReasonTooLarge},
		{"an attribute twice", craft(t, asn1.RawValue{}, challengePassword("x"), challengePassword("y")), provisioning.ReasonAttributes},
		{"many attributes", craft(t, asn1.RawValue{}, attributes...), provisioning.ReasonAttributes},
		{"an extension twice", ext(usage, usage), provisioning.ReasonMalformed},
		{"many extensions", ext(many...), provisioning.ReasonAttributes},
		{"a huge subject", makeCSR(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("x", 600)}}), provisioning.ReasonSubject},
		{"a long name", makeCSR(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("x", 65)}}), provisioning.ReasonSubject},
		{"a name with a line break", makeCSR(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a\nb"}}), provisioning.ReasonSubject},
		{"a name that turns round", makeCSR(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a\u202eb"}}), provisioning.ReasonSubject},
		{"a name with a space before it", makeCSR(t, newKey(t), &x509.CertificateRequest{Subject: pkix.Name{CommonName: " a"}}), provisioning.ReasonSubject},
		{"two names at one place", craft(t, names(t, rdn("a", "b"))), provisioning.ReasonSubject},
		{"a name twice", craft(t, names(t, rdn("a"), rdn("b"))), provisioning.ReasonSubject},
		{"an authority", ext(pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 3, 1, 1, 0xff}}), provisioning.ReasonAuthority},
		{"a server's name", makeCSR(t, newKey(t), &x509.CertificateRequest{DNSNames: []string{"bank.example.com"}}), provisioning.ReasonNames},
		{"an address", makeCSR(t, newKey(t), &x509.CertificateRequest{IPAddresses: []net.IP{{192, 0, 2, 1}}}), provisioning.ReasonNames},
		{"a person's name", makeCSR(t, newKey(t), &x509.CertificateRequest{EmailAddresses: []string{"ceo@example.com"}}), provisioning.ReasonNames},
		{"another device's name", makeCSR(t, newKey(t), &x509.CertificateRequest{
			URIs: []*url.URL{{Scheme: "urn", Opaque: "gatehouse:device:ins_x"}},
		}), provisioning.ReasonNames},
		{"Ed25519", makeCSR(t, ed, new(x509.CertificateRequest)), provisioning.ReasonKeyType},
		{"P-521", makeCSR(t, p521, new(x509.CertificateRequest)), provisioning.ReasonKeyType},
		{"RSA with an even exponent", weakRSA(65538), provisioning.ReasonKeyWeak},
		{"RSA with 3", weakRSA(3), provisioning.ReasonKeyWeak},
		{"a forged signature", forged, provisioning.ReasonPossession},
		{"another's key", unsigned(t, &newKey(t).PublicKey), provisioning.ReasonPossession},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			csr, err := provisioning.ReadCSR(tt.der)
			refused(t, err, tt.want)
			if csr != nil {
				t.Error("there is a request beside the refusal")
			}
		})
	}
}

// unsigned is a request with somebody else's key: the signature is another's.
func unsigned(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	mine := newKey(t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA256}, stranger{mine, public})
	if err == nil {
		return der
	}
	// The library checks what it has signed where it can: the request is put together by hand.
	whole := makeCSR(t, mine, new(x509.CertificateRequest))
	var parts struct {
		Info struct {
			Version    int
			Subject    asn1.RawValue
			Key        asn1.RawValue
			Attributes asn1.RawValue
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	_, err = asn1.Unmarshal(whole, &parts)
	must(t, err)
	spki, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	parts.Info.Key = asn1.RawValue{FullBytes: spki}
	if _, isRSA := public.(*rsa.PublicKey); isRSA {
		parts.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}
	}
	der, err = asn1.Marshal(parts)
	must(t, err)
	return der
}

// stranger signs with a key and shows another.
type stranger struct {
	crypto.Signer
	public crypto.PublicKey
}

func (s stranger) Public() crypto.PublicKey { return s.public }

// TestOpenSSL: requests of an independent maker are read, and those that it makes badly are refused.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	for _, tt := range []struct {
		name string
		args []string
		want provisioning.Reason
	}{
		{"P-256", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/"}, ""},
		{"P-384", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-subj", "/CN=phone"}, ""},
		{"RSA", []string{"-newkey", "rsa:3072", "-subj", "/CN=phone/O=Example"}, ""},
		{"SHA-1", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/", "-sha1"}, provisioning.ReasonAlgorithm},
		{"secp256k1", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-subj", "/"}, provisioning.ReasonMalformed},
		{"an authority", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/", "-addext", "basicConstraints=CA:TRUE"}, provisioning.ReasonAuthority},
		{"a server", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/", "-addext", "subjectAltName=DNS:example.com"}, provisioning.ReasonNames},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			out := filepath.Join(folder, "csr.der")
			args := append([]string{"req", "-new", "-nodes", "-outform", "DER", "-keyout", filepath.Join(folder, "key.pem"), "-out", out}, tt.args...)
			if said, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
				t.Fatalf("openssl: %v\n%s", err, said)
			}
			der, err := os.ReadFile(out)
			must(t, err)
			_, err = provisioning.ReadCSR(der)
			if tt.want == "" {
				must(t, err)
				return
			}
			refused(t, err, tt.want)
		})
	}
}

// FuzzReadCSR: whatever is sent, what is accepted is signed by its own key, is exactly what was sent, and asks for nothing.
func FuzzReadCSR(f *testing.F) {
	f.Add(makeCSR(f, newKey(f), new(x509.CertificateRequest)))
	f.Add(makeCSR(f, newKey(f), &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"b"}}))
	f.Add(craft(f, asn1.RawValue{}, challengePassword("x"), challengePassword("y")))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		csr, err := provisioning.ReadCSR(der)
		if err != nil {
			if _, ok := errors.AsType[*provisioning.Refusal](err); !ok || csr != nil {
				t.Errorf("the error is %v, beside %v", err, csr)
			}
			return
		}
		if !bytes.Equal(csr.Parsed.Raw, der) || csr.Parsed.CheckSignature() != nil || len(der) > provisioning.MaxCSR ||
			len(csr.Parsed.DNSNames)+len(csr.Parsed.URIs)+len(csr.Parsed.IPAddresses)+len(csr.Parsed.EmailAddresses) > 0 {
			t.Errorf("accepted: %x", der)
		}
	})
}
