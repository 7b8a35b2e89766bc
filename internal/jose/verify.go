// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSignature is wrapped when a token was not signed by the key it is checked with.
var ErrSignature = errors.New("signature refused")

// es256Half is the length of r and of s in an ES256 signature (RFC 7518 section 3.4).
const es256Half = 32

// Verify checks the signature with k. The algorithm is the key's; a header that names another, or names another key, is
// refused before any arithmetic [RFC 8725 section 3.1].
func (t Token) Verify(k PublicKey) error {
	if t.Header.Alg != k.Alg {
		return fmt.Errorf("checking a token that names another algorithm than its key's: %w", ErrSignature)
	}
	if t.Header.KID != "" && k.KID != "" && t.Header.KID != k.KID {
		return fmt.Errorf("checking a token that names another key: %w", ErrSignature)
	}
	if !k.fits() {
		return fmt.Errorf("checking a token with an unfit key: %w", ErrSignature)
	}
	if !k.verify(t.signed, t.Signature) {
		return fmt.Errorf("checking a token: %w", ErrSignature)
	}
	return nil
}

// verify relies on fits for the type of the key.
func (k PublicKey) verify(signed, signature []byte) bool {
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		return verifyES256(key, signed, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, signed, signature)
	case *rsa.PublicKey:
		digest := sha256.Sum256(signed)
		if k.Alg == PS256 {
			return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	default:
		return false
	}
}

// verifyES256 takes r and s as 32 bytes each and no other length: a shorter spelling would be a second valid token.
func verifyES256(key *ecdsa.PublicKey, signed, signature []byte) bool {
	if len(signature) != 2*es256Half {
		return false
	}
	digest := sha256.Sum256(signed)
	var room [2 + 2*(2+1+es256Half)]byte
	der := append(room[:0], 0x30, 0)
	der = appendInteger(der, signature[:es256Half])
	der = appendInteger(der, signature[es256Half:])
	der[1] = byte(len(der) - 2)
	return ecdsa.VerifyASN1(key, digest[:], der)
}

// appendInteger appends a DER integer: no leading zeros, but one where the first bit would read as a sign.
func appendInteger(der, b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if b[0] >= 0x80 {
		der = append(der, 0x02, byte(len(b)+1), 0)
	} else {
		der = append(der, 0x02, byte(len(b)))
	}
	return append(der, b...)
}
