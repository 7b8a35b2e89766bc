// SPDX-License-Identifier: Apache-2.0

package testauthority

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
)

// Play makes tokens as Play Integrity does, under two keys that an app's developer has got from the Play Console.
type Play struct {
	// EncryptionKey has 32 bytes, and SigningKey is on P-256.
	EncryptionKey []byte
	SigningKey    *ecdsa.PrivateKey
	// EncryptedHeader and SignedHeader are the headers; the right ones where they are empty.
	EncryptedHeader, SignedHeader string
}

var b64 = base64.RawURLEncoding

// Play returns the keys that stand in the place of those of the Play Console. They follow from the authority's own, so that its file is all
// there is to keep.
func (a *Authority) Play() (*Play, error) {
	own, err := a.key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("deriving the keys of Play Integrity: %w", err)
	}
	p := new(Play)
	p.EncryptionKey, err = hkdf.Key(sha256.New, own, nil, "gatehouse test play-integrity encryption", 32)
	for i := 0; err == nil && p.SigningKey == nil; i++ { // one number in 2^32 is none of a key
		var scalar []byte
		scalar, err = hkdf.Key(sha256.New, own, nil, "gatehouse test play-integrity signature "+strconv.Itoa(i), 32)
		if err == nil {
			p.SigningKey, _ = ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("deriving the keys of Play Integrity: %w", err)
	}
	return p, nil
}

// Verdict makes the token that Google Play answers with on a phone that meets strong integrity, or only device integrity, when the app has
// asked with a nonce.
func (a *Authority) Verdict(app string, nonce []byte, strong bool) (string, error) {
	p, err := a.Play()
	if err != nil {
		return "", err
	}
	labels := []string{"MEETS_BASIC_INTEGRITY", "MEETS_DEVICE_INTEGRITY"}
	if strong {
		labels = append(labels, "MEETS_STRONG_INTEGRITY")
	}
	return p.Token(map[string]any{
		"requestDetails": map[string]any{
			"requestPackageName": app, "nonce": b64.EncodeToString(nonce), "timestampMillis": strconv.FormatInt(a.Now().UnixMilli(), 10),
		},
		"appIntegrity": map[string]any{
			"appRecognitionVerdict": "PLAY_RECOGNIZED", "packageName": app, "certificateSha256Digest": []string{b64.EncodeToString(a.AppDigest())},
		},
		"deviceIntegrity": map[string]any{"deviceRecognitionVerdict": labels},
	})
}

// Token makes a token with a payload.
func (p *Play) Token(payload any) (string, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encoding a verdict: %w", err)
	}
	signed, err := p.sign(text)
	if err != nil {
		return "", err
	}
	return p.seal(signed)
}

func (p *Play) sign(payload []byte) (string, error) {
	header := p.SignedHeader
	if header == "" {
		header = `{"alg":"ES256"}`
	}
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, p.SigningKey, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing a verdict: %w", err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + b64.EncodeToString(signature), nil
}

// seal is compact JWE with A256KW and A256GCM (RFC 7518, 4.4 and 5.3).
func (p *Play) seal(plaintext string) (string, error) {
	header := p.EncryptedHeader
	if header == "" {
		header = `{"alg":"A256KW","enc":"A256GCM"}`
	}
	random := make([]byte, 32+12)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("drawing a content key: %w", err)
	}
	content, nonce := random[:32], random[32:]
	outer, err := aes.NewCipher(p.EncryptionKey)
	if err != nil {
		return "", fmt.Errorf("making a cipher: %w", err)
	}
	inner, err := aes.NewCipher(content)
	if err != nil {
		return "", fmt.Errorf("making a cipher: %w", err)
	}
	aead, err := cipher.NewGCM(inner)
	if err != nil {
		return "", fmt.Errorf("making a cipher: %w", err)
	}
	head := b64.EncodeToString([]byte(header))
	sealed := aead.Seal(nil, nonce, []byte(plaintext), []byte(head))
	text, tag := sealed[:len(plaintext)], sealed[len(plaintext):]
	out := head
	for _, part := range [][]byte{Wrap(outer, content), nonce, text, tag} {
		out += "." + b64.EncodeToString(part)
	}
	return out, nil
}

// Wrap wraps a key of a multiple of eight bytes (RFC 3394, 2.2.1).
func Wrap(block cipher.Block, key []byte) []byte {
	n := len(key) / 8
	out := append([]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}, key...)
	buffer := make([]byte, 16)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(buffer, out[:8])
			copy(buffer[8:], out[8*i:8*i+8])
			block.Encrypt(buffer, buffer)
			t := binary.BigEndian.Uint64(buffer[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(out[:8], t)
			copy(out[8*i:], buffer[8:])
		}
	}
	return out
}
