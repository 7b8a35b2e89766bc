// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// pss fixes the salt to the length of the hash (RFC 7518 section 3.5); a signature with another salt is refused.
var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

// Signer makes tokens of one key and one typ. It is safe for concurrent use, and cheaper than [Sign] since it encodes the
// header once.
type Signer struct {
	key    PrivateKey
	prefix string // the encoded header and its dot
	suffix int    // the length of the dot and the encoded signature
}

// NewSigner returns a signer for tokens with the given typ; an empty typ leaves the member out. It refuses, wrapping
// [ErrKey], a key outside the profile and a typ that could not be read back.
func NewSigner(k PrivateKey, typ string) (*Signer, error) {
	if err := k.Public().shape(); err != nil {
		return nil, err
	}
	if typ != "" && !validName(typ, maxTyp) {
		return nil, fmt.Errorf("making a signer for a malformed typ: %w", ErrKey)
	}
	// Names were checked to need no escapes.
	header := append([]byte(`{"alg":"`), k.Alg...)
	if typ != "" {
		header = append(append(header, `","typ":"`...), typ...)
	}
	if k.KID != "" {
		header = append(append(header, `","kid":"`...), k.KID...)
	}
	header = append(header, `"}`...)
	suffix := 1 + b64.EncodedLen(signatureLen(k.Signer.Public()))
	return &Signer{key: k, prefix: b64.EncodeToString(header) + ".", suffix: suffix}, nil
}

func signatureLen(key crypto.PublicKey) int {
	if key, ok := key.(*rsa.PublicKey); ok {
		return key.Size()
	}
	return 2 * es256Half // and 64 bytes for Ed25519
}

// Sign returns a compact token over claims, a JSON object. It refuses, wrapping [ErrMalformed], claims that [Parse] would
// not read back.
func (s *Signer) Sign(claims []byte) (string, error) { return s.SignUpTo(claims, MaxToken) }

// SignUpTo is [Signer.Sign] with another limit on the token, in bytes, for what [ParseUpTo] reads.
func (s *Signer) SignUpTo(claims []byte, limit int) (string, error) {
	if err := checkObject(claims); err != nil {
		return "", fmt.Errorf("signing claims: %w", err)
	}
	size := len(s.prefix) + b64.EncodedLen(len(claims)) + s.suffix
	if size > limit {
		return "", fmt.Errorf("signing a token of %d bytes: %w", size, ErrMalformed)
	}
	buf := make([]byte, 0, size)
	buf = append(buf, s.prefix...)
	buf = b64.AppendEncode(buf, claims)
	signature, err := s.key.sign(buf)
	if err != nil {
		return "", fmt.Errorf("signing with key %q: %w", s.key.KID, err)
	}
	return string(b64.AppendEncode(append(buf, '.'), signature)), nil
}

// Sign returns a compact token over claims, a JSON object, with the given typ. It is [NewSigner] and [Signer.Sign] in one.
func Sign(k PrivateKey, typ string, claims []byte) (string, error) {
	s, err := NewSigner(k, typ)
	if err != nil {
		return "", err
	}
	return s.Sign(claims)
}

func (k PrivateKey) sign(input []byte) ([]byte, error) {
	if k.Alg == EdDSA {
		return k.Signer.Sign(rand.Reader, input, crypto.Hash(0))
	}
	digest := sha256.Sum256(input)
	switch k.Alg {
	case ES256:
		der, err := k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return rawES256(der)
	case PS256:
		return k.Signer.Sign(rand.Reader, digest[:], pss)
	default:
		return k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
}

// rawES256 turns the DER form that a crypto.Signer returns into r and s of fixed length (RFC 7518 section 3.4).
func rawES256(der []byte) ([]byte, error) {
	var inner cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() || !inner.ReadASN1Integer(&r) ||
		!inner.ReadASN1Integer(&s) || !inner.Empty() || len(r) > es256Half || len(s) > es256Half {
		return nil, fmt.Errorf("reading the signature of an ECDSA key: %w", ErrKey)
	}
	raw := make([]byte, 2*es256Half)
	copy(raw[es256Half-len(r):], r)
	copy(raw[2*es256Half-len(s):], s)
	return raw, nil
}
