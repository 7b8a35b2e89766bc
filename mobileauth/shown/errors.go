// SPDX-License-Identifier: Apache-2.0

package shown

import (
	"errors"
	"fmt"
)

// ErrInvalid says that a value breaks a rule; see [FieldError].
var ErrInvalid = errors.New("invalid value")

// FieldError names the field that breaks a rule. Its text never repeats the value.
type FieldError struct {
	// Field is the name as in the JSON form of a start: "context.fields[2].value".
	Field string
	// Problem says what is wrong with the value.
	Problem string
}

// Error names the field and the problem.
func (e *FieldError) Error() string { return fmt.Sprintf("checking %s: %s", e.Field, e.Problem) }

// Unwrap returns [ErrInvalid].
func (*FieldError) Unwrap() error { return ErrInvalid }

// Invalid returns a [FieldError].
func Invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}
