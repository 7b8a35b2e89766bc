// SPDX-License-Identifier: Apache-2.0

package device

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

// digest names bytes: their SHA-256 in base64url.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sign makes a compact JWS over claims (RFC 7515, ES256).
func sign(key crypto.Signer, typ, kid string, claims map[string]any) (string, error) {
	if public, ok := key.Public().(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		return "", errors.New("signing an answer: the key is not on P-256")
	}
	header := map[string]string{"alg": "ES256", "typ": typ}
	if kid != "" {
		header["kid"] = kid
	}
	var signed string
	for _, part := range []any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("signing an answer: %w", err)
		}
		signed += base64.RawURLEncoding.EncodeToString(text) + "."
	}
	signed = signed[:len(signed)-1]
	sum := sha256.Sum256([]byte(signed))
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing an answer: %w", err)
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &signature); err != nil {
		return "", fmt.Errorf("signing an answer: %w", err)
	}
	raw := make([]byte, 64) // r and s, 32 bytes each (RFC 7518 3.4)
	signature.R.FillBytes(raw[:32])
	signature.S.FillBytes(raw[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(raw), nil
}
