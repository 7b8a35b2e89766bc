// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/withdrawn"
	"github.com/gatehouse-id/gatehouse/storage"
)

// EventRevoked is the audit event of a revocation.
const EventRevoked = "device_certificate.revoked"

// Revoke takes all certificates of an installation away, and what rests on them: see [Config].OnRevoke. Its keys get no other one. It
// reports whether that is new, and fails with [storage.ErrNotFound] for an installation that has none, be it one never shown.
func (s *Store) Revoke(ctx context.Context, installation string) (fresh bool, err error) {
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	out := withdrawn.Installation{ID: installation, At: now, Until: now.Add(MaxValidity + keepAfter)}
	event := s.c.Trail.Prepare(audit.Event{Name: EventRevoked, Outcome: audit.Accepted, DeviceID: installation}.From(ctx))
	err = s.c.DB.Update(ctx, func(tx storage.Tx) error {
		fresh = false
		if err := s.tables.known(tx, installation); err != nil {
			return err
		}
		err := s.tables.withdrawn.Installations.Insert(tx, out)
		if errors.Is(err, storage.ErrExists) {
			return nil
		}
		fresh = err == nil
		for _, hook := range s.c.OnRevoke {
			err = errors.Join(err, hook(tx, installation))
		}
		return errors.Join(err, s.changed(tx), s.c.Trail.Append(tx, event))
	})
	if err != nil {
		return false, fmt.Errorf("revoking the certificates of %q: %w", installation, err)
	}
	if fresh {
		s.c.Trail.Log(ctx, event)
	}
	return fresh, nil
}

// known returns nil for an installation that has a certificate, and [storage.ErrNotFound] for another one. How many certificates there
// are is the device's doing, so it reads one.
func (t *tables) known(tx storage.Tx, installation string) error {
	for _, err := range t.certificates.List(tx, byInstallation, installation, "", 1) {
		return err
	}
	return t.withdrawn.Known(tx, installation)
}

// changed says that others have to be told something else than before.
func (s *Store) changed(tx storage.Tx) error {
	if s.c.OnChange == nil {
		return nil
	}
	return s.c.OnChange(tx)
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
			if err := s.tables.fate(tx, &c); err != nil {
				return err
			}
			c.Chain = nil
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing certificates: %w", err)
	}
	return list, nil
}
