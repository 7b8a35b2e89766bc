// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// methodSoftware is the authentication method of RFC 8176 2 for a key that software holds: more than that a certificate does not
// tell.
const methodSoftware = "swk"

// valueUser is the value under which login modules of other kinds find who it is.
const valueUser = "username"

// messageMissing is the key of the text shown to people without a certificate that is accepted.
const messageMissing = "login.certificate"

// reasonNone is the reason of a refusal.
const reasonNone = "no_certificate"

// Config describes an [Authenticator].
type Config struct {
	// Mapping says which fields of the certificate are the identity's. Default: the id is [SubjectDN], the method "swk".
	Mapping realm.Mapping
	// Issuers are the certificate authorities that are accepted, among those that the server verifies with; none is all of these.
	Issuers []*x509.Certificate
	// Now is the clock. It is required.
	Now func() time.Time
	// Logger is told why a certificate was not accepted. It is required.
	Logger *slog.Logger
}

// Authenticator knows people by their certificate. It is its own login module, and hands the fields of the certificate to another
// one where there is one. It is safe for concurrent use.
type Authenticator struct {
	mapping realm.Mapping
	issuers *x509.CertPool // nil accepts all
	direct  bool           // an accepted issuer must have issued the certificate itself
	now     func() time.Time
	logger  *slog.Logger
}

// New returns an authenticator, or an error that names what does not fit.
func New(c Config) (*Authenticator, error) {
	if c.Now == nil || c.Logger == nil {
		return nil, errors.New("reading certificates: a clock and a logger are required")
	}
	if err := Check(c.Mapping, len(c.Issuers)); err != nil {
		return nil, err
	}
	a := &Authenticator{mapping: complete(c.Mapping), now: c.Now, logger: c.Logger}
	if len(c.Issuers) > 0 {
		a.issuers = x509.NewCertPool()
		for _, issuer := range c.Issuers {
			a.issuers.AddCert(issuer)
		}
	}
	a.direct = a.mapping.ID == Serial
	return a, nil
}

// complete fills in the defaults of a mapping.
func complete(m realm.Mapping) realm.Mapping {
	if m.ID == "" {
		m.ID = SubjectDN
	}
	if m.AMR == nil {
		m.AMR = []string{methodSoftware}
	}
	return m
}

// Check returns an error that names what does not fit in a mapping of certificates of that many accepted issuers.
func Check(m realm.Mapping, issuers int) error {
	m = complete(m)
	names := []string{m.ID}
	if m.Name != "" {
		names = append(names, m.Name)
	}
	for _, attribute := range slices.Sorted(maps.Keys(m.Attributes)) {
		names = append(names, m.Attributes[attribute])
	}
	for _, name := range names {
		if err := checkField(name); err != nil {
			return fmt.Errorf("reading certificates: %w", err)
		}
	}
	if m.ID == Serial && issuers != 1 {
		// A serial number is unique for its issuer and for no one else (RFC 5280 4.1.2.2).
		return errors.New("reading certificates: a serial number tells people apart only with one issuer_ca")
	}
	if err := m.Check(); err != nil {
		return fmt.Errorf("reading certificates: %w", err)
	}
	return nil
}

// Collect returns who the certificate says it is, and its fields. Without one that is accepted it asks for nothing and says that
// one is needed. What is wrong with a certificate is in the log alone.
func (a *Authenticator) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if len(in.Certificates) == 0 {
		return realm.Credentials{}, &realm.Challenge{Message: messageMissing}, nil
	}
	leaf := in.Certificates[0]
	known := values(leaf)
	identity, ok := a.mapping.Identity(known)
	err := a.check(in.Certificates)
	if err == nil && !ok {
		err = fmt.Errorf("it has no usable %s, or more than one", a.mapping.ID)
	}
	if err != nil {
		a.logger.WarnContext(ctx, "a client certificate was not accepted",
			"fingerprint", known[Fingerprint], "client_ip", in.ClientIP, "error", err)
		return realm.Credentials{}, &realm.Challenge{Message: messageMissing}, nil
	}
	known[valueUser] = identity.ExternalID
	return realm.Credentials{
		Values: known, Identity: &identity, ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject,
	}, nil, nil
}

// Verify accepts whom the certificate has named. It is the authenticator's own judgement: answers of a caller's have no part in it.
func (a *Authenticator) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Identity == nil {
		return realm.Result{Status: realm.Refused, Reason: reasonNone}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: *c.Identity}, nil
}

// check judges a chain that the server has verified.
func (a *Authenticator) check(chain []*x509.Certificate) error {
	now := a.now()
	for _, c := range chain {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return fmt.Errorf("a certificate of the chain is valid from %s to %s",
				c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	leaf := chain[0]
	// A certificate that does not say what it is for may be a server's, a signer's or anybody's (RFC 5280 4.2.1.12).
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return errors.New("it is not meant for clients: its extended key usage has no clientAuth")
	}
	if a.issuers == nil {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	verified, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.issuers, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("it is not of an accepted issuer: %w", err)
	}
	if a.direct && !slices.ContainsFunc(verified, func(chain []*x509.Certificate) bool { return len(chain) == 2 }) {
		return errors.New("it is not of the accepted issuer itself, whose serial numbers are the ids")
	}
	return nil
}
