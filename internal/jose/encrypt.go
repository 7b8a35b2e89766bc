// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

// Sizes of an encrypted message, in bytes.
const (
	contentKeyLen = 32
	nonceLen      = 12
	tagLen        = 16
	coordinateLen = 32
)

// ErrDecrypt is wrapped when an encrypted message was not made for the key it is opened with, or was altered.
var ErrDecrypt = errors.New("decryption refused")

// Encryption is one kind of encrypted message: compact JWE with ECDH-ES and A256GCM on P-256 (RFC 7516, RFC 7518), whose
// header is exactly alg, enc, typ, cty, kid and epk.
type Encryption struct {
	// Typ and CTY are the media types of the message and of what is in it, spelled in this one way.
	Typ, CTY string
	// Limit is the largest message in bytes, as it is sent.
	Limit int
}

// Sealed is an encrypted message that was read and not yet opened.
type Sealed struct {
	// KID names the key the message claims to be for. It comes from whoever sent the message: it is good for comparison,
	// not for building a path, query or address.
	KID string

	epk    *ecdh.PublicKey
	header string // as it was sent: the authenticated data
	nonce  []byte
	text   []byte // with its tag
}

// String names the message without its content.
func (s Sealed) String() string { return fmt.Sprintf("message for key %q", s.KID) }

// GoString keeps %#v from printing the content.
func (s Sealed) GoString() string { return s.String() }

// LogValue keeps structured logs from printing the content.
func (s Sealed) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Seal encrypts plaintext to k under a fresh ephemeral key. It refuses, wrapping [ErrKey], a key outside the profile and,
// wrapping [ErrMalformed], a message above the limit.
func (e Encryption) Seal(k EncryptionKey, plaintext []byte) (string, error) {
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("drawing an ephemeral key: %w", err)
	}
	var nonce [nonceLen]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return "", fmt.Errorf("drawing a nonce: %w", err)
	}
	return e.seal(k, plaintext, ephemeral, nonce[:])
}

func (e Encryption) seal(k EncryptionKey, plaintext []byte, ephemeral *ecdh.PrivateKey, nonce []byte) (string, error) {
	if err := k.Check(); err != nil {
		return "", err
	}
	header, err := e.header(k, ephemeral.PublicKey())
	if err != nil {
		return "", err
	}
	size := len(header) + 4 + b64.EncodedLen(nonceLen) + b64.EncodedLen(len(plaintext)) + b64.EncodedLen(tagLen)
	if size > e.Limit {
		return "", fmt.Errorf("encrypting a message of %d bytes: %w", size, ErrMalformed)
	}
	aead, err := agree(ephemeral, k.Key)
	if err != nil {
		return "", fmt.Errorf("encrypting to key %q: %w", k.KID, err)
	}
	text := aead.Seal(make([]byte, 0, len(plaintext)+tagLen), nonce, plaintext, []byte(header))
	buf := make([]byte, 0, size)
	buf = append(append(buf, header...), '.', '.') // the encrypted key is empty: the agreed key is the content key
	buf = append(b64.AppendEncode(buf, nonce), '.')
	buf = append(b64.AppendEncode(buf, text[:len(plaintext)]), '.')
	return string(b64.AppendEncode(buf, text[len(plaintext):])), nil
}

// header encodes a header. All in it is base64url or was checked to need no escapes.
func (e Encryption) header(k EncryptionKey, epk *ecdh.PublicKey) (string, error) {
	if !validName(e.Typ, maxTyp) || !validName(e.CTY, maxTyp) {
		return "", fmt.Errorf("encrypting a message of a malformed type: %w", ErrKey)
	}
	point := epk.Bytes()[1:]
	buf := make([]byte, 0, maxHeader)
	buf = append(append(buf, `{"alg":"`+algECDHES+`","enc":"`+encA256GCM+`","typ":"`...), e.Typ...)
	buf = append(append(buf, `","cty":"`...), e.CTY...)
	buf = append(append(buf, `","kid":"`...), k.KID...)
	buf = append(buf, `","epk":{"kty":"EC","crv":"P-256","x":"`...)
	buf = b64.AppendEncode(buf, point[:coordinateLen])
	buf = append(buf, `","y":"`...)
	buf = b64.AppendEncode(buf, point[coordinateLen:])
	return b64.EncodeToString(append(buf, `"}}`...)), nil
}

// Parse reads a message without opening it. It refuses, wrapping [ErrMalformed], one above the limit, one that has not
// five parts of canonical base64url with an empty encrypted key, and one whose header is anything but the six members with
// the values that e demands: no zip, no crit, no other algorithm, no other key than a public point on P-256.
func (e Encryption) Parse(raw string) (Sealed, error) {
	if len(raw) > e.Limit {
		return Sealed{}, fmt.Errorf("reading an encrypted message of %d bytes: %w", len(raw), ErrMalformed)
	}
	if strings.ContainsAny(raw, "\r\n") || strings.Count(raw, ".") != 4 {
		return Sealed{}, fmt.Errorf("reading an encrypted message that has not five parts: %w", ErrMalformed)
	}
	parts := strings.SplitN(raw, ".", 5)
	if parts[1] != "" || b64.DecodedLen(len(parts[0])) > maxHeader {
		return Sealed{}, fmt.Errorf("reading an encrypted message with a key or too large a header: %w", ErrMalformed)
	}
	d := newDecoder(raw)
	header := d.decode(len(parts[0]))
	d.decode(0)
	nonce := d.decode(len(parts[2]))
	text := d.decode(len(parts[3]))
	tag := d.decode(len(parts[4]))
	if d.err != nil || len(nonce) != nonceLen || len(tag) != tagLen {
		return Sealed{}, fmt.Errorf("reading an encrypted message that is not base64url of the right lengths: %w", ErrMalformed)
	}
	s := Sealed{header: parts[0], nonce: nonce, text: append(text, tag...)}
	if err := s.readHeader(header, e); err != nil {
		return Sealed{}, fmt.Errorf("reading the header of an encrypted message: %w", err)
	}
	return s, nil
}

// readHeader reads a header by allow-list. All six members have to be there.
func (s *Sealed) readHeader(data []byte, e Encryption) error {
	fixed := map[string]string{"alg": algECDHES, "enc": encA256GCM, "typ": e.Typ, "cty": e.CTY}
	seen := 0
	err := visitObject(data, func(name, value []byte) error {
		seen++
		if string(name) == "epk" {
			return s.readPoint(value)
		}
		if value[0] != '"' {
			return fmt.Errorf("a header member is not a string: %w", ErrMalformed)
		}
		text := string(unquote(value))
		want, known := fixed[string(name)]
		switch {
		case string(name) == "kid" && validName(text, MaxKID):
			s.KID = text
		case !known || text != want:
			return fmt.Errorf("a header member outside the profile: %w", ErrMalformed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// No name stands there twice, so six that are known are all six.
	if seen != len(fixed)+2 {
		return fmt.Errorf("a header that lacks a member: %w", ErrMalformed)
	}
	return nil
}

// readPoint reads an ephemeral key of exactly kty, crv, x and y.
func (s *Sealed) readPoint(data []byte) error {
	point := make([]byte, 1+2*coordinateLen)
	point[0] = 4 // uncompressed (SEC 1 section 2.3.3)
	seen := 0
	err := visitObject(data, func(name, value []byte) error {
		seen++
		if value[0] != '"' {
			return fmt.Errorf("a member of the ephemeral key is not a string: %w", ErrMalformed)
		}
		text := unquote(value)
		switch string(name) {
		case "kty":
			return equal(text, "EC")
		case "crv":
			return equal(text, "P-256")
		case "x":
			return readCoordinate(point[1:1+coordinateLen], text)
		case "y":
			return readCoordinate(point[1+coordinateLen:], text)
		default:
			return fmt.Errorf("a member of the ephemeral key outside the profile: %w", ErrMalformed)
		}
	})
	if err != nil {
		return err
	}
	if seen != 4 {
		return fmt.Errorf("an ephemeral key that lacks a member: %w", ErrMalformed)
	}
	if s.epk, err = ecdh.P256().NewPublicKey(point); err != nil {
		return fmt.Errorf("an ephemeral key off its curve: %w", ErrMalformed)
	}
	return nil
}

func equal(text []byte, want string) error {
	if string(text) != want {
		return fmt.Errorf("an ephemeral key of another kind: %w", ErrMalformed)
	}
	return nil
}

// readCoordinate takes full length only: a shorter spelling would be a second one (RFC 7518 section 6.2.1.2).
func readCoordinate(into, text []byte) error {
	if !canonical(string(text)) || b64.DecodedLen(len(text)) != coordinateLen {
		return fmt.Errorf("a coordinate that is not %d bytes of base64url: %w", coordinateLen, ErrMalformed)
	}
	_, err := b64.Decode(into, text)
	return err
}

// Open decrypts the message. It refuses, wrapping [ErrDecrypt], a key of another name than the message's before any
// arithmetic, and a message that was not encrypted to k or was altered since. What it returns is secret and was written by
// anybody who has the public key: encryption says nothing about the sender.
func (s Sealed) Open(k DecryptionKey) ([]byte, error) {
	if k.Key == nil || s.epk == nil || s.KID != k.KID {
		return nil, fmt.Errorf("opening a message with another key than it names: %w", ErrDecrypt)
	}
	aead, err := agree(k.Key, s.epk)
	if err != nil {
		return nil, fmt.Errorf("opening a message: %w", ErrDecrypt)
	}
	plaintext, err := aead.Open(nil, s.nonce, s.text, []byte(s.header))
	if err != nil {
		return nil, fmt.Errorf("opening a message: %w", ErrDecrypt)
	}
	return plaintext, nil
}

// agree returns the cipher under the content key that the two halves agree on (RFC 7518 section 4.6.2).
func agree(private ecdh.KeyExchanger, public *ecdh.PublicKey) (cipher.AEAD, error) {
	secret, err := private.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key: %w", err)
	}
	if len(secret) != coordinateLen {
		return nil, fmt.Errorf("agreeing on a key of %d bytes: %w", len(secret), ErrKey)
	}
	key, err := concatKDF(secret, encA256GCM, agreement{}, contentKeyLen)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

// agreement is what the parties may mix into a key. The profile's messages say who they are from and for inside.
type agreement struct{ apu, apv []byte }

// concatKDF derives a key of n bytes for the algorithm (RFC 7518 section 4.6.2, NIST SP 800-56A section 5.8.1).
func concatKDF(secret []byte, algorithm string, a agreement, n int) ([]byte, error) {
	bits := binary.BigEndian.AppendUint32(nil, uint32(n)*8)
	kdf := josecipher.NewConcatKDF(crypto.SHA256, secret, prefixed([]byte(algorithm)), prefixed(a.apu), prefixed(a.apv), bits, nil)
	key := make([]byte, n)
	if _, err := kdf.Read(key); err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	return key, nil
}

func prefixed(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}
