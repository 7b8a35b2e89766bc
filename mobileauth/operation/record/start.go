// SPDX-License-Identifier: Apache-2.0

package record

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Sizes of what a client says beside the context, in bytes.
const (
	MaxID           = 256
	MaxCallback     = 2048
	MaxMethods      = 8
	MaxRegistration = 16 << 10
)

// Start describes an operation to start.
type Start struct {
	Kind   Kind   `json:"kind"`
	UserID string `json:"user_id"`
	// DeviceID lets one device answer; empty lets every device of the user.
	DeviceID string `json:"device_id,omitempty"`
	// Application lets devices of one app answer; empty lets those of every app.
	Application string `json:"application,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	// ExternalID is the client's own reference. It need not be unique.
	ExternalID string `json:"external_id,omitempty"`
	// IdempotencyKey makes a repetition of this start return the operation that the first one made; with another body it is
	// refused. Keys are remembered for a day, each client has its own.
	IdempotencyKey string `json:"-"`
	// Methods are the ways to answer that are accepted, the preferred one first; one alone is required. Default: possession
	// for an authentication, a PIN otherwise.
	Methods []string `json:"methods,omitempty"`
	Context Context  `json:"context,omitzero"`
	// Secure is shown on the phone alone, at most [MaxSecure] characters. Data is signed with the rest, at most [MaxData].
	Secure string `json:"secure_message,omitempty"`
	Data   string `json:"signing_data,omitempty"`
	// TimeToLive defaults to [Limits].TimeToLive.
	TimeToLive time.Duration `json:"time_to_live,omitempty"`
	// NumberMatch is how many digits the person has to type; zero takes [Limits].Number, [NoNumber] is none.
	NumberMatch int `json:"number_match,omitempty"`
	// From is the address at which it began; empty where nobody knows. No client sees it.
	From string `json:"from,omitempty"`
	// OwnRequest says that a request of the user's own began it, with their own credential, and no client by a name alone.
	OwnRequest bool `json:"own_request,omitempty"`
	// Common says that the client is everybody's, as a site in a browser is, and no program of somebody else's.
	Common bool `json:"common,omitempty"`
	// Use is what an approval is for that the server itself redeems, and not the client that began the operation; empty is the client.
	Use string `json:"use,omitempty"`
	// Callback is told when the operation ends. Whether the client may name it was checked by the caller.
	Callback string `json:"callback,omitempty"`
	// Traceparent is kept as it came and is no part of what makes two requests the same.
	Traceparent string `json:"-"`
	// Registration is what package enrolment keeps with the operation.
	Registration json.RawMessage `json:"registration,omitempty"`

	// Way is how the question is put; by a notification where it says nothing. Over [ByOTP] nobody is named.
	Way
	// Asked is the type that the client named, Skipped what became of those between it and the one of the way.
	Asked   string    `json:"asked,omitempty"`
	Skipped []Skipped `json:"skipped,omitempty"`
	// Late takes over if nobody fetches the question.
	Late *StartLate `json:"late,omitempty"`
	// Fingerprint is what has to be the same for two starts under one key to be the same; empty is everything above.
	Fingerprint string `json:"-"`
}

// StartLate is what takes over, and when.
type StartLate struct {
	After time.Duration `json:"after"`
	// TimeToLive is how long the question can be answered from then on.
	TimeToLive time.Duration `json:"time_to_live"`
	Way        Way           `json:"way"`
}

// Draw checks everything that can be checked without a store, and draws what is random about the operation.
func (st *Start) Draw(limits *Limits, now time.Time) (Operation, error) {
	if err := st.check(); err != nil {
		return Operation{}, err
	}
	shown, err := st.Kind.checked(st.Context)
	if err != nil {
		return Operation{}, err
	}
	ttl, err := limits.ttl(st.TimeToLive)
	if err != nil {
		return Operation{}, err
	}
	digits, err := limits.digits(st.Kind, st.NumberMatch)
	if err != nil {
		return Operation{}, err
	}
	if st.Channel == BySMS && st.TimeToLive == 0 {
		ttl = SMSTimeToLive
	}
	o := Operation{
		ID: newID(now), Kind: st.Kind, State: Pending, UserID: st.UserID, DeviceID: st.DeviceID,
		Application: st.Application, ClientID: st.ClientID, ExternalID: st.ExternalID, Methods: st.methods(),
		CallbackURL: st.Callback, From: st.From, Use: st.Use, OwnRequest: st.OwnRequest, Common: st.Common, Traceparent: st.Traceparent, CreatedAt: now,
		AnswerBy: now.Add(ttl), Version: 1, Registration: slices.Clone(st.Registration),
	}
	if o.Number, err = drawNumber(digits); err != nil {
		return Operation{}, err
	}
	if err := st.put(&o); err != nil {
		return Operation{}, err
	}
	if o.Channel == BySMS {
		return o, nil // no device shows it
	}
	return o, o.show(st, shown)
}

func (st *Start) check() error {
	if !st.Kind.Known() {
		return invalid("kind", "want registration, authentication, authorisation or signature")
	}
	for _, f := range []struct {
		name, value string
		least, most int
	}{
		{"user_id", st.UserID, 0, MaxID}, {"device_id", st.DeviceID, 0, MaxID}, {"application", st.Application, 0, MaxID},
		{"client_id", st.ClientID, 0, MaxID}, {"external_id", st.ExternalID, 0, MaxID}, {"callback", st.Callback, 0, MaxCallback},
		{"idempotency_key", st.IdempotencyKey, 0, MaxID}, {"from", st.From, 0, 64}, {"use", st.Use, 0, 64}, {"traceparent", st.Traceparent, 0, 64},
	} {
		if len(f.value) < f.least || len(f.value) > f.most || !Printable(f.value) {
			return invalid(f.name, "want %d to %d bytes of printable text", f.least, f.most)
		}
	}
	if len(st.Methods) > MaxMethods {
		return invalid("methods", "more than %d", MaxMethods)
	}
	for i, m := range st.Methods {
		if !envelope.ValidMethod(m) || slices.Contains(st.Methods[:i], m) {
			return invalid(fmt.Sprintf("methods[%d]", i), "want possession, pin, biometric or custom:NAME, each once")
		}
	}
	if (st.Kind != Registration && len(st.Registration) > 0) || len(st.Registration) > MaxRegistration {
		return invalid("registration", "belongs to a registration, at most %d bytes", MaxRegistration)
	}
	return st.checkWays()
}

func (st *Start) methods() []string {
	switch {
	case len(st.Methods) > 0:
		return slices.Clone(st.Methods)
	case st.Kind.Evidenced():
		return []string{envelope.FactorPIN}
	}
	return []string{envelope.MethodPossession}
}

// Printable refuses control and format characters, which would forge lines in logs.
func Printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// drawNumber draws digits uniformly.
func drawNumber(digits int) (string, error) {
	if digits == 0 {
		return "", nil
	}
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		return "", fmt.Errorf("drawing a number: %w", err)
	}
	return fmt.Sprintf("%0*d", digits, n), nil
}
