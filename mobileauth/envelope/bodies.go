// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"encoding/json"
	"time"
)

// The bodies of requests and answers, by endpoint. Members that a reader does not know are ignored; a member that it knows has
// to be of the right type.

// Policy tells a device what is asked of it.
type Policy struct {
	// PIN says whether there is a PIN, and what one has to be.
	PIN PINPolicy `json:"pin"`
	// Biometric and Custom are the other factors that may be registered.
	Biometric bool     `json:"biometric"`
	Custom    []string `json:"custom,omitempty"`
	// Confirmation is "digits" when the digits have to be typed where the registration began, or "none".
	Confirmation string `json:"confirmation"`
	// Push says whether notices are sent at all.
	Push bool `json:"push"`
}

// PINPolicy is what a PIN has to be. The length is judged by the app: the server never sees a PIN.
type PINPolicy struct {
	Required    bool `json:"required"`
	MinLength   int  `json:"min_length,omitempty"`
	MaxAttempts int  `json:"max_attempts,omitempty"`
}

// RegistrationAnswer is the answer to a registration. The digits are not in it: each side computes them, see [Digits].
type RegistrationAnswer struct {
	Device    string `json:"device"`
	Operation string `json:"operation"`
	Status    string `json:"status"`
	Policy    Policy `json:"policy"`
	// PGP is the server's binary public OpenPGP key, where the application encrypts with OpenPGP.
	PGP Bytes `json:"pgp,omitempty"`
}

// PendingRequest asks which operations wait, and for how long the answer may take when there are none, in seconds.
type PendingRequest struct {
	Wait int `json:"wait,omitempty"`
}

// PendingAnswer lists the operations that the device may answer.
type PendingAnswer struct {
	Operations []Summary `json:"operations"`
}

// Summary is what is said of an operation before it is fetched.
type Summary struct {
	Operation string `json:"operation"`
	Kind      string `json:"kind"`
	Created   int64  `json:"created"`
	Expires   int64  `json:"expires"`
}

// FetchRequest asks for an operation.
type FetchRequest struct {
	Operation string `json:"operation"`
}

// FetchAnswer holds the exact bytes to show, which [ParseDisplay] reads.
type FetchAnswer struct {
	Display Bytes `json:"display"`
}

// ClaimRequest says what was scanned, see [Scan]. The answer is a [ClaimAnswer].
type ClaimRequest struct {
	OTP string `json:"otp"`
}

// ClaimAnswer names the operation that was claimed and holds the exact bytes to show, which [ParseDisplay] reads.
type ClaimAnswer struct {
	Operation string `json:"operation"`
	Display   Bytes  `json:"display"`
}

// String hides what was scanned.
func (ClaimRequest) String() string { return "what was scanned" }

// GoString hides what was scanned.
func (r ClaimRequest) GoString() string { return r.String() }

// Stated is the body of every request that carries a statement: answer, factor, keys, transfer, disconnect, devices/release.
type Stated struct {
	// Statement is the device's compact JWS.
	Statement string `json:"statement"`
	// Factors are MACs over it.
	Factors Factors `json:"factors,omitempty"`
	// Secret is the new secret of the factor that the statement sets, bound by its hash.
	Secret *Secret `json:"secret,omitempty"`
	// Proof is the statement that replaces keys once more, signed by the new signing key.
	Proof string `json:"proof,omitempty"`
	// Attestation is evidence about the new keys, made for a challenge of [PathAttestation].
	Attestation json.RawMessage `json:"attestation,omitempty"`
}

// Open returns the statement that the body carries, judged by [OpenStatement]. It also refuses factors of no kind, a secret that
// is not the one that the statement names, and keys that are not proven by a second statement of the new signing key.
func (b Stated) Open(key SignKey, in Request, purpose Purpose, now time.Time) (Statement, error) {
	if err := b.Factors.check(); err != nil {
		return Statement{}, err
	}
	if err := CheckEvidence(b.Attestation); err != nil {
		return Statement{}, err
	}
	s, err := OpenStatement(b.Statement, key, in, purpose, now)
	if err != nil {
		return Statement{}, err
	}
	var hash string
	if b.Secret != nil {
		hash = b.Secret.Hash()
	}
	if hash != s.SecretHash {
		return Statement{}, refuse(ReasonStatement, "opening a statement about another secret than the one beside it")
	}
	if (s.Keys != nil) != (b.Proof != "") {
		return Statement{}, refuse(ReasonStatement, "opening a statement about keys without their proof, or a proof without keys")
	}
	if s.Keys == nil {
		return s, nil
	}
	proof, err := OpenStatement(b.Proof, s.Keys.Sign, in, purpose, now)
	if err != nil {
		return Statement{}, err
	}
	if proof.Keys.Sign.ID() != s.Keys.Sign.ID() || proof.Keys.Enc.ID() != s.Keys.Enc.ID() || proof.ID != s.ID {
		return Statement{}, refuse(ReasonStatement, "opening a proof of other keys than the statement's")
	}
	return s, nil
}

// String hides what is in the body.
func (b Stated) String() string { return "body with a statement" }

// GoString hides what is in the body.
func (b Stated) GoString() string { return b.String() }

// Refused is the body of an answer with [CodeRefused].
type Refused struct {
	// Remaining is how many tries are left, of whatever was wrong: a factor, or the number of an approval. At 0 an operation has
	// failed, and after too many wrong factors the device is disconnected.
	Remaining *int `json:"remaining,omitempty"`
}

// PushRequest sets where notices go; null stops them.
type PushRequest struct {
	Push *PushAddress `json:"push"`
}

// DeviceAnswer is what the server knows about the device that asks.
type DeviceAnswer struct {
	Device  string       `json:"device"`
	Status  string       `json:"status"`
	Name    string       `json:"name,omitempty"`
	Factors []FactorInfo `json:"factors"`
	Policy  Policy       `json:"policy"`
	// PushService is where notices go, empty for nowhere; PushDead says that the address does not work any more.
	PushService string `json:"push_service,omitempty"`
	PushDead    bool   `json:"push_dead,omitempty"`
	// Waiting are new devices of the same user that wait to be released.
	Waiting []WaitingDevice `json:"waiting,omitempty"`
}

// FactorInfo says of a factor that there is one, and since which statement. So a device that did not get the answer to a change
// learns whether it happened.
type FactorInfo struct {
	Kind string `json:"kind"`
	// SetBy is the ID of the statement that set it, or of the request that registered it.
	SetBy string `json:"set_by"`
}

// WaitingDevice is a new device that an old one may release.
type WaitingDevice struct {
	Device  string `json:"device"`
	Name    string `json:"name,omitempty"`
	Model   string `json:"model,omitempty"`
	Created int64  `json:"created"`
}

// TransferAnswer invites the new phone.
type TransferAnswer struct {
	// Invitation is the text of a QR code, see [ParseInvitation].
	Invitation string `json:"invitation"`
	Expires    int64  `json:"expires"`
}
