// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	gojose "github.com/go-jose/go-jose/v4"
)

// The one way messages are encrypted in: key agreement with an ephemeral key whose result is the content key itself
// (RFC 7518 section 4.6), and AES-GCM with 256 bits (section 5.3).
const (
	algECDHES  = "ECDH-ES"
	encA256GCM = "A256GCM"
)

// EncryptionKey is the public half of a key that messages are encrypted to. It never checks a signature: [PublicKey] is
// another type.
type EncryptionKey struct {
	// KID names the key in headers and sets, as in [PublicKey]; it is never empty.
	KID string
	// Key is a point on P-256.
	Key *ecdh.PublicKey
}

// DecryptionKey opens messages that were encrypted to its public half. It does not print, log or encode its secret;
// [MarshalDecryption] is the one way to it.
type DecryptionKey struct {
	// KID names the key in headers and sets, as in [EncryptionKey].
	KID string
	// Key holds the secret, or reaches the device that does.
	Key ecdh.KeyExchanger
}

// GenerateDecryption draws a key; its KID is its thumbprint.
func GenerateDecryption() (DecryptionKey, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return DecryptionKey{}, fmt.Errorf("generating a decryption key: %w", err)
	}
	return NewDecryption(key)
}

// NewDecryption returns a key of the profile whose KID is its thumbprint. It refuses, wrapping [ErrKey], other curves.
func NewDecryption(key ecdh.KeyExchanger) (DecryptionKey, error) {
	if key == nil {
		return DecryptionKey{}, fmt.Errorf("taking a decryption key: %w", ErrKey)
	}
	public, err := NewEncryption(key.PublicKey())
	if err != nil {
		return DecryptionKey{}, err
	}
	return DecryptionKey{KID: public.KID, Key: key}, nil
}

// NewEncryption returns a key of the profile whose KID is its thumbprint. It refuses, wrapping [ErrKey], other curves.
func NewEncryption(key *ecdh.PublicKey) (EncryptionKey, error) {
	k := EncryptionKey{Key: key}
	if k.KID = k.Thumbprint(); k.KID == "" {
		return EncryptionKey{}, fmt.Errorf("taking an encryption key: not on P-256: %w", ErrKey)
	}
	return k, nil
}

// Public returns the half that may be published. It is the zero key where Key is nil.
func (k DecryptionKey) Public() EncryptionKey {
	if k.Key == nil {
		return EncryptionKey{}
	}
	return EncryptionKey{KID: k.KID, Key: k.Key.PublicKey()}
}

// String names the key without its secret.
func (k DecryptionKey) String() string { return fmt.Sprintf("private encryption key %q", k.KID) }

// GoString keeps %#v from printing the secret.
func (k DecryptionKey) GoString() string { return k.String() }

// LogValue keeps structured logs from printing the secret.
func (k DecryptionKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a secret is written on purpose or not at all.
func (k DecryptionKey) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("encoding %s by accident: %w", k, ErrKey)
}

// Check refuses, wrapping [ErrKey], a key outside the profile.
func (k EncryptionKey) Check() error {
	if !validName(k.KID, MaxKID) {
		return fmt.Errorf("checking an encryption key with a malformed identifier: %w", ErrKey)
	}
	// A point off the curve cannot be in an ecdh.PublicKey: its constructor refuses it.
	if k.Key == nil || k.Key.Curve() != ecdh.P256() {
		return fmt.Errorf("checking encryption key %q: not on P-256: %w", k.KID, ErrKey)
	}
	return nil
}

// Thumbprint returns the RFC 7638 thumbprint of the key, SHA-256 in base64url, or "" for a key outside the profile.
func (k EncryptionKey) Thumbprint() string {
	public, ok := k.ecdsa()
	if !ok {
		return ""
	}
	sum, err := (&gojose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return b64.EncodeToString(sum)
}

// ecdsa returns the point as the type that the library reads and writes keys in.
func (k EncryptionKey) ecdsa() (*ecdsa.PublicKey, bool) {
	if k.Key == nil || k.Key.Curve() != ecdh.P256() {
		return nil, false
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), k.Key.Bytes())
	return public, err == nil
}

func (k EncryptionKey) jwk() (gojose.JSONWebKey, error) {
	if err := k.Check(); err != nil {
		return gojose.JSONWebKey{}, err
	}
	public, ok := k.ecdsa()
	if !ok {
		return gojose.JSONWebKey{}, fmt.Errorf("encoding encryption key %q: %w", k.KID, ErrKey)
	}
	return gojose.JSONWebKey{Key: public, KeyID: k.KID, Algorithm: algECDHES, Use: "enc"}, nil
}

// MarshalEncryption returns the key as a public JWK, marked for encryption and with its algorithm.
func MarshalEncryption(k EncryptionKey) ([]byte, error) {
	jwk, err := k.jwk()
	if err != nil {
		return nil, err
	}
	data, err := jwk.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding encryption key %q: %w", k.KID, err)
	}
	return data, nil
}

// MarshalPublic returns a key that checks signatures as a public JWK, marked for signatures and with its algorithm.
func MarshalPublic(k PublicKey) ([]byte, error) {
	if err := k.Check(); err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	jwk := gojose.JSONWebKey{Key: k.Key, KeyID: k.KID, Algorithm: string(k.Alg), Use: "sig"}
	data, err := jwk.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding public key %q: %w", k.KID, err)
	}
	return data, nil
}

// ParsePublic reads one public JWK that checks signatures. It refuses what [ParseSet] refuses and what it skips.
func ParsePublic(data []byte) (PublicKey, error) {
	if len(data) > maxJWK {
		return PublicKey{}, fmt.Errorf("reading a key of %d bytes: %w", len(data), ErrMalformed)
	}
	k, ok, err := parseJWK(data)
	if err != nil {
		return PublicKey{}, fmt.Errorf("reading a key: %w", err)
	}
	if !ok {
		return PublicKey{}, fmt.Errorf("reading a key that checks no signature of the profile: %w", ErrKey)
	}
	return k, nil
}

// ParseEncryption reads one public JWK that messages are encrypted to: EC on P-256, use absent or "enc", alg absent or
// "ECDH-ES". A key without an identifier gets its thumbprint. It refuses, wrapping [ErrKey], every other key and one that
// holds a secret, and what is no key wrapping [ErrMalformed].
func ParseEncryption(data []byte) (EncryptionKey, error) {
	if len(data) > maxJWK {
		return EncryptionKey{}, fmt.Errorf("reading a key of %d bytes: %w", len(data), ErrMalformed)
	}
	k, ok, err := parseEncryption(data)
	if err != nil {
		return EncryptionKey{}, fmt.Errorf("reading a key: %w", err)
	}
	if !ok {
		return EncryptionKey{}, fmt.Errorf("reading a key that is not for encryption: %w", ErrKey)
	}
	return k, nil
}

// ParseEncryptionSet reads a JWK set and returns the keys in it that messages are encrypted to, in their order. What
// [ParseSet] says of keys for other purposes and of a set that is refused holds here as well.
func ParseEncryptionSet(data []byte) ([]EncryptionKey, error) {
	raws, err := rawKeys(data)
	if err != nil {
		return nil, err
	}
	keys := make([]EncryptionKey, 0, len(raws))
	for i, raw := range raws {
		k, ok, err := parseEncryption(raw)
		if err != nil {
			return nil, fmt.Errorf("reading key %d of a set: %w", i, err)
		}
		if !ok {
			continue
		}
		if slices.ContainsFunc(keys, func(other EncryptionKey) bool { return other.KID == k.KID }) {
			return nil, fmt.Errorf("reading key %d of a set: another key has its identifier: %w", i, ErrKey)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// parseEncryption reads one public key; ok is false for a key that is well-formed and not for encryption by the profile.
func parseEncryption(raw []byte) (k EncryptionKey, ok bool, err error) {
	members, about, err := describe(raw)
	if err != nil {
		return k, false, err
	}
	fits := about.kty == "EC" && about.crv == "P-256" && (about.use == "" || about.use == "enc") &&
		(about.alg == "" || about.alg == algECDHES)
	// A public half that takes part in an agreement has no operation to declare (RFC 7517 section 4.3).
	if !fits || len(about.ops) > 0 {
		return k, false, nil
	}
	key, err := publicKey(members)
	if err != nil {
		return k, false, err
	}
	public, isEC := key.(*ecdsa.PublicKey)
	if !isEC || !fitsEC(public) {
		return k, false, fmt.Errorf("a key of another type than it says: %w", ErrKey)
	}
	point, err := public.ECDH()
	if err != nil {
		return k, false, fmt.Errorf("a point off its curve: %w", ErrKey)
	}
	k = EncryptionKey{KID: about.kid, Key: point}
	if k.KID == "" {
		k.KID = k.Thumbprint()
	}
	return k, true, k.Check()
}

// MarshalDecryption returns the key as a private JWK. The result is a secret: it is sealed before it is stored.
func MarshalDecryption(k DecryptionKey) ([]byte, error) {
	if err := k.Public().Check(); err != nil {
		return nil, fmt.Errorf("encoding a private encryption key: %w", err)
	}
	held, ok := k.Key.(*ecdh.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("encoding private encryption key %q: not a key held in memory: %w", k.KID, ErrKey)
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), held.Bytes())
	if err != nil {
		return nil, fmt.Errorf("encoding private encryption key %q: %w", k.KID, ErrKey)
	}
	data, err := json.Marshal(gojose.JSONWebKey{Key: private, KeyID: k.KID, Algorithm: algECDHES, Use: "enc"})
	if err != nil {
		return nil, fmt.Errorf("encoding private encryption key %q: %w", k.KID, ErrKey)
	}
	return data, nil
}

// ParseDecryption reads what [MarshalDecryption] wrote. It refuses, wrapping [ErrKey], everything else; the error never
// quotes the input.
func ParseDecryption(data []byte) (DecryptionKey, error) {
	if len(data) > maxJWK {
		return DecryptionKey{}, fmt.Errorf("reading a private encryption key of %d bytes: %w", len(data), ErrKey)
	}
	var jwk gojose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil {
		return DecryptionKey{}, fmt.Errorf("reading a private encryption key: %w", ErrKey)
	}
	private, ok := jwk.Key.(*ecdsa.PrivateKey)
	if !ok || jwk.Use != "enc" || jwk.Algorithm != algECDHES || !fitsEC(&private.PublicKey) || !matches(private) {
		return DecryptionKey{}, fmt.Errorf("reading a private encryption key that is none: %w", ErrKey)
	}
	key, err := private.ECDH()
	if err != nil {
		return DecryptionKey{}, fmt.Errorf("reading a private encryption key: %w", ErrKey)
	}
	k := DecryptionKey{KID: jwk.KeyID, Key: key}
	if err := k.Public().Check(); err != nil {
		return DecryptionKey{}, fmt.Errorf("reading a private encryption key: %w", err)
	}
	return k, nil
}
