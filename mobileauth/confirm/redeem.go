// SPDX-License-Identifier: Apache-2.0

package confirm

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Reasons for which an approval does not go with a request. They stand in the audit trail, and are told to nobody else.
const (
	Unknown      = "unknown_operation" // there is no such operation
	NoRecord     = "no_confirmation"   // the operation was started for something else
	OtherUser    = "other_user"
	OtherClient  = "other_client"
	OtherSession = "other_session" // a logout, or another login, lies between
	OtherRule    = "other_rule"    // another route, or the configuration was changed
	OtherMethod  = "other_method"
	OtherTarget  = "other_uri"
	OtherHeader  = "other_header"
	OtherBody    = "other_body"
)

// Redeemed is what came of a redemption.
type Redeemed struct {
	operation.Outcome

	// Fits says that the approval is the caller's, and for this request: how the operation stands may be told then.
	Fits bool
}

// Redeem has a request pass by an approval, once. Everything that was approved is compared, and the approval is spent, in one
// transaction: of any number of callers with one approval, one has Accepted. What is refused is written into the audit
// trail with its reason, and spends nothing. An error means that the request must not pass; whether the approval is spent is
// then not known.
func (s *Store) Redeem(ctx context.Context, id string, owner Owner, b Binding) (r Redeemed, err error) {
	if id == "" || len(id) > maxID {
		return s.stranger(ctx, owner), nil
	}
	refuses := func(tx storage.Tx, o *operation.Operation) (string, error) {
		r.Fits = false
		record, found, err := s.confirmations.Find(tx, id)
		if err != nil {
			return "", err
		}
		reason := NoRecord
		if found {
			reason = record.differs(o, &owner, &b)
		}
		r.Fits = reason == ""
		return reason, nil
	}
	r.Outcome, err = s.config.Operations.RedeemBy(ctx, id, operation.Redeemer{ClientID: owner.ClientID, Use: use, Refuses: refuses})
	if errors.Is(err, operation.ErrNotFound) {
		return s.stranger(ctx, owner), nil
	}
	if err != nil {
		return Redeemed{}, fmt.Errorf("having a request pass: %w", err)
	}
	if r.Code != operation.Accepted && r.Code != operation.Gone && r.Code != operation.NotAllowed {
		return Redeemed{}, fmt.Errorf("having a request pass: outcome %q", r.Code)
	}
	return r, nil
}

// stranger is the outcome for an id that is none: anybody can make up as many as they like, so it is logged and not kept.
func (s *Store) stranger(ctx context.Context, owner Owner) Redeemed {
	s.config.Audit.Log(ctx, audit.Event{
		Name: "operation.redeem", Outcome: audit.Refused, Reason: Unknown, Subject: owner.UserID, ClientID: owner.ClientID,
	})
	return Redeemed{Outcome: operation.Outcome{Code: operation.NotAllowed, Reason: Unknown}}
}

// differs returns why an approval does not go with a request; empty where it does.
func (c *Confirmation) differs(o *operation.Operation, owner *Owner, b *Binding) string {
	for _, part := range [...]struct{ had, has, reason string }{
		{c.Operation, o.ID, NoRecord},
		{o.UserID, owner.UserID, OtherUser},
		{c.UserID, owner.UserID, OtherUser},
		{c.ClientID, owner.ClientID, OtherClient},
		{c.Session, owner.Session, OtherSession},
		{c.Rule, owner.Rule, OtherRule},
		{c.Method, b.Method, OtherMethod},
		{c.Target, b.Target, OtherTarget},
		{c.Header, b.Header, OtherHeader},
		{c.Body, b.Body, OtherBody},
	} {
		if part.has == "" || subtle.ConstantTimeCompare([]byte(part.had), []byte(part.has)) == 0 {
			return part.reason
		}
	}
	return ""
}

// Find returns how the operation about a request stands, for whoever sent that: anybody else, and an id that is none, is
// [operation.ErrNotFound].
func (s *Store) Find(ctx context.Context, id string, owner Owner) (o operation.Operation, err error) {
	if id == "" || len(id) > maxID {
		return operation.Operation{}, operation.ErrNotFound
	}
	err = s.config.DB.View(ctx, func(tx storage.Tx) error {
		record, err := s.confirmations.Get(tx, id)
		if err != nil {
			return err
		}
		if record.UserID != owner.UserID || record.ClientID != owner.ClientID || record.Session != owner.Session {
			return operation.ErrNotFound
		}
		var found bool
		if o, found, err = s.config.Operations.Find(tx, id); err == nil && !found {
			err = operation.ErrNotFound
		}
		return err
	})
	if err != nil {
		return operation.Operation{}, fmt.Errorf("finding what a request waits for: %w", err)
	}
	return o, nil
}
