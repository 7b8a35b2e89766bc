// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// NameKind says which name of a certificate is a client's (RFC 8705 2.1.2).
type NameKind string

// Kinds of names.
const (
	NameSubject NameKind = "subject_dn" // the whole subject (RFC 4514)
	NameDNS     NameKind = "san_dns"
	NameURI     NameKind = "san_uri"
	NameIP      NameKind = "san_ip"
	NameEmail   NameKind = "san_email"
)

// CertificateName is the one name that the certificates of a client bear.
type CertificateName struct {
	Kind  NameKind
	Value string
}

// Certificates says which certificates a client authenticates with: those that one of its authorities has issued to its name (RFC 8705
// 2.1, tls_client_auth), or the very ones that are known as its own (2.2, self_signed_tls_client_auth).
type Certificates struct {
	// Roots are the authorities; the system's never stand in for them. Name is the client's.
	Roots *x509.CertPool
	Name  CertificateName
	// Own are the certificates of a client that has no authority.
	Own []*x509.Certificate
}

// ErrCertificate is a certificate that is not one of the client's, or none at all.
var ErrCertificate = errors.New("the certificate of the connection is not the client's")

// Match reports, as nil, that the certificates which came with a connection, the sender's own first, are a client's with this method.
// Dates hold for both methods. The errors, which are [ErrCertificate], say what is wrong, for the log.
func (c *Certificates) Match(method AuthMethod, chain []*x509.Certificate, now time.Time) error {
	switch {
	case len(chain) == 0:
		return fmt.Errorf("%w: none came; the site has to ask for one (tls { client_auth { mode request } })", ErrCertificate)
	case method == AuthTLS:
		return c.matchIssued(chain, now)
	}
	if !slices.ContainsFunc(c.Own, func(own *x509.Certificate) bool { return bytes.Equal(own.Raw, chain[0].Raw) }) {
		return fmt.Errorf("%w: %s is not registered for it", ErrCertificate, subject(chain[0]))
	}
	if now.Before(chain[0].NotBefore) || now.After(chain[0].NotAfter) {
		return fmt.Errorf("%w: it is good from %s to %s", ErrCertificate, chain[0].NotBefore, chain[0].NotAfter)
	}
	return nil
}

func (c *Certificates) matchIssued(chain []*x509.Certificate, now time.Time) error {
	if len(chain) > maxChain || slices.ContainsFunc(chain, costly) {
		return fmt.Errorf("%w: it comes with more than is looked at", ErrCertificate)
	}
	between := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		between.AddCert(certificate)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: c.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCertificate, subject(chain[0]), err)
	}
	if !c.Name.in(chain[0]) {
		return fmt.Errorf("%w: %s has another %s", ErrCertificate, subject(chain[0]), c.Name.Kind)
	}
	return nil
}

// Check refuses a name that no certificate bears.
func (n CertificateName) Check() error {
	kinds := []NameKind{NameSubject, NameDNS, NameURI, NameIP, NameEmail}
	switch {
	case !slices.Contains(kinds, n.Kind):
		return fmt.Errorf("unknown kind of name %q, expected one of: %v", n.Kind, kinds)
	case n.Value == "":
		return fmt.Errorf("the name of %s is empty", n.Kind)
	case n.Kind == NameIP && net.ParseIP(n.Value) == nil:
		return fmt.Errorf("%q is no IP address", n.Value)
	}
	return nil
}

// maxChain bounds how many certificates of a stranger are looked at.
const maxChain = 6

// costly reports whether it takes long to see that a certificate's key has signed something.
func costly(c *x509.Certificate) bool { return jose.PublicKey{Key: c.PublicKey}.Costly() }

// in reports whether a certificate bears the name. Nothing in it stands for more than itself: no wildcard, no pattern.
func (n CertificateName) in(c *x509.Certificate) bool {
	switch n.Kind {
	case NameSubject:
		return subject(c) == n.Value
	case NameDNS:
		return slices.ContainsFunc(c.DNSNames, func(name string) bool { return strings.EqualFold(name, n.Value) })
	case NameURI:
		for _, uri := range c.URIs {
			if uri.String() == n.Value {
				return true
			}
		}
	case NameIP:
		ip := net.ParseIP(n.Value)
		return ip != nil && slices.ContainsFunc(c.IPAddresses, ip.Equal)
	case NameEmail:
		return slices.Contains(c.EmailAddresses, n.Value)
	}
	return false
}

// maxSubject is how long a subject may be, in bytes of its encoding: a longer one is nobody's.
const maxSubject = 1024

// subject writes the subject of a certificate as RFC 4514 does, in the order in which it stands there.
func subject(c *x509.Certificate) string {
	var names pkix.RDNSequence
	if len(c.RawSubject) > maxSubject {
		return ""
	}
	if rest, err := asn1.Unmarshal(c.RawSubject, &names); err != nil || len(rest) > 0 {
		return ""
	}
	return names.String()
}

// check refuses what no certificate can match with this method.
func (c *Certificates) check(method AuthMethod) error {
	switch {
	case method == AuthSelfSignedTLS && len(c.Own) == 0:
		return errors.New("uses self_signed_tls_client_auth and has no certificate")
	case method == AuthSelfSignedTLS:
		return nil
	case c.Roots == nil:
		return errors.New("uses tls_client_auth and has no certificate authority")
	}
	if err := c.Name.Check(); err != nil {
		return fmt.Errorf("uses tls_client_auth: %w", err)
	}
	return nil
}
