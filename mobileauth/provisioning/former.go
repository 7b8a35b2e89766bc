// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Former judges certificates of an authority that has issued them before there was this one. Implementations are safe for concurrent use.
type Former interface {
	// Read returns the record of a certificate, in DER, that counts at a moment: what it is and what its key stands for, with its own
	// chain. What it does not take it refuses with a [*Refusal].
	Read(der []byte, now time.Time) (Certificate, error)
}

// signer returns the certificate whose key has signed a request: one of ours, or the one of a former authority that came with it.
func (r *request) signer(ctx context.Context) (*Certificate, error) {
	c, err := r.signed(ctx, r.a)
	refusal, refused := errors.AsType[*Refusal](err)
	if r.c.Former == nil || len(r.m.Former) == 0 || !refused || refusal.Reason != ReasonUnknown {
		return c, err
	}
	old, err := r.c.Former.Read(r.m.Former, r.c.Now())
	if err != nil {
		return nil, err
	}
	leaf, err := old.Leaf()
	if err != nil {
		return nil, err
	}
	if old.ID != r.a.by.KID || !r.a.by.By(leaf.PublicKey) {
		return nil, refuse(ReasonSignature)
	}
	if old.Kind != KindApplication {
		old.Application = r.app().ID
	}
	old.Installation, old.Platform, old.Version, old.Device = newInstallation(), r.app().Platform, r.app().Version, r.a.claims.Device
	old.Former, old.Shown, r.inherits = true, true, true
	return &old, nil
}

// familiar reports whether no stranger asks.
func (r *request) familiar() bool { return r.m.Caller.UserID != "" || r.inherits }

// claim refuses a certificate of which there is no record, unless it is one of a former authority that counts, for keys that are nobody's.
func (r *request) claim(tx storage.Tx, of *holder) error {
	if !r.inherits {
		return refuse(ReasonUnknown)
	}
	mine, found, err := r.tables.holders.Find(tx, r.renews.Key)
	if err == nil && !found {
		mine = *of
	}
	if err == nil && mine.Key != "" {
		return &Refusal{Reason: ReasonKeyReused, Installation: mine.Installation}
	}
	if err = errors.Join(err, r.tables.fate(tx, r.renews)); err != nil {
		return err
	}
	return r.renews.standing(r.c.Now())
}

// take keeps the certificate of a former authority, in the transaction in which it is renewed: it renews to nothing else.
func (r *request) take(tx storage.Tx) error {
	if !r.inherits {
		return nil
	}
	h := holder{
		Key: r.renews.Key, Installation: r.renews.Installation, Claimed: digest([]byte(r.a.claims.Installation)),
		Certificate: r.renews.ID, Until: r.renews.until(),
	}
	return errors.Join(r.tables.certificates.Insert(tx, *r.renews), r.tables.holders.Put(tx, h))
}
