// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

const (
	codeRandom = 10 // 80 random bits
	codeLen    = codeRandom + 2
	codeGroup  = 5 // characters between hyphens
)

// ActivationCode is what a person types or scans to register a phone: 80 random bits and a CRC-16 that finds typing errors. It
// is a secret, and is never sent: it prints and logs as nothing but by [ActivationCode.Text].
type ActivationCode struct{ random [codeRandom]byte }

// NewActivationCode draws a code.
func NewActivationCode() (ActivationCode, error) {
	var c ActivationCode
	if _, err := rand.Read(c.random[:]); err != nil {
		return ActivationCode{}, fmt.Errorf("drawing an activation code: %w", err)
	}
	return c, nil
}

// Text returns the code for the person: XXXXX-XXXXX-XXXXX-XXXXX.
func (c ActivationCode) Text() string {
	raw := binary.BigEndian.AppendUint16(c.random[:len(c.random):len(c.random)], crc16(c.random[:]))
	text := encoding32.EncodeToString(raw)
	groups := make([]string, 0, len(text)/codeGroup)
	for ; text != ""; text = text[codeGroup:] {
		groups = append(groups, text[:codeGroup])
	}
	return strings.Join(groups, "-")
}

var (
	encoding32 = base32.StdEncoding.WithPadding(base32.NoPadding)

	// typed undoes what people do to a code: spaces, hyphens left out, lower case, and digits that look like letters.
	typed = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B")
)

// ParseActivationCode reads a code as a person types it: in either case, with or without hyphens and spaces, with 0, 1 and 8
// for O, I and B. The error wraps [ErrRefused] and does not quote the code.
func ParseActivationCode(text string) (ActivationCode, error) {
	if len(text) > 64 {
		return ActivationCode{}, refuse(ReasonMalformed, "reading an activation code of %d characters", len(text))
	}
	clean := typed.Replace(strings.ToUpper(text))
	raw, err := encoding32.DecodeString(clean)
	// The last character has four bits that belong to no byte.
	if err != nil || len(raw) != codeLen || encoding32.EncodeToString(raw) != clean {
		return ActivationCode{}, refuse(ReasonMalformed, "reading an activation code: not 20 letters and digits of Base32")
	}
	if binary.BigEndian.Uint16(raw[codeRandom:]) != crc16(raw[:codeRandom]) {
		return ActivationCode{}, refuse(ReasonMalformed, "reading an activation code: mistyped")
	}
	return ActivationCode{random: [codeRandom]byte(raw[:codeRandom])}, nil
}

// crc16 is CRC-16/ARC: polynomial 0x8005 reflected, initial value 0; "123456789" gives 0xBB3D.
func crc16(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc ^= uint16(b)
		for range 8 {
			low := crc & 1
			crc >>= 1
			crc ^= low * 0xA001
		}
	}
	return crc
}

const (
	infoLookup = "gatehouse activation lookup v1"
	infoMAC    = "gatehouse activation mac v1"
	macPrefix  = "gatehouse registration v1\n"

	infoAttestation = "gatehouse activation attestation v1"
)

// Lookup returns what the server finds the code's operation by. It says nothing about the code, so it is sent and stored.
func (c ActivationCode) Lookup() string { return b64.EncodeToString(c.derive(infoLookup, 16)) }

// derive is HKDF-SHA-256 without a salt (RFC 5869).
func (c ActivationCode) derive(info string, n int) []byte {
	key, err := hkdf.Key(sha256.New, c.random[:], nil, info, n)
	if err != nil {
		return nil // no key proves nothing; a hash this short has no limit to exceed
	}
	return key
}

// MAC proves the code for one registration: of these keys, in the request with this ID.
func (c ActivationCode) MAC(keys PublicKeys, requestID string) MAC {
	input := macPrefix + c.Lookup() + "\n" + keys.Sign.ID() + "\n" + keys.Enc.ID() + "\n" + requestID
	return mac(c.derive(infoMAC, SecretLen), []byte(input))
}

// AttestationChallenge returns what evidence in the registration has to be made for: 32 bytes that are drawn with the code, and are
// known to whoever has it. See [AttestationHash].
func (c ActivationCode) AttestationChallenge() []byte { return c.derive(infoAttestation, SecretLen) }

// Proves reports in constant time whether whoever made the registration has the code.
func (c ActivationCode) Proves(r Registration, in Request) bool {
	want := c.MAC(r.Keys, in.ID)
	return hmac.Equal(want[:], r.MAC[:]) && in.ID != "" && c != ActivationCode{}
}

// String hides the code.
func (c ActivationCode) String() string { return "activation code" }

// GoString hides the code.
func (c ActivationCode) GoString() string { return "activation code" }

// LogValue hides the code.
func (c ActivationCode) LogValue() slog.Value { return slog.StringValue("activation code") }

// Digits returns the six digits that phone and server show after a registration, each from what it saw itself. Where somebody
// stands between the two, they differ.
func Digits(operation string, keys PublicKeys, serverKey, requestID string) string {
	input := "gatehouse digits v1\n" + operation + "\n" + keys.Sign.ID() + "\n" + keys.Enc.ID() + "\n" + serverKey + "\n" + requestID
	sum := sha256.Sum256([]byte(input))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000)
}

// Invitation is what a QR code says to a phone that is to be registered.
type Invitation struct {
	// Issuer is the server's identifier, and the address below which its endpoints are.
	Issuer string
	// Operation is the registration.
	Operation string
	// Code is the activation code.
	Code ActivationCode
	// Key is the thumbprint of the server's encryption key to use.
	Key string
}

// Text returns the content of the QR code. It holds the activation code and is as secret.
func (i Invitation) Text() string {
	return "gatehouse://enroll?v=1&issuer=" + url.QueryEscape(i.Issuer) + "&operation=" + url.QueryEscape(i.Operation) +
		"&code=" + i.Code.Text() + "&key=" + i.Key
}

// ParseInvitation reads the content of a QR code. It takes each of the five parameters once and no other. The error wraps
// [ErrRefused] and does not quote the text.
func ParseInvitation(text string) (Invitation, error) {
	query, ok := strings.CutPrefix(strings.TrimSpace(text), "gatehouse://enroll?")
	if !ok || len(text) > 2048 {
		return Invitation{}, refuse(ReasonMalformed, "reading an invitation: not an address of gatehouse://enroll")
	}
	values, err := url.ParseQuery(query)
	if err != nil || len(values) != 5 {
		return Invitation{}, refuse(ReasonMalformed, "reading an invitation: not its five parameters")
	}
	for _, name := range []string{"v", "issuer", "operation", "code", "key"} {
		if len(values[name]) != 1 {
			return Invitation{}, refuse(ReasonMalformed, "reading an invitation: %q is missing or repeated", name)
		}
	}
	if values.Get("v") != "1" {
		return Invitation{}, refuse(ReasonVersion, "reading an invitation of another version: a newer app is needed")
	}
	i := Invitation{Issuer: values.Get("issuer"), Operation: values.Get("operation"), Key: values.Get("key")}
	if !validRef.MatchString(i.Operation) || !validHash.MatchString(i.Key) || !validIssuer(i.Issuer) {
		return Invitation{}, refuse(ReasonMalformed, "reading an invitation: a parameter is malformed")
	}
	i.Code, err = ParseActivationCode(values.Get("code"))
	return i, err
}

func validIssuer(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" &&
		u.Fragment == "" && !u.ForceQuery && !strings.HasSuffix(issuer, "#")
}
