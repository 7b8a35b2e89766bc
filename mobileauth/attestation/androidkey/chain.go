// SPDX-License-Identifier: Apache-2.0

package androidkey

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

// Limits on a chain.
const (
	minChain       = 3
	maxChain       = 8
	MaxCertificate = 4 << 10 // bytes in one certificate
)

// oidDescription is the extension that describes a key.
var oidDescription = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}

// readChain reads certificates within their limits.
func readChain(raw [][]byte) ([]*x509.Certificate, error) {
	if len(raw) < minChain || len(raw) > maxChain {
		return nil, attestation.Reject(ReasonChain, "reading a chain of %d certificates", len(raw))
	}
	chain := make([]*x509.Certificate, 0, len(raw))
	for i, der := range raw {
		if len(der) > MaxCertificate {
			return nil, attestation.Reject(ReasonChain, "reading certificate %d of %d bytes", i, len(der))
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, attestation.Reject(ReasonChain, "reading certificate %d: %w", i, err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// checkChain walks from the phone's certificate to the root. The last certificate counts by its key alone: what it says of itself
// is never asked, since whoever has made the chain could have written it. The path building of the standard library would refuse
// the phone's certificate, which is no certificate of a server or a person, and roots that ran out and were certified again.
func (v *Verifier) checkChain(chain []*x509.Certificate, now time.Time) error {
	root := v.root(chain[len(chain)-1])
	if root == nil {
		return attestation.Reject(ReasonRoot, "following a chain to a key that is not believed")
	}
	for i, c := range chain[:len(chain)-1] {
		parent := chain[i+1]
		if i == len(chain)-2 {
			parent = root
		}
		if !bytes.Equal(c.RawIssuer, parent.RawSubject) {
			return attestation.Reject(ReasonChain, "following a chain: certificate %d names another issuer", i)
		}
		if err := c.CheckSignatureFrom(parent); err != nil {
			return attestation.Reject(ReasonChain, "following a chain: certificate %d: %w", i, err)
		}
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return attestation.Reject(ReasonValidity, "following a chain: certificate %d is not valid now", i)
		}
		if bounded := c.MaxPathLen > 0 || c.MaxPathLenZero; i > 0 && bounded && i-1 > c.MaxPathLen {
			return attestation.Reject(ReasonChain, "following a chain: certificate %d may not have so many below it", i)
		}
	}
	return nil
}

// root returns the root whose key a certificate has.
func (v *Verifier) root(last *x509.Certificate) *x509.Certificate {
	for _, root := range v.Roots {
		if bytes.Equal(root.RawSubjectPublicKeyInfo, last.RawSubjectPublicKeyInfo) {
			return root
		}
	}
	return nil
}

// extension returns the one description in a chain: of the first certificate, when no other has any.
func extension(chain []*x509.Certificate) ([]byte, error) {
	var found []byte
	for i, c := range chain {
		for _, e := range c.Extensions {
			switch {
			case !e.Id.Equal(oidDescription):
			case i > 0:
				return nil, attestation.Reject(ReasonExtension, "reading a chain in which certificate %d describes a key too", i)
			default:
				found = e.Value // the standard library refuses an extension that stands twice
			}
		}
	}
	if found == nil {
		return nil, attestation.Reject(ReasonExtension, "reading a certificate that does not describe its key")
	}
	return found, nil
}
