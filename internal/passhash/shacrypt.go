// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"fmt"
	"hash"
	"strings"

	"github.com/go-crypt/x/crypt"
)

// Bounds and the default of SHA-crypt's own specification.
const (
	defaultRounds  = 5000
	maxShaSalt     = 16
	shaCryptMemory = 16 << 10
)

// shaCryptOf reads "rounds=N$salt$key" or "salt$key", where the key has a length in characters.
func shaCryptOf(name string, sum func() hash.Hash, keyChars int) func(string, limits) (stored, error) {
	want := malformed("an optional rounds=N$, a salt of at most 16 characters, $ and a key")
	return func(rest string, l limits) (stored, error) {
		rounds := uint64(defaultRounds)
		if text, ok := strings.CutPrefix(rest, "rounds="); ok {
			digits, tail, _ := strings.Cut(text, "$")
			if rounds, ok = number(digits); !ok || rounds < minRounds {
				return nil, want
			}
			rest = tail
		}
		salt, key, _ := strings.Cut(rest, "$")
		if len(key) != keyChars || strings.Trim(key, cryptAlphabet) != "" {
			return nil, want
		}
		if err := affordable(cost{"SHA-crypt rounds", rounds, l.rounds}); err != nil {
			return nil, err
		}
		h := derived{how: fmt.Sprintf("%s %d", name, rounds), holds: shaCryptMemory, key: []byte(key)}
		h.derive = func(password, salt []byte, _ int) ([]byte, error) {
			return crypt.KeySHACrypt(sum, password, salt, int(rounds)), nil
		}
		var err error
		h.salt, err = saltText(salt, maxShaSalt)
		if err != nil {
			return nil, err
		}
		return h, nil
	}
}
