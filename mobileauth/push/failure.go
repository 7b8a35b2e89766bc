// SPDX-License-Identifier: Apache-2.0

package push

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class is what a failure means for what happens next. The package comment has the meanings.
type Class string

// The classes of failures.
const (
	Dead       Class = "dead"
	Config     Class = "config"
	Throttled  Class = "throttled"
	Overloaded Class = "overloaded"
	Transient  Class = "transient"
	Refused    Class = "refused"
)

// MaxReason bounds the reason of a failure, in bytes.
const MaxReason = 64

// Failure is a notification that was not accepted.
type Failure struct {
	// Class says what happens next.
	Class Class
	// Reason is the service's own word for it, or one of ours in lower case; see [Word].
	Reason string
	// Status is the service's HTTP status; zero where there was no answer.
	Status int
	// RetryAfter is how long the service asks to wait; zero where it does not say.
	RetryAfter time.Duration
	// Err is what went wrong on the way, in words that hold neither address nor secret. May be nil.
	Err error
}

var _ error = (*Failure)(nil)

// Error names class, reason, status and cause.
func (f *Failure) Error() string {
	var text strings.Builder
	text.WriteString("sending a push: ")
	text.WriteString(string(f.Class))
	if f.Reason != "" {
		text.WriteString(": " + f.Reason)
	}
	if f.Status != 0 {
		fmt.Fprintf(&text, " (status %d)", f.Status)
	}
	if f.Err != nil {
		text.WriteString(": " + f.Err.Error())
	}
	return text.String()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// ClassOf returns what an error of [Sender.Send] means: that of the [Failure] in it, [Transient] for any other error and for a class
// that is none of ours, and "" for nil.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	var f *Failure
	if !errors.As(err, &f) {
		return Transient
	}
	switch f.Class {
	case Dead, Config, Throttled, Overloaded, Refused:
		return f.Class
	case Transient:
	}
	return Transient
}

// Word returns what a service calls a failure in a form that can be shown and counted: its letters, digits, "_", "-" and "." up to
// [MaxReason] bytes. What holds anything else is no word but text of somebody in between, of which nothing is repeated.
func Word(said string) string {
	for _, r := range said {
		if !wordly(r) {
			return ""
		}
	}
	return said[:min(len(said), MaxReason)]
}

func wordly(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.'
}
