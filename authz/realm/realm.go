// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"context"
	"time"
)

// Realm is a named security check.
type Realm struct {
	Name          string
	Authenticator Authenticator
	LoginModule   LoginModule
	// MaxAge is how long a proof of this realm counts. It must be positive.
	MaxAge time.Duration
	// Audit records every attempt, accepted or refused.
	Audit bool
}

// Authenticator collects credentials. Implementations are safe for concurrent use and keep nothing between calls: what
// must survive to the next round goes into [Challenge.State].
type Authenticator interface {
	// Collect returns the credentials found in the input, or, when something is missing, the challenge that asks for it
	// and no credentials. An error means that collecting broke; the request is denied.
	Collect(ctx context.Context, in Input) (Credentials, *Challenge, error)
}

// LoginModule verifies credentials. Implementations are safe for concurrent use and bounded in time by ctx.
type LoginModule interface {
	// Verify judges the credentials. A refusal is a [Result], not an error. An error means that judging broke; the request
	// is denied. An unknown user, a user who may not log in and a wrong secret look and take the same.
	Verify(ctx context.Context, credentials Credentials) (Result, error)
}

// Input is what a caller presented in one round.
type Input struct {
	// Fields are the submitted answers by field name; nil in the first round.
	Fields map[string]string
	// Headers are the request's header fields in canonical form, for authenticators that read one.
	Headers map[string][]string
	// ClientIP is the address the server's operator trusts to be the caller's.
	ClientIP string
	// Subject is the user the security context already belongs to; empty when nobody is known yet.
	Subject string
	// Hint is the login name the application suggested (login_hint); it proves nothing.
	Hint string
	// State is what the realm's previous challenge in this request kept.
	State []byte
}

// Credentials is what an authenticator collected. It never reaches a log.
type Credentials struct {
	Values   map[string]string
	ClientIP string
	Subject  string
}

// Challenge says what is missing, in terms any face can render.
type Challenge struct {
	// Fields are asked of the caller, in order.
	Fields []Field
	// Message is the key of a text shown above the fields; empty shows none.
	Message string
	// State is kept on the server and handed to the next round.
	State []byte
}

// Field is one thing asked of the caller.
type Field struct {
	Name         string
	Label        string // key of a text, or the text itself
	Type         string // an HTML input type
	Value        string
	Autocomplete string
	InputMode    string
	Required     bool
}

// Status is how a login module judged.
type Status string

// Judgements of a login module.
const (
	Accepted  Status = "accepted"
	Refused   Status = "refused"
	Throttled Status = "throttled" // too many attempts; RetryAfter says when the next one counts
	Busy      Status = "busy"      // the server is at its limit and did not judge; RetryAfter says when to come back
)

// Result is a login module's judgement.
type Result struct {
	Status     Status
	Identity   Identity      // set when accepted
	RetryAfter time.Duration // set when throttled or busy
	// Reason is for the audit trail alone and never shown.
	Reason string
	// Account is, for the audit trail alone, the user that the credentials were about, whether or not they were good.
	Account string
}

// Identity is who a login module says the caller is.
type Identity struct {
	Subject    string            // stable and unique; empty for a realm that proves something but nobody's identity
	Name       string            // for display
	AMR        []string          // authentication methods (RFC 8176)
	Device     string            // the device that proved it, where there is one
	Attributes map[string]string // what later checks and messages may use
}

// Proof is the fact that a realm was satisfied.
type Proof struct {
	Realm      string            `json:"realm"`
	Subject    string            `json:"subject,omitempty"`
	Name       string            `json:"name,omitempty"`
	AMR        []string          `json:"amr,omitempty"`
	Time       time.Time         `json:"time"`
	Device     string            `json:"device,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// NewProof returns the proof that an accepted result of the realm leaves at now.
func (r *Realm) NewProof(identity Identity, now time.Time) Proof {
	return Proof{
		Realm:      r.Name,
		Subject:    identity.Subject,
		Name:       identity.Name,
		AMR:        identity.AMR,
		Time:       now.UTC().Truncate(time.Millisecond),
		Device:     identity.Device,
		Attributes: identity.Attributes,
	}
}

// Proofs are the proofs of one security context by realm.
type Proofs map[string]Proof
