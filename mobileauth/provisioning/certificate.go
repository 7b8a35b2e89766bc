// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/withdrawn"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// keepAfter is how long a record outlives its certificate, so that what has expired is told from what never was.
	keepAfter = 90 * 24 * time.Hour
	// trial is how long a device that nobody knew before has to show its certificate for the first time. Otherwise it is forgotten,
	// but for what others need to know of the certificate.
	trial = time.Hour
)

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
	// Attributes are what a hook of the operator's has added to its device.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Attestation is what was shown of its key.
	Attestation Attested `json:"attestation,omitzero"`

	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	IssuedAt  time.Time `json:"issued_at"`
	// Replaces is the certificate that this one follows, and ReplacedAt when another one followed.
	Replaces   string    `json:"replaces,omitempty"`
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	// Former tells that a former authority has issued it: it renews to one of ours, and is good for nothing else.
	Former bool `json:"former,omitempty"`
	// Shown tells that its key has signed something since it was issued.
	Shown bool `json:"shown,omitempty"`
	// RevokedAt is when its installation was revoked, or, with AuthorityRevoked, whoever has issued it. OverAt is when the installation was
	// first seen with a key that came after this one's.
	RevokedAt        time.Time `json:"revoked_at,omitzero"`
	AuthorityRevoked bool      `json:"authority_revoked,omitempty"`
	OverAt           time.Time `json:"over_at,omitzero"`
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

// Subject returns the certificate's subject as text (RFC 2253); empty for one that has none, which is the rule.
func (c *Certificate) Subject() string {
	leaf, err := c.Leaf()
	if err != nil {
		return ""
	}
	return leaf.Subject.String()
}

// PEM returns the chain as text.
func (c *Certificate) PEM() string {
	var text []byte
	for _, der := range c.Chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return string(text)
}

// due reports whether the last third of its time has begun, which is when a certificate is renewed.
func (c *Certificate) due(now time.Time) bool {
	return !now.Before(c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3))
}

// until is when nothing is known of it any more.
func (c *Certificate) until() time.Time {
	if !c.Shown && c.Replaces == "" {
		return c.IssuedAt.Add(trial)
	}
	return c.NotAfter.Add(keepAfter)
}

// State is what a certificate is worth.
type State string

// StateValid is a certificate that counts. The others are why one does not: expired, not_yet, revoked, replaced or authority_revoked.
const StateValid State = "valid"

// State returns what it is worth at a moment.
func (c *Certificate) State(now time.Time) State {
	refusal, refused := errors.AsType[*Refusal](c.standing(now))
	if !refused {
		return StateValid
	}
	return State(strings.TrimPrefix(string(refusal.Reason), "certificate_"))
}

// standing refuses a certificate that does not count at the moment.
func (c *Certificate) standing(now time.Time) error {
	reason := Reason("")
	switch {
	case !c.RevokedAt.IsZero() && !c.AuthorityRevoked:
		reason = ReasonRevoked
	case !c.OverAt.IsZero():
		reason = ReasonReplaced
	case c.AuthorityRevoked:
		reason = ReasonDistrusted
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
	Certificate string `json:"certificate"`
	// OverAt is when the installation was first seen with a key that came after this one. From then on no certificate for it counts.
	OverAt time.Time `json:"over_at,omitzero"`
	Until  time.Time `json:"until"`
}

// tables are the records of the package.
type tables struct {
	certificates storage.Table[Certificate]
	holders      storage.Table[holder]
	withdrawn    withdrawn.Tables
}

// Names of the indexes of certificates.
const (
	bySerial       = "serial"
	byInstallation = "installation"
)

func newTables() tables {
	return tables{withdrawn: withdrawn.New(), certificates: storage.Table[Certificate]{
		Name: "devcert", Version: 1, ID: func(c *Certificate) string { return c.ID }, Expiry: (*Certificate).until,
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

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	t := newTables()
	return append(t.withdrawn.Kinds(), &t.certificates, &t.holders)
}

// find returns a certificate with what has become of it, or [storage.ErrNotFound].
func (t *tables) find(tx storage.Tx, id string) (Certificate, error) {
	c, err := t.certificates.Get(tx, id)
	if err != nil {
		return Certificate{}, err
	}
	err = t.fate(tx, &c)
	return c, err
}

// fate reads what has become of the installation of a certificate, of its key, and of who has issued it.
func (t *tables) fate(tx storage.Tx, c *Certificate) error {
	h, _, err := t.holders.Find(tx, c.Key)
	if err != nil {
		return err
	}
	c.OverAt = h.OverAt
	c.RevokedAt, c.AuthorityRevoked, err = t.withdrawn.Since(tx, c.Installation, c.Authority)
	return err
}

// shown notes that a certificate's key has signed something: the device has it. A key that it had before is over from then on, so that
// whoever has copied that one is out.
func (s *Store) shown(tx storage.Tx, c *Certificate) error {
	if c.Shown {
		return nil
	}
	t := &s.tables
	c.Shown = true
	if err := errors.Join(t.certificates.Put(tx, *c), t.withdrawn.Forget(tx, c.Authority, c.Serial)); err != nil {
		return err
	}
	h, err := t.holders.Get(tx, c.Key)
	if err != nil {
		return err
	}
	if h.Certificate == c.ID {
		h.Until = c.until()
		if err := t.holders.Put(tx, h); err != nil {
			return err
		}
	}
	if c.Replaces == "" {
		return nil
	}
	before, found, err := t.certificates.Find(tx, c.Replaces)
	if err != nil || !found || before.Key == c.Key {
		return err
	}
	h, found, err = t.holders.Find(tx, before.Key)
	if err != nil || !found || !h.OverAt.IsZero() {
		return err
	}
	h.OverAt = s.c.Now().UTC().Truncate(time.Millisecond)
	return errors.Join(t.holders.Put(tx, h), t.supersede(tx, before, h.OverAt), s.changed(tx))
}

// supersede has others take a certificate for revoked, and those before it for the same key.
func (t *tables) supersede(tx storage.Tx, c Certificate, at time.Time) (err error) {
	for key, found := c.Key, true; found && c.Key == key; {
		if at.Before(c.NotAfter) {
			if err := t.withdraw(tx, &c, at, true); err != nil {
				return err
			}
		}
		if c, found, err = t.certificates.Find(tx, c.Replaces); err != nil {
			return err
		}
	}
	return nil
}
