// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// kind is how a kind of hash begins, and what reads the rest of it.
type kind struct {
	prefix string
	parse  func(rest string, l limits) (stored, error)
}

// kinds are those that are accepted. No prefix begins with another.
var kinds = []kind{
	{"$2a$", bcryptOf("$2a$")},
	{"$2b$", bcryptOf("$2b$")},
	{"$2y$", bcryptOf("$2y$")},
	{"bcrypt$", djangoBcrypt(false)},
	{"bcrypt_sha256$", djangoBcrypt(true)},
	{"$argon2id$", argon2Of("argon2id", argon2.IDKey)},
	{"$argon2i$", argon2Of("argon2i", argon2.Key)},
	{"argon2$argon2id$", argon2Of("argon2id", argon2.IDKey)},
	{"argon2$argon2i$", argon2Of("argon2i", argon2.Key)},
	{"$scrypt$", parseScrypt},
	{"$7$", parseCrypt7},
	{"scrypt$", djangoScrypt},
	{"$pbkdf2$", pbkdf2Of("sha1", sha1.New)},
	{"$pbkdf2-sha1$", pbkdf2Of("sha1", sha1.New)},
	{"$pbkdf2-sha256$", pbkdf2Of("sha256", sha256.New)},
	{"$pbkdf2-sha512$", pbkdf2Of("sha512", sha512.New)},
	{"pbkdf2_sha1$", djangoPBKDF2("sha1", sha1.New)},
	{"pbkdf2_sha256$", djangoPBKDF2("sha256", sha256.New)},
	{"$5$", shaCryptOf("sha256-crypt", sha256.New, 43)},
	{"$6$", shaCryptOf("sha512-crypt", sha512.New, 86)},
}

// refused are beginnings of what is recognised only to say why it is not accepted.
var refused = []struct{ prefix, what string }{
	{"!", "an account without a usable password"},
	{"*", "an account without a usable password"},
	{"$1$", "MD5-crypt, which is fast to guess"},
	{"$apr1$", "MD5-crypt, which is fast to guess"},
	{"$md5", "MD5-crypt, which is fast to guess"},
	{"md5$", "MD5, which is fast to guess"},
	{"sha1$", "a single SHA-1, which is fast to guess"},
	{"$sha1$", "SHA-1-crypt"},
	{"$2$", "a bcrypt before version 2a"},
	{"$2x$", "a bcrypt of an implementation with a flaw"},
	{"$argon2d$", "Argon2d, which is not for passwords"},
	{"argon2$", "an Argon2 other than argon2id and argon2i"},
	{"$3$", "an NT hash, which is fast to guess"},
	{"$y$", "yescrypt"},
	{"$gy$", "yescrypt"},
	{"{", "a hash with its scheme in braces"},
	{"$", "a hash of an unknown kind"},
}

// parse reads a hash. Its errors say what is wrong and repeat nothing of the text but numbers of cost.
func parse(encoded string, l limits) (stored, error) {
	if len(encoded) > maxText {
		return nil, fmt.Errorf("longer than %d bytes: %w", maxText, ErrKind)
	}
	for _, k := range kinds {
		if rest, ok := strings.CutPrefix(encoded, k.prefix); ok {
			return k.parse(rest, l)
		}
	}
	return nil, fmt.Errorf("%s: %w", looksLike(encoded), ErrKind)
}

// looksLike says, for an operator, what a text that is no accepted hash may be.
func looksLike(text string) string {
	if text == "" {
		return "empty"
	}
	for _, r := range refused {
		if strings.HasPrefix(text, r.prefix) {
			return r.what
		}
	}
	if _, err := hex.DecodeString(text); err == nil {
		switch len(text) {
		case 32:
			return "an unsalted MD5, it seems, which is fast to guess"
		case 40, 64, 96, 128:
			return "an unsalted SHA, it seems, which is fast to guess"
		}
	}
	return "plain text or traditional crypt, it seems"
}

// malformed returns an error that says what a hash should look like.
func malformed(want string) error { return fmt.Errorf("want %s: %w", want, ErrFormat) }
