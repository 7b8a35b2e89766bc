// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"strings"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

const (
	algA256KW = "A256KW"
	// wrappedLen is the length of a wrapped content key: eight bytes more than the key (RFC 3394, 2.2.1).
	wrappedLen = contentKeyLen + 8
)

// OpenWrapped opens a compact message that was encrypted under a key which both sides have, with A256KW and A256GCM (RFC 7518, 4.4
// and 5.3), and whose header is exactly alg and enc. It refuses, wrapping [ErrMalformed], whatever is not of that form or is larger
// than limit bytes; wrapping [ErrKey], a key that has not 32 bytes; and wrapping [ErrDecrypt], what was not made for the key.
func OpenWrapped(raw string, key []byte, limit int) ([]byte, error) {
	if len(key) != contentKeyLen {
		return nil, fmt.Errorf("opening an encrypted message with a key of %d bytes: %w", len(key), ErrKey)
	}
	if len(raw) > limit || strings.ContainsAny(raw, "\r\n") || strings.Count(raw, ".") != 4 {
		return nil, fmt.Errorf("reading an encrypted message that is too large or has not five parts: %w", ErrMalformed)
	}
	parts := strings.SplitN(raw, ".", 5)
	if b64.DecodedLen(len(parts[0])) > maxHeader {
		return nil, fmt.Errorf("reading an encrypted message with too large a header: %w", ErrMalformed)
	}
	d := newDecoder(raw)
	header, wrapped, nonce := d.decode(len(parts[0])), d.decode(len(parts[1])), d.decode(len(parts[2]))
	text, tag := d.decode(len(parts[3])), d.decode(len(parts[4]))
	if d.err != nil || len(wrapped) != wrappedLen || len(nonce) != nonceLen || len(tag) != tagLen {
		return nil, fmt.Errorf("reading an encrypted message that is not base64url of the right lengths: %w", ErrMalformed)
	}
	if err := readWrappedHeader(header); err != nil {
		return nil, fmt.Errorf("reading the header of an encrypted message: %w", err)
	}
	aead, err := unwrap(key, wrapped)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nonce, append(text, tag...), []byte(parts[0]))
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

// readWrappedHeader takes alg and enc and nothing else.
func readWrappedHeader(data []byte) error {
	seen := 0
	err := visitObject(data, func(name, value []byte) error {
		want := map[string]string{"alg": `"` + algA256KW + `"`, "enc": `"` + encA256GCM + `"`}[string(name)]
		if want == "" || string(value) != want {
			return fmt.Errorf("a header member outside the profile: %w", ErrMalformed)
		}
		seen++
		return nil
	})
	if err == nil && seen != 2 {
		err = fmt.Errorf("a header that lacks a member: %w", ErrMalformed)
	}
	return err
}

// unwrap returns the cipher of the content.
func unwrap(key, wrapped []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", ErrKey)
	}
	content, err := josecipher.KeyUnwrap(block, wrapped)
	if err != nil {
		return nil, ErrDecrypt
	}
	inner, err := aes.NewCipher(content)
	if err != nil {
		return nil, ErrDecrypt
	}
	return cipher.NewGCM(inner)
}
