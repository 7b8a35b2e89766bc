// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"cmp"
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/caution"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
)

// errNotTold says that a change was made, and that the gates of this node have not heard of it yet.
var errNotTold = errors.New("the change is made and not yet in force everywhere")

// meanings are what errors of the packages below mean to a client. The first that fits counts. An error that is none of these is
// ours, and the client learns nothing of it.
var meanings = []struct {
	err    error
	code   wire.Code
	detail string
}{
	{errNotTold, wire.Unavailable, "the change is made; it is in force within seconds"},
	{identity.ErrDeleted, wire.Gone, "the user was deleted"},
	{identity.ErrVersion, wire.VersionMismatch, "read it again, and send If-Match with the ETag that it has then"},
	{handset.ErrVersion, wire.VersionMismatch, "read it again, and send If-Match with the ETag that it has then"},
	{identity.ErrTransition, wire.InvalidState, "the user's status does not allow this"},
	{handset.ErrTransition, wire.InvalidState, "the device's status does not allow this"},
	{operation.ErrTransition, wire.InvalidState, "the operation's state does not allow this"},
	{operation.ErrVersion, wire.InvalidState, "the operation has changed meanwhile"},
	{operation.ErrIdempotency, wire.IdempotencyReused, "a key is for one request; send another with another request"},
	{enrolment.ErrApplication, wire.InvalidValue, "no such application registers devices"},
	{enrolment.ErrOff, wire.InvalidState, "the policy of the application does not allow this"},
	{enrolment.ErrSingle, wire.InvalidState, "the user has a device already, and may have one"},
	{operation.ErrUser, wire.NotPossible, "the user is unknown, locked or deactivated"},
	{operation.ErrDevice, wire.NotPossible, "the device is unknown, not active, of another app or of another user"},
	{operation.ErrBlocked, wire.UserBlocked, "the user gave too many wrong answers and may not answer now"},
	{operation.ErrResendLimit, wire.ResendLimit, "the same is sent as often as the type allows"},
	{operation.ErrChannel, wire.MessageLimit, "no more messages are sent now to this number, or at all"},
	{operation.ErrTooManyOpen, wire.TooManyOpen, "let the user answer those that are open, or cancel them"},
	{handset.ErrLimit, wire.InvalidState, "the user has as many devices as one may have"},
	{handset.ErrBlocked, wire.InvalidState, "the handset is locked"},
	{identity.ErrIndexing, wire.Unavailable, "users are being indexed by this attribute"},
	{identity.ErrBusy, wire.Unavailable, "too many passwords are being set"},
	{operation.ErrBusy, wire.Unavailable, "too many requests are waiting"},
	{audit.ErrQuery, wire.InvalidParameter, "the query is not well formed"},
	{mobileauth.ErrNoApplication, wire.NotFound, "there is no such application"},
	{storage.ErrNotFound, wire.NotFound, ""},
	{storage.ErrExists, wire.AlreadyExists, ""},
	{storage.ErrTooLarge, wire.InvalidValue, "the record would be too large"},
	{storage.ErrConflict, wire.Unavailable, "too many changes at once"},
	{storage.ErrClosed, wire.Unavailable, ""},
	{storage.ErrUnavailable, wire.Unavailable, ""},
	{storage.ErrFull, wire.Unavailable, "the store takes no changes"},
	{storage.ErrReadOnly, wire.Unavailable, "the store takes no changes"},
	{storage.ErrUnknown, wire.Unavailable, "it is not known whether the change was made; read before you repeat"},
	{context.Canceled, wire.Unavailable, ""},
	{context.DeadlineExceeded, wire.Unavailable, ""},
}

// problemOf words an error for the client.
func problemOf(err error) *wire.Problem {
	var p *wire.Problem
	if errors.As(err, &p) {
		return p
	}
	if slowed := new(caution.SlowedError); errors.As(err, &slowed) {
		return (&wire.Problem{
			Code: wire.TooManyRequests, Detail: "somebody said that they had not begun what was begun here", RetryAfter: slowed.Wait,
		}).Because(err)
	}
	if p := cmp.Or(fieldProblem(err), impossible(err)); p != nil {
		return p.Because(err)
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return wire.New(m.code, m.detail).Because(err)
		}
	}
	return wire.New(wire.InternalError, "").Because(err)
}

// fieldProblem names the field of a body that breaks a rule; nil for other errors.
func fieldProblem(err error) *wire.Problem {
	var user *identity.FieldError
	var device *handset.FieldError
	var op *operation.FieldError
	switch {
	case errors.As(err, &user) && errors.Is(err, storage.ErrExists):
		return wire.New(wire.AlreadyExists, "names and references are those of one user, also after that user was deleted").
			With(user.Field, user.Problem)
	case errors.As(err, &user):
		return wire.New(wire.InvalidValue, "").With(user.Field, user.Problem)
	case errors.As(err, &device):
		return wire.New(wire.InvalidValue, "").With(device.Field, device.Problem)
	case errors.As(err, &op):
		return wire.New(wire.InvalidValue, "").With(op.Field, op.Problem)
	}
	return nil
}
