// SPDX-License-Identifier: Apache-2.0

package backchannel

import (
	"context"
	"errors"
	"time"
)

// Phone asks people on their phones.
type Phone interface {
	// Ask puts a question to a person. [ErrUnasked] means that nobody is asked, whatever the reason; the answer that comes with it looks
	// like any other, and finding out has taken the same reads.
	Ask(ctx context.Context, q Question) (Asked, error)
	// Status returns where a question stands that was asked for a request; one that is not there has [Failed]. An approval is used up
	// by it, for this request alone: it may be repeated, and says the same.
	Status(ctx context.Context, operation, request, client string) (Answer, error)
	// Cancel takes a question back. One that is answered stays as it is.
	Cancel(ctx context.Context, operation, reason string) error
}

// ErrUnasked is returned where nobody is asked: there is no such person, they have no phone that could answer by the realm, or
// they cannot be asked now.
var ErrUnasked = errors.New("nobody is asked")

// Question is what a person is asked.
type Question struct {
	// Request is the id of the request that the question is asked for.
	Request string
	Realm   string
	// Subject is empty where nobody was found. It is then to be as if there were a user who cannot be asked.
	Subject string
	// ClientID and Client are the client's id and its name for people.
	ClientID string
	Client   string
	// Message is what the client has people compare (binding_message); empty says what the realm says of itself.
	Message string
	// Allows says what the client may do then, where people have to be told.
	Allows []string
	TTL    time.Duration
	// NoNumber has nobody type a number.
	NoNumber bool
}

// Asked is a question that was put.
type Asked struct {
	// Operation names it.
	Operation string
	// Reason says, in a word for operators, why nobody is asked.
	Reason string
	// Number is what the person types on the phone, to be shown where the request began; empty where none is asked.
	Number string
}

// Answer is where a question stands.
type Answer struct {
	// State is Waiting, Approved, Denied, Expired or Failed.
	State State
	// Reason says why, in a word for operators.
	Reason string
	// The rest is what an approval has proven: who, by which methods (RFC 8176), with which device and when.
	Subject string
	Name    string
	AMR     []string
	Device  string
	At      time.Time
}
