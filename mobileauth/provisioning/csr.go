// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/signing"
)

// Limits of a certificate request.
const (
	// MaxCSR is the most bytes of one, in DER. RSA with 4096 bits needs 1.3 KiB.
	MaxCSR = 8 << 10
	// maxExtensions bounds what it asks for, maxSubject its subject in bytes, and maxNames the parts of that.
	maxExtensions        = 16
	maxSubject, maxNames = 512, 8
	maxName              = 64 // characters of a part (RFC 5280 A.1, ub-common-name)
)

// CSR is a certificate request that was found good: it is signed by its own key, which is fit to be used, and asks for nothing that a
// device does not get. What it says of a subject is a wish.
type CSR struct {
	// Raw is the request in DER, and Hash its SHA-256 in base64url.
	Raw  []byte
	Hash string
	// Parsed is the request as it was read.
	Parsed *x509.CertificateRequest
	// Key is the SHA-256 of the public key (the SubjectPublicKeyInfo) in base64url.
	Key string
}

// ReadCSR reads a PKCS#10 request in DER (RFC 2986). It refuses, with a [*Refusal], what is larger than [MaxCSR], is not exactly one
// request, has an attribute or an extension twice, has a subject that is large or odd, asks to be an authority or for names, has a key
// that is of another kind than P-256, P-384 and RSA or is weak, and what is not signed by its own key with an algorithm of today.
func ReadCSR(der []byte) (*CSR, error) {
	if len(der) > MaxCSR {
		return nil, refuse(ReasonTooLarge)
	}
	if err := checkAttributes(der); err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, refuseFor(ReasonMalformed, err)
	}
	if !bytes.Equal(parsed.Raw, der) || parsed.Version != 0 {
		return nil, refuse(ReasonMalformed)
	}
	for _, check := range []func(*x509.CertificateRequest) error{checkSubject, checkExtensions, checkKey, checkPossession} {
		if err := check(parsed); err != nil {
			return nil, err
		}
	}
	return &CSR{Raw: parsed.Raw, Hash: digest(parsed.Raw), Parsed: parsed, Key: digest(parsed.RawSubjectPublicKeyInfo)}, nil
}

// digest is how bytes are named.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// checkAttributes refuses a request whose attributes the library would not read for certain.
func checkAttributes(der []byte) error {
	err := signing.CheckAttributes(der)
	switch {
	case errors.Is(err, signing.ErrAttributes):
		return refuse(ReasonAttributes)
	case err != nil:
		return refuse(ReasonMalformed)
	}
	return nil
}

// checkSubject admits a few short, printable names, none of them twice and none beside another (RFC 5280 4.1.2.4).
func checkSubject(csr *x509.CertificateRequest) error { return checkNames(csr.RawSubject) }

func checkNames(raw []byte) error {
	if len(raw) > maxSubject {
		return refuse(ReasonSubject)
	}
	var names pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &names); err != nil || len(rest) > 0 {
		return refuse(ReasonSubject)
	}
	if len(names) > maxNames {
		return refuse(ReasonSubject)
	}
	var seen []string
	for _, name := range names {
		if len(name) != 1 {
			return refuse(ReasonSubject)
		}
		text, ok := name[0].Value.(string)
		kind := name[0].Type.String()
		if !ok || !plain(text) || slices.Contains(seen, kind) {
			return refuse(ReasonSubject)
		}
		seen = append(seen, kind)
	}
	return nil
}

// plain reports whether a text is short, not empty, and shows what it holds.
func plain(text string) bool {
	return text != "" && utf8.RuneCountInString(text) <= maxName && strings.TrimSpace(text) == text && printable(text)
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// checkExtensions refuses a request for what no device gets. What else it asks for has no effect: the profile is the server's.
func checkExtensions(csr *x509.CertificateRequest) error {
	if len(csr.Extensions) > maxExtensions {
		return refuse(ReasonAttributes)
	}
	for _, extension := range csr.Extensions {
		switch extension.Id.String() { // none stands twice: the library sees to that
		case oidAlternativeNames:
			return refuse(ReasonNames)
		case oidBasicConstraints:
			if !bytes.Equal(extension.Value, noAuthority) {
				return refuse(ReasonAuthority)
			}
		}
	}
	return nil
}

// What the extensions of a request are called.
const (
	oidBasicConstraints = "2.5.29.19"
	oidAlternativeNames = "2.5.29.17"
)

// noAuthority is the basic constraints of a certificate that issues none: an empty sequence (RFC 5280 4.2.1.9).
var noAuthority = []byte{0x30, 0x00}

// checkKey refuses a key that is not to be trusted with anything.
func checkKey(csr *x509.CertificateRequest) error {
	err := signing.Check(csr.PublicKey)
	switch {
	case errors.Is(err, signing.ErrKind):
		return refuse(ReasonKeyType)
	case err != nil:
		return refuseFor(ReasonKeyWeak, err)
	}
	return nil
}

// checkPossession has the request's own key vouch for it.
func checkPossession(csr *x509.CertificateRequest) error {
	if !signing.Accepted(csr.SignatureAlgorithm) {
		return refuse(ReasonAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return refuseFor(ReasonPossession, err)
	}
	return nil
}
