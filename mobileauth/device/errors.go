// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"time"
)

// What may come of a call. Errors wrap one of these, or say what was wrong with the arguments.
var (
	// ErrMessage: the server did not take the message, and does not say why. The device is not known there any more, it was
	// locked or removed, or somebody stands in between.
	ErrMessage = errors.New("the server refused the message: this device is not known there, or not any more")
	// ErrRefused: what was proven is wrong, a factor or the number; which one is not said. [RefusedError] says how many tries remain.
	ErrRefused = errors.New("refused")
	// ErrGone: the operation is not open any more: answered, cancelled or expired.
	ErrGone = errors.New("the operation is not open any more")
	// ErrNotAllowed: this device may not do that, at least not now.
	ErrNotAllowed = errors.New("not allowed to this device")
	// ErrUnavailable: nothing was done, and the same may succeed later. [RetryError] says when.
	ErrUnavailable = errors.New("the server cannot answer now")
	// ErrNetwork: the server was not reached, or its answer did not arrive. What was asked for may have happened.
	ErrNetwork = errors.New("the server was not reached")
	// ErrAnswer: what arrived is not an answer of the server that this device knows.
	ErrAnswer = errors.New("the answer is not the server's")
	// ErrServerKey: the server does not have the key that the invitation names.
	ErrServerKey = errors.New("the server is not the one that the invitation is from")
	// ErrInput: an argument is not what it has to be; nothing was sent.
	ErrInput = errors.New("cannot be used")
)

// RefusedError is an [ErrRefused].
type RefusedError struct {
	// Remaining is how many tries are left, or -1 where that is not said. At 0 the operation has failed; after too many wrong
	// factors the device is disconnected, and hears [ErrMessage] from then on.
	Remaining int
}

// Error says what is left.
func (e *RefusedError) Error() string {
	switch e.Remaining {
	case -1:
		return ErrRefused.Error()
	case 0:
		return "refused: no tries remain"
	default:
		return fmt.Sprintf("refused: %d tries remain", e.Remaining)
	}
}

// Unwrap makes it an [ErrRefused].
func (e *RefusedError) Unwrap() error { return ErrRefused }

// RetryError is an [ErrUnavailable].
type RetryError struct {
	// After is how long to wait, 0 where that is not said.
	After time.Duration
}

// Error says when to come back.
func (e *RetryError) Error() string {
	if e.After <= 0 {
		return ErrUnavailable.Error()
	}
	return fmt.Sprintf("%v: try again in %v", ErrUnavailable, e.After)
}

// Unwrap makes it an [ErrUnavailable].
func (e *RetryError) Unwrap() error { return ErrUnavailable }

// definite reports whether the server said that it did not do what was asked for, or was not asked at all.
func definite(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, ErrGone) || errors.Is(err, ErrNotAllowed) || errors.Is(err, ErrInput)
}
