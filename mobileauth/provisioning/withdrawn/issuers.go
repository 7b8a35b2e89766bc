// SPDX-License-Identifier: Apache-2.0

package withdrawn

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Issuer is an authority of whose certificates something is written.
type Issuer struct {
	// ID is the SHA-256 of its certificate in base64url, and Fingerprint the same in hex.
	ID, Fingerprint string
	Name            string
	NotAfter        time.Time
	// Latest is when the last of the certificates that something is written of was issued.
	Latest time.Time
	// RevokedAt is when the authority was revoked.
	RevokedAt time.Time
}

// Issuers returns the authorities of whose certificates something is written, in the order of their ids, or only the one with an id.
func (t *Tables) Issuers(ctx context.Context, db storage.DB, authority string) (list []Issuer, err error) {
	err = t.Each(ctx, db, authority, func(c *Certificate) {
		if n := len(list); n == 0 || list[n-1].ID != c.Authority {
			list = append(list, Issuer{ID: c.Authority, Fingerprint: fingerprint(c.Authority), Name: c.Issuer, NotAfter: c.IssuerNotAfter})
		}
		if last := &list[len(list)-1]; c.IssuedAt.After(last.Latest) {
			last.Latest = c.IssuedAt
		}
	})
	if err != nil {
		return nil, err
	}
	err = db.View(ctx, func(tx storage.Tx) error {
		for i := range list {
			out, _, err := t.Authorities.Find(tx, list[i].ID)
			if err != nil {
				return err
			}
			list[i].RevokedAt = out.At
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading which authorities were revoked: %w", err)
	}
	return list, nil
}

// fingerprint is an id as other programs show it; empty for what is none.
func fingerprint(id string) string {
	digest, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(digest)
}
