// SPDX-License-Identifier: Apache-2.0

package randid

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
)

const (
	idBytes     = 16 // 128 bits: no collision, no guess
	secretBytes = 32 // 256 bits: an unsalted hash of it is safe to store
)

// lower is base32 without padding and in lower case: it survives file systems, header values, URLs and dictation.
var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// New returns a fresh identifier: the prefix, an underscore and 128 random bits ("usr_…"). An empty prefix leaves the
// underscore out. Identifiers are unguessable but are no secrets: they appear in logs.
func New(prefix string) string {
	var raw [idBytes]byte
	fill(raw[:])
	buf := make([]byte, 0, len(prefix)+1+lower.EncodedLen(idBytes))
	if prefix != "" {
		buf = append(append(buf, prefix...), '_')
	}
	return string(lower.AppendEncode(buf, raw[:]))
}

// Secret returns 256 random bits in base64url without padding, 43 characters.
func Secret() string {
	var raw [secretBytes]byte
	fill(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// Hash returns the form in which a [Secret] is stored and looked up: its SHA-256 in base64url without padding. It is fast
// on purpose and therefore wrong for anything a person chose.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fill cannot fail: since Go 1.24 the generator crashes the program rather than return an error or weak bytes.
func fill(b []byte) {
	_, _ = rand.Read(b)
}
