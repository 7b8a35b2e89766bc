// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class is what a failure means for what happens next.
type Class string

// The classes of failures.
const (
	// Ambiguous may have been sent: it is never repeated by a program.
	Ambiguous Class = "ambiguous"
	// Number is permanent for this number: it does not exist, cannot receive messages, or its owner wants none.
	Number Class = "number"
	// Blocked is refused by a policy of the gateway: a country that is not enabled, a filter, a guard against pumping. To repeat it
	// is to be noticed.
	Blocked Class = "blocked"
	// Config is a wrong credential, sender or address: nothing that this gateway is given will go out.
	Config Class = "config"
	// Throttled was surely not sent, because there were too many.
	Throttled Class = "throttled"
	// Transient was surely not sent, for a reason that passes.
	Transient Class = "transient"
	// Refused was surely not sent because of what the message is, and will be refused again.
	Refused Class = "refused"
)

// Repeatable reports whether the same message may be handed over again by a program: it was surely not sent, and what stood in its
// way passes.
func (c Class) Repeatable() bool { return c == Throttled || c == Transient }

// MaxReason bounds the reason of a failure, in bytes.
const MaxReason = 64

// Failure is why a message was not, or may not have been, taken.
type Failure struct {
	Class Class
	// Reason is the gateway's own word for it, "21211", or one of ours in lower case; see [Word].
	Reason string
	// Status is that of the answer; zero where there was none.
	Status int
	// RetryAfter is how long the gateway wants to be left alone; zero where it does not say.
	RetryAfter time.Duration
	// Err is the cause, if there is one. It holds no number, text or secret either.
	Err error
}

var _ error = (*Failure)(nil)

// Error names class, reason, status and cause.
func (f *Failure) Error() string {
	var text strings.Builder
	text.WriteString("sending a text message: ")
	text.WriteString(string(ClassOf(f)))
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

// ClassOf returns what an error of [Sender.Send] means: that of the [Failure] in it, [Ambiguous] for any other error and for a class
// that is none of ours, so that nothing which nobody has judged is paid for twice; and "" for nil.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	var f *Failure
	if !errors.As(err, &f) {
		return Ambiguous
	}
	switch f.Class {
	case Number, Blocked, Config, Throttled, Transient, Refused:
		return f.Class
	case Ambiguous:
	}
	return Ambiguous
}

// Word returns what a gateway calls a failure in a form that can be shown and counted: its letters, digits, "_", "-" and "." up to
// [MaxReason] bytes. What holds anything else, such as the text of somebody in between or a number with its plus sign, is no word,
// and nothing of it is repeated. Nor is a run of more than five digits, which may be a number or a code.
func Word(said string) string {
	digits := 0
	for _, r := range said {
		if !wordly(r) {
			return ""
		}
		if digits++; r < '0' || r > '9' {
			digits = 0
		}
		if digits > maxDigits {
			return ""
		}
	}
	return said[:min(len(said), MaxReason)]
}

// maxDigits is how many digits a word of a gateway has in a row at most. Error numbers have five, codes six.
const maxDigits = 5

func wordly(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.'
}
