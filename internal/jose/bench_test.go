// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// accessClaims is what a usual access token says.
const accessClaims = `{"iss":"https://auth.example.com","sub":"usr_4f7qjk2mzd6xwq5h3n7yctb2aa",` +
	`"aud":"https://api.example.com","exp":1767225900,"iat":1767225600,"jti":"tok_x2vqxq5m4v7c2zq3h6n7yctbaa",` +
	`"client_id":"portal","scope":"openid accounts:read payments:write","auth_time":1767225500,"acr":"gold",` +
	`"amr":["pwd","hwk"],"sid":"ses_a7qjk2mzd6xwq5h3n7yctb2aae","realms":{"password":1767225500,"phone":1767225550}}`

var algorithms = []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256}

func BenchmarkSign(b *testing.B) {
	for _, alg := range algorithms {
		signer, err := jose.NewSigner(testKey(b, alg), "at+jwt")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signer.Sign([]byte(accessClaims)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The floor under BenchmarkSign/ES256: the arithmetic and nothing else.
func BenchmarkSignFloor(b *testing.B) {
	k := testKey(b, jose.ES256)
	digest := sha256.Sum256([]byte(accessClaims))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	raw := mustSign(b, testKey(b, jose.ES256), "at+jwt", accessClaims)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range algorithms {
		k := testKey(b, alg)
		token := mustParse(b, mustSign(b, k, "at+jwt", accessClaims))
		public := k.Public()
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := token.Verify(public); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The floor under BenchmarkVerify/ES256.
func BenchmarkVerifyFloor(b *testing.B) {
	k := testKey(b, jose.ES256)
	digest := sha256.Sum256([]byte(accessClaims))
	sig, err := k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	public := k.Public().Key.(*ecdsa.PublicKey)
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.VerifyASN1(public, digest[:], sig) {
			b.Fatal("refused")
		}
	}
}

type benchClaims struct {
	Issuer   string           `json:"iss"`
	Subject  string           `json:"sub"`
	Audience string           `json:"aud"`
	Expiry   int64            `json:"exp"`
	IssuedAt int64            `json:"iat"`
	ID       string           `json:"jti"`
	ClientID string           `json:"client_id"`
	Scope    string           `json:"scope"`
	AuthTime int64            `json:"auth_time"`
	ACR      string           `json:"acr"`
	AMR      []string         `json:"amr"`
	SID      string           `json:"sid"`
	Realms   map[string]int64 `json:"realms"`
}

func BenchmarkClaims(b *testing.B) {
	token := mustParse(b, mustSign(b, testKey(b, jose.ES256), "at+jwt", accessClaims))
	b.ReportAllocs()
	for b.Loop() {
		var c benchClaims
		if err := token.Claims(&c); err != nil {
			b.Fatal(err)
		}
	}
}

// The whole way of a token never seen before, ours and the library's.
func BenchmarkReadToken(b *testing.B) {
	k := testKey(b, jose.ES256)
	public := k.Public()
	raw := mustSign(b, k, "at+jwt", accessClaims)
	b.Run("gatehouse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c benchClaims
			token, err := jose.Parse(raw)
			if err != nil || token.Verify(public) != nil || token.Claims(&c) != nil {
				b.Fatal("refused")
			}
		}
	})
	b.Run("go-jose", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c benchClaims
			token, err := jwt.ParseSigned(raw, []gojose.SignatureAlgorithm{gojose.ES256})
			if err != nil || token.Claims(public.Key, &c) != nil {
				b.Fatal("refused")
			}
		}
	})
}

// The same token made by the library.
func BenchmarkSignGoJOSE(b *testing.B) {
	k := testKey(b, jose.ES256)
	signer, err := gojose.NewSigner(
		gojose.SigningKey{Algorithm: gojose.ES256, Key: gojose.JSONWebKey{Key: k.Signer, KeyID: k.KID}},
		(&gojose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		object, err := signer.Sign([]byte(accessClaims))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := object.CompactSerialize(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseSet(b *testing.B) {
	var keys []jose.PublicKey
	for _, alg := range algorithms {
		keys = append(keys, testKey(b, alg).Public())
	}
	data, err := jose.MarshalSet(keys)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.ParseSet(data); err != nil {
			b.Fatal(err)
		}
	}
}

// What an attacker's worst 16 KiB cost before any key is looked at.
func BenchmarkParseHostile(b *testing.B) {
	raw := hostileToken(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}
