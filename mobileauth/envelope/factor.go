// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"regexp"
)

// The ways to prove oneself: possession is the device's signature, the others are factors with a secret each. A factor of the
// operator's own is "custom:" and a name.
const (
	MethodPossession = "possession"
	FactorPIN        = "pin"
	FactorBiometric  = "biometric"
	FactorCustom     = "custom:"
)

// MaxFactors is how many factors a device may have.
const MaxFactors = 8

var validFactor = regexp.MustCompile(`^(?:pin|biometric|custom:[a-z0-9_-]{1,32})$`)

// ValidFactor reports whether kind names a factor: "pin", "biometric", or "custom:" with a name of lower case letters, digits,
// underscores and hyphens.
func ValidFactor(kind string) bool { return validFactor.MatchString(kind) }

// ValidMethod reports whether name is a factor or "possession".
func ValidMethod(name string) bool { return name == MethodPossession || ValidFactor(name) }

// SecretLen is the length of a factor's secret and of a MAC under it, in bytes.
const SecretLen = 32

// Secret is the secret of one factor. It prints and logs as nothing; it encodes in JSON, since it is sent once, at registration
// or when it changes.
type Secret [SecretLen]byte

// NewSecret draws a secret.
func NewSecret() (Secret, error) {
	var s Secret
	if _, err := rand.Read(s[:]); err != nil {
		return Secret{}, fmt.Errorf("drawing a secret: %w", err)
	}
	return s, nil
}

// Hash returns base64url of SHA-256 over the secret, with which a statement binds a new secret that stands beside it.
func (s Secret) Hash() string {
	sum := sha256.Sum256(s[:])
	return b64.EncodeToString(sum[:])
}

// Zero reports whether this is no secret: one of zeros only is never drawn.
func (s Secret) Zero() bool { return subtle.ConstantTimeCompare(s[:], make([]byte, SecretLen)) == 1 }

// String hides the secret.
func (s Secret) String() string { return "secret" }

// GoString hides the secret.
func (s Secret) GoString() string { return "secret" }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// MarshalText encodes the secret.
func (s Secret) MarshalText() ([]byte, error) { return b64.AppendEncode(nil, s[:]), nil }

// UnmarshalText decodes a secret and refuses one of another length or of zeros only.
func (s *Secret) UnmarshalText(text []byte) error {
	if err := unmarshal32((*[SecretLen]byte)(s), text); err != nil {
		return err
	}
	if s.Zero() {
		return refuse(ReasonMalformed, "reading a secret of zeros")
	}
	return nil
}

// MAC is what proves a factor: HMAC-SHA-256 under its secret over the signing input of a statement.
type MAC [SecretLen]byte

// MarshalText encodes the MAC.
func (m MAC) MarshalText() ([]byte, error) { return b64.AppendEncode(nil, m[:]), nil }

// UnmarshalText decodes a MAC and refuses one of another length.
func (m *MAC) UnmarshalText(text []byte) error { return unmarshal32((*[SecretLen]byte)(m), text) }

func unmarshal32(into *[SecretLen]byte, text []byte) error {
	var data Bytes
	if err := data.UnmarshalText(text); err != nil {
		return err
	}
	if len(data) != SecretLen {
		return refuse(ReasonMalformed, "reading %d bytes where %d belong", len(data), SecretLen)
	}
	copy(into[:], data)
	return nil
}

// Factors are the MACs beside a statement, by factor.
type Factors map[string]MAC

// check refuses what names no factor.
func (f Factors) check() error {
	if len(f) > MaxFactors {
		return refuse(ReasonBody, "reading %d factors", len(f))
	}
	for kind := range f {
		if !ValidFactor(kind) {
			return refuse(ReasonBody, "reading a factor of an unknown kind")
		}
	}
	return nil
}

func mac(secret, input []byte) MAC {
	h := hmac.New(sha256.New, secret)
	h.Write(input)
	return MAC(h.Sum(nil))
}
