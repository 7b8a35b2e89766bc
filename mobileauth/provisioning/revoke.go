// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// EventRevoked is the audit event of a revocation.
const EventRevoked = "device_certificate.revoked"

// revocation says that an installation is out. One record takes all of its certificates away, those included that are being issued.
type revocation struct {
	Installation string    `json:"installation"`
	At           time.Time `json:"at"`
	// Until is when none of its certificates is known any more.
	Until time.Time `json:"until"`
}

func newRevocations() storage.Table[revocation] {
	return storage.Table[revocation]{
		Name: "devout", Version: 1, ID: func(r *revocation) string { return r.Installation }, Expiry: func(r *revocation) time.Time { return r.Until },
	}
}

// find returns a certificate with what has become of it, or [storage.ErrNotFound].
func (t *tables) find(tx storage.Tx, id string) (Certificate, error) {
	c, err := t.certificates.Get(tx, id)
	if err != nil {
		return Certificate{}, err
	}
	out, _, err := t.revocations.Find(tx, c.Installation)
	c.RevokedAt = out.At
	return c, err
}

// Revoke takes all certificates of an installation away, and what rests on them: see [Config].OnRevoke. Its keys get no other one. It
// reports whether that is new, and fails with [storage.ErrNotFound] for an installation that has none.
func (s *Store) Revoke(ctx context.Context, installation string) (fresh bool, err error) {
	out := revocation{Installation: installation, At: s.c.Now().UTC().Truncate(time.Millisecond)}
	event := s.c.Trail.Prepare(audit.Event{Name: EventRevoked, Outcome: audit.Accepted, DeviceID: installation}.From(ctx))
	err = s.c.DB.Update(ctx, func(tx storage.Tx) error {
		fresh, out.Until = false, time.Time{}
		for c, err := range s.tables.certificates.List(tx, byInstallation, installation, "", 0) {
			if err != nil {
				return err
			}
			if end := c.NotAfter.Add(keepAfter); end.After(out.Until) {
				out.Until = end
			}
		}
		if out.Until.IsZero() {
			return storage.ErrNotFound
		}
		err := s.tables.revocations.Insert(tx, out)
		if errors.Is(err, storage.ErrExists) {
			return nil
		}
		fresh = err == nil
		for _, hook := range s.c.OnRevoke {
			err = errors.Join(err, hook(tx, installation))
		}
		return errors.Join(err, s.c.Trail.Append(tx, event))
	})
	if err != nil {
		return false, fmt.Errorf("revoking the certificates of %q: %w", installation, err)
	}
	if fresh {
		s.c.Trail.Log(ctx, event)
	}
	return fresh, nil
}

// List returns certificates in the order of their ids, beginning after the given one, at most limit of them, or only those of an
// installation. What leads from them to a root is left out.
func (s *Store) List(ctx context.Context, installation, after string, limit int) (list []Certificate, err error) {
	err = s.c.DB.View(ctx, func(tx storage.Tx) error {
		list = nil
		rows := s.tables.certificates.All(tx, after, limit)
		if installation != "" {
			rows = s.tables.certificates.List(tx, byInstallation, installation, after, limit)
		}
		for c, err := range rows {
			if err != nil {
				return err
			}
			out, _, err := s.tables.revocations.Find(tx, c.Installation)
			if err != nil {
				return err
			}
			c.RevokedAt, c.Chain = out.At, nil
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing certificates: %w", err)
	}
	return list, nil
}
