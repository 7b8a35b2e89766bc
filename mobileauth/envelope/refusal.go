// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"errors"
	"fmt"
)

// ErrRefused is wrapped by every error about a message that is not taken. Outside, all of them look the same.
var ErrRefused = errors.New("message refused")

// Reason says for the audit why a message was refused.
type Reason string

// The reasons.
const (
	ReasonSize       Reason = "size"          // larger than the endpoint takes
	ReasonEncryption Reason = "encryption"    // not JWE of the profile
	ReasonServerKey  Reason = "server_key"    // encrypted to a key the server does not have
	ReasonDecryption Reason = "decryption"    // altered, or not encrypted to the key it names
	ReasonToken      Reason = "token"         // what is inside is not JWS of the profile
	ReasonType       Reason = "type"          // one kind of object in the place of another
	ReasonClaims     Reason = "claims"        // a claim is missing or malformed
	ReasonVersion    Reason = "version"       // another version of the protocol
	ReasonAudience   Reason = "audience"      // meant for another issuer
	ReasonPath       Reason = "path"          // meant for another endpoint or method
	ReasonClock      Reason = "clock"         // outside the window
	ReasonIssuer     Reason = "issuer"        // not from the device that is named
	ReasonSigningKey Reason = "signing_key"   // signed by another key than the device's
	ReasonSignature  Reason = "signature"     // not signed by the key it names
	ReasonBody       Reason = "body"          // the body does not say what the endpoint needs
	ReasonKeys       Reason = "keys"          // a key that does not fit
	ReasonStatement  Reason = "statement"     // a statement that does not fit
	ReasonRequest    Reason = "request"       // an answer to another request
	ReasonMalformed  Reason = "malformed"     // a code, address or text that is none
	ReasonOther      Reason = "not_explained" // an error that carries no reason
)

// refusal is an error with its reason.
type refusal struct {
	reason Reason
	err    error
}

func refuse(reason Reason, format string, args ...any) error {
	return refusal{reason: reason, err: fmt.Errorf(format, args...)}
}

// Refuse makes a refusal of an error, for packages that judge what a message asks for. The reason may be one of their own.
func Refuse(reason Reason, err error) error { return refusal{reason: reason, err: err} }

// Error says what was wrong, for a log.
func (r refusal) Error() string { return string(r.reason) + ": " + r.err.Error() }

// Unwrap makes every refusal an [ErrRefused].
func (r refusal) Unwrap() []error { return []error{ErrRefused, r.err} }

// ReasonOf returns why a message was refused, and [ReasonOther] for an error that is no refusal.
func ReasonOf(err error) Reason {
	var r refusal
	if errors.As(err, &r) {
		return r.reason
	}
	return ReasonOther
}
