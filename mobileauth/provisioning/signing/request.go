// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"crypto/x509"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Why the attributes of a certificate request are not taken.
var (
	ErrForm       = errors.New("it is no certificate request")
	ErrAttributes = errors.New("an attribute stands twice, or there are too many")
)

// maxAttributes bounds what a request asks for.
const maxAttributes = 8

// accepted are the algorithms that requests and certificates may be signed with: nothing with SHA-1, and no key that could not sign answers.
var accepted = []x509.SignatureAlgorithm{
	x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
}

// Accepted reports whether a signature with that algorithm proves something today.
func Accepted(algorithm x509.SignatureAlgorithm) bool { return slices.Contains(accepted, algorithm) }

// CheckAttributes reads the attributes of a PKCS#10 request (RFC 2986) by themselves, since the library takes the last of those that stand
// twice and none that it does not know. It refuses one that stands twice, and too many, with [ErrAttributes], and what is no request
// with [ErrForm].
func CheckAttributes(der []byte) error {
	input := cryptobyte.String(der)
	var request, info, attributes cryptobyte.String
	if !input.ReadASN1(&request, asn1.SEQUENCE) || !input.Empty() || !request.ReadASN1(&info, asn1.SEQUENCE) ||
		!info.SkipASN1(asn1.INTEGER) || !info.SkipASN1(asn1.SEQUENCE) || !info.SkipASN1(asn1.SEQUENCE) ||
		!info.ReadOptionalASN1(&attributes, nil, asn1.Tag(0).ContextSpecific().Constructed()) || !info.Empty() {
		return ErrForm
	}
	var seen []string
	for !attributes.Empty() {
		var attribute, oid cryptobyte.String
		if !attributes.ReadASN1(&attribute, asn1.SEQUENCE) || !attribute.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!attribute.SkipASN1(asn1.SET) || !attribute.Empty() {
			return ErrForm
		}
		if slices.Contains(seen, string(oid)) || len(seen) == maxAttributes {
			return ErrAttributes
		}
		seen = append(seen, string(oid))
	}
	return nil
}
