// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"math/big"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

const (
	// MaxSigned is the most bytes of what a key has signed.
	MaxSigned = 6 << 10

	halfP384 = 48 // bytes of r and of s (RFC 7518 3.4)
	algES384 = "ES384"
)

// Signed is a compact JWS that was read and not yet believed.
type Signed struct {
	// KID names the key that is said to have signed it; it may be empty.
	KID string

	verified func(crypto.PublicKey) bool
}

// By reports whether a key has signed it, with the one algorithm that keys of its kind sign with.
func (s Signed) By(key crypto.PublicKey) bool { return s.verified != nil && s.verified(key) }

// Read reads a compact JWS (RFC 7515) of a media type, and its payload, a JSON object, into what is given. What is larger than
// [MaxSigned], of another type, or has anything in its header but alg, typ and kid is refused.
func Read(raw, typ string, into any) (Signed, error) {
	if len(raw) > MaxSigned {
		return Signed{}, jose.ErrMalformed
	}
	header, payload, verified, err := split(raw)
	if err == nil && !jose.EqualTyp(header.Typ, typ) {
		err = jose.ErrMalformed
	}
	if err == nil {
		err = jose.UnmarshalObject(payload, into)
	}
	if err != nil {
		return Signed{}, err
	}
	return Signed{KID: header.KID, verified: verified}, nil
}

// ReadUnsigned reads a payload that nobody has signed, by the same rules.
func ReadUnsigned(raw string, into any) error { return jose.UnmarshalObject([]byte(raw), into) }

// split reads what internal/jose reads, and the same signed with ES384, which tokens never are. A header has alg and typ, and may have
// kid; with anything else the JWS is refused, whatever it was signed with.
func split(raw string) (jose.Header, []byte, func(crypto.PublicKey) bool, error) {
	token, err := jose.ParseUpTo(raw, MaxSigned)
	if err != nil {
		return splitES384(raw)
	}
	if token.Hinted() {
		return jose.Header{}, nil, nil, jose.ErrMalformed
	}
	return token.Header, token.Payload, func(key crypto.PublicKey) bool {
		public := jose.PublicKey{Alg: algorithmOf(key), Key: key}
		return public.Alg.Supported() && token.Verify(public) == nil
	}, nil
}

func splitES384(raw string) (jose.Header, []byte, func(crypto.PublicKey) bool, error) {
	said, end, _ := cutLast(raw)
	head, body, _ := strings.Cut(said, ".")
	var parts [3][]byte
	for i, part := range []string{head, body, end} {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") {
			return jose.Header{}, nil, nil, jose.ErrMalformed
		}
		parts[i] = decoded
	}
	header, err := readES384(parts[0])
	return header, parts[1], func(key crypto.PublicKey) bool { return verifyES384(key, said, parts[2]) }, err
}

// readES384 reads a header by the rules of internal/jose, with the one algorithm that it does not have.
func readES384(data []byte) (jose.Header, error) {
	var members map[string]string
	if err := jose.UnmarshalObject(data, &members); err != nil {
		return jose.Header{}, err
	}
	for name, value := range members {
		if name != "alg" && name != "typ" && name != "kid" || value == "" {
			return jose.Header{}, jose.ErrMalformed
		}
	}
	if members["alg"] != algES384 {
		return jose.Header{}, jose.ErrMalformed
	}
	return jose.Header{Typ: members["typ"], KID: members["kid"]}, nil
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
