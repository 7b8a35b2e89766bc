// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// ErrKey is wrapped by every error about a VAPID key. None of them repeats any of it.
var ErrKey = errors.New("VAPID key refused")

// maxKey bounds a text that holds a key, in bytes.
const maxKey = 8 << 10

var b64 = base64.RawURLEncoding

// Key is a VAPID key. Losing one ends all subscriptions that were made with it. It does not print its secret.
type Key struct {
	signer *jose.Signer
	public string // as browsers are given it
	id     string
}

// GenerateKey draws a key and returns it with the PEM of its file, which [ParseKey] reads and which is to be kept.
func GenerateKey() (k *Key, file []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("drawing a VAPID key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a VAPID key: %w", ErrKey)
	}
	k, err = newKey(private)
	return k, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// ParseKey reads a key on P-256: PEM ("PRIVATE KEY" or "EC PRIVATE KEY"), a private JWK, or the 32 bytes of the private half in
// base64url, as the generators of other libraries print them.
func ParseKey(data []byte) (*Key, error) {
	text := bytes.TrimSpace(data)
	if len(text) == 0 || len(text) > maxKey {
		return nil, fmt.Errorf("reading a VAPID key: it is empty or too large: %w", ErrKey)
	}
	switch {
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return parsePEM(text)
	case text[0] == '{':
		return parseJWK(text)
	}
	raw, err := b64.DecodeString(string(bytes.TrimRight(text, "=")))
	if err != nil {
		return nil, fmt.Errorf("reading a VAPID key: it is neither PEM nor a JWK nor base64url: %w", ErrKey)
	}
	return parseRaw(raw)
}

func parsePEM(text []byte) (*Key, error) {
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam writes them before the key
		block, rest = pem.Decode(rest)
	}
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("reading a VAPID key: it is not one PEM block: %w", ErrKey)
	}
	if private, err := x509.ParseECPrivateKey(block.Bytes); err == nil && block.Type == "EC PRIVATE KEY" {
		return newKey(private)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("reading a VAPID key: the PEM block is not a private key on P-256: %w", ErrKey)
	}
	return newKey(private)
}

func parseJWK(text []byte) (*Key, error) {
	var jwk struct {
		Kty string `json:"kty"`
		Crv string `json:"crv"`
		D   string `json:"d"`
		X   string `json:"x"`
		Y   string `json:"y"`
	}
	err := json.Unmarshal(text, &jwk)
	raw, bad := b64.DecodeString(jwk.D)
	if err != nil || bad != nil || jwk.Kty != "EC" || jwk.Crv != "P-256" {
		return nil, fmt.Errorf("reading a VAPID key: the JWK is not a private key on P-256: %w", ErrKey)
	}
	k, err := parseRaw(raw)
	if err != nil {
		return nil, err
	}
	x, errX := b64.DecodeString(jwk.X)
	y, errY := b64.DecodeString(jwk.Y)
	if public := b64.EncodeToString(append(append([]byte{4}, x...), y...)); errX != nil || errY != nil || public != k.public {
		return nil, fmt.Errorf("reading a VAPID key: the halves of the JWK do not belong together: %w", ErrKey)
	}
	return k, nil
}

func parseRaw(raw []byte) (*Key, error) {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return nil, fmt.Errorf("reading a VAPID key: it is not the 32 bytes of a private key on P-256: %w", ErrKey)
	}
	return newKey(private)
}

func newKey(private *ecdsa.PrivateKey) (*Key, error) {
	if private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("reading a VAPID key: it is not on the curve P-256: %w", ErrKey)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("reading a VAPID key: %w", ErrKey)
	}
	// The token names no key: RFC 8292 has the public half beside it.
	signing := jose.PrivateKey{Alg: jose.ES256, Signer: private}
	signer, err := jose.NewSigner(signing, "JWT")
	if err != nil {
		return nil, fmt.Errorf("reading a VAPID key: %w", ErrKey)
	}
	return &Key{signer: signer, public: b64.EncodeToString(point), id: jose.Thumbprint(signing.Public())}, nil
}

// Public returns the public half in base64url: the applicationServerKey with which browsers subscribe.
func (k *Key) Public() string { return k.public }

// ID names the key: its JWK thumbprint (RFC 7638). It stands as "key" in the addresses of subscriptions; the public half may stand
// there instead.
func (k *Key) ID() string { return k.id }

// String names the key without its secret.
func (k *Key) String() string { return "VAPID key " + k.id }

// GoString keeps %#v from printing the secret.
func (k *Key) GoString() string { return k.String() }

// LogValue keeps structured logs from printing the secret.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a secret is not written by accident.
func (k *Key) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("writing a VAPID key where it does not belong: %w", ErrKey)
}

// point reads a public key as subscriptions hold it: 65 bytes of a point on P-256 (RFC 8291, section 2.1).
func point(raw []byte) (*ecdh.PublicKey, error) {
	if len(raw) != pointSize {
		return nil, errors.New("a key of another size")
	}
	return ecdh.P256().NewPublicKey(raw)
}
