// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// keepAfter is how long a record outlives its certificate, so that what has expired is told from what never was.
const keepAfter = 90 * 24 * time.Hour

// Certificate is the record of one that was issued.
type Certificate struct {
	// ID is the SHA-256 of the certificate in base64url, by which answers name it.
	ID string `json:"id"`
	// Serial is its serial number in hex, and Authority the SHA-256 of the issuer's certificate in base64url.
	Serial    string `json:"serial"`
	Authority string `json:"authority"`
	// Installation is the id in the certificate's name. Those that follow one another share it.
	Installation string `json:"installation"`
	// Entity is what it stands for, and Application the app that has asked for it.
	Kind        Kind   `json:"kind"`
	Group       string `json:"group,omitempty"`
	Application string `json:"application"`
	Platform    string `json:"platform"`
	Version     string `json:"version"`
	Device      Device `json:"device"`
	// Key is the SHA-256 of the public key in base64url.
	Key string `json:"key"`
	// UserID is who was known when it was issued, if anybody, and ClientID the client that has asked.
	UserID   string `json:"user_id,omitempty"`
	ClientID string `json:"client_id,omitempty"`

	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	IssuedAt  time.Time `json:"issued_at"`
	// Replaces is the certificate that this one follows, and ReplacedAt when another one followed.
	Replaces   string    `json:"replaces,omitempty"`
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	// RevokedAt is when its installation was revoked.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	// Chain is the certificate and what leads from it towards a root, in DER.
	Chain [][]byte `json:"chain,omitempty"`
}

// Entity is what the certificate stands for.
func (c *Certificate) Entity() Entity { return Entity{Kind: c.Kind, Group: c.Group} }

// Leaf returns the certificate itself.
func (c *Certificate) Leaf() (*x509.Certificate, error) {
	if len(c.Chain) == 0 {
		return nil, fmt.Errorf("reading the certificate %q: it is not kept", c.ID)
	}
	leaf, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %q: %w", c.ID, err)
	}
	return leaf, nil
}

// PEM returns the chain as text.
func (c *Certificate) PEM() string {
	var text []byte
	for _, der := range c.Chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return string(text)
}

// standing refuses a certificate that does not count at the moment.
func (c *Certificate) standing(now time.Time) error {
	reason := Reason("")
	switch {
	case !c.RevokedAt.IsZero():
		reason = ReasonRevoked
	case now.Before(c.NotBefore):
		reason = ReasonNotYet
	case !now.Before(c.NotAfter):
		reason = ReasonExpired
	default:
		return nil
	}
	return &Refusal{Reason: reason, Installation: c.Installation}
}

// holder says whose a key is. There is one for each key that a certificate was issued for, so no key is two installations'.
type holder struct {
	Key          string `json:"key"`
	Installation string `json:"installation"`
	// Claimed is the digest of what the device calls itself.
	Claimed string `json:"claimed"`
	// Certificate is the latest one for the key.
	Certificate string    `json:"certificate"`
	Until       time.Time `json:"until"`
}

// tables are the records of the package.
type tables struct {
	certificates storage.Table[Certificate]
	holders      storage.Table[holder]
	revocations  storage.Table[revocation]
}

// Names of the indexes of certificates.
const (
	bySerial       = "serial"
	byInstallation = "installation"
)

func newTables() tables {
	return tables{
		revocations: newRevocations(),
		certificates: storage.Table[Certificate]{
			Name: "devcert", Version: 1, ID: func(c *Certificate) string { return c.ID },
			Expiry: func(c *Certificate) time.Time { return c.NotAfter.Add(keepAfter) },
			Indexes: []storage.Index[Certificate]{
				{Name: bySerial, Unique: true, Values: func(c *Certificate) []string { return []string{c.Authority + "." + c.Serial} }},
				{Name: byInstallation, Values: func(c *Certificate) []string { return []string{c.Installation} }},
			},
		},
		holders: storage.Table[holder]{
			Name: "devkey", Version: 1, ID: func(h *holder) string { return h.Key }, Expiry: func(h *holder) time.Time { return h.Until },
		},
	}
}
