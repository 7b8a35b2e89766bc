// SPDX-License-Identifier: Apache-2.0

package sms

import "log/slog"

// Secret is a password, token or key of a gateway. It does not print: string(s) is the one way to it.
type Secret string

// String keeps the secret from being printed.
func (s Secret) String() string { return "[secret]" }

// GoString keeps %#v from printing it.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps structured logs from printing it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps JSON from holding it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
