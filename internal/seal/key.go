// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

const secretBytes = 32

// ErrKey is wrapped by every error about a sealing key or its file.
var ErrKey = errors.New("sealing key refused")

// Key is a named key for sealing.
type Key struct {
	// ID stands in front of what the key sealed: 1 to 64 printable ASCII characters.
	ID string
	// Secret is 32 bytes.
	Secret []byte
}

// String names the key without its secret.
func (k Key) String() string { return fmt.Sprintf("sealing key %q", k.ID) }

// GoString keeps %#v from printing the secret.
func (k Key) GoString() string { return k.String() }

// LogValue keeps structured logs from printing the secret.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParseKey reads 32 bytes in hexadecimal or in base64 of either alphabet, with or without padding; space around them is
// dropped. The identifier is derived from the secret, so that one secret has one name wherever it comes from. Errors
// wrap [ErrKey] and never quote the text.
func ParseKey(text string) (Key, error) {
	secret, err := decode(strings.TrimSpace(text))
	if err != nil {
		return Key{}, err
	}
	k := Key{ID: identify(secret), Secret: secret}
	return k, k.check()
}

func decode(text string) ([]byte, error) {
	if len(text) == hex.EncodedLen(secretBytes) {
		secret, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("reading a sealing key of 64 characters that are not hexadecimal: %w", ErrKey)
		}
		return secret, nil
	}
	// Encoders differ in alphabet and padding; the 32 bytes do not.
	plain := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimSuffix(text, "="))
	secret, err := base64.RawURLEncoding.Strict().DecodeString(plain)
	if err != nil || len(secret) != secretBytes {
		return nil, fmt.Errorf("reading a sealing key: want %d bytes in base64 or hexadecimal: %w", secretBytes, ErrKey)
	}
	return secret, nil
}

// identify names a secret without telling anything about it.
func identify(secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("gatehouse sealing key identifier"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func (k Key) check() error {
	if k.ID == "" || len(k.ID) > maxID || strings.ContainsFunc(k.ID, func(r rune) bool { return r < '!' || r > '~' }) {
		return fmt.Errorf("identifier must be 1 to %d printable characters: %w", maxID, ErrKey)
	}
	if len(k.Secret) != secretBytes {
		return fmt.Errorf("secret of %d bytes, want %d: %w", len(k.Secret), secretBytes, ErrKey)
	}
	for _, b := range k.Secret[1:] {
		if b != k.Secret[0] {
			return nil
		}
	}
	return fmt.Errorf("secret is one byte repeated, which is a placeholder: %w", ErrKey)
}

// generate returns the text of a fresh key, as it stands in a key file.
func generate() string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	return base64.StdEncoding.EncodeToString(secret[:]) + "\n"
}
