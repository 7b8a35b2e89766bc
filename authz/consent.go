// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Consent is a user's lasting agreement that a client may have some scopes.
type Consent struct {
	Subject   string       `json:"sub"`
	ClientID  string       `json:"client_id"`
	Scopes    oauth.Scopes `json:"scopes"`
	GrantedAt time.Time    `json:"granted_at"`
}

// consentID hashes both parts: a client id may hold any printable character and be long.
func consentID(subject, client string) string { return subject + "/" + randid.Hash(client) }

func consentTable() *storage.Table[Consent] {
	return &storage.Table[Consent]{
		Name: "consent", Version: 1,
		ID:      func(c *Consent) string { return consentID(c.Subject, c.ClientID) },
		Indexes: []storage.Index[Consent]{{Name: "subject", Values: func(c *Consent) []string { return []string{c.Subject} }}},
	}
}

// Consented reports whether the user has agreed to all of the scopes for the client.
func (s *Store) Consented(ctx context.Context, subject, client string, scopes oauth.Scopes) (consented bool, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		consented, err = s.consented(tx, subject, client, scopes)
		return err
	})
	return consented, err
}

func (s *Store) consented(tx storage.Tx, subject, client string, scopes oauth.Scopes) (bool, error) {
	c, ok, err := s.consents.Find(tx, consentID(subject, client))
	return ok && err == nil && scopes.Within(c.Scopes), err
}

// settleConsent checks the agreement that a completion rests on, or stores the one that it comes with. A withdrawal conflicts
// with either.
func (s *Store) settleConsent(tx storage.Tx, c *Completion) error {
	if c.RememberConsent {
		return s.remember(tx, c.Grant)
	}
	if !c.Remembered {
		return nil
	}
	stands, err := s.consented(tx, c.Grant.Subject, c.Grant.ClientID, c.Grant.Scopes)
	if err == nil && !stands {
		err = ErrConsentWithdrawn
	}
	return err
}

func (s *Store) remember(tx storage.Tx, g Grant) error {
	c, _, err := s.consents.Find(tx, consentID(g.Subject, g.ClientID))
	if err != nil {
		return err
	}
	return s.consents.Put(tx, Consent{
		Subject: g.Subject, ClientID: g.ClientID, Scopes: c.Scopes.Union(g.Scopes), GrantedAt: s.Now(),
	})
}

// ConsentsOf returns what a user has agreed to.
func (s *Store) ConsentsOf(ctx context.Context, subject string) ([]Consent, error) {
	var consents []Consent
	return certain(&consents, s.db.View(ctx, func(tx storage.Tx) error {
		consents = nil
		for c, err := range s.consents.List(tx, "subject", subject, "", 0) {
			if err != nil {
				return err
			}
			consents = append(consents, c)
		}
		return nil
	}))
}

// WithdrawConsent forgets a user's agreement, ends every auth session that the client has of that user and revokes every grant.
// The agreement and the auth sessions go first, so that none is left out that was made from them meanwhile. Each is a transaction
// of its own: what was revoked before an error is returned beside it, and calling again goes on.
func (s *Store) WithdrawConsent(ctx context.Context, subject, client string) (revoked []Revocation, err error) {
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		return s.consents.Delete(tx, consentID(subject, client))
	})
	if err == nil {
		err = s.endAuthSessions(ctx, subject, client)
	}
	if err != nil {
		return nil, err
	}
	grants, err := s.GrantsOf(ctx, subject)
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		if g.ClientID != client {
			continue
		}
		made, err := s.RevokeGrant(ctx, g.ID, subject)
		if err != nil && !Gone(err) {
			return revoked, err
		}
		revoked = append(revoked, made...)
	}
	return revoked, nil
}
