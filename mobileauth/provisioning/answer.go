// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"math/big"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// Media types of answers, so that one kind is nothing for another.
const (
	// TypPresence is an answer by the key of a certificate: the device is there.
	TypPresence = "gatehouse-device+jwt"
	// TypRequest is an answer that hands in a certificate request.
	TypRequest = "gatehouse-csr+jwt"
)

// Limits of an answer.
const (
	maxAnswer       = 6 << 10 // bytes
	maxCustom       = 16      // properties of the app's own
	maxProperty     = 256     // characters of a property
	maxInstallation = 64      // characters of what a device calls itself
	halfP384        = 48      // bytes of r and of s (RFC 7518 3.4)
	algES384        = "ES384"
)

// App is what an app says of itself.
type App struct {
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
}

// Device is what a device says of itself. It is a claim: nothing rests on it.
type Device struct {
	Model     string `json:"model,omitempty"`
	OS        string `json:"os,omitempty"`
	OSVersion string `json:"os_version,omitempty"`
}

// Claims is the payload of an answer.
type Claims struct {
	// Audience is the issuer, Realm the realm that asked, and Nonce what it asked with.
	Audience string `json:"aud"`
	Realm    string `json:"realm"`
	Nonce    string `json:"nonce"`
	// Installation is what the device calls itself: random, and kept with the key. It tells somebody who asks again because an answer
	// was lost from somebody else with the same key.
	Installation string `json:"installation"`
	App          App    `json:"app"`
	Device       Device `json:"device"`
	// Custom is what the app has to say to an operator's hooks, such as an activation code.
	Custom map[string]string `json:"custom,omitempty"`
	// CSR is the SHA-256, in base64url, of the request that the answer hands in.
	CSR string `json:"csr,omitempty"`
}

// Question is what an answer has to be to.
type Question struct {
	Audience, Realm, Nonce string
}

// answer is one that was read and not yet believed.
type answer struct {
	kid      string // the certificate whose key is said to have signed it
	claims   Claims
	verified func(crypto.PublicKey) bool
}

// readAnswer reads a compact JWS of a media type.
func readAnswer(raw, typ string) (*answer, error) {
	if len(raw) > maxAnswer {
		return nil, refuse(ReasonTooLarge)
	}
	header, payload, a, err := splitAnswer(raw)
	if err != nil {
		return nil, refuseFor(ReasonAnswer, err)
	}
	if !jose.EqualTyp(header.Typ, typ) {
		return nil, refuse(ReasonAnswer)
	}
	if err := jose.UnmarshalObject(payload, &a.claims); err != nil {
		return nil, refuseFor(ReasonAnswer, err)
	}
	if !a.claims.plain() {
		return nil, refuse(ReasonAnswer)
	}
	a.kid = header.KID
	return a, nil
}

// splitAnswer reads what internal/jose reads, and the same signed with ES384, which tokens never are.
func splitAnswer(raw string) (jose.Header, []byte, *answer, error) {
	if token, err := jose.ParseUpTo(raw, maxAnswer); err == nil {
		return token.Header, token.Payload, &answer{verified: func(key crypto.PublicKey) bool {
			public := jose.PublicKey{Alg: algorithmOf(key), Key: key}
			return public.Alg.Supported() && token.Verify(public) == nil
		}}, nil
	}
	signed, end, _ := cutLast(raw)
	head, body, _ := strings.Cut(signed, ".")
	var parts [3][]byte
	for i, part := range []string{head, body, end} {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") {
			return jose.Header{}, nil, nil, jose.ErrMalformed
		}
		parts[i] = decoded
	}
	var header struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		KID string `json:"kid"`
	}
	if err := jose.UnmarshalObject(parts[0], &header); err != nil || header.Alg != algES384 {
		return jose.Header{}, nil, nil, jose.ErrMalformed
	}
	a := &answer{verified: func(key crypto.PublicKey) bool { return verifyES384(key, signed, parts[2]) }}
	return jose.Header{Typ: header.Typ, KID: header.KID}, parts[1], a, nil
}

// cutLast divides at the last dot.
func cutLast(raw string) (before, after string, found bool) {
	i := strings.LastIndexByte(raw, '.')
	if i < 0 {
		return "", "", false
	}
	return raw[:i], raw[i+1:], true
}

// algorithmOf returns the one algorithm that a key of that kind signs answers with.
func algorithmOf(key crypto.PublicKey) jose.Algorithm {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return jose.ES256
		}
	case *rsa.PublicKey:
		return jose.RS256
	}
	return ""
}

func verifyES384(key crypto.PublicKey, signed string, signature []byte) bool {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P384() || len(signature) != 2*halfP384 {
		return false
	}
	sum := sha512.Sum384([]byte(signed))
	r, s := new(big.Int).SetBytes(signature[:halfP384]), new(big.Int).SetBytes(signature[halfP384:])
	return ecdsa.Verify(public, sum[:], r, s)
}

// plain reports whether what is said could be said by an app: texts of a decent size that show what they hold.
func (c *Claims) plain() bool {
	ok := mobileauth.ValidID(c.App.ID) && mobileauth.ValidPlatform(c.App.Platform) && mobileauth.ValidVersion(c.App.Version) &&
		c.Installation != "" && len(c.Installation) <= maxInstallation && len(c.Custom) <= maxCustom
	for _, text := range []string{c.Installation, c.Device.Model, c.Device.OS, c.Device.OSVersion} {
		ok = ok && property(text)
	}
	for name, value := range c.Custom {
		ok = ok && name != "" && property(name) && property(value)
	}
	return ok
}

func property(text string) bool { return text == "" || len(text) <= maxProperty && printable(text) }

// to refuses an answer that is not to the question: meant for another server or realm, or given before.
func (c *Claims) to(q Question) error {
	switch {
	case c.Audience != q.Audience || c.Realm != q.Realm:
		return refuse(ReasonAudience)
	case q.Nonce == "" || subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(q.Nonce)) != 1:
		return refuse(ReasonNonce)
	}
	return nil
}
