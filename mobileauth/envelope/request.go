// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"encoding/json"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Request is a message from a device.
type Request struct {
	// Device is the device's identifier, at registration the thumbprint of its signing key.
	Device string
	// Audience is the issuer it is meant for.
	Audience string
	// Path is the endpoint it is meant for, one of the Path constants.
	Path string
	// ID is accepted once; see [NewID].
	ID string
	// At is when it was made, in whole seconds.
	At time.Time
	// KnownKeys is the [ServerKeys.Digest] of the keys the device knows, empty when it knows none.
	KnownKeys string
	// Body is a JSON object; [Request.Decode] reads it.
	Body json.RawMessage

	// SigningKey and ServerKey are the names of the keys it was signed with and encrypted to. Opening sets them.
	SigningKey, ServerKey string
}

type requestClaims struct {
	Version   int             `json:"v"`
	Issuer    string          `json:"iss"`
	Audience  string          `json:"aud"`
	At        unixTime        `json:"iat"`
	ID        string          `json:"jti"`
	Method    string          `json:"htm"`
	Path      string          `json:"htu"`
	KnownKeys string          `json:"known_keys,omitempty"`
	Body      json.RawMessage `json:"body"`
}

// SealRequest signs the request with the device's key and encrypts it to the server's. Body is anything that encodes to a
// JSON object, nil an empty one; it takes the place of r.Body.
func SealRequest(r Request, body any, from Keys, to EncKey) (string, error) {
	raw, err := encode(body)
	if err != nil {
		return "", refuse(ReasonBody, "encoding the body of a request: %w", err)
	}
	claims := requestClaims{
		Version: Version, Issuer: r.Device, Audience: r.Audience, At: toUnix(r.At), ID: r.ID,
		Method: method, Path: r.Path, KnownKeys: r.KnownKeys, Body: raw,
	}
	if err := claims.check(); err != nil {
		return "", err
	}
	return seal(claims, outgoing{typ: typRequest, key: from.sign, to: to, limit: Limit(r.Path)})
}

// check refuses claims that no request has.
func (c requestClaims) check() error {
	if c.Version != Version {
		return refuse(ReasonVersion, "reading a request of version %d", c.Version)
	}
	if !validRef.MatchString(c.Issuer) || c.Audience == "" || c.At <= 0 || !validID.MatchString(c.ID) || !isObject(c.Body) ||
		len(c.KnownKeys) > 64 {
		return refuse(ReasonClaims, "reading a request: a claim is missing or malformed")
	}
	return nil
}

// Expected is what the server knows about a request before it has read it.
type Expected struct {
	// Issuer is the server's own identifier, which the request has to name as its audience.
	Issuer string
	// Path is the endpoint the request came to.
	Path string
	// Now is the server's time.
	Now time.Time
	// Key returns the server's private encryption key of that name, which is whatever a stranger wrote.
	Key func(kid string) (jose.DecryptionKey, bool)
}

// OpenRequest decrypts a request and judges everything about it but its signature, for which the device's key has to be looked
// up first. Errors wrap [ErrRefused]; why is for the audit alone.
func OpenRequest(raw string, want Expected) (Unverified, error) {
	limit := Limit(want.Path)
	if len(raw) > limit {
		return Unverified{}, refuse(ReasonSize, "opening a request of %d bytes", len(raw))
	}
	sealed, err := encryption(limit).Parse(raw)
	if err != nil {
		return Unverified{}, refuse(ReasonEncryption, "opening a request: %w", err)
	}
	if want.Key == nil {
		return Unverified{}, refuse(ReasonServerKey, "opening a request without keys")
	}
	key, ok := want.Key(sealed.KID)
	if !ok || key.KID != sealed.KID {
		return Unverified{}, refuse(ReasonServerKey, "opening a request for a key that is not here")
	}
	token, err := open(sealed, key, typRequest)
	if err != nil {
		return Unverified{}, err
	}
	var claims requestClaims
	if err := decode(token.Payload, &claims, ReasonClaims); err != nil {
		return Unverified{}, err
	}
	if err := claims.meets(want); err != nil {
		return Unverified{}, err
	}
	return Unverified{token: token, request: Request{
		Device: claims.Issuer, Audience: claims.Audience, Path: claims.Path, ID: claims.ID, At: claims.At.time(),
		KnownKeys: claims.KnownKeys, Body: claims.Body, SigningKey: token.Header.KID, ServerKey: sealed.KID,
	}}, nil
}

func (c requestClaims) meets(want Expected) error {
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case c.Audience != want.Issuer:
		return refuse(ReasonAudience, "opening a request for another issuer")
	case c.Method != method || c.Path != want.Path:
		return refuse(ReasonPath, "opening a request for another endpoint")
	case !c.At.within(want.Now):
		return refuse(ReasonClock, "opening a request of another time")
	}
	return nil
}

// Unverified is a request whose signature was not checked yet. It can be asked who it claims to be from, and nothing else.
type Unverified struct {
	token   jose.Token
	request Request
}

// Claimed returns the device that the request names and the key that it names as the device's.
func (u Unverified) Claimed() (device, signingKey string) {
	return u.request.Device, u.request.SigningKey
}

// Verify returns the request when device, whose signing key is key, made it. That its ID was not used before is for the caller
// to see to, in the transaction of its effect.
func (u Unverified) Verify(device string, key SignKey) (Request, error) {
	if device == "" || u.request.Device != device {
		return Request{}, refuse(ReasonIssuer, "checking a request of another device")
	}
	return u.verify(key)
}

func (u Unverified) verify(key SignKey) (Request, error) {
	if err := verify(u.token, key); err != nil {
		return Request{}, err
	}
	return u.request, nil
}

// Decode reads the body into a pointer to a struct, strictly: no duplicate members, no member in another case.
func (r Request) Decode(into any) error { return decode(r.Body, into, ReasonBody) }

// String names the request without its content.
func (r Request) String() string { return "request to " + r.Path + " of device " + r.Device }

// GoString keeps %#v from printing the content.
func (r Request) GoString() string { return r.String() }
