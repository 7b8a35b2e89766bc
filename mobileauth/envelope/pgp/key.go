// SPDX-License-Identifier: Apache-2.0

package pgp

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// ErrKey is wrapped by every error about a key that the profile does not take.
var ErrKey = errors.New("OpenPGP key refused")

// MaxKey is the largest key that is read, in bytes.
const MaxKey = 8 << 10

// Version is the version of a key.
type Version int

// The versions. Whoever can reads version 6; GnuPG up to 2.4 cannot.
const (
	V4 Version = 4
	V6 Version = 6
)

// PublicKey is the key of the other side: it encrypts to it and checks its signatures. The zero key does neither.
type PublicKey struct{ entity *openpgp.Entity }

// PrivateKey is the key of this side. It does not print or log its secret; [PrivateKey.Marshal] is the one way to it.
type PrivateKey struct{ entity *openpgp.Entity }

// config returns the profile at a time. What the library has as defaults is older.
func config(now time.Time) *packet.Config {
	limit := int64(MaxMessage)
	return &packet.Config{
		DefaultHash: crypto.SHA512, DefaultCipher: packet.CipherAES256, DefaultCompressionAlgo: packet.CompressionNone,
		AEADConfig: &packet.AEADConfig{DefaultMode: packet.AEADModeOCB},
		Time:       func() time.Time { return now }, MaxDecompressedMessageSize: &limit,
	}
}

// Generate makes a key. It does not expire: it ends with the registration that it was made for.
func Generate(version Version, now time.Time) (PrivateKey, error) {
	c := config(now)
	var entity *openpgp.Entity
	var err error
	switch version {
	case V6:
		c.V6Keys, c.Algorithm = true, packet.PubKeyAlgoEd25519
		entity, err = openpgp.NewEntityWithoutId(c)
	case V4:
		// A key that does not offer AEAD is not sent any: GnuPG knows an older draft of it only.
		c.Algorithm, c.Curve, c.AEADConfig = packet.PubKeyAlgoEdDSA, packet.Curve25519, nil
		entity, err = openpgp.NewEntity("gatehouse", "", "", c)
	default:
		return PrivateKey{}, fmt.Errorf("making a key of version %d: %w", version, ErrKey)
	}
	if err != nil {
		return PrivateKey{}, fmt.Errorf("making a key: %w", err)
	}
	return PrivateKey{entity: entity}, nil
}

// Pair checks a device's public key and makes the server's keys for it, of the same version; all of them are binary.
func Pair(device []byte, now time.Time) (private, public []byte, err error) {
	theirs, err := ParsePublic(device)
	if err != nil {
		return nil, nil, err
	}
	ours, err := Generate(theirs.Version(), now)
	if err != nil {
		return nil, nil, err
	}
	if public, err = ours.Public().Marshal(); err != nil {
		return nil, nil, err
	}
	private, err = ours.Marshal()
	return private, public, err
}

// ParsePublic reads one binary public key. It refuses, wrapping [ErrKey], other algorithms, more than one key, one that is revoked or
// not signed by itself, and one that holds a secret.
func ParsePublic(data []byte) (PublicKey, error) {
	entity, err := parse(data)
	if err != nil {
		return PublicKey{}, err
	}
	if entity.PrivateKey != nil {
		return PublicKey{}, fmt.Errorf("reading a public key that holds a secret: %w", ErrKey)
	}
	for _, sub := range entity.Subkeys {
		if sub.PrivateKey != nil {
			return PublicKey{}, fmt.Errorf("reading a public key that holds a secret: %w", ErrKey)
		}
	}
	return PublicKey{entity: entity}, nil
}

// ParsePrivate reads what [PrivateKey.Marshal] wrote. The error never quotes the input.
func ParsePrivate(data []byte) (PrivateKey, error) {
	entity, err := parse(data)
	if err != nil {
		return PrivateKey{}, err
	}
	k := PrivateKey{entity: entity}
	now := k.valid(time.Time{})
	encryption, ok := entity.EncryptionKey(now, config(now))
	if !ok || !held(entity.PrivateKey) || !held(encryption.PrivateKey) {
		return PrivateKey{}, fmt.Errorf("reading a private key without its secrets, or with a password: %w", ErrKey)
	}
	return k, nil
}

func held(k *packet.PrivateKey) bool { return k != nil && !k.Encrypted && !k.Dummy() }

// parse reads one key and checks that it is of the profile.
func parse(data []byte) (*openpgp.Entity, error) {
	if len(data) == 0 || len(data) > MaxKey {
		return nil, fmt.Errorf("reading a key of %d bytes: %w", len(data), ErrKey)
	}
	packets := packet.NewReader(bytes.NewReader(data))
	entity, err := openpgp.ReadEntity(packets)
	if err != nil {
		return nil, fmt.Errorf("reading a key that is none: %w", ErrKey)
	}
	if _, err := packets.Next(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading a key with more behind it: %w", ErrKey)
	}
	now := created(entity)
	c := config(now)
	encryption, ok := entity.EncryptionKey(now, c)
	signing, ok2 := entity.SigningKey(now, c)
	if !ok || !ok2 || entity.Revoked(now) {
		return nil, fmt.Errorf("reading a key that does not encrypt and sign: %w", ErrKey)
	}
	for _, k := range []*packet.PublicKey{entity.PrimaryKey, signing.PublicKey, encryption.PublicKey} {
		if !fits(k) {
			return nil, fmt.Errorf("reading a key of version %d and algorithm %d: %w", k.Version, k.PubKeyAlgo, ErrKey)
		}
	}
	return entity, nil
}

// fits takes Ed25519 and X25519 in both encodings, in keys of version 4 and 6.
func fits(k *packet.PublicKey) bool {
	if Version(k.Version) != V4 && Version(k.Version) != V6 {
		return false
	}
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoEd25519, packet.PubKeyAlgoX25519:
		return true
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoECDH:
		curve, err := k.Curve()
		return err == nil && curve == packet.Curve25519
	default:
		return false
	}
}

// created returns when the last part of a key was made. A clock that was wrong then is no reason to refuse the key: it is not what
// it is trusted by.
func created(entity *openpgp.Entity) time.Time {
	latest := entity.PrimaryKey.CreationTime
	for _, sub := range entity.Subkeys {
		if sub.PublicKey.CreationTime.After(latest) {
			latest = sub.PublicKey.CreationTime
		}
	}
	return latest
}

// valid returns now, or when the key was made if that is later.
func (k PrivateKey) valid(now time.Time) time.Time { return later(now, created(k.entity)) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Public returns the half that the other side learns.
func (k PrivateKey) Public() PublicKey { return PublicKey(k) }

// Marshal encodes the public half only, in binary.
func (k PublicKey) Marshal() ([]byte, error) {
	if k.entity == nil {
		return nil, fmt.Errorf("encoding no key: %w", ErrKey)
	}
	var buf bytes.Buffer
	if err := k.entity.Serialize(&buf); err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	return buf.Bytes(), nil
}

// Marshal encodes the key with its secret, in binary and without a password. The result is a secret: it is sealed before it is
// stored.
func (k PrivateKey) Marshal() ([]byte, error) {
	if k.entity == nil {
		return nil, fmt.Errorf("encoding no key: %w", ErrKey)
	}
	var buf bytes.Buffer
	if err := k.entity.SerializePrivateWithoutSigning(&buf, nil); err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return buf.Bytes(), nil
}

// Version returns the version of the key, 0 of no key.
func (k PublicKey) Version() Version {
	if k.entity == nil {
		return 0
	}
	return Version(k.entity.PrimaryKey.Version)
}

// Fingerprint names the key: 20 bytes of version 4, 32 of version 6.
func (k PublicKey) Fingerprint() []byte {
	if k.entity == nil {
		return nil
	}
	return bytes.Clone(k.entity.PrimaryKey.Fingerprint)
}

// String names the key without its secret.
func (k PrivateKey) String() string {
	return fmt.Sprintf("private OpenPGP key %x", k.Public().Fingerprint())
}

// GoString keeps %#v from printing the secret.
func (k PrivateKey) GoString() string { return k.String() }

// LogValue keeps structured logs from printing the secret.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a secret is written on purpose or not at all.
func (k PrivateKey) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("encoding %s by accident: %w", k, ErrKey)
}
