// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Attributes of a proof.
const (
	// AttributeLogin is the user's login name, so that a later form can be prefilled.
	AttributeLogin = "login"
	// AttributeOperation is the operation that was approved, AttributeMethod the method that was really used, and AttributeACR the
	// name of what that is worth.
	AttributeOperation = "operation"
	AttributeMethod    = "method"
	AttributeACR       = "acr"
)

// Reasons of a refusal, for the audit trail.
const (
	reasonNotCollected = "not_collected" // the credentials are not this authenticator's
	reasonAnother      = "another_user"
	reasonTooLittle    = "below_the_type"
	reasonGrade        = "attestation_grade" // the phone has not shown what the realm asks for
	reasonManyStarts   = "too_many_starts"   // nobody was asked: the address has had its share
)

// Verify redeems the approval that was collected, once. It is no proof when it was used before, is somebody else's, was given for
// another request, or proves less than the realm stands for.
func (g *Guest) Verify(ctx context.Context, credentials realm.Credentials) (realm.Result, error) {
	phones, id := g.Config.Phones(), credentials.Values[valueOperation]
	if phones == nil {
		return realm.Result{}, errNotThere
	}
	if wait, err := time.ParseDuration(credentials.Values[valueWait]); err == nil {
		return realm.Result{Status: realm.Throttled, Reason: reasonManyStarts, RetryAfter: wait}, nil
	}
	if id == "" || credentials.Values[valueReference] == "" {
		return realm.Result{Status: realm.Refused, Reason: reasonNotCollected}, nil
	}
	o, err := phones.Operations.Wait(ctx, id, 0, 0)
	switch {
	case errors.Is(err, operation.ErrNotFound):
		return realm.Result{Status: realm.Refused, Reason: reasonNotCollected, Blameless: true}, nil
	case err != nil:
		return realm.Result{}, fmt.Errorf("reading an approval: %w", err)
	}
	if reason := g.refuses(phones, &o, &credentials); reason != "" {
		return realm.Result{Status: realm.Refused, Reason: reason, Account: o.UserID, Blameless: true}, nil
	}
	grade, enough, err := g.shown(ctx, phones, &o)
	if err != nil {
		return realm.Result{}, fmt.Errorf("reading what a phone has shown: %w", err)
	}
	if !enough {
		return realm.Result{Status: realm.Refused, Reason: reasonGrade, Account: o.UserID, Blameless: true}, nil
	}
	ctx = audit.WithActor(ctx, audit.Actor{By: "realm:" + credentials.Realm, ClientIP: credentials.ClientIP})
	out, err := phones.Operations.Redeem(ctx, id, "")
	if err != nil {
		return realm.Result{}, fmt.Errorf("redeeming an approval: %w", err)
	}
	if out.Code != operation.Accepted {
		return realm.Result{Status: realm.Refused, Reason: out.Reason, Account: o.UserID, Blameless: true}, nil
	}
	return g.accept(ctx, phones, &out.Operation, grade)
}

// refuses returns why an operation is no proof, or nothing.
func (g *Guest) refuses(phones *Phones, o *operation.Operation, c *realm.Credentials) string {
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	switch {
	case !same(o.ExternalID, c.Values[valueReference]), o.Kind == operation.Registration:
		return reasonNotCollected
	case o.UserID == "", !same(o.UserID, c.Values[valueUser]), c.Subject != "" && !same(o.UserID, c.Subject):
		return reasonAnother
	case !g.enough(phones.Types, o):
		return reasonTooLittle
	}
	return ""
}

// shown returns what the phone that has answered is known to be, and whether that is enough. A code that was sent names no phone.
func (g *Guest) shown(ctx context.Context, phones *Phones, o *operation.Operation) (grade string, enough bool, err error) {
	if o.AnsweredBy == "" {
		return "", g.Attestation == "", nil
	}
	return phones.Shown(ctx, o, g.Attestation)
}

// accept says what was proven by what.
func (g *Guest) accept(ctx context.Context, phones *Phones, o *operation.Operation, grade string) (realm.Result, error) {
	person, err := phones.People.Person(ctx, o.UserID)
	if err != nil {
		return realm.Result{}, fmt.Errorf("reading who has approved: %w", err)
	}
	identity := realm.Identity{
		Subject: o.UserID, Name: person.Name, AMR: o.AMR, Device: o.AnsweredBy, Attestation: grade,
		Attributes: map[string]string{AttributeOperation: o.ID, AttributeMethod: string(o.Used), AttributeACR: o.ACR},
	}
	if person.Login != "" {
		identity.Attributes[AttributeLogin] = person.Login
	}
	return realm.Result{Status: realm.Accepted, Identity: identity, Account: o.UserID}, nil
}
