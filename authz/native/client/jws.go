// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

var b64 = base64.RawURLEncoding

// publicKey is the public part of a key on P-256 as a JWK (RFC 7518 6.2.1), with what makes it that key and nothing else.
func publicKey(key crypto.Signer) (map[string]string, error) {
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, errors.New("the key is not on P-256")
	}
	point, err := public.Bytes()
	if err != nil {
		return nil, fmt.Errorf("the key is not on P-256: %w", err)
	}
	x, y := point[1:33], point[33:] // behind the 4 of an uncompressed point
	return map[string]string{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(x), "y": b64.EncodeToString(y)}, nil
}

// signJWT makes a JWT (RFC 7519) and signs it with a key on P-256 (ES256).
func signJWT(key crypto.Signer, header, claims map[string]any) (string, error) {
	var input string
	for _, part := range []any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		input += b64.EncodeToString(text) + "."
	}
	input = input[:len(input)-1]
	sum := sha256.Sum256([]byte(input))
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", err
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &signature); err != nil {
		return "", err
	}
	raw := make([]byte, 64) // both numbers, one behind the other (RFC 7518 3.4)
	signature.R.FillBytes(raw[:32])
	signature.S.FillBytes(raw[32:])
	return input + "." + b64.EncodeToString(raw), nil
}
