// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// State is what became of a message, as far as the gateway knows.
type State string

// The states.
const (
	// Sent is on its way: a carrier has it.
	Sent State = "sent"
	// Delivered has arrived. Not every carrier says so.
	Delivered State = "delivered"
	// Failed will not arrive.
	Failed State = "failed"
)

// Valid reports whether the state is one of the three.
func (s State) Valid() bool { return s == Sent || s == Delivered || s == Failed }

// Supersedes reports whether a report of this state is news for whoever knows another, which is empty where nothing is known.
// Delivered and failed are final: a report that comes late, twice or from somebody who repeats an old one changes nothing.
func (s State) Supersedes(known State) bool {
	return s.Valid() && (known == "" || known == Sent && s != Sent)
}

// Report is news of a message that a gateway has taken.
type Report struct {
	// ID is the gateway's id of the message, as [Sender] returned it.
	ID    string
	State State
	// Class is what a failure says of the number: [Number] and [Blocked] as for one that was refused at once, [Ambiguous] where the
	// gateway does not tell. Empty for other states.
	Class Class
	// Reason is the gateway's word for a failure; see [Word]. Empty for other states.
	Reason string
	// At is when the report came in, by our clock.
	At time.Time
}

// ErrUnknown is returned by whoever is told of a message that it does not know. The gateway is answered as if all were well: it is
// not for strangers to find out which messages there are.
var ErrUnknown = errors.New("no message has this id")

// Told takes reports. It returns nil or an error that wraps [ErrUnknown] where the gateway shall not repeat the report.
type Told func(ctx context.Context, r Report) error

// Reporter is a [Sender] whose gateway tells what became of messages.
type Reporter interface {
	// Reports returns the handler for the gateway's calls, or an error that says what does not fit. The path's last segment is a secret
	// of at least [MinSecret] characters; publicURL is the whole address, secret included, as the gateway was given it, which need not
	// be what arrives here through a proxy. Whatever is not authentic, and whatever has another path, is answered alike with 404.
	Reports(secretPath, publicURL string, told Told) (http.Handler, error)
}

// MinSecret is how long the secret segment of a [Reporter]'s path must be, in characters.
const MinSecret = 22
