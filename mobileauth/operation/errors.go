// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/waiting"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Errors of the package. They roll back; what a phone is refused is an [Outcome].
var (
	// ErrNotFound says that there is no such operation.
	ErrNotFound = storage.ErrNotFound
	// ErrInvalid says that a value breaks a rule; see [FieldError].
	ErrInvalid = record.ErrInvalid
	// ErrIdempotency says that the key was used for another request.
	ErrIdempotency = record.ErrIdempotency
	// ErrUser says that the user is unknown, locked or deactivated.
	ErrUser = errors.New("the user cannot be asked")
	// ErrDevice says that the device is unknown, not active, of another app, or another user's.
	ErrDevice = errors.New("the device cannot be asked")
	// ErrBlocked says that too many wrong answers in a row were given for the user; see [Store.Standing].
	ErrBlocked = errors.New("the user gave too many wrong answers")
	// ErrTooManyOpen says that as many operations of the user are open as may be.
	ErrTooManyOpen = record.ErrTooManyOpen
	// ErrShare is an [ErrTooManyOpen] that says so of those which clients have begun: the user may begin some still.
	ErrShare = record.ErrShare
	// ErrTransition says that the operation's state does not allow what was asked.
	ErrTransition = errors.New("the state does not allow this")
	// ErrVersion says that the operation changed since it was read.
	ErrVersion = errors.New("the operation has changed since it was read")
	// ErrResendLimit says that the same was sent as often as it may be.
	ErrResendLimit = errors.New("it was sent as often as it may be")
	// ErrTooSoon says that the same may be sent again, and not yet: [Operation.ResendAt] says when.
	ErrTooSoon = errors.New("it may not be sent again yet")
	// ErrChannel says that no message may be sent now. It is for [Config].OnChange.
	ErrChannel = errors.New("no message may be sent")
	// ErrBusy says that as many callers wait as may.
	ErrBusy = waiting.ErrFull
)
