// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

const (
	version = 1
	// maxID keeps an identifier within its length byte and an error within a line.
	maxID = 64
	// extractSalt keeps what is derived apart from whatever else a key may be used for.
	extractSalt = "gatehouse derived secrets"
)

// Errors of opening. Both mean that the value stays closed; they differ in what an operator can do about it.
var (
	// ErrUnknownKey is wrapped when a value was sealed with a key that is not configured; the error names it.
	ErrUnknownKey = errors.New("no such sealing key")
	// ErrDamaged is wrapped when a value was altered, cut, sealed under another label, or is no sealed value.
	ErrDamaged = errors.New("sealed value is damaged")
)

// Sealer seals with one key and opens with several. It is safe for concurrent use.
type Sealer struct {
	first sealingKey
	byID  map[string]cipher.AEAD
}

type sealingKey struct {
	id   string
	aead cipher.AEAD
	prk  []byte // what secrets are derived from
}

// New returns a sealer that seals with the first key and opens with all of them. It refuses, wrapping [ErrKey], an empty
// list, a malformed key and two keys with one identifier.
func New(keys ...Key) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("making a sealer without keys: %w", ErrKey)
	}
	s := &Sealer{byID: make(map[string]cipher.AEAD, len(keys))}
	for i, k := range keys {
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("making a sealer with key %q: %w", k.ID, err)
		}
		if _, found := s.byID[k.ID]; found {
			return nil, fmt.Errorf("making a sealer with two keys named %q: %w", k.ID, ErrKey)
		}
		aead, err := newAEAD(k.Secret)
		if err != nil {
			return nil, fmt.Errorf("making a sealer with key %q: %w", k.ID, err)
		}
		s.byID[k.ID] = aead
		if i > 0 {
			continue
		}
		prk, err := hkdf.Extract(sha256.New, k.Secret, []byte(extractSalt))
		if err != nil {
			return nil, fmt.Errorf("making a sealer with key %q: %w", k.ID, err)
		}
		s.first = sealingKey{id: k.ID, aead: aead, prk: prk}
	}
	return s, nil
}

func newAEAD(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	// It draws the nonce itself and puts it in front: no caller can repeat one.
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal encrypts plain for the place that label names.
func (s *Sealer) Seal(label string, plain []byte) ([]byte, error) {
	id := s.first.id
	head := append([]byte{version, byte(len(id))}, id...)
	out := make([]byte, len(head), len(head)+len(plain)+s.first.aead.Overhead())
	copy(out, head)
	return s.first.aead.Seal(out, nil, plain, additional(head, label)), nil
}

// Open decrypts what [Sealer.Seal] returned for the same label. It fails with [ErrUnknownKey] or [ErrDamaged].
func (s *Sealer) Open(label string, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != version {
		return nil, fmt.Errorf("opening a value of another form: %w", ErrDamaged)
	}
	end := 2 + int(sealed[1])
	if end > len(sealed) {
		return nil, fmt.Errorf("opening a value that was cut: %w", ErrDamaged)
	}
	head, body := sealed[:end], sealed[end:]
	id := string(head[2:])
	aead, ok := s.byID[id]
	if !ok {
		return nil, fmt.Errorf("opening a value sealed with key %q: %w", id, ErrUnknownKey)
	}
	plain, err := aead.Open(nil, nil, body, additional(head, label))
	if err != nil {
		return nil, fmt.Errorf("opening a value sealed with key %q: %w", id, ErrDamaged)
	}
	return plain, nil
}

// Derive returns 32 secret bytes for the use that label names (HKDF with SHA-256, RFC 5869). They come from the first key:
// with another in front they are others.
func (s *Sealer) Derive(label string) ([]byte, error) {
	secret, err := hkdf.Expand(sha256.New, s.first.prk, label, secretBytes)
	if err != nil {
		return nil, fmt.Errorf("deriving the secret %q: %w", label, err)
	}
	return secret, nil
}

// additional is what is authenticated beside the ciphertext. The head tells its own length, so the label cannot run into
// it.
func additional(head []byte, label string) []byte {
	return append(head[:len(head):len(head)], label...)
}
