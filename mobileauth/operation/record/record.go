// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
)

// Kind says what is asked.
type Kind string

// The kinds of operations.
const (
	// Registration adds a device; package enrolment drives it, and no device answers it by approval.
	Registration Kind = "registration"
	// Authentication asks whether it is the person who logs in.
	Authentication Kind = "authentication"
	// Authorisation asks for consent to something particular, such as a payment.
	Authorisation Kind = "authorisation"
	// Signature asks for a consent that is kept as evidence.
	Signature Kind = "signature"
)

// Known reports whether k is a kind.
func (k Kind) Known() bool {
	return k == Registration || k == Authentication || k == Authorisation || k == Signature
}

// Evidenced reports whether an approval of this kind makes a receipt.
func (k Kind) Evidenced() bool { return k == Authorisation || k == Signature }

// State is where an operation stands.
type State string

// The states of an operation. See the package for the ways between them.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Approved  State = "approved"
	Denied    State = "denied"
	Failed    State = "failed"
	Expired   State = "expired"
	Cancelled State = "cancelled"
	Redeemed  State = "redeemed"
)

// transitions are what one state may become.
var transitions = map[State][]State{
	Pending:   {Delivered, Approved, Denied, Failed, Expired, Cancelled},
	Delivered: {Approved, Denied, Failed, Expired, Cancelled},
	Approved:  {Redeemed, Cancelled},
}

// Open reports whether an operation still waits for its answer.
func (s State) Open() bool { return s == Pending || s == Delivered }

// May reports whether an operation can pass from s to next.
func (s State) May(next State) bool { return slices.Contains(transitions[s], next) }

// Reasons that stand with a state. Those of a denial are the person's own words, as package envelope has them.
const (
	ReasonAttempts      = "attempts"       // too many wrong answers to this operation
	ReasonUserBlocked   = "user_blocked"   // too many wrong answers in a row to operations of this user
	ReasonFactorLimit   = "factor_limit"   // the device was disconnected after too many wrong factors
	ReasonDeviceRevoked = "device_revoked" // the device that it was meant for is out
	ReasonUserRevoked   = "user_revoked"   // the user is locked or gone
)

// What [Operation].Push says about the notification of a phone. It is a hint that is queued with the start or never.
const (
	PushNone       = "none" // there is nothing to notify: no device with an address, or no service that reaches it
	PushQueued     = "queued"
	PushHeldBudget = "held_budget" // the user had as many as are sent in a minute, or without a success
	PushHeldNotMe  = "held_not_me" // the user said that somebody else begins operations
)

// Operation is one question to one user. Once it is not open any more, nothing in it changes but that an approval is
// redeemed. It holds the number that the person must type and what a phone scans: show them to nobody but the client that
// started the operation. The code that was sent, and the number of the phone, are shown to nobody.
type Operation struct {
	ID     string `json:"id"`
	Kind   Kind   `json:"kind"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`

	// UserID is who is asked; empty until somebody scans where that is not known.
	UserID string `json:"user_id"`
	// DeviceID is the one device that may answer; empty lets every device of the user.
	DeviceID string `json:"device_id,omitempty"`
	// AnsweredBy is the device that approved, denied or failed.
	AnsweredBy string `json:"answered_by,omitempty"`
	// Application restricts the answer to devices of one app; empty is any.
	Application string `json:"application,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	ExternalID  string `json:"external_id,omitempty"`

	// Asked is the mobile type that was asked for, and Skipped the types that stood before the one that is used, with the reasons.
	Asked   string    `json:"asked,omitempty"`
	Skipped []Skipped `json:"skipped,omitempty"`
	// Way is how the question is put now, and Late what takes over if nobody fetches it.
	Way
	Late       *Late     `json:"late,omitempty"`
	SwitchedAt time.Time `json:"switched_at,omitzero"`
	// SentAt is when a notification or a message was last asked for, and Resent how often again.
	SentAt time.Time `json:"sent_at,omitzero"`
	Resent int       `json:"resent,omitempty"`
	// OTP is what a phone scans, until one has. OTPHash names the operation for it.
	OTP       string    `json:"otp,omitempty"`
	OTPHash   string    `json:"otp_hash,omitempty"`
	ClaimedAt time.Time `json:"claimed_at,omitzero"`

	// Methods are the ways in which a phone may answer, the preferred one first. See handset.Accepts.
	Methods []string `json:"methods,omitempty"`
	// Method is the way in which it was approved, Factor whether that proved something beside possession.
	Method string `json:"method,omitempty"`
	Factor bool   `json:"factor,omitempty"`
	// Used is the method of mobile types that this amounts to, AMR the values of RFC 8176 for it, and ACR the name of the
	// assurance: what was really used, never what was asked for.
	Used mobiletype.Method `json:"used,omitempty"`
	AMR  []string          `json:"amr,omitempty"`
	ACR  string            `json:"acr,omitempty"`

	// Display are the exact bytes that the device shows, and DisplayHash their SHA-256 in base64url, which it signs.
	Display     []byte `json:"display,omitempty"`
	DisplayHash string `json:"display_hash,omitempty"`

	// Number is typed on the phone by the person who sees it where the operation began; empty where none is asked.
	Number string `json:"number,omitempty"`
	// Tries are the wrong answers so far, whichever part of them was wrong.
	Tries int `json:"tries,omitempty"`

	// Statement is the device's own signed answer (compact JWS), SignedBy the thumbprint of the key that it is signed with, Receipt the
	// evidence made of it.
	Statement string `json:"statement,omitempty"`
	SignedBy  string `json:"signed_by,omitempty"`
	Receipt   string `json:"receipt,omitempty"`

	CallbackURL string `json:"callback_url,omitempty"`
	// From is the address at which it began; empty where nobody knows.
	From string `json:"from,omitempty"`
	// Use is what an approval is for, where the client that began the operation does not redeem it itself.
	Use string `json:"use,omitempty"`
	// OwnRequest says that a request began it which came with the user's own credential, and Common that its client is everybody's.
	OwnRequest  bool   `json:"own_request,omitempty"`
	Common      bool   `json:"common,omitempty"`
	Traceparent string `json:"traceparent,omitempty"`
	// Push is one of [PushNone], [PushQueued], [PushHeldBudget] and [PushHeldNotMe], or empty for what is never pushed.
	Push string `json:"push,omitempty"`

	CreatedAt   time.Time `json:"created_at"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	AnsweredAt  time.Time `json:"answered_at,omitzero"`
	// EndedAt is when it stopped being open, by whatever way.
	EndedAt time.Time `json:"ended_at,omitzero"`
	// AnswerBy ends the first clock: from then on the operation is expired. RedeemBy ends the second.
	AnswerBy   time.Time `json:"answer_by"`
	RedeemBy   time.Time `json:"redeem_by,omitzero"`
	RedeemedAt time.Time `json:"redeemed_at,omitzero"`

	// Version counts the changes, beginning with 1.
	Version uint64 `json:"version"`
	// Registration is what package enrolment keeps with an operation of its kind.
	Registration json.RawMessage `json:"registration,omitempty"`
}

// LogValue is what a log line has of an operation: nothing that is asked, and no number.
func (o Operation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", o.ID), slog.String("kind", string(o.Kind)), slog.String("state", string(o.State)),
		slog.String("reason", o.Reason), slog.String("user", o.UserID))
}

// At returns the operation as it stands at now: one whose time is over is expired, whether or not that was written down
// yet, and exactly as it will be written down.
func (o Operation) At(now time.Time) Operation {
	if o.State.Open() && !now.Before(o.AnswerBy) {
		o.End(Expired, "", o.AnswerBy)
	}
	return o
}

// Nameless reports whether nobody but the server may know who has scanned the operation: it was put to whoever does that, and has not
// been approved. Holding a phone against a code is not yet telling its page who one is.
func (o *Operation) Nameless() bool { return o.OTPHash != "" && o.Used == "" }

// End closes the operation and counts the change.
func (o *Operation) End(state State, reason string, at time.Time) {
	o.State, o.Reason, o.EndedAt = state, reason, at
	o.Version++
	o.forget()
}

const (
	idPrefix  = "op_"
	idTimeLen = 12
	idTimeMax = 1<<48 - 1
)

// newID draws the id of an operation. In front of 128 random bits stands the time until the end of time, so that ids in
// ascending order are operations from the newest to the oldest, which is the order in which people ask for them.
func newID(now time.Time) string {
	return idPrefix + fmt.Sprintf("%012x", idTimeMax-now.UnixMilli()) + randid.New("")
}

// StartedAt returns the time that an id begins with, zero for what is no id of ours.
func StartedAt(id string) time.Time {
	rest, ok := strings.CutPrefix(id, idPrefix)
	if !ok || len(rest) < idTimeLen {
		return time.Time{}
	}
	left, err := strconv.ParseInt(rest[:idTimeLen], 16, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(idTimeMax - left).UTC()
}
