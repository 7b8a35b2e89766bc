// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // ES384
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

// sign makes a compact JWS over claims (RFC 7515), with the algorithm of the key: ES256, ES384 or RS256 (RFC 7518 3.3, 3.4).
func sign(key crypto.Signer, typ, kid string, claims map[string]any) (string, error) {
	alg, hash, err := algorithm(key)
	if err != nil {
		return "", err
	}
	header := map[string]string{"alg": alg, "typ": typ}
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
	h := hash.New()
	_, _ = h.Write([]byte(signed)) // a hash takes everything
	signature, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	if err == nil && alg != "RS256" {
		signature, err = fixed(signature, hash.Size())
	}
	if err != nil {
		return "", fmt.Errorf("signing an answer: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// algorithm is what a key signs with.
func algorithm(key crypto.Signer) (string, crypto.Hash, error) {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return "RS256", crypto.SHA256, nil
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return "ES256", crypto.SHA256, nil
		case elliptic.P384():
			return "ES384", crypto.SHA384, nil
		}
	}
	return "", 0, errors.New("signing an answer: the key is neither on P-256 nor on P-384, nor RSA")
}

// fixed turns a signature in DER into r and s, of a size each (RFC 7518 3.4).
func fixed(der []byte, size int) ([]byte, error) {
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &signature); err != nil {
		return nil, err
	}
	raw := make([]byte, 2*size)
	signature.R.FillBytes(raw[:size])
	signature.S.FillBytes(raw[size:])
	return raw, nil
}
