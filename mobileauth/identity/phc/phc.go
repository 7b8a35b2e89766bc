// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// ErrHash says that a password hash is malformed, of an unknown kind or too expensive to check.
var ErrHash = errors.New("unusable password hash")

// Bounds on what an imported hash may cost to check: beyond them one login would be an attack on everybody else's.
const (
	maxMemory     = 256 << 10 // KiB
	maxTime       = 16
	maxThreads    = 16
	maxBcryptCost = 14
	minSalt       = 8
	maxSalt       = 64
	minKey        = 16
	maxKey        = 64
	maxPHC        = 512
)

// Params are the cost parameters of Argon2id (RFC 9106).
type Params struct {
	// Memory in KiB. Default: 19456.
	Memory uint32
	// Time is the number of passes. Default: 2.
	Time uint32
	// Threads is the degree of parallelism. Default: 1.
	Threads uint8
}

// Check refuses parameters that Argon2 has no meaning for or that would make one check too expensive.
func (p Params) Check() error {
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("checking argon2id parameters: threads must be 1 to %d: %w", maxThreads, ErrHash)
	case p.Time < 1 || p.Time > maxTime:
		return fmt.Errorf("checking argon2id parameters: time must be 1 to %d: %w", maxTime, ErrHash)
	case p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory:
		return fmt.Errorf("checking argon2id parameters: memory must be 8 KiB per thread to %d KiB: %w", maxMemory, ErrHash)
	}
	return nil
}

// Hash is a parsed password hash: Argon2id in PHC format ("$argon2id$v=19$m=19456,t=2,p=1$salt$key") or bcrypt in its own.
type Hash struct {
	Params Params
	Salt   []byte
	Key    []byte
	Bcrypt string // the whole text; empty for Argon2id
}

// Parse reads a stored or imported password hash. It accepts one spelling of each hash only, so that String gives
// back exactly what was parsed, and refuses with [ErrHash] what is malformed, weaker than any honest use or too
// expensive to check. No error repeats the text.
func Parse(text string) (Hash, error) {
	switch {
	case len(text) > maxPHC:
		return Hash{}, fmt.Errorf("parsing a password hash: longer than %d bytes: %w", maxPHC, ErrHash)
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon(text)
	case strings.HasPrefix(text, "$2"):
		return parseBcrypt(text)
	}
	return Hash{}, fmt.Errorf("parsing a password hash: neither argon2id nor bcrypt: %w", ErrHash)
}

// String returns the hash in the form it is stored in.
func (h Hash) String() string {
	if h.Bcrypt != "" {
		return h.Bcrypt
	}
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.Params.Memory, h.Params.Time, h.Params.Threads, enc.EncodeToString(h.Salt), enc.EncodeToString(h.Key))
}

func parseArgon(text string) (Hash, error) {
	parts := strings.Split(text, "$") // "", argon2id, v=, m=t=p=, salt, key
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return Hash{}, fmt.Errorf("parsing an argon2id hash: want $argon2id$v=19$m=…,t=…,p=…$salt$key: %w", ErrHash)
	}
	params, err := parseParams(parts[3])
	if err != nil {
		return Hash{}, err
	}
	h := Hash{Params: params}
	if h.Salt, err = parseBytes(parts[4], minSalt, maxSalt); err != nil {
		return Hash{}, fmt.Errorf("parsing the salt of an argon2id hash: %w", err)
	}
	if h.Key, err = parseBytes(parts[5], minKey, maxKey); err != nil {
		return Hash{}, fmt.Errorf("parsing the key of an argon2id hash: %w", err)
	}
	return h, nil
}

func parseParams(text string) (Params, error) {
	var numbers [3]uint32
	fields := strings.Split(text, ",")
	if len(fields) != len(numbers) {
		return Params{}, fmt.Errorf("parsing argon2id parameters: want m=…,t=…,p=…: %w", ErrHash)
	}
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(fields[i], name)
		n, err := strconv.ParseUint(digits, 10, 31)
		// A number has one spelling: no sign, no leading zero.
		if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
			return Params{}, fmt.Errorf("parsing argon2id parameters: want m=…,t=…,p=…: %w", ErrHash)
		}
		numbers[i] = uint32(n)
	}
	if numbers[2] > maxThreads {
		return Params{}, fmt.Errorf("parsing argon2id parameters: more than %d threads: %w", maxThreads, ErrHash)
	}
	p := Params{Memory: numbers[0], Time: numbers[1], Threads: uint8(numbers[2])}
	return p, p.Check()
}

func parseBytes(text string, least, most int) ([]byte, error) {
	// The decoder skips line breaks, which would give one hash several spellings.
	if strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("not base64 without padding: %w", ErrHash)
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("not base64 without padding: %w", ErrHash)
	}
	if len(b) < least || len(b) > most {
		return nil, fmt.Errorf("want %d to %d bytes: %w", least, most, ErrHash)
	}
	return b, nil
}

// parseBcrypt checks the shape by itself: the library reads hashes that are too long and any minor version.
func parseBcrypt(text string) (Hash, error) {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	bad := fmt.Errorf("parsing a bcrypt hash: want $2b$ with a cost of 4 to %d and 53 characters: %w", maxBcryptCost, ErrHash)
	if len(text) != 60 || !strings.ContainsRune("aby", rune(text[2])) || text[3] != '$' || text[6] != '$' ||
		strings.Trim(text[7:], alphabet) != "" {
		return Hash{}, bad
	}
	cost, err := strconv.ParseUint(text[4:6], 10, 8)
	if err != nil || cost < uint64(bcrypt.MinCost) || cost > maxBcryptCost {
		return Hash{}, bad
	}
	return Hash{Bcrypt: text}, nil
}
