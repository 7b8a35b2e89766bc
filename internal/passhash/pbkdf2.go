// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"crypto/pbkdf2"
	"fmt"
	"hash"
	"strings"
)

// pbkdf2Memory is what one check holds.
const pbkdf2Memory = 4 << 10

// pbkdf2 completes a hash (RFC 8018). Every block of the key costs all iterations.
func (h derived) pbkdf2(name string, sum func() hash.Hash, iterations uint64, l limits) (stored, error) {
	if iterations < 1 {
		return nil, malformed("a number of PBKDF2 iterations")
	}
	size := sum().Size()
	work := iterations * uint64((len(h.key)+size-1)/size)
	if err := affordable(cost{"PBKDF2 iterations", work, l.iterations}); err != nil {
		return nil, err
	}
	h.how, h.holds = fmt.Sprintf("pbkdf2-%s %d", name, work), pbkdf2Memory
	h.derive = func(password, salt []byte, size int) ([]byte, error) {
		return pbkdf2.Key(sum, string(password), salt, int(iterations), size)
	}
	return h, nil
}

// pbkdf2Of reads passlib's "iterations$salt$key", whose base64 has a full stop for the plus sign, and PHC's "i=,l=$salt$key",
// where l may be missing.
func pbkdf2Of(name string, sum func() hash.Hash) func(string, limits) (stored, error) {
	want := malformed("$pbkdf2-" + name + "$ with iterations, salt and key")
	return func(rest string, l limits) (stored, error) {
		parts := strings.Split(rest, "$")
		if len(parts) != 3 {
			return nil, want
		}
		iterations, passlib := number(parts[0])
		if passlib {
			if strings.Contains(rest, "+") {
				return nil, want
			}
			parts[1], parts[2] = strings.ReplaceAll(parts[1], ".", "+"), strings.ReplaceAll(parts[2], ".", "+")
		}
		h, err := encodedSalt(phcBase64, parts[1], parts[2])
		if err != nil {
			return nil, err
		}
		if !passlib {
			var ok bool
			params, size, sized := strings.Cut(parts[0], ",l=")
			iterations, ok = number(strings.TrimPrefix(params, "i="))
			if !ok || !strings.HasPrefix(params, "i=") || sized && size != fmt.Sprint(len(h.key)) {
				return nil, want
			}
		}
		return h.pbkdf2(name, sum, iterations, l)
	}
}

// djangoPBKDF2 reads "iterations$salt$key".
func djangoPBKDF2(name string, sum func() hash.Hash) func(string, limits) (stored, error) {
	want := malformed("pbkdf2_" + name + "$iterations$salt$key")
	return func(rest string, l limits) (stored, error) {
		parts := strings.Split(rest, "$")
		if len(parts) != 3 {
			return nil, want
		}
		iterations, ok := number(parts[0])
		if !ok {
			return nil, want
		}
		h, err := plainSalt(djangoBase64, parts[1], parts[2])
		if err != nil {
			return nil, err
		}
		return h.pbkdf2(name, sum, iterations, l)
	}
}
