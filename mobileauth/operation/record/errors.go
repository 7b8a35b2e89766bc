// SPDX-License-Identifier: Apache-2.0

package record

import "github.com/gatehouse-id/gatehouse/mobileauth/shown"

// ErrInvalid says that a value breaks a rule; see [FieldError].
var ErrInvalid = shown.ErrInvalid

// FieldError names the field that breaks a rule. Its text never repeats the value.
type FieldError = shown.FieldError

func invalid(field, format string, args ...any) error { return shown.Invalid(field, format, args...) }
