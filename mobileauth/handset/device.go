// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Status says what a device may do.
type Status string

// The states of a device.
const (
	// Pending has sent its keys and waits for the person to confirm them. It ends by itself.
	Pending Status = "pending"
	// Active may answer.
	Active Status = "active"
	// Quarantined is confirmed and may not answer until an older device or the back end releases it.
	Quarantined Status = "quarantined"
	// Locked is out until it is unlocked.
	Locked Status = "locked"
	// Lost is out until it is found.
	Lost Status = "lost"
	// Stolen is out, and comes back by a new registration only.
	Stolen Status = "stolen"
	// Deactivated is out for good. Its secrets are gone from the record.
	Deactivated Status = "deactivated"
)

// transitions are what one state may become. Staying is always allowed, so that a repeated command is no failure.
var transitions = map[Status][]Status{
	Pending:     {Active, Quarantined, Deactivated},
	Active:      {Quarantined, Locked, Lost, Stolen, Deactivated},
	Quarantined: {Active, Locked, Lost, Stolen, Deactivated},
	Locked:      {Active, Quarantined, Lost, Stolen, Deactivated},
	Lost:        {Active, Quarantined, Locked, Stolen, Deactivated},
	Stolen:      {Deactivated},
	Deactivated: nil,
}

// Known reports whether s is a state of a device.
func (s Status) Known() bool {
	_, known := transitions[s]
	return known
}

// May reports whether a device can pass from s to next.
func (s Status) May(next Status) bool {
	return s.Known() && (s == next || slices.Contains(transitions[s], next))
}

// Out reports whether a device of this status may not send any message.
func (s Status) Out() bool { return s != Pending && s != Active && s != Quarantined }

// What came of an attestation.
const (
	// Verified evidence was checked to its root.
	Verified = "verified"
	// Unverified evidence was sent in a form that nobody here can check.
	Unverified = "unverified"
	// Failed evidence was checked and is wrong.
	Failed = "failed"
	// Absent means that none was sent.
	Absent = "absent"
)

// Secret is what must not be printed. It is kept beside the record's JSON form, never in it.
type Secret []byte

// String hides the value.
func (Secret) String() string { return "(secret)" }

// GoString hides the value.
func (Secret) GoString() string { return "handset.Secret(…)" }

// MarshalJSON hides the value.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"(secret)"`), nil }

// Device is a phone as the server knows it. Its JSON form holds no secret.
type Device struct {
	ID          string `json:"id"`
	UserID      string `json:"user_id"`
	Name        string `json:"name,omitempty"`
	Application string `json:"application"`
	Platform    string `json:"platform"`
	AppVersion  string `json:"app_version,omitempty"`
	Model       string `json:"model,omitempty"`
	OS          string `json:"os,omitempty"`

	Status       Status `json:"status"`
	StatusReason string `json:"status_reason,omitempty"`
	// Was is the status to which Unlock returns a locked or lost device.
	Was Status `json:"was,omitempty"`

	// Hash tells the same handset across users: see [Store.Hash]. Empty when the app does not say which handset it is.
	Hash string `json:"hash,omitempty"`
	// SignKey and EncKey are the device's public keys as JWKs: the JSON forms of envelope.SignKey and envelope.EncKey.
	// Their thumbprints (RFC 7638) are set by [Store.Put].
	SignKey   json.RawMessage `json:"sign_key"`
	EncKey    json.RawMessage `json:"enc_key"`
	SignKeyID string          `json:"sign_key_id"`
	EncKeyID  string          `json:"enc_key_id"`
	// OldKeys are those it had before, the latest first.
	OldKeys []OldKeys `json:"old_keys,omitempty"`
	// ServerKey is the private JWK of the encryption key that the server keeps for this device alone, nil when it uses the
	// common one; ServerKeyID is its thumbprint.
	ServerKey   Secret `json:"-"`
	ServerKeyID string `json:"server_key_id,omitempty"`
	// PGP is the device's public OpenPGP key in binary form, nil for one that speaks JOSE alone; PGPServer and PGPServerKey are
	// the public and the private key that the server made for it.
	PGP          []byte `json:"pgp,omitempty"`
	PGPServer    []byte `json:"pgp_server,omitempty"`
	PGPServerKey Secret `json:"-"`

	Factors []Factor `json:"factors,omitempty"`
	// Failures are the wrong factors in a row. It is read with the record and written by [Store.Fail] and [Store.Pass] alone.
	Failures int `json:"failures"`
	// MaxFailures is the number of them that deactivates this device; zero is the store's own ([Config].MaxFailures), and no
	// more than that is ever allowed.
	MaxFailures int `json:"max_failures,omitempty"`
	// Push is where notifications go. An address that is set on a device which is not active stands in PushWanted until it is:
	// a registration that nobody has confirmed takes none from anybody.
	Push        *Push       `json:"push,omitempty"`
	PushWanted  *Push       `json:"push_wanted,omitempty"`
	Attestation Attestation `json:"attestation,omitzero"`

	// Operation is the registration that it came from, and TransferOf the device in whose place it was registered.
	Operation  string `json:"operation,omitempty"`
	TransferOf string `json:"transfer_of,omitempty"`

	// Version counts the changes of the record, without those of Failures and LastSeenAt. Zero is a device to be added.
	Version     uint64    `json:"version"`
	CreatedAt   time.Time `json:"created_at"`
	ActivatedAt time.Time `json:"activated_at,omitzero"`
	// LastSeenAt is kept to the minute or so.
	LastSeenAt time.Time `json:"last_seen_at,omitzero"`
	LockedAt   time.Time `json:"locked_at,omitzero"`
	// PendingUntil is when a pending device disappears.
	PendingUntil  time.Time `json:"pending_until,omitzero"`
	DeactivatedAt time.Time `json:"deactivated_at,omitzero"`
}

// Factor is one thing that only the person can unseal on the phone.
type Factor struct {
	// Kind is [envelope.FactorPIN], [envelope.FactorBiometric], or [envelope.FactorCustom] and a name.
	Kind   string    `json:"kind"`
	Secret Secret    `json:"-"`
	At     time.Time `json:"at"`
	// SetBy is the id of the statement that set it, or of the request that registered it: from that a phone whose answer was
	// lost learns which secret counts.
	SetBy string `json:"set_by,omitempty"`
}

// OldKeys are the thumbprints (RFC 7638) of keys that a device had. While they are accepted beside the new ones, until
// Until, the public keys stand here too.
type OldKeys struct {
	Sign    string          `json:"sign"`
	Enc     string          `json:"enc"`
	Since   time.Time       `json:"since"`
	Until   time.Time       `json:"until"`
	SignKey json.RawMessage `json:"sign_key,omitempty"`
	EncKey  json.RawMessage `json:"enc_key,omitempty"`
}

// Push is where a notification reaches the device.
type Push struct {
	Service string    `json:"service"`
	Address string    `json:"address"`
	At      time.Time `json:"at"`
	// DeadAt is when the service said that the address is not valid any more.
	DeadAt time.Time `json:"dead_at,omitzero"`
}

// Grade is how good what a device has shown is.
type Grade = attestation.Grade

// The grades, for packages that keep them with a device.
const (
	GradeUnknown  = attestation.Unknown
	GradeSoftware = attestation.Software
	GradeTEE      = attestation.TEE
	GradeHardware = attestation.Hardware
)

// Attestation is what was sent to show that keys and app are genuine, and what came of it.
type Attestation struct {
	Format string `json:"format,omitempty"`
	// Result is [Verified], [Unverified], [Failed] or [Absent], and Grade where the key is by that; [attestation.Unknown] unless it
	// was verified.
	Result string            `json:"result,omitempty"`
	Grade  attestation.Grade `json:"grade,omitempty"`
	// Detail is the reason for the audit trail.
	Detail string `json:"detail,omitempty"`
	// At is when it was judged.
	At        time.Time `json:"at,omitzero"`
	SignKeyID string    `json:"sign_key_id,omitempty"` // the thumbprint of the key that it is about
	// KeyID names a key of the platform's that vouches for the device, such as one of App Attest, Key is the key itself and Counter
	// the number of the last thing it said. No two devices have one.
	KeyID   string `json:"key_id,omitempty"`
	Key     string `json:"key,omitempty"`
	Counter uint32 `json:"counter,omitempty"`
}

// UnmarshalJSON also reads a record that has the result in the place of the grade, so that a device of an earlier store can still be
// locked.
func (a *Attestation) UnmarshalJSON(data []byte) error {
	type plain Attestation
	if err := json.Unmarshal(data, (*plain)(a)); err != nil {
		return err
	}
	if a.Result == "" && a.Grade != "" && !a.Grade.Valid() {
		a.Result, a.Grade = string(a.Grade), attestation.Unknown
	}
	return nil
}

// Verified reports whether evidence was checked to its root and shows at least that grade.
func (a *Attestation) Verified(least attestation.Grade) bool {
	return a.Result == Verified && a.Grade.AtLeast(least)
}

// GradeOf returns what was shown of the signing key with that thumbprint, which is nothing for one that the device had before.
func (a *Attestation) GradeOf(kid string) attestation.Grade {
	if kid == "" || kid != a.SignKeyID || !a.Verified(attestation.Software) {
		return attestation.Unknown
	}
	return a.Grade
}

// LogValue is what a log line has of a device.
func (d Device) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", d.ID), slog.String("user", d.UserID), slog.String("status", string(d.Status)))
}

// Factor returns the factor of a kind.
func (d *Device) Factor(kind string) (Factor, bool) {
	i := slices.IndexFunc(d.Factors, func(f Factor) bool { return f.Kind == kind })
	if i < 0 {
		return Factor{}, false
	}
	return d.Factors[i], true
}

// SetFactor adds a factor or replaces the one of its kind. [Store.Put] stores it.
func (d *Device) SetFactor(f Factor) {
	i := slices.IndexFunc(d.Factors, func(old Factor) bool { return old.Kind == f.Kind })
	d.Factors = slices.Clone(d.Factors)
	if i < 0 {
		d.Factors = append(d.Factors, f)
		return
	}
	d.Factors[i] = f
}

// DropFactor removes the factor of a kind and reports whether there was one.
func (d *Device) DropFactor(kind string) bool {
	kept := slices.DeleteFunc(slices.Clone(d.Factors), func(f Factor) bool { return f.Kind == kind })
	dropped := len(kept) < len(d.Factors)
	d.Factors = kept
	return dropped
}

// Methods are the ways in which this device can answer: possession, and its factors.
func (d *Device) Methods() []string {
	methods := make([]string, 0, 1+len(d.Factors))
	methods = append(methods, envelope.MethodPossession)
	for _, f := range d.Factors {
		methods = append(methods, f.Kind)
	}
	return methods
}
