// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Validity of certificates.
const (
	// DefaultValidity is how long a certificate is valid where nobody says.
	DefaultValidity = 90 * 24 * time.Hour
	// MinValidity and MaxValidity bound what may be said, and MaxValidity what an authority may issue.
	MinValidity, MaxValidity = time.Hour, 10 * 365 * 24 * time.Hour
	// Backdate is how long before the present a certificate begins, for servers elsewhere whose clock is behind.
	Backdate = 5 * time.Minute
)

// Authority issues certificates. Implementations are safe for concurrent use, bounded in time by ctx, and issue for exactly the key
// of the request. What they return is looked at before anybody gets it.
type Authority interface {
	// Issue returns the certificate for a checked request, followed by those that lead from it towards a root, each signed by the next.
	Issue(ctx context.Context, order Order) ([]*x509.Certificate, error)
}

// Sovereign is implemented by authorities that may say themselves what certificates call devices. Names that are not those of the order
// are then no fault, and neither are purposes beside that of a client.
type Sovereign interface{ Sovereign() bool }

// Pending is the error of an authority that has not decided yet, and wants to be asked again after a while.
func Pending(after time.Duration) error { return &Refusal{Reason: ReasonPending, RetryAfter: after} }

// Order is what an [Authority] is asked for.
type Order struct {
	// CSR was checked by [ReadCSR]. An authority that passes it on does so with CSR.Raw; its subject is a wish and no more.
	CSR *CSR
	// Template is the certificate as it is to be: subject, alternative name, usages, serial number and validity. An authority that
	// decides on its own what to write has at least the alternative name, the usages and the key in it.
	Template *x509.Certificate
	// Renews is the certificate that this one follows; nil for the first.
	Renews *x509.Certificate
}

// Profile says what all certificates have in common.
type Profile struct {
	// Validity is how long they are valid. Default: [DefaultValidity].
	Validity time.Duration
}

// Check refuses a validity that no device could use.
func (p Profile) Check() error {
	if p.Validity != 0 && (p.Validity < MinValidity || p.Validity > MaxValidity) {
		return fmt.Errorf("validity is %v; it is %v at least and %v at most", p.Validity, MinValidity, MaxValidity)
	}
	return nil
}

// template is the certificate of an installation.
func (p Profile) template(e Entity, app, installation string, now time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	validity := p.Validity
	if validity == 0 {
		validity = DefaultValidity
	}
	c := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    now.Add(-Backdate).UTC().Truncate(time.Second), NotAfter: now.Add(validity).UTC().Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	c.URIs = append(c.URIs, e.uri(app, installation))
	return c, nil
}

// newSerial draws 127 random bits and sets the one above: a positive number of 16 bytes that nobody can foresee (RFC 5280 4.1.2.2).
func newSerial() (*big.Int, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 126)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	return n.Add(n, limit), nil
}

// Issuer is what certificates are signed with at a moment: a chain whose first certificate is that of the key.
type Issuer struct {
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// AuthorityID returns the name of an authority: the SHA-256 of its certificate in base64url, as [Certificate].Authority has it.
func AuthorityID(c *x509.Certificate) string { return digest(c.Raw) }

// Before is called with what a certificate is about to be signed with, and with the certificate as it will be, to which it may add
// where others can ask about it. An error issues nothing.
type Before func(ctx context.Context, by Issuer, template *x509.Certificate) error

// Local is an [Authority] that signs by itself with what it is given. It is safe for concurrent use if its source is.
type Local struct {
	issuer func() (Issuer, error)
	before Before
	now    func() time.Time
}

// NewLocal returns an authority. The source is asked for each certificate, so that it may change what it signs with.
func NewLocal(issuer func() (Issuer, error), now func() time.Time) (*Local, error) {
	if issuer == nil || now == nil {
		return nil, errors.New("building an authority: a source of its key and a clock are required")
	}
	return &Local{issuer: issuer, now: now}, nil
}

// Before has somebody see what is signed with, each time. It is called before the first certificate is issued.
func (l *Local) Before(see Before) { l.before = see }

// Issuer returns what the authority signs with at the moment.
func (l *Local) Issuer() (Issuer, error) {
	by, err := l.issuer()
	if err == nil && (len(by.Chain) == 0 || by.Key == nil) {
		err = errors.New("there is no certificate, or no key")
	}
	if err != nil {
		return Issuer{}, fmt.Errorf("asking what to sign with: %w", err)
	}
	return by, nil
}

// Issue signs the template, for no longer than the issuer's own certificate is valid: a certificate that outlives its issuer is one
// that nobody can verify. An issuer that is over issues nothing.
func (l *Local) Issue(ctx context.Context, order Order) ([]*x509.Certificate, error) {
	by, err := l.Issuer()
	if err != nil {
		return nil, err
	}
	issuer, template := by.Chain[0], *order.Template
	if now := l.now(); !now.Before(issuer.NotAfter) || now.Before(issuer.NotBefore) {
		return nil, fmt.Errorf("the issuer's certificate is valid from %s to %s",
			issuer.NotBefore.UTC().Format(time.RFC3339), issuer.NotAfter.UTC().Format(time.RFC3339))
	}
	if template.NotAfter.After(issuer.NotAfter) {
		template.NotAfter = issuer.NotAfter
	}
	if template.NotBefore.Before(issuer.NotBefore) {
		template.NotBefore = issuer.NotBefore
	}
	if l.before != nil {
		if err := l.before(ctx, by, &template); err != nil {
			return nil, err
		}
	}
	name := sha256.Sum256(order.CSR.Parsed.RawSubjectPublicKeyInfo)
	template.SubjectKeyId = name[:20] // RFC 7093 2, method 1
	der, err := x509.CreateCertificate(rand.Reader, &template, issuer, order.CSR.Parsed.PublicKey, by.Key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate that was signed: %w", err)
	}
	return append([]*x509.Certificate{leaf}, by.Chain...), nil
}

// checkIssued refuses what was not ordered, whoever has signed it: another key, an authority, a time that no device has, and, unless
// whoever signs may say himself what it is called, another name or purpose.
func checkIssued(chain []*x509.Certificate, order *Order, by Authority, now time.Time) error {
	if len(chain) < 2 || len(chain) > maxChain {
		return errors.New("the authority has returned no certificate, or not that of its issuer, or too many")
	}
	leaf := chain[0]
	switch {
	case digest(leaf.RawSubjectPublicKeyInfo) != order.CSR.Key:
		return errors.New("the certificate is for another key")
	case leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return errors.New("the certificate is an authority's")
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return errors.New("the certificate is for another purpose")
	case now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter):
		return errors.New("the certificate is not valid now")
	case leaf.NotAfter.After(now.Add(MaxValidity)):
		return errors.New("the certificate is valid for too long")
	}
	if own, ok := by.(Sovereign); !ok || !own.Sovereign() {
		if err := checkOrdered(leaf, order.Template); err != nil {
			return err
		}
	}
	for i := range chain[:len(chain)-1] {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			return fmt.Errorf("the chain is broken: %w", err)
		}
	}
	return nil
}

// checkOrdered refuses a certificate that calls the device something else than what was ordered, or is for something beside.
func checkOrdered(leaf, want *x509.Certificate) error {
	switch {
	case len(leaf.URIs) != 1 || leaf.URIs[0].String() != want.URIs[0].String():
		return errors.New("the certificate is for another name")
	case len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0:
		return errors.New("the certificate has names of servers or people")
	case !slices.Equal(leaf.ExtKeyUsage, want.ExtKeyUsage) || len(leaf.UnknownExtKeyUsage) > 0:
		return errors.New("the certificate is for another purpose")
	case !slices.Equal(names(leaf.Subject.Names), names(parts(want.Subject))):
		return errors.New("the certificate has another subject")
	}
	return nil
}

// parts are the names in a subject that is to be written.
func parts(subject pkix.Name) (all []pkix.AttributeTypeAndValue) {
	for _, name := range subject.ToRDNSequence() {
		all = append(all, name...)
	}
	return all
}

// names are those of a subject as texts that can be compared, whatever their order.
func names(subject []pkix.AttributeTypeAndValue) (all []string) {
	for _, part := range subject {
		all = append(all, fmt.Sprint(part.Type, "=", part.Value))
	}
	slices.Sort(all)
	return all
}

// maxChain bounds a chain, the certificate included.
const maxChain = 6
