// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"
	"unicode/utf8"
)

// Message is one text message. It prints as its id: the rest is for the person who gets it.
type Message struct {
	// ID names the message on our side: the same at each try.
	ID string
	// To is the number in E.164 form: +31612345678.
	To string
	// Text is what the person reads, code included; see [Compose].
	Text string
	// Expires is when the code in it is worth nothing any more. A gateway that can is told not to deliver it later.
	Expires time.Time
}

// String names the message without number and text.
func (m Message) String() string { return fmt.Sprintf("message %q", m.ID) }

// GoString keeps %#v from printing number and text.
func (m Message) GoString() string { return m.String() }

// LogValue keeps structured logs from printing number and text.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// Check refuses a message that no gateway is to be bothered with: without id, with a number that is not in E.164 form, with an empty
// text or one of more than [MaxText], or one whose code is worth nothing any more. The error is a [Failure] of the class [Refused].
func (m Message) Check(now time.Time) error {
	switch {
	case m.ID == "":
		return &Failure{Class: Refused, Reason: "no_id"}
	case !e164.MatchString(m.To):
		return &Failure{Class: Refused, Reason: "malformed_number"}
	case m.Text == "" || !utf8.ValidString(m.Text) || units(m.Text) > MaxText:
		return &Failure{Class: Refused, Reason: "malformed_text"}
	case !m.Expires.After(now):
		return &Failure{Class: Refused, Reason: "expired"}
	}
	return nil
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{2,14}$`)

// Sender hands messages to one gateway. It is safe for concurrent use.
type Sender interface {
	// Send returns the gateway's id of the message once the gateway has taken it; empty where it gives none. Every error is a
	// [Failure], or is read as one that is [Ambiguous], and holds no secret, number or text. A message that [Message.Check] refuses is
	// not sent. Send returns soon after ctx ends.
	Send(ctx context.Context, m Message) (id string, err error)
}
