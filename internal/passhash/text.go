// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// cryptAlphabet is the order of digits in what crypt writes.
const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// phcBase64 and djangoBase64 are those of their formats; strict, so that a key has one spelling.
var (
	phcBase64    = base64.RawStdEncoding.Strict()
	djangoBase64 = base64.StdEncoding.Strict()
)

// number reads a whole number of one spelling: no sign, no leading zero.
func number(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return n, err == nil && strconv.FormatUint(n, 10) == text
}

// parameters reads "a=1,b=2", exactly these names in this order.
func parameters(text string, names ...string) ([]uint64, bool) {
	fields := strings.Split(text, ",")
	if len(fields) != len(names) {
		return nil, false
	}
	values := make([]uint64, len(names))
	for i, name := range names {
		digits, named := strings.CutPrefix(fields[i], name+"=")
		n, ok := number(digits)
		if !named || !ok {
			return nil, false
		}
		values[i] = n
	}
	return values, true
}

// decode reads bytes in base64, of which there must be least to most. Decoders skip line ends, which are none of ours.
func decode(encoding *base64.Encoding, text string, least, most int) ([]byte, error) {
	b, err := encoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(b) < least || len(b) > most {
		return nil, fmt.Errorf("want %d to %d bytes in base64: %w", least, most, ErrFormat)
	}
	return b, nil
}

// saltText checks a salt that is used as it is written.
func saltText(text string, most int) ([]byte, error) {
	graphic := !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' })
	if len(text) < 1 || len(text) > most || !graphic {
		return nil, fmt.Errorf("want a salt of 1 to %d characters: %w", most, ErrFormat)
	}
	return []byte(text), nil
}

// cryptNumber reads a number as crypt writes it, the least significant digit first.
func cryptNumber(text string) (n uint64, ok bool) {
	for i := len(text) - 1; i >= 0; i-- {
		digit := strings.IndexByte(cryptAlphabet, text[i])
		if digit < 0 {
			return 0, false
		}
		n = n<<6 | uint64(digit)
	}
	return n, true
}

// decodeCrypt reads bytes as crypt writes them: groups of three, the least significant six bits first.
func decodeCrypt(text string) ([]byte, bool) {
	var out []byte
	var bits, have uint
	for i := range len(text) {
		digit := strings.IndexByte(cryptAlphabet, text[i])
		if digit < 0 {
			return nil, false
		}
		bits |= uint(digit) << have
		if have += 6; have >= 8 {
			out = append(out, byte(bits))
			bits >>= 8
			have -= 8
		}
	}
	return out, bits == 0
}
