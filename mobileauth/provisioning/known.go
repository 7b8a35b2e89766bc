// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/storage"
)

// known finds out whose the key is, and returns the certificate that there is for it, where it can be given out again.
func (r *request) known(ctx context.Context) (has *Certificate, err error) {
	err = r.c.DB.View(ctx, func(tx storage.Tx) error {
		has, err = r.knownIn(tx)
		return err
	})
	return has, err
}

// knownIn is known within a transaction. It returns nil where a certificate is to be issued.
func (r *request) knownIn(tx storage.Tx) (*Certificate, error) {
	h, found, err := r.tables.holders.Find(tx, r.csr.Key)
	switch {
	case err != nil:
		return nil, err
	case r.renews != nil:
		return r.renewed(tx, &h)
	case !found:
		return nil, nil
	case h.Claimed != digest([]byte(r.a.claims.Installation)):
		return nil, &Refusal{Reason: ReasonKeyReused, Installation: h.Installation}
	}
	return r.repeated(tx, &h)
}

// repeated judges a request by the key itself, which has a certificate already: the answer with it was lost, or it is over, or is so
// because its authority is.
func (r *request) repeated(tx storage.Tx, h *holder) (*Certificate, error) {
	c, err := r.tables.find(tx, h.Certificate)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case c.Entity() != r.m.Entity || c.Kind == KindApplication && c.Application != r.app().ID:
		return nil, &Refusal{Reason: ReasonEntity, Installation: c.Installation}
	}
	refusal, refused := errors.AsType[*Refusal](c.standing(r.c.Now()))
	switch {
	case !refused && !c.Former:
		return &c, nil
	case refused && refusal.Reason != ReasonExpired && refusal.Reason != ReasonDistrusted:
		return nil, refusal
	case !c.ReplacedAt.IsZero():
		return nil, &Refusal{Reason: ReasonReplaced, Installation: c.Installation}
	}
	r.follows = &c
	return nil, nil
}

// renewed judges a renewal, for a key that is the holder's, or nobody's where that is empty. The certificate is read again, since another
// request may have renewed it, or somebody revoked it, meanwhile.
func (r *request) renewed(tx storage.Tx, h *holder) (*Certificate, error) {
	old, err := r.tables.find(tx, r.renews.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, r.claim(tx, h)
	}
	if err == nil {
		err = old.standing(r.c.Now())
	}
	if err != nil {
		return nil, err
	}
	no := func(reason Reason) (*Certificate, error) {
		return nil, &Refusal{Reason: reason, Installation: old.Installation}
	}
	due := old.due(r.c.Now())
	switch {
	case h.Key != "" && h.Installation != old.Installation:
		return nil, &Refusal{Reason: ReasonKeyReused, Installation: h.Installation}
	case h.Key != "" && h.Certificate != old.ID: // the renewal was made before, and the answer lost
		has, err := r.tables.find(tx, h.Certificate)
		if err == nil {
			err = has.standing(r.c.Now())
		}
		if err != nil {
			return nil, err
		}
		return &has, nil
	case !old.ReplacedAt.IsZero():
		return no(ReasonReplaced)
	case !due && h.Key == "":
		return no(ReasonEarly)
	case !due:
		return &old, nil
	}
	return nil, nil
}
