// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
)

// derived is a hash that is compared with a key derived anew.
type derived struct {
	how    string
	holds  uint64
	derive func(password, salt []byte, size int) ([]byte, error)
	salt   []byte
	key    []byte
}

func (h derived) match(password []byte) (bool, error) {
	key, err := h.derive(password, h.salt, len(h.key))
	return err == nil && subtle.ConstantTimeCompare(key, h.key) == 1, err
}

func (h derived) shape() string { return h.how }

func (h derived) memory() int64 { return int64(h.holds) }

func (h derived) standIn() stored {
	h.salt, h.key = make([]byte, len(h.salt)), make([]byte, len(h.key))
	_, _ = rand.Read(h.salt) // which never fails
	_, _ = rand.Read(h.key)
	return h
}

// encodedSalt reads a salt and a key in base64.
func encodedSalt(encoding *base64.Encoding, salt, key string) (h derived, err error) {
	if h.salt, err = decode(encoding, salt, 1, maxSalt); err != nil {
		return derived{}, fmt.Errorf("reading the salt: %w", err)
	}
	return h.withKey(encoding, key)
}

// plainSalt reads a salt that is used as it is written, and a key in base64.
func plainSalt(encoding *base64.Encoding, salt, key string) (h derived, err error) {
	if h.salt, err = saltText(salt, maxSalt); err != nil {
		return derived{}, err
	}
	return h.withKey(encoding, key)
}

func (h derived) withKey(encoding *base64.Encoding, key string) (derived, error) {
	var err error
	if h.key, err = decode(encoding, key, minKey, maxKey); err != nil {
		return derived{}, fmt.Errorf("reading the key: %w", err)
	}
	return h, nil
}
