// SPDX-License-Identifier: Apache-2.0

package issuing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
)

const (
	// before is how much older than its certificate a receipt may be: the certificate is made after the answer came, and
	// clocks of nodes differ.
	before = 5 * time.Minute
	// validity is for how long a certificate is used, and margin for how much longer it is good.
	validity = 24 * time.Hour
	margin   = time.Hour
)

// ErrKey says that the statement was signed by none of the device's keys.
var ErrKey = errors.New("the statement was signed by another key")

// Config is what an [Issuer] needs. Parsed and ExternalRef may be nil.
type Config struct {
	// Issuer is the identifier of the server.
	Issuer string
	// Root returns the root key: a roots.Store's method of that name.
	Root func() (jose.PrivateKey, error)
	// Signer returns the key that signs now.
	Signer func() (jose.PrivateKey, error)
	// Parsed remembers the keys of devices. Nil is a cache of its own.
	Parsed *handset.KeyCache
	// ExternalRef returns the reference under which another system knows a user, empty for none.
	ExternalRef func(ctx context.Context, userID string) (string, error)
}

// Issuer makes receipts. It is safe for concurrent use.
type Issuer struct {
	config Config

	mu          sync.Mutex
	certificate receipt.Certificate
	renewAt     time.Time
}

var _ operation.Receipts = (*Issuer)(nil)

// New returns an issuer.
func New(c Config) (*Issuer, error) {
	if c.Issuer == "" || c.Root == nil || c.Signer == nil {
		return nil, errors.New("building an issuer of receipts: an issuer, a root and a signer are required")
	}
	if c.Parsed == nil {
		c.Parsed = new(handset.KeyCache)
	}
	return &Issuer{config: c}, nil
}

// Make makes the receipt of an approved operation for the device that approved it.
func (i *Issuer) Make(ctx context.Context, o operation.Operation, d handset.Device) (string, error) {
	facts := receipt.Facts{
		Issuer: i.config.Issuer, Operation: o.ID, Kind: string(o.Kind), UserID: o.UserID, ClientID: o.ClientID, ExternalID: o.ExternalID,
		Display: o.Display, Method: o.Method, Created: o.CreatedAt, Answered: o.AnsweredAt, DeviceID: d.ID,
		Application: d.Application, Platform: d.Platform, Statement: o.Statement,
	}
	statement, err := jose.Parse(o.Statement)
	if err != nil {
		return "", fmt.Errorf("making a receipt of operation %q: %w", o.ID, err)
	}
	keys, ok := i.config.Parsed.Keys(&d, statement.Header.KID, o.AnsweredAt)
	if !ok {
		return "", fmt.Errorf("making a receipt of operation %q: %w", o.ID, ErrKey)
	}
	facts.Key = keys.Sign
	if a := &d.Attestation; a.GradeOf(statement.Header.KID).AtLeast(attestation.Software) {
		facts.Attestation = receipt.Attestation{Format: a.Format, Grade: string(a.Grade), At: a.At}
	}
	if i.config.ExternalRef != nil {
		if facts.ExternalRef, err = i.config.ExternalRef(ctx, o.UserID); err != nil {
			return "", fmt.Errorf("making a receipt of operation %q: %w", o.ID, err)
		}
	}
	signer, err := i.config.Signer()
	if err != nil {
		return "", fmt.Errorf("making a receipt of operation %q: %w", o.ID, err)
	}
	certificate, err := i.certify(signer.Public(), o.AnsweredAt)
	if err != nil {
		return "", fmt.Errorf("making a receipt of operation %q: %w", o.ID, err)
	}
	return receipt.Make(facts, signer, certificate)
}

// certify returns a certificate for a key at a moment.
func (i *Issuer) certify(key jose.PublicKey, at time.Time) (receipt.Certificate, error) {
	root, err := i.config.Root()
	if err != nil {
		return receipt.Certificate{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.certificate.Covers(root.KID, jose.Thumbprint(key), at) && at.Before(i.renewAt) {
		return i.certificate, nil
	}
	until := at.Add(validity)
	i.certificate, err = receipt.Certify(root, key, receipt.Validity{
		Issuer: i.config.Issuer, From: at.Add(-before), Until: until.Add(margin),
	})
	i.renewAt = until
	return i.certificate, err
}
