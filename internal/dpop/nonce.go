// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// NonceKeySize is the length of a key of nonces, in bytes.
	NonceKeySize = 32
	// DefaultNonceLifetime is how long a proof may be made with a nonce.
	DefaultNonceLifetime = 5 * time.Minute

	stampSize, macSize = 8, 16
)

// Nonces makes nonces and knows its own again, without remembering any: a nonce is the moment it was made and a MAC over that. Two with
// one key and purpose know each other's. It is safe for concurrent use.
type Nonces struct {
	key      func() ([]byte, error)
	known    atomic.Pointer[[]byte] // the key, once it was had
	purpose  string
	lifetime time.Duration
}

// NewNonces returns nonces for a purpose, so that those of the authorization server are none at a resource server (RFC 9449 section 9).
// They last for a time, or [DefaultNonceLifetime] where that is zero. The key, of [NonceKeySize] bytes, is asked for when the first
// nonce is made or judged, and until it is had.
func NewNonces(key func() ([]byte, error), purpose string, lifetime time.Duration) (*Nonces, error) {
	if key == nil || purpose == "" || lifetime < 0 {
		return nil, errors.New("making nonces: a key, a purpose and a lifetime are required")
	}
	if lifetime == 0 {
		lifetime = DefaultNonceLifetime
	}
	return &Nonces{key: key, purpose: purpose, lifetime: lifetime}, nil
}

// RandomKey returns a key that nobody else has, for nonces of one process.
func RandomKey() func() ([]byte, error) {
	key := make([]byte, NonceKeySize)
	_, _ = rand.Read(key) // never fails
	return func() ([]byte, error) { return key, nil }
}

// Lifetime is how long a nonce lasts.
func (n *Nonces) Lifetime() time.Duration { return n.lifetime }

// New returns the nonce of a moment, in seconds: whoever asks twice within one gets one nonce, which is used with as many proofs. An
// error says that the key cannot be had.
func (n *Nonces) New(now time.Time) (string, error) {
	nonce := binary.BigEndian.AppendUint64(make([]byte, 0, stampSize+macSize), uint64(now.Unix()))
	mac, err := n.mac(nonce)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(nonce, mac...)), nil
}

// Made returns when a nonce was made. It refuses, with [ErrNonce], one that is not ours, has ended, or is from a future that our clock
// allows nobody; any other error says that the key cannot be had.
func (n *Nonces) Made(nonce string, now time.Time) (time.Time, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(raw) != stampSize+macSize {
		return time.Time{}, ErrNonce
	}
	mac, err := n.mac(raw[:stampSize])
	if err != nil {
		return time.Time{}, err
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0) //nolint:gosec // it is ours, or is not looked at
	if !hmac.Equal(raw[stampSize:], mac) || !now.Before(at.Add(n.lifetime)) || at.Sub(now) > Future {
		return time.Time{}, ErrNonce
	}
	return at, nil
}

func (n *Nonces) mac(stamp []byte) ([]byte, error) {
	known := n.known.Load()
	if known == nil {
		key, err := n.key()
		if err != nil || len(key) < NonceKeySize {
			return nil, fmt.Errorf("reading the key of nonces: %w", cmp.Or(err, errShortKey))
		}
		known = &key
		n.known.Store(known)
	}
	mac := hmac.New(sha256.New, *known)
	mac.Write([]byte(n.purpose))
	mac.Write([]byte{0})
	mac.Write(stamp)
	return mac.Sum(nil)[:macSize], nil
}

var errShortKey = errors.New("it is too short")
