// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Code says what became of a request that was understood.
type Code string

// The codes.
const (
	CodeOK         Code = "ok"
	CodeRefused    Code = "refused"     // what was proven is wrong; the body says how many tries remain
	CodeGone       Code = "gone"        // the operation is not open any more
	CodeNotAllowed Code = "not_allowed" // this device may not do that, now or at all
	CodeRetry      Code = "retry"       // nothing was done; the same may succeed later
)

func (c Code) valid() bool {
	return slices.Contains([]Code{CodeOK, CodeRefused, CodeGone, CodeNotAllowed, CodeRetry}, c)
}

// Answer is a message from the server, in reply to one request.
type Answer struct {
	// Issuer is the server.
	Issuer string
	// Device is whom it is for: what the request named as its device.
	Device string
	// RequestID is the ID of the request it answers.
	RequestID string
	// ID names the answer.
	ID string
	// At is when it was made by the server's clock, in whole seconds. A device with a wrong clock reads it all the same.
	At time.Time
	// Code says what became of the request.
	Code Code
	// Body is a JSON object; [Answer.Decode] reads it.
	Body json.RawMessage
	// ServerKeys are the keys to use from now on, nil when the device knows them.
	ServerKeys *ServerKeys
}

type answerClaims struct {
	Version    int             `json:"v"`
	Issuer     string          `json:"iss"`
	Audience   string          `json:"aud"`
	At         unixTime        `json:"iat"`
	ID         string          `json:"jti"`
	RequestID  string          `json:"irt"`
	Code       Code            `json:"code"`
	Body       json.RawMessage `json:"body"`
	ServerKeys *ServerKeys     `json:"server_keys,omitempty"`
}

// Reply starts the answer to a request: everything but code and body. The keys are those that the device should know, as of
// now; they are put in only when the device does not say that it knows them.
func (r Request) Reply(now time.Time, keys ServerKeys) Answer {
	a := Answer{Issuer: r.Audience, Device: r.Device, RequestID: r.ID, ID: NewID(), At: now, Code: CodeOK}
	if r.KnownKeys != keys.Digest() {
		a.ServerKeys = &keys
	}
	return a
}

// SealAnswer signs the answer with a key of the server, ES256, and encrypts it to the device's. Body is anything that encodes
// to a JSON object, nil an empty one; it takes the place of a.Body.
func SealAnswer(a Answer, body any, from jose.PrivateKey, to EncKey) (string, error) {
	raw, err := encode(body)
	if err != nil {
		return "", refuse(ReasonBody, "encoding the body of an answer: %w", err)
	}
	claims := answerClaims{
		Version: Version, Issuer: a.Issuer, Audience: a.Device, At: toUnix(a.At), ID: a.ID, RequestID: a.RequestID,
		Code: a.Code, Body: raw, ServerKeys: a.ServerKeys,
	}
	if err := claims.check(); err != nil {
		return "", err
	}
	return seal(claims, outgoing{typ: typAnswer, key: from, to: to, limit: MaxAnswer})
}

func (c answerClaims) check() error {
	if c.Version != Version {
		return refuse(ReasonVersion, "reading an answer of version %d", c.Version)
	}
	if c.Issuer == "" || !validRef.MatchString(c.Audience) || c.At <= 0 || !validID.MatchString(c.ID) ||
		!validID.MatchString(c.RequestID) || !c.Code.valid() || !isObject(c.Body) {
		return refuse(ReasonClaims, "reading an answer: a claim is missing or malformed")
	}
	return nil
}

// Awaited is what a device knows about an answer before it has read it.
type Awaited struct {
	// Issuer, Device and RequestID are what the request said.
	Issuer, Device, RequestID string
	// Keys are the device's keys. While the server may have either of two pairs, both are here.
	Keys []Keys
	// Server are the server's keys as the device knows them.
	Server ServerKeys
}

// OpenAnswer decrypts an answer and checks it in full. Errors wrap [ErrRefused].
//
// The key that signed has to be one the device knows, or one that the answer itself announces: whoever names the ID of the
// request has decrypted it, and so holds the encryption key that the device trusts already.
func OpenAnswer(raw string, want Awaited) (Answer, error) {
	if len(raw) > MaxAnswer {
		return Answer{}, refuse(ReasonSize, "opening an answer of %d bytes", len(raw))
	}
	sealed, err := encryption(MaxAnswer).Parse(raw)
	if err != nil {
		return Answer{}, refuse(ReasonEncryption, "opening an answer: %w", err)
	}
	i := slices.IndexFunc(want.Keys, func(k Keys) bool { return k.enc.KID == sealed.KID })
	if i < 0 {
		return Answer{}, refuse(ReasonKeys, "opening an answer for another key")
	}
	token, err := open(sealed, want.Keys[i].enc, typAnswer)
	if err != nil {
		return Answer{}, err
	}
	var claims answerClaims
	if err := decode(token.Payload, &claims, ReasonClaims); err != nil {
		return Answer{}, err
	}
	if err := claims.meets(want); err != nil {
		return Answer{}, err
	}
	if err := claims.verify(token, want.Server); err != nil {
		return Answer{}, err
	}
	return Answer{
		Issuer: claims.Issuer, Device: claims.Audience, RequestID: claims.RequestID, ID: claims.ID, At: claims.At.time(),
		Code: claims.Code, Body: claims.Body, ServerKeys: claims.ServerKeys,
	}, nil
}

func (c answerClaims) meets(want Awaited) error {
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case c.Issuer != want.Issuer:
		return refuse(ReasonIssuer, "opening an answer of another server")
	case c.Audience != want.Device:
		return refuse(ReasonAudience, "opening an answer for another device")
	case want.RequestID == "" || c.RequestID != want.RequestID:
		return refuse(ReasonRequest, "opening an answer to another request")
	case c.ServerKeys != nil && (len(c.ServerKeys.Sign) == 0 || len(c.ServerKeys.Enc) == 0):
		return refuse(ReasonKeys, "opening an answer that announces no keys")
	}
	return nil
}

// verify has to follow meets: an announced key counts only where the request's ID was named.
func (c answerClaims) verify(token jose.Token, known ServerKeys) error {
	key, ok := known.signKey(token.Header.KID)
	if !ok && c.ServerKeys != nil {
		key, ok = c.ServerKeys.signKey(token.Header.KID)
	}
	if !ok {
		return refuse(ReasonSigningKey, "opening an answer signed by an unknown key")
	}
	return verify(token, key)
}

// Decode reads the body into a pointer to a struct, strictly.
func (a Answer) Decode(into any) error { return decode(a.Body, into, ReasonBody) }

// String names the answer without its content.
func (a Answer) String() string { return "answer " + string(a.Code) + " to device " + a.Device }

// GoString keeps %#v from printing the content.
func (a Answer) GoString() string { return a.String() }
