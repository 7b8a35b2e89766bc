// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/withdrawn"
	"github.com/gatehouse-id/gatehouse/storage"
)

// EventAuthorityRevoked is the audit event of the revocation of an authority.
const EventAuthorityRevoked = "device_authority.revoked"

// page is how many certificates are looked at in one transaction.
const page = 200

// AuthorityRecord is what is known of one who has issued certificates, by one certificate of its own.
type AuthorityRecord struct {
	// ID is the SHA-256 of its certificate in base64url, and Fingerprint the same in hex, as other programs show it.
	ID          string    `json:"id"`
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	NotAfter    time.Time `json:"not_after"`
	// Certificates is how many of its certificates count at the moment, or would but for RevokedAt. Latest is when it has issued one
	// for the last time.
	Certificates int       `json:"certificates"`
	Latest       time.Time `json:"latest"`
	// RevokedAt is when it was revoked.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// add counts a certificate of the authority.
func (a *AuthorityRecord) add(c *Certificate, now time.Time) {
	if c.IssuedAt.After(a.Latest) {
		a.Latest = c.IssuedAt
	}
	refusal, refused := errors.AsType[*Refusal](c.standing(now))
	if !refused || refusal.Reason == ReasonDistrusted {
		a.Certificates++
	}
	if c.AuthorityRevoked {
		a.RevokedAt = c.RevokedAt
	}
}

func (c *Certificate) authority() (*x509.Certificate, error) {
	if len(c.Chain) < 2 {
		return nil, fmt.Errorf("reading the authority of the certificate %q: it is not kept", c.ID)
	}
	by, err := x509.ParseCertificate(c.Chain[1])
	if err != nil {
		return nil, fmt.Errorf("reading the authority of the certificate %q: %w", c.ID, err)
	}
	return by, nil
}

// Authorities returns who has issued the certificates that are known, in the order of their ids, or only the one with an id; one who has
// issued nothing but what was never shown comes with none. It looks at each of their certificates.
func (s *Store) Authorities(ctx context.Context, id string) (list []AuthorityRecord, err error) {
	now := s.c.Now()
	err = s.walk(ctx, id, func(c *Certificate) error {
		if n := len(list); n == 0 || list[n-1].ID != c.Authority {
			by, err := c.authority()
			if err != nil {
				return err
			}
			name := sha256.Sum256(by.Raw)
			list = append(list, AuthorityRecord{
				ID: c.Authority, Fingerprint: hex.EncodeToString(name[:]), Subject: by.Subject.String(), NotAfter: by.NotAfter.UTC(),
			})
		}
		list[len(list)-1].add(c, now)
		return nil
	})
	others, failed := s.tables.withdrawn.Issuers(ctx, s.c.DB, id)
	for _, o := range others {
		if !slices.ContainsFunc(list, func(a AuthorityRecord) bool { return a.ID == o.ID }) {
			list = append(list, AuthorityRecord{
				ID: o.ID, Fingerprint: o.Fingerprint, Subject: o.Name, NotAfter: o.NotAfter, Latest: o.Latest, RevokedAt: o.RevokedAt,
			})
		}
	}
	slices.SortFunc(list, func(a, b AuthorityRecord) int { return strings.Compare(a.ID, b.ID) })
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("listing who has issued certificates: %w", err)
	}
	return list, nil
}

// walk hands on the certificates of an authority, or all of them, in the order of their authorities, each with what has become of it.
func (s *Store) walk(ctx context.Context, authority string, see func(*Certificate) error) error {
	for after := ""; ; {
		var some []Certificate
		var last string
		err := s.c.DB.View(ctx, func(tx storage.Tx) (err error) {
			some, last, err = s.tables.page(tx, authority, after)
			return err
		})
		for i := range some {
			if err == nil {
				err = see(&some[i])
			}
		}
		if err != nil || len(some) < page {
			return err
		}
		after = last
	}
}

// page returns the next certificates of an authority, or of all, and where the page after it begins.
func (t *tables) page(tx storage.Tx, authority, after string) (some []Certificate, last string, err error) {
	prefix := ""
	if authority != "" {
		prefix = authority + "."
	}
	for e, err := range t.certificates.Prefix(tx, bySerial, prefix, after) {
		if err == nil {
			err = t.fate(tx, &e.Record)
		}
		if err != nil {
			return nil, "", err
		}
		if some, last = append(some, e.Record), e.Value; len(some) == page {
			break
		}
	}
	return some, last, nil
}

// RevokeAuthority takes away every certificate that an authority has issued, and what rests on them: see [Config].OnRevoke. It issues
// no more that count. The devices get another certificate for the same key, from the authority that there is then. It reports whether
// that is new, and fails with [storage.ErrNotFound] for an authority that has issued nothing.
//
// The certificates count no more once it is written that they do not; what rests on them ends in transactions of its own after that.
// Whoever was interrupted calls it again.
func (s *Store) RevokeAuthority(ctx context.Context, id string) (fresh bool, err error) {
	fresh, err = s.distrust(ctx, id)
	for after, more := "", true; more && err == nil; {
		after, more, err = s.endPage(ctx, id, after)
	}
	if err != nil {
		return false, fmt.Errorf("revoking the authority %q: %w", id, err)
	}
	return fresh, nil
}

func (s *Store) distrust(ctx context.Context, id string) (fresh bool, err error) {
	out := withdrawn.Authority{ID: id, At: s.c.Now().UTC().Truncate(time.Millisecond)}
	event := s.c.Trail.Prepare(audit.Event{Name: EventAuthorityRevoked, Outcome: audit.Accepted, Object: "authority:" + id}.From(ctx))
	err = s.c.DB.Update(ctx, func(tx storage.Tx) error {
		fresh = false
		until, err := s.tables.last(tx, id)
		if err != nil {
			return err
		}
		out.Until = until.Add(keepAfter)
		err = s.tables.withdrawn.Authorities.Insert(tx, out)
		if errors.Is(err, storage.ErrExists) {
			return nil
		}
		fresh = err == nil
		return errors.Join(err, s.changed(tx), s.c.Trail.Append(tx, event))
	})
	if err == nil && fresh {
		s.c.Trail.Log(ctx, event)
	}
	return fresh && err == nil, err
}

// last returns when the time of an authority is over that has issued something.
func (t *tables) last(tx storage.Tx, id string) (time.Time, error) {
	if id == "" {
		return time.Time{}, storage.ErrNotFound
	}
	some, _, err := t.page(tx, id, "")
	if err != nil || len(some) == 0 {
		return t.withdrawn.Last(tx, id)
	}
	by, err := some[0].authority()
	if err != nil {
		return time.Time{}, err
	}
	return by.NotAfter, nil
}

// endPage ends what rests on the next certificates of an authority.
func (s *Store) endPage(ctx context.Context, id, after string) (last string, more bool, err error) {
	err = s.c.DB.Update(ctx, func(tx storage.Tx) error {
		some, end, err := s.tables.page(tx, id, after)
		if err != nil {
			return err
		}
		last, more = end, len(some) == page
		done := map[string]bool{}
		for i := range some {
			if c := &some[i]; !done[c.Installation] && s.c.Now().Before(c.NotAfter) {
				done[c.Installation] = true
				for _, hook := range s.c.OnRevoke {
					err = errors.Join(err, hook(tx, c.Installation))
				}
			}
		}
		return err
	})
	return last, more, err
}

// believed refuses a certificate of an authority that was revoked while it was made.
func (t *tables) believed(tx storage.Tx, c *Certificate) error {
	if _, out, err := t.withdrawn.Authorities.Find(tx, c.Authority); err != nil || !out {
		return err
	}
	return fmt.Errorf("%w: the authority %s was revoked", ErrAuthority, c.Authority)
}
