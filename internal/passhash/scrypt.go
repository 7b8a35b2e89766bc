// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// scryptBlock is what scrypt holds for each of n·r, in bytes (RFC 7914).
const scryptBlock = 128

// maxLogN is beyond every bound on memory, and short of overflow.
const maxLogN = 31

// maxFactor is the same for r and p.
const maxFactor = 1 << 15

// scrypt completes a hash. Memory is n·r blocks and work n·r·p of them: the bound on memory holds for the work too, so that no
// p makes up in time for what n must not take in space.
func (h derived) scrypt(n, r, p uint64, l limits) (stored, error) {
	if n < 2 || n&(n-1) != 0 || n > 1<<maxLogN || r < 1 || p < 1 {
		return nil, malformed("an n that is a power of two, r and p of scrypt")
	}
	if err := affordable(
		cost{"scrypt's r", r, maxFactor}, cost{"scrypt's p", p, maxFactor},
		cost{"blocks of scrypt's n·r·p", n * min(r, maxFactor) * min(p, maxFactor), l.memory / scryptBlock},
	); err != nil {
		return nil, err
	}
	h.how, h.holds = fmt.Sprintf("scrypt n=%d,r=%d,p=%d", n, r, p), scryptBlock*(n+p+2)*r
	h.derive = func(password, salt []byte, size int) ([]byte, error) {
		return scrypt.Key(password, salt, int(n), int(r), int(p), size)
	}
	return h, nil
}

// parseScrypt reads "ln=,r=,p=$salt$key".
func parseScrypt(rest string, l limits) (stored, error) {
	want := malformed("$scrypt$ln=,r=,p=$salt$key")
	parts := strings.Split(rest, "$")
	if len(parts) != 3 {
		return nil, want
	}
	p, ok := parameters(parts[0], "ln", "r", "p")
	if !ok {
		return nil, want
	}
	h, err := encodedSalt(phcBase64, parts[1], parts[2])
	if err != nil {
		return nil, err
	}
	return h.scrypt(1<<min(p[0], maxLogN), p[1], p[2], l)
}

// djangoScrypt reads "n$salt$r$p$key".
func djangoScrypt(rest string, l limits) (stored, error) {
	want := malformed("scrypt$n$salt$r$p$key")
	parts := strings.Split(rest, "$")
	if len(parts) != 5 {
		return nil, want
	}
	n, ok1 := number(parts[0])
	r, ok2 := number(parts[2])
	p, ok3 := number(parts[3])
	if !ok1 || !ok2 || !ok3 {
		return nil, want
	}
	h, err := plainSalt(djangoBase64, parts[1], parts[4])
	if err != nil {
		return nil, err
	}
	return h.scrypt(n, r, p, l)
}

// parseCrypt7 reads crypt's form of scrypt: a digit for log₂ n, five for r and five for p, the salt as text, "$" and the key.
func parseCrypt7(rest string, l limits) (stored, error) {
	const digits, keyChars = 1 + 5 + 5, 43
	want := malformed("$7$, 11 digits, a salt, $ and a key")
	head, tail, _ := strings.Cut(rest, "$")
	key, ok := decodeCrypt(tail)
	if !ok || len(head) < digits || len(tail) != keyChars {
		return nil, want
	}
	logN, ok1 := cryptNumber(head[:1])
	r, ok2 := cryptNumber(head[1:6])
	p, ok3 := cryptNumber(head[6:digits])
	if !ok1 || !ok2 || !ok3 {
		return nil, want
	}
	salt, err := saltText(head[digits:], maxSalt)
	if err != nil {
		return nil, err
	}
	return derived{salt: salt, key: key}.scrypt(1<<min(logN, maxLogN), r, p, l)
}
