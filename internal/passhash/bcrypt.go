// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// bcryptChars is the length of salt and key together.
const bcryptChars = 53

// bcryptMemory is what one check holds.
const bcryptMemory = 4 << 10

// bcryptHash is a hash of bcrypt. It takes the first 72 bytes of a password, as those that made the hashes did.
type bcryptHash struct {
	text string
	// digest hashes the hexadecimal SHA-256 of the password instead of the password.
	digest bool
}

func bcryptOf(prefix string) func(string, limits) (stored, error) {
	return func(rest string, l limits) (stored, error) { return parseBcrypt(prefix, rest, l) }
}

// parseBcrypt checks the shape by itself: the library reads hashes that are too long.
func parseBcrypt(prefix, rest string, l limits) (bcryptHash, error) {
	digits, tail, _ := strings.Cut(rest, "$")
	n, ok := number(strings.TrimPrefix(digits, "0"))
	if !ok || len(digits) != 2 || n < uint64(bcrypt.MinCost) || len(tail) != bcryptChars || strings.Trim(tail, cryptAlphabet) != "" {
		return bcryptHash{}, malformed("$2b$, a cost of two digits and 53 characters")
	}
	if err := affordable(cost{"for bcrypt's cost", n, l.bcryptCost}); err != nil {
		return bcryptHash{}, err
	}
	return bcryptHash{text: prefix + rest}, nil
}

func djangoBcrypt(digest bool) func(string, limits) (stored, error) {
	return func(rest string, l limits) (stored, error) {
		for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
			if tail, ok := strings.CutPrefix(rest, prefix); ok {
				h, err := parseBcrypt(prefix, tail, l)
				h.digest = digest
				return h, err
			}
		}
		return nil, malformed("bcrypt after the name of Django's hasher")
	}
}

func (h bcryptHash) match(password []byte) (bool, error) {
	if h.digest {
		sum := sha256.Sum256(password)
		password = []byte(hex.EncodeToString(sum[:]))
	}
	err := bcrypt.CompareHashAndPassword([]byte(h.text), password)
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func (h bcryptHash) shape() string { return "bcrypt " + h.text[:len("$2b$10")] }

func (h bcryptHash) memory() int64 { return bcryptMemory }

func (h bcryptHash) standIn() stored {
	random := make([]byte, bcryptChars)
	_, _ = rand.Read(random) // which never fails
	for i, b := range random {
		random[i] = cryptAlphabet[b%64]
	}
	return bcryptHash{h.text[:len(h.text)-bcryptChars] + string(random), h.digest}
}
