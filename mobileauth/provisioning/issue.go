// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
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
	// renews is the certificate whose key has signed the request; nil for the first.
	renews *Certificate
	// follows is the certificate that the device has had; nil for a device that nobody knows.
	follows *Certificate
	// inherits tells that renews is one of a former authority, of which there is no record yet.
	inherits bool
	// installation is whose the key will be, with the subject and the attributes that an operator gives it.
	installation string
	subject      pkix.Name
	attributes   map[string]string
	attested     Attested
}

// Issue has a certificate issued for the request that a message hands in.
//
// An answer without a key's name is by the key of the request itself, and for an installation that is not known yet. One that names a
// certificate renews it: that certificate has to count, and its key has signed. A request for another key is signed by that one too.
//
// Whoever asks again with the same key and the same name for itself, because the answer was lost, gets the certificate that there is,
// and so does whoever asks to renew it before the last third of its time. The same key under another name is refused: somebody has
// copied it, or an app was shipped with it. A certificate that was renewed with another key renews to no third one: whoever has copied
// a key is left behind when it is replaced.
//
// A certificate of a former authority ([Config].Former) that comes with the message renews once, whatever is left of its time.
//
// A refusal is a [*Refusal]. Errors that wrap [ErrAuthority] or [ErrHook] say that it may work later.
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
	if err := r.admit(ctx); err != nil {
		return Certificate{}, err
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
	if r.a.by.KID == "" {
		if !r.a.by.By(r.csr.Parsed.PublicKey) {
			return refuse(ReasonSignature)
		}
		if status, _ := r.c.Versions.Status(r.app().ID, r.app().Platform, r.app().Version); status == mobileauth.NoRegistration {
			return refuse(ReasonVersion)
		}
		return r.welcome(r.a, r.m.Entity)
	}
	if r.renews, err = r.signer(ctx); err != nil {
		return err
	}
	r.follows = r.renews
	if err := r.stands(r.renews, r.a, r.m.Entity); err != nil || r.csr.Key == r.renews.Key {
		return err
	}
	return r.a.claims.possessed(r.m.Question, r.csr, r.renews.ID)
}

func (r *request) app() App { return r.a.claims.App }

// admit refuses a device that nobody knows and that is not let in. One that was let in before keeps what it was given then.
func (r *request) admit(ctx context.Context) error {
	if r.follows == nil || r.inherits {
		if err := r.c.Budget.left(r.m.Caller, r.familiar()); err != nil {
			return err
		}
	}
	if err := r.attest(ctx); err != nil {
		return err
	}
	if r.follows != nil {
		return r.inherit()
	}
	r.installation = newInstallation()
	return r.validate(ctx)
}

func (r *request) inherit() error {
	leaf, err := r.follows.Leaf()
	if err != nil {
		return err
	}
	r.installation, r.attributes = r.follows.Installation, r.follows.Attributes
	if !r.follows.Former { // whose names are another system's
		r.subject = leaf.Subject
		r.subject.ExtraNames = r.subject.Names // as they stand there, those too that the type has no field for
	}
	return nil
}

// order has the certificate issued, and looks at it.
func (r *request) order(ctx context.Context) (Certificate, error) {
	now := r.c.Now()
	template, err := r.c.Profile.template(r.m.Entity, r.app().ID, r.installation, now)
	if err != nil {
		return Certificate{}, err
	}
	template.Subject = r.subject
	order := Order{CSR: r.csr, Template: template}
	if r.renews != nil && !r.renews.Former {
		if order.Renews, err = r.renews.Leaf(); err != nil {
			return Certificate{}, err
		}
	}
	chain, err := r.c.Authority.Issue(ctx, order)
	if err == nil {
		now = r.c.Now() // it took its time, and what it has issued may begin then
		err = checkIssued(chain, &order, r.c.Authority, now)
	}
	if refusal, refused := errors.AsType[*Refusal](err); refused {
		return Certificate{}, refusal
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
		ID: digest(leaf.Raw), Serial: serialOf(leaf.SerialNumber), Installation: r.installation,
		Kind: r.m.Entity.Kind, Group: r.m.Entity.Group,
		Application: claims.App.ID, Platform: claims.App.Platform, Version: claims.App.Version, Device: claims.Device,
		Key: r.csr.Key, UserID: r.m.Caller.UserID, ClientID: r.m.Caller.ClientID, Attributes: r.attributes, Attestation: r.attested,
		NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(), IssuedAt: now.UTC().Truncate(time.Millisecond),
		Authority: AuthorityID(chain[1]),
	}
	if r.follows != nil {
		c.Replaces = r.follows.ID
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
		if err := errors.Join(r.tables.believed(tx, &c), r.take(tx), r.replace(tx, c.IssuedAt)); err != nil {
			return err
		}
		h := holder{
			Key: c.Key, Installation: c.Installation, Claimed: digest([]byte(r.a.claims.Installation)), Certificate: c.ID, Until: c.until(),
		}
		if err := r.tables.holders.Put(tx, h); err != nil {
			return err
		}
		if err := r.tables.certificates.Insert(tx, c); err != nil {
			return err
		}
		if c.Replaces == "" { // what is known of it is forgotten at the end of its trial, and it is good for others until its own
			if err := r.tables.withdraw(tx, &c, c.until(), false); err != nil {
				return err
			}
		}
		return r.c.Trail.Append(tx, event)
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("keeping a certificate: %w", err)
	}
	if kept.ID == c.ID {
		r.c.Trail.Log(ctx, event)
		if r.follows == nil || r.inherits {
			r.c.Budget.count(r.m.Caller, r.familiar())
		}
	}
	return kept, nil
}

// replace notes that a certificate has a successor. It goes on to count until that is shown, since the answer with it may be lost.
func (r *request) replace(tx storage.Tx, at time.Time) error {
	if r.renews == nil {
		return nil
	}
	old, err := r.tables.find(tx, r.renews.ID)
	if err != nil {
		return err
	}
	old.ReplacedAt = at
	if !old.Shown { // by what the request was signed with
		return r.shown(tx, &old)
	}
	return r.tables.certificates.Put(tx, old)
}
