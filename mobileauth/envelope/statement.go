// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// Purpose says what a statement is good for. It is good for nothing else.
type Purpose string

// The purposes.
const (
	PurposeApproval   Purpose = "approval"   // answers an operation
	PurposeFactor     Purpose = "factor"     // sets or removes a factor
	PurposeKeys       Purpose = "keys"       // replaces the device's keys
	PurposeTransfer   Purpose = "transfer"   // moves to another phone
	PurposeDisconnect Purpose = "disconnect" // ends the registration
	PurposeDevice     Purpose = "device"     // releases or rejects another device of the same user
)

// Decision is what a person decided.
type Decision string

// The decisions.
const (
	Approve Decision = "approve"
	Deny    Decision = "deny"
)

// Why a person denied.
const (
	Denied        = "denied"
	NotMe         = "not_me"
	IncorrectData = "incorrect_data"
)

// Statement is what a device signs on behalf of its person. It stays readable for ever: a receipt carries it.
type Statement struct {
	// Device made it and Audience, the issuer, is meant to believe it.
	Device, Audience string
	// ID names it.
	ID string
	// At is when it was made, in whole seconds of the device's clock.
	At time.Time
	// Purpose says which of the fields below there are.
	Purpose Purpose

	// Operation is what an approval answers, DisplayHash the [DisplayHash] of the exact bytes that were shown.
	Operation, DisplayHash string
	// Decision is the person's, in an approval and about another device.
	Decision Decision
	// Reason says why an approval is a denial: [Denied], [NotMe] or [IncorrectData].
	Reason string
	// Number is what the person typed where numbers are matched, digits only.
	Number string
	// Method is how the person proved themselves, in an approval that approves.
	Method string

	// Kind is the factor that is set, and SecretHash the [Secret.Hash] of its new secret; without one it is removed.
	Kind, SecretHash string
	// Keys are the new keys.
	Keys *PublicKeys
	// Target is the other device.
	Target string

	// SigningKey is the name of the key that signed it. Reading sets it.
	SigningKey string

	raw string
}

type statementClaims struct {
	Version     int         `json:"v"`
	Device      string      `json:"iss"`
	Audience    string      `json:"aud"`
	At          unixTime    `json:"iat"`
	ID          string      `json:"jti"`
	Purpose     Purpose     `json:"purpose"`
	Operation   string      `json:"operation,omitempty"`
	DisplayHash string      `json:"display_hash,omitempty"`
	Decision    Decision    `json:"decision,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Number      string      `json:"number,omitempty"`
	Method      string      `json:"method,omitempty"`
	Kind        string      `json:"kind,omitempty"`
	SecretHash  string      `json:"secret_hash,omitempty"`
	Keys        *PublicKeys `json:"keys,omitempty"`
	Target      string      `json:"target,omitempty"`
}

// DisplayHash returns base64url of SHA-256 over the bytes that were shown.
func DisplayHash(display []byte) string {
	sum := sha256.Sum256(display)
	return b64.EncodeToString(sum[:])
}

// SignStatement signs the statement with the device's key and returns it as it was sent, to be checked by [ReadStatement]; its
// text is [Statement.Raw]. It refuses what the server would refuse for its form.
func SignStatement(s Statement, from Keys) (Statement, error) {
	claims := statementClaims{
		Version: Version, Device: s.Device, Audience: s.Audience, At: toUnix(s.At), ID: s.ID, Purpose: s.Purpose,
		Operation: s.Operation, DisplayHash: s.DisplayHash, Decision: s.Decision, Reason: s.Reason, Number: s.Number,
		Method: s.Method, Kind: s.Kind, SecretHash: s.SecretHash, Keys: s.Keys, Target: s.Target,
	}
	if err := claims.check(); err != nil {
		return Statement{}, err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return Statement{}, refuse(ReasonStatement, "encoding a statement: %w", err)
	}
	if s.raw, err = sign(payload, typStatement, from.sign, MaxRequest); err != nil {
		return Statement{}, err
	}
	s.SigningKey = from.sign.KID
	return s, nil
}

// ReadStatement reads a statement that key signed and judges its form. Who made it for whom, and when, it leaves to the caller:
// this is for a receipt. A statement that just arrived is for [OpenStatement].
func ReadStatement(raw string, key SignKey) (Statement, error) {
	token, err := parse(raw, typStatement)
	if err != nil {
		return Statement{}, err
	}
	if err := verify(token, key); err != nil {
		return Statement{}, err
	}
	var c statementClaims
	if err := decode(token.Payload, &c, ReasonStatement); err != nil {
		return Statement{}, err
	}
	if err := c.check(); err != nil {
		return Statement{}, err
	}
	return Statement{
		Device: c.Device, Audience: c.Audience, ID: c.ID, At: c.At.time(), Purpose: c.Purpose,
		Operation: c.Operation, DisplayHash: c.DisplayHash, Decision: c.Decision, Reason: c.Reason, Number: c.Number,
		Method: c.Method, Kind: c.Kind, SecretHash: c.SecretHash, Keys: c.Keys, Target: c.Target,
		SigningKey: token.Header.KID, raw: raw,
	}, nil
}

// OpenStatement reads a statement that came in a request: of the same device, for the same issuer, signed by the same key, made
// within the window, and for the purpose that the endpoint serves.
func OpenStatement(raw string, key SignKey, in Request, purpose Purpose, now time.Time) (Statement, error) {
	s, err := ReadStatement(raw, key)
	if err != nil {
		return Statement{}, err
	}
	switch {
	case s.Purpose != purpose:
		return Statement{}, refuse(ReasonStatement, "opening a statement for another purpose")
	case s.Device != in.Device || in.Device == "":
		return Statement{}, refuse(ReasonStatement, "opening a statement of another device")
	case s.Audience != in.Audience || in.Audience == "":
		return Statement{}, refuse(ReasonStatement, "opening a statement for another issuer")
	case !toUnix(s.At).within(now):
		return Statement{}, refuse(ReasonClock, "opening a statement of another time")
	}
	return s, nil
}

// Raw returns the statement as it is sent and kept.
func (s Statement) Raw() string { return s.raw }

// MAC proves a factor: HMAC-SHA-256 under its secret over the signing input of the statement, ASCII(header "." payload).
func (s Statement) MAC(secret Secret) MAC { return mac(secret[:], s.input()) }

// Proven reports in constant time whether the MAC is that of the secret. A statement that was neither signed nor read proves
// nothing, and neither does a missing secret.
func (s Statement) Proven(secret Secret, got MAC) bool {
	want := s.MAC(secret)
	return hmac.Equal(want[:], got[:]) && !secret.Zero() && s.raw != ""
}

func (s Statement) input() []byte {
	return []byte(s.raw[:max(strings.LastIndexByte(s.raw, '.'), 0)])
}

var validNumber = regexp.MustCompile(`^[0-9]{1,12}$`)

// check refuses claims that no statement has: each purpose has its own, and no other.
func (c statementClaims) check() error {
	if c.Version != Version {
		return refuse(ReasonVersion, "reading a statement of version %d", c.Version)
	}
	if !validRef.MatchString(c.Device) || c.Audience == "" || c.At <= 0 || !validID.MatchString(c.ID) {
		return refuse(ReasonStatement, "reading a statement: a claim is missing or malformed")
	}
	only := statementClaims{
		Version: c.Version, Device: c.Device, Audience: c.Audience, At: c.At, ID: c.ID, Purpose: c.Purpose,
	}
	good := false
	switch c.Purpose {
	case PurposeApproval:
		only.Operation, only.DisplayHash, only.Decision = c.Operation, c.DisplayHash, c.Decision
		only.Reason, only.Number, only.Method = c.Reason, c.Number, c.Method
		good = c.approval()
	case PurposeFactor:
		only.Kind, only.SecretHash = c.Kind, c.SecretHash
		good = ValidFactor(c.Kind) && (c.SecretHash == "" || validHash.MatchString(c.SecretHash))
	case PurposeKeys:
		only.Keys = c.Keys
		good = c.Keys != nil && c.Keys.check() == nil
	case PurposeTransfer, PurposeDisconnect:
		good = true
	case PurposeDevice:
		only.Target, only.Decision = c.Target, c.Decision
		good = validRef.MatchString(c.Target) && c.decided()
	}
	if !good || c != only {
		return refuse(ReasonStatement, "reading a statement: claims that do not fit its purpose")
	}
	return nil
}

func (c statementClaims) decided() bool { return c.Decision == Approve || c.Decision == Deny }

func (c statementClaims) approval() bool {
	if !validRef.MatchString(c.Operation) || !validHash.MatchString(c.DisplayHash) || !c.decided() {
		return false
	}
	if c.Decision == Deny {
		return c.Number == "" && c.Method == "" && (c.Reason == Denied || c.Reason == NotMe || c.Reason == IncorrectData)
	}
	return c.Reason == "" && ValidMethod(c.Method) && (c.Number == "" || validNumber.MatchString(c.Number))
}
