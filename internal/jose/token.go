// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Limits on tokens.
const (
	MaxToken  = 16 << 10 // bytes in a compact token
	maxHeader = 1 << 10  // bytes in a decoded header
	maxTyp    = 64       // bytes in a typ
)

// ErrMalformed is wrapped by every error about a token, header, claims set or key set that the profile does not read.
var ErrMalformed = errors.New("malformed")

// b64 is canonical base64url: bits that do not belong to a byte must be zero. It still skips line breaks, which Parse
// refuses by itself.
var b64 = base64.RawURLEncoding.Strict()

// Header is what the profile reads of a token's header.
type Header struct {
	// Alg is what the token says it was signed with. It belongs to the profile, and is compared, never obeyed.
	Alg Algorithm
	// KID is the name of the signing key, empty where the token names none. It comes from whoever sent the token: it is
	// good for comparison, not for building a path, query or address.
	KID string
	// Typ is the media type of the token as it was spelled; compare it with [EqualTyp].
	Typ string
}

// Token is a compact JWS that was read and not yet checked: before [Token.Verify] returned nil, nothing in it is true.
type Token struct {
	Header Header
	// Payload is a JSON object within the limits of the profile; [Token.Claims] decodes it.
	Payload []byte
	// Signature is not empty.
	Signature []byte

	signed []byte // the two parts under the signature, as they were sent
	hinted bool   // the header has more than alg, kid and typ
}

// Hinted reports whether the header has one of the members that are skipped. Protocols of our own do not use them.
func (t Token) Hinted() bool { return t.hinted }

// String names the token without its content: a token is a secret.
func (t Token) String() string { return fmt.Sprintf("%s token of key %q", t.Header.Alg, t.Header.KID) }

// GoString keeps %#v from printing the content.
func (t Token) GoString() string { return t.String() }

// LogValue keeps structured logs from printing the content.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Parse reads a compact token. It refuses, wrapping [ErrMalformed], whatever is outside the profile described at the
// package; what it accepts has exactly one spelling. The result does not share memory with raw.
func Parse(raw string) (Token, error) { return ParseUpTo(raw, MaxToken) }

// ParseUpTo is [Parse] with another limit, in bytes: a message inside an encrypted one may be larger than a token.
func ParseUpTo(raw string, limit int) (Token, error) {
	return parse(raw, limit, func(t *Token, header []byte) (err error) {
		t.Header, t.hinted, err = parseHeader(header)
		return err
	})
}

// parse reads a compact token, and its header by a rule.
func parse(raw string, limit int, readHeader func(t *Token, header []byte) error) (Token, error) {
	if len(raw) > limit {
		return Token{}, fmt.Errorf("reading a token of %d bytes: %w", len(raw), ErrMalformed)
	}
	header, rest, ok := strings.Cut(raw, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.IndexByte(signature, '.') >= 0 {
		return Token{}, fmt.Errorf("reading a token that has not three parts: %w", ErrMalformed)
	}
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 || signature == "" {
		return Token{}, fmt.Errorf("reading a token with a line break or without a signature: %w", ErrMalformed)
	}
	if b64.DecodedLen(len(header)) > maxHeader {
		return Token{}, fmt.Errorf("reading a token header of %d characters: %w", len(header), ErrMalformed)
	}
	d := newDecoder(raw)
	t := Token{signed: d.raw[: len(header)+1+len(payload) : len(header)+1+len(payload)]}
	headerJSON := d.decode(len(header))
	t.Payload = d.decode(len(payload))
	t.Signature = d.decode(len(signature))
	if d.err != nil {
		return Token{}, fmt.Errorf("reading a token that is not base64url: %w", ErrMalformed)
	}
	if err := readHeader(&t, headerJSON); err != nil {
		return Token{}, fmt.Errorf("reading a token header: %w", err)
	}
	if err := checkObject(t.Payload); err != nil {
		return Token{}, fmt.Errorf("reading a token payload: %w", err)
	}
	return t, nil
}

// decoder copies a token and decodes its parts, one after the other, in a single allocation. It keeps the first error.
type decoder struct {
	raw  []byte // the whole token
	rest []byte // what of it is not decoded
	free []byte // room for what will be
	err  error
}

func newDecoder(raw string) decoder {
	buf := make([]byte, len(raw)+b64.DecodedLen(len(raw)))
	n := copy(buf, raw)
	return decoder{raw: buf[:n], rest: buf[:n], free: buf[n:]}
}

// decode decodes a part of n characters and passes over the dot behind it.
func (d *decoder) decode(n int) []byte {
	size, err := b64.Decode(d.free, d.rest[:n])
	if err != nil && d.err == nil {
		d.err = err
	}
	part := d.free[:size:size]
	d.free, d.rest = d.free[size:], d.rest[min(n+1, len(d.rest)):]
	return part
}

// parseHeader reads a header by allow-list (RFC 8725 sections 3.1 and 3.10). A member that is merely unknown is refused
// as well: RFC 7515 lets it be ignored, and then a future extension is ignored where it was meant to restrict.
func parseHeader(data []byte) (h Header, hinted bool, err error) {
	err = visitObject(data, func(name, value []byte) error {
		if value[0] != '"' {
			return fmt.Errorf("a header member is not a string: %w", ErrMalformed)
		}
		hinted = hinted || bytes.HasPrefix(name, []byte("x5t"))
		return h.set(name, value)
	})
	if err != nil {
		return Header{}, false, err
	}
	if h.Alg == "" {
		return Header{}, false, fmt.Errorf("a header without alg: %w", ErrMalformed)
	}
	return h, hinted, nil
}

func (h *Header) set(name, value []byte) error {
	switch string(name) {
	case "alg":
		h.Alg = algorithm(unquote(value))
		if h.Alg == "" {
			return fmt.Errorf("an algorithm outside the profile: %w", ErrMalformed)
		}
	case "kid":
		h.KID = string(unquote(value))
		if !validName(h.KID, MaxKID) {
			return fmt.Errorf("a key identifier that is empty, too long or not printable: %w", ErrMalformed)
		}
	case "typ":
		h.Typ = string(unquote(value))
		if !validName(h.Typ, maxTyp) {
			return fmt.Errorf("a typ that is empty, too long or not printable: %w", ErrMalformed)
		}
	case "x5t", "x5t#S256":
		// A thumbprint only hints at a key we would have to hold anyway; large identity providers send it with every token.
	default:
		return fmt.Errorf("a header member outside the profile: %w", ErrMalformed)
	}
	return nil
}

// algorithm returns the algorithm of the profile with exactly that name, or none.
func algorithm(name []byte) Algorithm {
	switch string(name) {
	case string(ES256):
		return ES256
	case string(EdDSA):
		return EdDSA
	case string(RS256):
		return RS256
	case string(PS256):
		return PS256
	default:
		return ""
	}
}

// EqualTyp reports whether a header's typ is the wanted one: media types compare without regard to case, and the prefix
// "application/" may be left out where no other slash follows (RFC 7515 section 4.1.9, RFC 9068 section 2.1). An absent
// typ equals nothing.
func EqualTyp(typ, want string) bool {
	return typ != "" && strings.EqualFold(bareTyp(typ), bareTyp(want))
}

func bareTyp(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) && strings.IndexByte(typ[len(prefix):], '/') < 0 {
		return typ[len(prefix):]
	}
	return typ
}
