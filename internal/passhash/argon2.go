// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// argon2Key derives a key with one of the variants of Argon2.
type argon2Key func(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte

// argon2Of reads "v=19$m=,t=,p=$salt$key" (RFC 9106).
func argon2Of(name string, key argon2Key) func(string, limits) (stored, error) {
	want := malformed("$" + name + "$v=19$m=,t=,p=$salt$key")
	return func(rest string, l limits) (stored, error) {
		parts := strings.Split(rest, "$")
		if len(parts) != 4 || parts[0] != fmt.Sprintf("v=%d", argon2.Version) {
			return nil, want
		}
		p, ok := parameters(parts[1], "m", "t", "p")
		if !ok || p[1] < 1 || p[2] < 1 || p[0] < 8*p[2] {
			return nil, want
		}
		memory, passes, threads := p[0], p[1], p[2]
		if err := affordable(
			cost{"KiB of memory", memory, l.memory >> 10}, cost{"passes", passes, l.passes}, cost{"threads", threads, maxThreads},
		); err != nil {
			return nil, err
		}
		h, err := encodedSalt(phcBase64, parts[2], parts[3])
		if err != nil {
			return nil, err
		}
		h.how, h.holds = name+" "+parts[1], memory<<10
		h.derive = func(password, salt []byte, size int) ([]byte, error) {
			return key(password, salt, uint32(passes), uint32(memory), uint8(threads), uint32(size)), nil
		}
		return h, nil
	}
}
