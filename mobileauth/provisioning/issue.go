// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// request is one for a certificate on its way.
type request struct {
	*Store
	m   *Message
	csr *CSR
	a   *answer
	// installation is whose the key will be; empty until it is known.
	installation string
	renews       *Certificate // nil for the first
}

// Issue has a certificate issued for the request that a message hands in.
//
// An answer without a key's name is by the key of the request itself, and for an installation that is not known yet. One that names a
// certificate renews it, with the same key or another: that certificate has to count, and its key has signed.
//
// Whoever asks again with the same key and the same name for itself, because the answer was lost, gets the certificate that there is.
// The same key under another name is refused: somebody has copied it, or an app was shipped with it.
//
// A refusal is a [*Refusal]. Errors that wrap [ErrAuthority] say that it may work later.
func (s *Store) Issue(ctx context.Context, m Message) (Certificate, error) {
	c, err := s.issue(ctx, &m)
	return c, s.told(ctx, &m, err)
}

func (s *Store) issue(ctx context.Context, m *Message) (Certificate, error) {
	if wait := s.c.Requests.Take(limit.Address(m.Caller.ClientIP)).Wait; wait > 0 {
		return Certificate{}, &Refusal{Reason: ReasonManyAsked, RetryAfter: wait}
	}
	r := &request{Store: s, m: m}
	if err := r.read(ctx); err != nil {
		return Certificate{}, err
	}
	has, err := r.known(ctx)
	if err != nil || has != nil {
		return deref(has), err
	}
	c, err := r.order(ctx)
	if err != nil {
		return Certificate{}, err
	}
	return r.keep(ctx, c)
}

func deref(c *Certificate) Certificate {
	if c == nil {
		return Certificate{}
	}
	return *c
}

// read looks at what was sent, before anything is done about it.
func (r *request) read(ctx context.Context) (err error) {
	if r.a, err = r.m.read(TypRequest); err != nil {
		return err
	}
	if r.csr, err = ReadCSR(r.m.CSR); err != nil {
		return err
	}
	if r.a.claims.CSR != r.csr.Hash {
		return refuse(ReasonRequestHash)
	}
	if r.a.kid == "" {
		if !r.a.verified(r.csr.Parsed.PublicKey) {
			return refuse(ReasonSignature)
		}
		if status, _ := r.c.Versions.Status(r.app().ID, r.app().Platform, r.app().Version); status == mobileauth.NoRegistration {
			return refuse(ReasonVersion)
		}
		return r.welcome(r.a, r.m.Entity)
	}
	if r.renews, err = r.signed(ctx, r.a); err != nil {
		return err
	}
	r.installation = r.renews.Installation
	return r.stands(r.renews, r.a, r.m.Entity)
}

func (r *request) app() App { return r.a.claims.App }

// known finds out whose the key is, and returns the certificate that there is for it, where it can be given out again.
func (r *request) known(ctx context.Context) (has *Certificate, err error) {
	err = r.c.DB.View(ctx, func(tx storage.Tx) error {
		has, err = r.knownIn(tx)
		return err
	})
	return has, err
}

func (r *request) knownIn(tx storage.Tx) (*Certificate, error) {
	h, found, err := r.tables.holders.Find(tx, r.csr.Key)
	if err != nil || !found {
		return nil, err
	}
	if r.renews != nil {
		if h.Installation != r.installation {
			return nil, &Refusal{Reason: ReasonKeyReused, Installation: h.Installation}
		}
		return nil, nil
	}
	if h.Claimed != digest([]byte(r.a.claims.Installation)) {
		return nil, &Refusal{Reason: ReasonKeyReused, Installation: h.Installation}
	}
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
	case !refused:
		return &c, nil
	case refusal.Reason == ReasonExpired:
		r.installation = h.Installation
		return nil, nil
	}
	return nil, refusal
}

// order has the certificate issued, and looks at it.
func (r *request) order(ctx context.Context) (Certificate, error) {
	if r.installation == "" {
		r.installation = newInstallation()
	}
	now := r.c.Now()
	template, err := r.c.Profile.template(r.m.Entity, r.app().ID, r.installation, now)
	if err != nil {
		return Certificate{}, err
	}
	order := Order{CSR: r.csr, Template: template}
	if r.renews != nil {
		if order.Renews, err = r.renews.Leaf(); err != nil {
			return Certificate{}, err
		}
	}
	chain, err := r.c.Authority.Issue(ctx, order)
	if err == nil {
		err = checkIssued(chain, &order, now)
	}
	if err != nil {
		r.c.Logger.ErrorContext(ctx, "a device gets no certificate", "installation", r.installation, "error", err)
		return Certificate{}, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	return r.record(chain, now), nil
}

// record is what is kept of a certificate.
func (r *request) record(chain []*x509.Certificate, now time.Time) Certificate {
	leaf, claims := chain[0], r.a.claims
	c := Certificate{
		ID: digest(leaf.Raw), Serial: hex.EncodeToString(leaf.SerialNumber.Bytes()), Installation: r.installation,
		Kind: r.m.Entity.Kind, Group: r.m.Entity.Group,
		Application: claims.App.ID, Platform: claims.App.Platform, Version: claims.App.Version, Device: claims.Device,
		Key: r.csr.Key, UserID: r.m.Caller.UserID, ClientID: r.m.Caller.ClientID,
		NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(), IssuedAt: now.UTC().Truncate(time.Millisecond),
	}
	if len(chain) > 1 {
		c.Authority = digest(chain[1].Raw)
	}
	if r.renews != nil {
		c.Replaces = r.renews.ID
	}
	for _, one := range chain {
		c.Chain = append(c.Chain, one.Raw)
	}
	return c
}

// keep stores a certificate, unless somebody was faster with the same key, or the one that it renews was revoked meanwhile.
func (r *request) keep(ctx context.Context, c Certificate) (kept Certificate, err error) {
	event := r.c.Trail.Prepare(audit.Event{
		Name: EventIssued, Outcome: audit.Accepted, Object: "certificate:" + c.Serial, DeviceID: c.Installation,
		Realm: r.m.Question.Realm, Subject: c.UserID, ClientID: c.ClientID, ClientIP: r.m.Caller.ClientIP,
	}.From(ctx))
	err = r.c.DB.Update(ctx, func(tx storage.Tx) error {
		has, err := r.knownIn(tx)
		if err != nil || has != nil {
			kept = deref(has)
			return err
		}
		kept = c
		if err := r.replace(tx, c.IssuedAt); err != nil {
			return err
		}
		h := holder{
			Key: c.Key, Installation: c.Installation, Claimed: digest([]byte(r.a.claims.Installation)), Certificate: c.ID,
			Until: c.NotAfter.Add(keepAfter),
		}
		if err := r.tables.holders.Put(tx, h); err != nil {
			return err
		}
		if err := r.tables.certificates.Insert(tx, c); err != nil {
			return err
		}
		return r.c.Trail.Append(tx, event)
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("keeping a certificate: %w", err)
	}
	if kept.ID == c.ID {
		r.c.Trail.Log(ctx, event)
	}
	return kept, nil
}

// replace notes that a certificate has a successor. It goes on to count until its end: the answer with the other may be lost.
func (r *request) replace(tx storage.Tx, at time.Time) error {
	if r.renews == nil {
		return nil
	}
	old, err := r.tables.find(tx, r.renews.ID)
	if err != nil {
		return err
	}
	if err := old.standing(r.c.Now()); err != nil {
		return err
	}
	old.ReplacedAt = at
	return r.tables.certificates.Put(tx, old)
}
