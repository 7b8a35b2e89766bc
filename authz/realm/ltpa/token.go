// SPDX-License-Identifier: Apache-2.0

package ltpa

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha1" // #nosec G505 -- tokens are signed over SHA-1; the operator who configures LTPA accepts that
	"crypto/subtle"
	"encoding/base64"
	"math/big"
	"strings"
	"unicode/utf8"
)

// MaxToken is the longest token in bytes, as it stands in the cookie. Browsers keep no longer ones.
const MaxToken = 4 << 10

// verifier checks the signature of user data.
type verifier func(public *rsa.PublicKey, data, signature []byte) bool

// verify checks a signature: RSASSA-PKCS1-v1_5 with SHA-1 over the 20 bytes of the data's SHA-1, so that it is hashed twice. A
// number beyond the modulus, which would be refused without any work, is replaced by one that is not.
func verify(public *rsa.PublicKey, data, signature []byte) bool {
	if new(big.Int).SetBytes(signature).Cmp(public.N) >= 0 {
		signature = make([]byte, modulusSize)
	}
	once := sha1.Sum(data)     // #nosec G401 -- the format's
	twice := sha1.Sum(once[:]) // #nosec G401 -- the format's
	return rsa.VerifyPKCS1v15(public, crypto.SHA1, twice[:], signature) == nil
}

// open returns the user data that a token holds and one of the keys has signed. Whatever is wrong, each key decrypts once and
// verifies once: what cannot be used is replaced by something of its kind, and only the end tells.
func open(keys []*Keys, token string, verify verifier) (string, bool) {
	sealed, good := decode(token)
	var data string
	var ok bool
	for _, k := range keys {
		plain, padded := k.decrypt(sealed)
		signed, signature, shaped := split(plain)
		verified := verify(k.public, signed, signature)
		if good && padded && shaped && verified {
			data, ok = string(signed), true
		}
	}
	return data, ok
}

// substitute stands for a token that is none.
const substitute = 16 * aes.BlockSize

// decode returns the cipher text of a token; a substitute and false when it has none.
func decode(token string) ([]byte, bool) {
	none := make([]byte, substitute)
	if len(token) > MaxToken || strings.ContainsAny(token, "\r\n") { // which the decoder skips
		return none, false
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return none, false
	}
	return sealed, true
}

// decrypt returns the plain text, all of it and false when its padding (PKCS #7) is wrong. The time it takes does not depend on
// the padding.
func (k *Keys) decrypt(sealed []byte) (plain []byte, padded bool) {
	plain = make([]byte, len(sealed))
	cipher.NewCBCDecrypter(k.shared, k.iv).CryptBlocks(plain, sealed) // #nosec G407 -- the format's vector is the key
	last := plain[len(plain)-1]
	good := subtle.ConstantTimeLessOrEq(1, int(last)) & subtle.ConstantTimeLessOrEq(int(last), aes.BlockSize)
	for i := 1; i <= aes.BlockSize; i++ {
		inside := subtle.ConstantTimeLessOrEq(i, int(last))
		same := subtle.ConstantTimeByteEq(plain[len(plain)-i], last)
		good &= subtle.ConstantTimeSelect(inside, same, 1)
	}
	return plain[:len(plain)-subtle.ConstantTimeSelect(good, int(last), 0)], good == 1
}

// split takes a plain text apart from the right: user data, "%", expiry in milliseconds, "%", signature in base64. The expiry is
// not signed: that it is one is all that is looked at. Newer servers also read a form without it, and nobody writes it. A plain
// text of another shape is its own data, with a signature of nothing.
func split(plain []byte) (data, signature []byte, shaped bool) {
	none := make([]byte, modulusSize)
	second := bytes.LastIndexByte(plain, '%')
	first := bytes.LastIndexByte(plain[:max(second, 0)], '%')
	if first < 0 || !digits(string(plain[first+1:second])) {
		return plain, none, false
	}
	encoded := plain[second+1:]
	signature = make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Strict().Decode(signature, encoded)
	if err != nil || n != modulusSize || bytes.ContainsAny(encoded, "\r\n") {
		return plain, none, false
	}
	return plain[:first], signature[:n], true
}

// digits reports whether a text is a number that 64 bits hold for sure.
func digits(text string) bool {
	return text != "" && len(text) <= 18 && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// attributeUser holds who the token is about. Its value is never a list.
const attributeUser = "u"

// special are the characters that stand in keys never and in values only behind a backslash.
const special = `%$:|\`

// parseUserData reads attributes: "key:value" joined by "$" and sorted by key, several values joined by "|". It takes nothing but
// what a server writes, and there is one way to write it: a text that two readers could understand in two ways is refused.
func parseUserData(data string) (map[string][]string, bool) {
	if !utf8.ValidString(data) {
		return nil, false
	}
	attributes, before := map[string][]string{}, ""
	for _, attribute := range splitUnescaped(data, '$') {
		key, rest, found := strings.Cut(attribute, ":")
		if !found || !validKey(key) || key <= before {
			return nil, false
		}
		before = key
		values := []string{rest}
		if key != attributeUser {
			values = splitUnescaped(rest, '|')
		}
		for i, value := range values {
			var ok bool
			if values[i], ok = unescape(value); !ok {
				return nil, false
			}
		}
		attributes[key] = values
	}
	return attributes, true
}

func validKey(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(special, r)
	})
}

// splitUnescaped splits at a separator that has no backslash before it. A backslash escapes what follows, another one included.
func splitUnescaped(text string, separator byte) []string {
	var parts []string
	begin := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// unescape returns a value without its backslashes; false when a special character has none, when another one has, or when there
// is nothing.
func unescape(text string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			if i++; i == len(text) || strings.IndexByte(special, text[i]) < 0 {
				return "", false
			}
		} else if strings.IndexByte(special, text[i]) >= 0 {
			return "", false
		}
		out.WriteByte(text[i])
	}
	return out.String(), text != ""
}
