// SPDX-License-Identifier: Apache-2.0

package phc_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity/phc"
)

// Hashes made elsewhere: by the reference implementation (argon2 -id, of "password" with salt "somesalt") and by bcrypt
// implementations of other languages (of "U*U" and "password").
const (
	argonPassword = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	argonParallel = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
	bcryptUstarU  = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	bcryptUYstarU = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
)

func b64(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, hash string
	}{
		{"reference argon2id", argonPassword},
		{"two threads", argonParallel},
		{"shortest salt and key", "$argon2id$v=19$m=8,t=1,p=1$" + b64(8) + "$" + b64(16)},
		{"longest salt and key", "$argon2id$v=19$m=8,t=1,p=1$" + b64(64) + "$" + b64(64)},
		{"most expensive", "$argon2id$v=19$m=262144,t=16,p=16$" + b64(16) + "$" + b64(32)},
		{"bcrypt 2a", bcryptUstarU},
		{"bcrypt 2b", strings.Replace(bcryptUstarU, "2a", "2b", 1)},
		{"bcrypt 2y", bcryptUYstarU},
		{"bcrypt of cost 14", strings.Replace(bcryptUstarU, "$05$", "$14$", 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, err := phc.Parse(tc.hash)
			if err != nil || h.String() != tc.hash {
				t.Errorf("Parse(%q) = %q, %v", tc.hash, h, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const params, salt, key = "m=64,t=1,p=1", "c29tZXNhbHQ", "AAAAAAAAAAAAAAAAAAAAAA"
	argon := func(params, salt, key string) string { return "$argon2id$v=19$" + params + "$" + salt + "$" + key }
	if _, err := phc.Parse(argon(params, salt, key)); err != nil {
		t.Fatalf("the hash that the cases below spoil is refused: %v", err)
	}
	for _, tc := range []struct {
		name, hash string
	}{
		{"nothing", ""},
		{"plain text", "password"},
		{"argon2i", strings.Replace(argon(params, salt, key), "argon2id", "argon2i", 1)},
		{"argon2d", strings.Replace(argon(params, salt, key), "argon2id", "argon2d", 1)},
		{"scrypt", "$scrypt$ln=15,r=8,p=1$" + salt + "$" + key},
		{"md5crypt", "$1$abcdefgh$abcdefghijklmnopqrstuv"},
		{"sha512crypt", "$6$abcdefgh$" + strings.Repeat("a", 86)},
		{"version 16", strings.Replace(argon(params, salt, key), "v=19", "v=16", 1)},
		{"no version", strings.Replace(argon(params, salt, key), "v=19$", "", 1)},
		{"trailing part", argon(params, salt, key) + "$"},
		{"trailing line break", argon(params, salt, key) + "\n"},
		{"leading space", " " + argon(params, salt, key)},
		{"capital", strings.Replace(argon(params, salt, key), "argon2id", "ARGON2ID", 1)},
		{"parameters in another order", argon("t=1,m=64,p=1", salt, key)},
		{"parameter missing", argon("m=64,t=1", salt, key)},
		{"parameter too many", argon("m=64,t=1,p=1,x=1", salt, key)},
		{"parameter twice", argon("m=64,m=64,p=1", salt, key)},
		{"leading zero", argon("m=064,t=1,p=1", salt, key)},
		{"sign", argon("m=+64,t=1,p=1", salt, key)},
		{"hexadecimal", argon("m=0x40,t=1,p=1", salt, key)},
		{"no number", argon("m=,t=1,p=1", salt, key)},
		{"beyond 32 bits", argon("m=4294967360,t=1,p=1", salt, key)},
		{"no pass", argon("m=64,t=0,p=1", salt, key)},
		{"too many passes", argon("m=64,t=17,p=1", salt, key)},
		{"no thread", argon("m=64,t=1,p=0", salt, key)},
		{"too many threads", argon("m=4096,t=1,p=17", salt, key)},
		{"threads beyond a byte", argon("m=4096,t=1,p=257", salt, key)},
		{"too little memory for its threads", argon("m=31,t=1,p=4", salt, key)},
		{"too much memory", argon("m=262145,t=1,p=1", salt, key)},
		{"salt too short", argon(params, b64(7), key)},
		{"salt too long", argon(params, b64(65), key)},
		{"no salt", argon(params, "", key)},
		{"key too short", argon(params, salt, b64(15))},
		{"key too long", argon(params, salt, b64(65))},
		{"no key", argon(params, salt, "")},
		{"padding", argon(params, salt+"=", key)},
		{"URL alphabet", argon(params, salt, strings.Repeat("-", 22))},
		{"spare bits set", argon(params, salt, "AAAAAAAAAAAAAAAAAAAAAB")},
		{"line break inside base64", argon(params, salt, "AAAAAAAA\nAAAAAAAAAAAAAA")},
		{"longer than any", argon(params, salt, strings.Repeat("A", 512))},
		{"bcrypt 2x", strings.Replace(bcryptUstarU, "2a", "2x", 1)},
		{"bcrypt 2", strings.Replace(bcryptUstarU, "2a", "2", 1)},
		{"bcrypt too short", bcryptUstarU[:59]},
		{"bcrypt too long", bcryptUstarU + "a"},
		{"bcrypt of cost 3", strings.Replace(bcryptUstarU, "$05$", "$03$", 1)},
		{"bcrypt of cost 15", strings.Replace(bcryptUstarU, "$05$", "$15$", 1)},
		{"bcrypt of no cost", strings.Replace(bcryptUstarU, "$05$", "$xx$", 1)},
		{"bcrypt in another alphabet", bcryptUstarU[:59] + "+"},
		{"bcrypt with an accent", bcryptUstarU[:58] + "é"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := phc.Parse(tc.hash)
			if !errors.Is(err, phc.ErrHash) {
				t.Fatalf("Parse(%q): %v, want ErrHash", tc.hash, err)
			}
			if len(tc.hash) > 20 && strings.Contains(err.Error(), tc.hash[20:]) {
				t.Errorf("the error repeats the hash: %v", err)
			}
		})
	}
}

// FuzzParse: what is accepted has one spelling and is within the bounds that make it safe to check.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{argonPassword, argonParallel, bcryptUstarU, "$argon2id$v=19$m=8,t=1,p=1$$", "$2a$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := phc.Parse(text)
		if err != nil {
			if !errors.Is(err, phc.ErrHash) {
				t.Fatalf("Parse(%q): %v", text, err)
			}
			return
		}
		if h.String() != text {
			t.Fatalf("Parse(%q) prints as %q", text, h)
		}
		var m, iterations, p int
		if _, err := fmt.Sscanf(text, "$argon2id$v=19$m=%d,t=%d,p=%d$", &m, &iterations, &p); err == nil &&
			(m > 256<<10 || iterations > 16 || p > 16 || iterations < 1 || p < 1 || m < 8*p) {
			t.Fatalf("Parse(%q) is too expensive to check", text)
		}
	})
}

func TestParamsCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		params phc.Params
		ok     bool
	}{
		{"defaults", phc.Params{Memory: 19456, Time: 2, Threads: 1}, true},
		{"least", phc.Params{Memory: 8, Time: 1, Threads: 1}, true},
		{"most", phc.Params{Memory: 256 << 10, Time: 16, Threads: 16}, true},
		{"none", phc.Params{}, false},
		{"no memory", phc.Params{Time: 1, Threads: 1}, false},
		{"no time", phc.Params{Memory: 64, Threads: 1}, false},
		{"no threads", phc.Params{Memory: 64, Time: 1}, false},
		{"a byte beyond", phc.Params{Memory: 256<<10 + 1, Time: 1, Threads: 1}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := tc.params.Check(); (err == nil) != tc.ok || (err != nil && !errors.Is(err, phc.ErrHash)) {
				t.Errorf("Check(%+v): %v, want ok = %v", tc.params, err, tc.ok)
			}
		})
	}
}

// TestArgonVersion: the number stands in every hash; a library that moved on would make all of them unreadable.
func TestArgonVersion(t *testing.T) {
	t.Parallel()
	if argon2.Version != 19 {
		t.Errorf("golang.org/x/crypto/argon2 is version %d, want 19", argon2.Version)
	}
}
