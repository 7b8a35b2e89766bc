// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/withdrawn"
	"github.com/gatehouse-id/gatehouse/storage"
)

// serialOf is a serial number as records have it.
func serialOf(n *big.Int) string { return hex.EncodeToString(n.Bytes()) }

// Superseded tells of a certificate of [Store.Issued] or [Store.Revoked] that it is revoked because its key was replaced.
func (c *Certificate) Superseded() bool { return !c.OverAt.IsZero() && c.RevokedAt.Equal(c.OverAt) }

// outside has RevokedAt be when others are to take a certificate for revoked: that, or when its key was over, whichever was first.
func (c *Certificate) outside() {
	if !c.OverAt.IsZero() && (c.RevokedAt.IsZero() || c.OverAt.Before(c.RevokedAt)) {
		c.RevokedAt, c.AuthorityRevoked = c.OverAt, false
	}
}

// gone is what is known of a certificate of which everything else is forgotten, or that is over before its time.
func gone(w *withdrawn.Certificate) Certificate {
	c := Certificate{
		Serial: w.Serial, Authority: w.Authority, Installation: w.Installation, IssuedAt: w.IssuedAt, NotAfter: w.NotAfter, RevokedAt: w.From,
	}
	if w.Superseded {
		c.OverAt = w.From
	}
	return c
}

// Issued returns the certificate with a serial number that an authority has issued, as others are told of it, or [storage.ErrNotFound].
// RevokedAt is set as well where its key was replaced, or where its device has not shown it in time; of the latter nothing else is
// known than whose it was.
func (s *Store) Issued(ctx context.Context, authority string, serial *big.Int) (c Certificate, err error) {
	err = s.c.DB.View(ctx, func(tx storage.Tx) error {
		c, err = s.tables.certificates.Lookup(tx, bySerial, authority+"."+serialOf(serial))
		if errors.Is(err, storage.ErrNotFound) {
			w, err := s.tables.withdrawn.Get(tx, authority, serialOf(serial))
			c = gone(&w)
			return err
		}
		if err == nil {
			err = s.tables.fate(tx, &c)
		}
		c.outside()
		return err
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("finding a certificate by its serial number: %w", err)
	}
	return c, nil
}

// Revoked returns the certificates of an authority that others are to take for revoked though their time is not over, without their
// chains: those of installations that are out, those whose key was replaced, those that were never shown in time, and all of them
// where the authority is out.
func (s *Store) Revoked(ctx context.Context, authority string) (list []Certificate, err error) {
	now, places := s.c.Now(), map[string]int{}
	take := func(c Certificate) {
		c.Chain = nil
		c.outside()
		place, has := places[c.Serial]
		switch {
		case c.Authority != authority || !now.Before(c.NotAfter) || c.RevokedAt.IsZero() || now.Before(c.RevokedAt):
		case !has:
			places[c.Serial] = len(list)
			list = append(list, c)
		case c.RevokedAt.Before(list[place].RevokedAt):
			list[place] = c
		}
	}
	found, all, err := s.out(ctx, authority)
	for i := range found {
		take(found[i])
	}
	if err == nil && all {
		err = s.walk(ctx, authority, func(c *Certificate) error {
			take(*c)
			return nil
		})
	}
	if err == nil {
		err = s.tables.withdrawn.Each(ctx, s.c.DB, authority, func(w *withdrawn.Certificate) { take(gone(w)) })
	}
	if err != nil {
		return nil, fmt.Errorf("listing the revoked certificates of an authority: %w", err)
	}
	return list, nil
}

// out returns the certificates of all installations that were revoked, or reports that the authority was and all of its are.
func (s *Store) out(ctx context.Context, authority string) (list []Certificate, all bool, err error) {
	err = s.c.DB.View(ctx, func(tx storage.Tx) error {
		list = nil
		if _, all, err = s.tables.withdrawn.Authorities.Find(tx, authority); err != nil || all {
			return err
		}
		for out, err := range s.tables.withdrawn.Installations.All(tx, "", 0) {
			if err != nil {
				return err
			}
			for c, err := range s.tables.certificates.List(tx, byInstallation, out.ID, "", 0) {
				if err != nil {
					return err
				}
				c.RevokedAt, c.Chain = out.At, nil
				list = append(list, c)
			}
		}
		return nil
	})
	return list, all, err
}

// withdraw writes for those who see nothing but a certificate from when on it does not count.
func (t *tables) withdraw(tx storage.Tx, c *Certificate, from time.Time, superseded bool) error {
	by, err := c.authority()
	if err != nil {
		return err
	}
	return t.withdrawn.Keep(tx, withdrawn.Certificate{
		Authority: c.Authority, Serial: c.Serial, Installation: c.Installation, IssuedAt: c.IssuedAt, From: from, NotAfter: c.NotAfter,
		Superseded: superseded, Issuer: by.Subject.String(), IssuerNotAfter: by.NotAfter.UTC(),
	})
}
