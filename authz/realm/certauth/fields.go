// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Fields of a certificate that can say who somebody is, or more about him.
const (
	SubjectDN   = "subject_dn"  // the subject, by RFC 2253
	CommonName  = "cn"          // the subject's common name
	Serial      = "serial"      // the serial number, in hex
	SANEmail    = "san_email"   // the e-mail address among the subject's alternative names
	SANURI      = "san_uri"     // the URI among them
	SANDNS      = "san_dns"     // the host name among them
	Fingerprint = "fingerprint" // SHA-256 of the certificate, in hex
	IssuerDN    = "issuer_dn"   // the issuer, by RFC 2253
)

// fields are the names, in the order of messages.
var fields = []string{SubjectDN, Serial, SANEmail, SANURI, SANDNS, CommonName, Fingerprint, IssuerDN}

// checkField refuses a name that is none of a field.
func checkField(name string) error {
	if !slices.Contains(fields, name) {
		return fmt.Errorf("a certificate has no %q, but: %s", name, strings.Join(fields, ", "))
	}
	return nil
}

// values returns the fields of a certificate. One that stands there more than once is left out: which of its values is meant
// cannot be told.
func values(c *x509.Certificate) map[string]string {
	all := map[string]string{Fingerprint: fingerprint(c)}
	if c.SerialNumber != nil {
		all[Serial] = c.SerialNumber.Text(16)
	}
	if subject, ok := parseName(c.RawSubject); ok {
		all[SubjectDN] = subject.String()
		one(all, CommonName, commonNames(subject))
	}
	if issuer, ok := parseName(c.RawIssuer); ok {
		all[IssuerDN] = issuer.String()
	}
	one(all, SANEmail, c.EmailAddresses)
	one(all, SANDNS, c.DNSNames)
	var uris []string
	for _, uri := range c.URIs {
		uris = append(uris, uri.String())
	}
	one(all, SANURI, uris)
	return all
}

// one sets a value where there is exactly one.
func one(all map[string]string, name string, found []string) {
	if len(found) == 1 {
		all[name] = found[0]
	}
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// parseName reads a name as it stands in the certificate. pkix.Name keeps one common name of several, so that two different
// subjects could have one text.
func parseName(der []byte) (pkix.RDNSequence, bool) {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal(der, &name)
	return name, err == nil && len(rest) == 0 && len(name) > 0
}

// oidCommonName is id-at-commonName (RFC 5280 A.1).
var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

func commonNames(name pkix.RDNSequence) []string {
	var found []string
	for _, set := range name {
		for _, attribute := range set {
			if attribute.Type.Equal(oidCommonName) {
				text, _ := attribute.Value.(string) // what is no text is an empty one, which nobody is called
				found = append(found, text)
			}
		}
	}
	return found
}
