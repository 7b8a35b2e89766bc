// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Errors of the package. What they mean is for the audit trail and for back ends; a phone is told one thing whatever it was.
var (
	// ErrNotFound says that there is no such device.
	ErrNotFound = storage.ErrNotFound
	// ErrInvalid says that a value breaks a rule; see [FieldError].
	ErrInvalid = errors.New("invalid value")
	// ErrVersion says that the record changed since the caller read it.
	ErrVersion = errors.New("the record has changed since it was read")
	// ErrTransition says that the device's status does not allow what was asked.
	ErrTransition = errors.New("the status does not allow this")
	// ErrReplay says that a message was seen before, or that its clock is so far off that nobody could tell.
	ErrReplay = errors.New("the message was seen before")
	// ErrUnusable says that the device, or its user, may not speak now.
	ErrUnusable = errors.New("the device is not active")
	// ErrLimit says that the user has as many devices as one may have.
	ErrLimit = errors.New("the user has too many devices")
	// ErrKeyTaken says that a key is, or was, registered already.
	ErrKeyTaken = errors.New("the key is registered already")
	// ErrPushTaken says that the push address belongs to another user's device.
	ErrPushTaken = errors.New("the push address belongs to another device")
	// ErrBlocked says that the handset was locked by its hash.
	ErrBlocked = errors.New("the handset is locked")
)

// FieldError names the field that breaks a rule. Its text never repeats the value.
type FieldError struct {
	// Field is the name as in the JSON form of a device.
	Field string
	// Problem says what is wrong with the value.
	Problem string
}

// Error names the field and the problem.
func (e *FieldError) Error() string { return fmt.Sprintf("checking %s: %s", e.Field, e.Problem) }

// Unwrap returns [ErrInvalid].
func (*FieldError) Unwrap() error { return ErrInvalid }

func invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}
