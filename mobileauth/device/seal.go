// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/argon2"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// KDF is the work of Argon2id (RFC 9106).
type KDF struct {
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory"` // KiB
	Threads uint8  `json:"threads"`
}

// DefaultKDF is the second choice of RFC 9106 section 4 on one thread. It slows down whoever knows the device's keys and one MAC
// under its secret, which are never in the same place; without them there is nothing to try a PIN on.
var DefaultKDF = KDF{Time: 3, Memory: 64 << 10, Threads: 1}

// check keeps a state that somebody altered from asking for all memory there is.
func (k KDF) check() error {
	if k.Time < 1 || k.Time > 64 || k.Memory < 8 || k.Memory > 1<<20 || k.Threads < 1 || k.Threads > 16 {
		return fmt.Errorf("deriving a key with %d passes over %d KiB on %d threads: %w", k.Time, k.Memory, k.Threads, ErrInput)
	}
	return nil
}

const saltLen = 16

// SealedSecret is the secret of a factor under a PIN. Both its parts look random under every PIN: there is no tag, no padding and
// no check, on purpose.
type SealedSecret struct {
	KDF  KDF            `json:"kdf"`
	Salt envelope.Bytes `json:"salt"`
	Text envelope.Bytes `json:"text"`
	// Statement is the ID of what gave the secret to the server: the registration's request or a statement. It was drawn before
	// the secret and has nothing to do with it.
	Statement string `json:"statement"`
}

func (s SealedSecret) check() error {
	if len(s.Salt) != saltLen || len(s.Text) != envelope.SecretLen {
		return fmt.Errorf("reading a sealed secret of another size: %w", ErrInput)
	}
	return s.KDF.check()
}

// Seal encrypts a secret under a PIN: AES-256 in counter mode with a key from Argon2id under a fresh salt. The key is used for this
// one text, so the counter starts at zero.
func Seal(secret envelope.Secret, pin string, kdf KDF) (SealedSecret, error) {
	if err := kdf.check(); err != nil {
		return SealedSecret{}, err
	}
	salt := make([]byte, saltLen)
	if _, err := rand.Read(salt); err != nil {
		return SealedSecret{}, fmt.Errorf("drawing a salt: %w", err)
	}
	s := SealedSecret{KDF: kdf, Salt: salt}
	text, err := s.apply(secret[:], pin)
	if err != nil {
		return SealedSecret{}, err
	}
	s.Text = text
	return s, nil
}

// Open decrypts with a PIN. Every PIN yields a secret; whether it is the right one, only the server can tell.
func (s SealedSecret) Open(pin string) (envelope.Secret, error) {
	if err := s.check(); err != nil {
		return envelope.Secret{}, err
	}
	text, err := s.apply(s.Text, pin)
	if err != nil {
		return envelope.Secret{}, err
	}
	return envelope.Secret(text), nil
}

// apply is its own inverse.
func (s SealedSecret) apply(in []byte, pin string) ([]byte, error) {
	key := argon2.IDKey([]byte(pin), s.Salt, s.KDF.Time, s.KDF.Memory, s.KDF.Threads, 32)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	out := make([]byte, len(in))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(out, in)
	return out, nil
}

// CheckPIN refuses a PIN that is shorter than the policy wants, is not made of digits, or is the first that anybody would try:
// one digit repeated, or digits in a row. It does not quote the PIN.
func CheckPIN(pin string, policy envelope.PINPolicy) error {
	if len(pin) < max(policy.MinLength, 4) || len(pin) > 64 {
		return fmt.Errorf("taking a PIN of %d digits where at least %d are asked for: %w", len(pin), max(policy.MinLength, 4), ErrInput)
	}
	steps := make(map[int]bool)
	for i := range len(pin) {
		if pin[i] < '0' || pin[i] > '9' {
			return fmt.Errorf("taking a PIN of other characters than digits: %w", ErrInput)
		}
		if i > 0 {
			steps[int(pin[i])-int(pin[i-1])] = true
		}
	}
	if len(steps) == 1 && (steps[0] || steps[1] || steps[-1]) {
		return fmt.Errorf("taking a PIN of one digit or of digits in a row: %w", ErrInput)
	}
	return nil
}
