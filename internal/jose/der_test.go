// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// A signature in DER is usually 70 to 72 bytes long, and refused for that. This one has exactly the 64 bytes of the right form: s is
// chosen short, and the key is computed from it. It is a good signature, written in the wrong way.
func TestSignatureInDERofTheRightLength(t *testing.T) {
	t.Parallel()
	signed := b64.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + b64.EncodeToString([]byte(plainPayload))
	digest := sha256.Sum256([]byte(signed))
	n, e := elliptic.P256().Params().N, new(big.Int).SetBytes(digest[:])
	for {
		nonce, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		r := new(big.Int).SetBytes(nonce.PublicKey().Bytes()[1:33])
		s := new(big.Int).Lsh(big.NewInt(1), 26*8-2) // 26 bytes, without a sign
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		if len(der) != 64 || r.Cmp(n) >= 0 {
			continue // half of all r have a sign
		}
		// s = (e + r d) / k, hence d = (s k - e) / r.
		d := new(big.Int).Mul(s, new(big.Int).SetBytes(nonce.Bytes()))
		d.Mul(d.Sub(d, e), new(big.Int).ModInverse(r, n)).Mod(d, n)
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
		if err != nil {
			t.Fatal(err)
		}
		k := jose.PublicKey{Alg: jose.ES256, Key: &key.PublicKey}
		raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		if err := mustParse(t, signed+"."+b64.EncodeToString(raw)).Verify(k); err != nil {
			t.Fatalf("the signature is not good: %v", err)
		}
		if err := mustParse(t, signed+"."+b64.EncodeToString(der)).Verify(k); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("in DER: %v", err)
		}
		return
	}
}
