// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of RFC 8188 and RFC 8291.
const (
	saltSize   = 16
	authSize   = 16
	pointSize  = 65
	keySize    = 16
	nonceSize  = 12
	tagSize    = 16
	recordSize = 4096
	headerSize = saltSize + 4 + 1 + pointSize
	// MaxPayload is how much fits into the body of 4096 bytes that every push service takes, with the delimiter of the only record.
	MaxPayload = recordSize - headerSize - tagSize - 1
)

// material is what is drawn for one message.
type material struct {
	salt    []byte
	private *ecdh.PrivateKey
}

func draw() (material, error) {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return material{}, fmt.Errorf("drawing a key: %w", err)
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // it never fails
	return material{salt, private}, nil
}

// seal encrypts a payload for a subscription (RFC 8291, section 3), padded with zeros to a size in bytes, if that is larger.
func (m material) seal(to *ecdh.PublicKey, auth, payload []byte, size int) ([]byte, error) {
	if size = max(size, len(payload)); size > MaxPayload {
		return nil, errors.New("encrypting a payload: it is too long")
	}
	shared, err := m.private.ECDH(to)
	if err != nil {
		return nil, fmt.Errorf("encrypting a payload: %w", err)
	}
	public := m.private.PublicKey().Bytes()
	prk, err := hkdf.Extract(sha256.New, shared, auth)
	if err != nil {
		return nil, fmt.Errorf("encrypting a payload: %w", err)
	}
	ikm, err := hkdf.Expand(sha256.New, prk, "WebPush: info\x00"+string(to.Bytes())+string(public), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("encrypting a payload: %w", err)
	}
	plain := make([]byte, size+1)
	copy(plain, payload)
	plain[len(payload)] = 0x02 // the last record ends with this, and zeros (RFC 8188, section 2)
	return encode(ikm, m.salt, public, plain)
}

// encode writes the only record of an aes128gcm body (RFC 8188, section 2.1).
func encode(ikm, salt, keyID, plain []byte) ([]byte, error) {
	key, nonce, err := derive(ikm, salt)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypting a payload: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encrypting a payload: %w", err)
	}
	body := make([]byte, 0, saltSize+5+len(keyID)+len(plain)+tagSize)
	body = append(body, salt...)
	body = binary.BigEndian.AppendUint32(body, recordSize)
	body = append(body, byte(len(keyID)))
	body = append(body, keyID...)
	return gcm.Seal(body, nonce, plain, nil), nil
}

// derive returns key and nonce of the first record (RFC 8188, sections 2.2 and 2.3).
func derive(ikm, salt []byte) (key, nonce []byte, err error) {
	prk, err := hkdf.Extract(sha256.New, ikm, salt)
	if err == nil {
		key, err = hkdf.Expand(sha256.New, prk, "Content-Encoding: aes128gcm\x00", keySize)
	}
	if err == nil {
		nonce, err = hkdf.Expand(sha256.New, prk, "Content-Encoding: nonce\x00", nonceSize)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("encrypting a payload: %w", err)
	}
	return key, nonce, nil
}
