// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity/phc"
)

// Errors of the package. Beside them stand those of the storage package: an absent user is storage.ErrNotFound, a login
// name or external reference that another user holds is a [FieldError] around storage.ErrExists.
var (
	// ErrInvalid says that a value breaks a rule; see [FieldError].
	ErrInvalid = errors.New("invalid value")
	// ErrVersion says that the record changed since the caller read it.
	ErrVersion = errors.New("the record has changed since it was read")
	// ErrTransition says that the user's status does not allow what was asked.
	ErrTransition = errors.New("the status does not allow this")
	// ErrDeleted says that the user was deleted: nothing is left to change. It is an [ErrTransition].
	ErrDeleted = fmt.Errorf("the user was deleted: %w", ErrTransition)
	// ErrIndexing says that users cannot be searched by an attribute before [Store.Reindex] has run.
	ErrIndexing = errors.New("users are being indexed")
	// ErrBusy says that the hasher's queue is full.
	ErrBusy = errors.New("too many passwords are being checked")
	// ErrHash says that a password hash is malformed, of an unknown kind or too expensive to check.
	ErrHash = phc.ErrHash
)

// FieldError names the field that breaks a rule. Its text never repeats the value, which may be a password in the wrong
// place.
type FieldError struct {
	// Field is the name as in the JSON form of a user: "logins[1]", "attributes[\"phone\"]", "password".
	Field string
	// Problem says what is wrong with the value.
	Problem string
	// Err is [ErrInvalid], [ErrHash] or storage.ErrExists.
	Err error
}

// Error names the field and the problem.
func (e *FieldError) Error() string {
	return fmt.Sprintf("checking %s: %s", e.Field, e.Problem)
}

// Unwrap returns the kind of the error.
func (e *FieldError) Unwrap() error { return e.Err }

func invalid(field, problem string) error {
	return &FieldError{Field: field, Problem: problem, Err: ErrInvalid}
}
