// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"time"
)

// MaxOperation bounds the id of an operation in a message, in bytes: it serves as a collapse key, which no service takes longer.
const MaxOperation = 64

// ErrAddress is wrapped by what [Sender.Check] returns for an address that cannot be one.
var ErrAddress = errors.New("push address refused")

// Message is one notification for one phone. It does not print its address, which for some services is all that is needed to
// write to the phone.
type Message struct {
	// ID is a UUID in lower case, the same at each repetition, by which a service may tell repetitions.
	ID string
	// Operation is the opaque id of what is asked: letters, digits, "_" and "-". It is all that the notification says.
	Operation string
	// Device is our id of the phone. Services of others are not told.
	Device string
	// Address is where the phone is reached, as the phone gave it. A web push subscription is its JSON.
	Address string
	// App is the application on the phone's platform: the bundle id, or the name of the package.
	App string
	// Sandbox tells that the phone runs a build for development, which Apple serves elsewhere.
	Sandbox bool
	// Expires is when the operation can no longer be answered. Nothing is delivered later.
	Expires time.Time
	// StoredAt is when the address was stored: what a service says of an address before that is about another installation.
	StoredAt time.Time
}

var (
	uuid   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	opaque = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
)

// Check refuses a message that no service is to be bothered with: with a malformed ID or operation, without address, or one whose
// operation is over. The error is a [Failure] of the class [Refused].
func (m Message) Check(now time.Time) error {
	switch {
	case !uuid.MatchString(m.ID):
		return &Failure{Class: Refused, Reason: "malformed_id"}
	case len(m.Operation) > MaxOperation || !opaque.MatchString(m.Operation):
		return &Failure{Class: Refused, Reason: "malformed_operation"}
	case m.Address == "":
		return &Failure{Class: Refused, Reason: "no_address"}
	case !m.Expires.After(now):
		return &Failure{Class: Refused, Reason: "expired"}
	}
	return nil
}

// String names the message without its address.
func (m Message) String() string { return "push " + m.ID }

// GoString keeps %#v from printing the address.
func (m Message) GoString() string { return m.String() }

// LogValue keeps structured logs from printing the address.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// Sender is a way to phones. It is safe for concurrent use.
type Sender interface {
	// Send hands one notification to the service. A nil error means that the service has accepted it, not that it arrived.
	// Send returns soon after ctx ends. Its errors are read by [ClassOf] and hold neither a secret nor the address.
	Send(ctx context.Context, m Message) error
	// Check refuses, wrapping [ErrAddress], what cannot be an address of this service. It looks at the form only and asks nobody.
	Check(address string) error
}
