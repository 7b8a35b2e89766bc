// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
)

// Algorithm is the name of a signature algorithm as it stands in a header (RFC 7518 section 3.1, RFC 8037).
type Algorithm string

// The algorithms of the profile.
const (
	ES256 Algorithm = "ES256" // ECDSA on P-256 with SHA-256
	EdDSA Algorithm = "EdDSA" // Ed25519
	RS256 Algorithm = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	PS256 Algorithm = "PS256" // RSASSA-PSS with SHA-256 and a salt of 32 bytes
)

// Limits on keys.
const (
	MaxKID     = 256  // bytes in a key identifier
	minRSABits = 2048 // RFC 7518 section 3.3
	maxRSABits = 8192 // a larger modulus only costs whoever checks signatures
	newRSABits = 2048
)

// ErrKey is wrapped by every error about a key that the profile does not take.
var ErrKey = errors.New("key refused")

// Supported reports whether the algorithm belongs to the profile.
func (a Algorithm) Supported() bool {
	switch a {
	case ES256, EdDSA, RS256, PS256:
		return true
	default:
		return false
	}
}

// PublicKey checks signatures of one algorithm.
type PublicKey struct {
	// KID names the key in headers and sets: at most MaxKID printable ASCII characters without quote and backslash.
	// It may be empty for a key that is not told from others by name.
	KID string
	// Alg is the only algorithm the key is used with.
	Alg Algorithm
	// Key is *ecdsa.PublicKey on P-256, ed25519.PublicKey or *rsa.PublicKey, as Alg demands.
	Key crypto.PublicKey
}

// PrivateKey makes signatures of one algorithm. It does not print, log or encode its secret; [MarshalPrivate] is the one
// way to it.
type PrivateKey struct {
	// KID names the key in headers and sets, as in [PublicKey].
	KID string
	// Alg is the only algorithm the key is used with.
	Alg Algorithm
	// Signer holds the secret, or reaches the device that does. Its public half has one of the types of [PublicKey].
	Signer crypto.Signer
}

// GenerateKey draws a key for the algorithm; its KID is its [Thumbprint]. RSA keys have 2048 bits.
func GenerateKey(alg Algorithm) (PrivateKey, error) {
	signer, err := generate(alg)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generating a key for %q: %w", alg, err)
	}
	k := PrivateKey{Alg: alg, Signer: signer}
	k.KID = Thumbprint(k.Public())
	return k, nil
}

func generate(alg Algorithm) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case RS256, PS256:
		return rsa.GenerateKey(rand.Reader, newRSABits)
	default:
		return nil, fmt.Errorf("unknown algorithm: %w", ErrKey)
	}
}

// Public returns the half that may be published. It is the zero key where Signer is nil.
func (k PrivateKey) Public() PublicKey {
	if k.Signer == nil {
		return PublicKey{}
	}
	return PublicKey{KID: k.KID, Alg: k.Alg, Key: k.Signer.Public()}
}

// String names the key without its secret.
func (k PrivateKey) String() string { return fmt.Sprintf("private %s key %q", k.Alg, k.KID) }

// GoString keeps %#v from printing the secret.
func (k PrivateKey) GoString() string { return k.String() }

// LogValue keeps structured logs from printing the secret.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON always fails: a private key leaves the process through [MarshalPrivate] or not at all.
func (k PrivateKey) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("encoding a private key where it does not belong: %w", ErrKey)
}

// Check reports, wrapping [ErrKey], why the profile does not take the key: an unknown algorithm, a key of another type
// or curve, a point off the curve, an RSA modulus that is too short or too long, or a KID that is not one.
func (k PublicKey) Check() error {
	if err := k.shape(); err != nil {
		return err
	}
	if ec, ok := k.Key.(*ecdsa.PublicKey); ok && !onCurve(ec) {
		return fmt.Errorf("checking key %q for %q: the point is not on the curve: %w", k.KID, k.Alg, ErrKey)
	}
	return nil
}

// shape is Check without arithmetic.
func (k PublicKey) shape() error {
	if k.KID != "" && !validName(k.KID, MaxKID) {
		return fmt.Errorf("checking a key with a malformed identifier: %w", ErrKey)
	}
	if !k.fits() {
		return fmt.Errorf("checking key %q for %q: type, curve or size does not fit: %w", k.KID, k.Alg, ErrKey)
	}
	return nil
}

func (k PublicKey) fits() bool {
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		return k.Alg == ES256 && fitsEC(key)
	case ed25519.PublicKey:
		return k.Alg == EdDSA && len(key) == ed25519.PublicKeySize
	case *rsa.PublicKey:
		return (k.Alg == RS256 || k.Alg == PS256) && fitsRSA(key)
	default:
		return false
	}
}

func fitsEC(key *ecdsa.PublicKey) bool {
	//lint:ignore SA1019 the library's own checks panic on absent coordinates
	return key != nil && key.Curve == elliptic.P256() && key.X != nil && key.Y != nil
}

// onCurve is not asked where a key is used: the library does so by itself.
func onCurve(key *ecdsa.PublicKey) bool {
	_, err := key.ECDH()
	return err == nil
}

func fitsRSA(key *rsa.PublicKey) bool {
	if key == nil || key.N == nil {
		return false
	}
	bits := key.N.BitLen()
	// The standard library refuses other exponents too, but only when the key is used.
	return bits >= minRSABits && bits <= maxRSABits && key.N.Bit(0) == 1 && key.E >= 3 && key.E&1 == 1 && key.E <= 1<<31-1
}

// validName reports whether s is a name that stands in a header as it is, without escapes: printable ASCII without
// quote and backslash.
func validName(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
