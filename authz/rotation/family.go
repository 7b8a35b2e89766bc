// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// Family is a line of refresh tokens that replace one another. Its tokens are derived from a sealed seed and a generation
// number: a token of an older generation is recognised as a genuine one that was used before, which revokes the family,
// while a guess is told apart and revokes nothing. And two requests that refresh in parallel with the same token can be
// given the same successor.
type Family struct {
	ID         string    `json:"id"`
	GrantID    string    `json:"grant_id"`
	ClientID   string    `json:"client_id"`
	Seed       []byte    `json:"seed"`
	Generation uint64    `json:"generation"`
	RotatedAt  time.Time `json:"rotated_at"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	// Ahead is where it stands whether the grant is alive: whoever refreshes reads it all together. It decides nothing.
	Ahead []string `json:"ahead,omitempty"`
	// Key is the thumbprint of the key that whoever presents a token must prove to hold (RFC 9449 5); empty for none.
	Key string `json:"jkt,omitempty"`
	// Certificate is that of the certificate which the connection has to show (RFC 8705 4); empty for none.
	Certificate string `json:"x5t#S256,omitempty"`
	// IdleTTL is for how many seconds a token is good that nobody uses; from each rotation on they count anew.
	IdleTTL       int64     `json:"idle_ttl"`
	IdleExpiresAt time.Time `json:"idle_expires_at"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// Rotate moves the family on to its next token.
func (f *Family) Rotate(now time.Time) {
	f.Generation++
	f.RotatedAt = now
	f.IdleExpiresAt = now.Add(time.Duration(f.IdleTTL) * time.Second)
}

// Token returns the family's current refresh token: id, generation and a secret derived from both.
func (f *Family) Token() string {
	return f.ID + "." + strconv.FormatUint(f.Generation, 36) + "." + f.secret(f.Generation)
}

func (f *Family) secret(generation uint64) string {
	mac := hmac.New(sha256.New, f.Seed)
	mac.Write([]byte(f.ID))
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], generation)
	mac.Write(number[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Genuine reports whether the token was issued by this family, whatever its generation. It compares in constant time.
func (f *Family) Genuine(t Token) bool {
	return t.Generation <= f.Generation && hmac.Equal([]byte(f.secret(t.Generation)), []byte(t.secret))
}

// Token is what a refresh token says. Nothing of it is known to be true before [Family.Genuine] has said so.
type Token struct {
	Family     string
	Generation uint64
	secret     string
}

// ParseToken reads a refresh token; false when it is not one of ours by its shape.
func ParseToken(text string) (Token, bool) {
	if len(text) > 256 || !strings.HasPrefix(text, "rt_") {
		return Token{}, false
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Token{}, false
	}
	generation, err := strconv.ParseUint(parts[1], 36, 63)
	if err != nil || generation == 0 || strconv.FormatUint(generation, 36) != parts[1] {
		return Token{}, false
	}
	return Token{Family: parts[0], Generation: generation, secret: parts[2]}, true
}
