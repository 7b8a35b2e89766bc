// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/signing"
)

const typ = "test+jwt"

// sign returns a JWS as devices make it, with a header as it is given.
func sign(t testing.TB, key crypto.Signer, header, payload string) string {
	t.Helper()
	said := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	var signature []byte
	switch key := key.(type) {
	case *rsa.PrivateKey:
		sum := sha256.Sum256([]byte(said))
		var err error
		if signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]); err != nil {
			t.Fatal(err)
		}
	case *ecdsa.PrivateKey:
		size := (key.Curve.Params().BitSize + 7) / 8
		digest := func() []byte { sum := sha256.Sum256([]byte(said)); return sum[:] }
		if key.Curve == elliptic.P384() {
			digest = func() []byte { sum := sha512.Sum384([]byte(said)); return sum[:] }
		}
		r, s, err := ecdsa.Sign(rand.Reader, key, digest())
		if err != nil {
			t.Fatal(err)
		}
		signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	return said + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func keys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ES256": p256, "ES384": p384, "RS256": rs}
}

// TestRead: each kind of key signs with one algorithm, and nobody else's key has signed it.
func TestRead(t *testing.T) {
	t.Parallel()
	all, others := keys(t), keys(t)
	for alg, key := range all {
		var said struct {
			A string `json:"a"`
		}
		by, err := signing.Read(sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`","kid":"k"}`, `{"a":"b"}`), typ, &said)
		if err != nil || by.KID != "k" || said.A != "b" || !by.By(key.Public()) {
			t.Errorf("%s: %+v %q %v", alg, by, said, err)
		}
		for name, other := range all {
			if name != alg && by.By(other.Public()) {
				t.Errorf("a key for %s has signed with %s", name, alg)
			}
		}
		if by.By(others[alg].Public()) || by.By(nil) {
			t.Errorf("%s: somebody else's key has signed it", alg)
		}
	}
	if (signing.Signed{}).By(all["ES256"].Public()) {
		t.Error("nothing is signed")
	}
}

// TestReadRefuses what is not exactly that.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for alg, key := range keys(t) {
		good := sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`"}`, `{}`)
		for name, raw := range map[string]string{
			"nothing": "", "one part": "e30", "two parts": good[:strings.LastIndexByte(good, '.')], "four parts": good + ".e30",
			"another type":             sign(t, key, `{"alg":"`+alg+`","typ":"other+jwt"}`, `{}`),
			"no type":                  sign(t, key, `{"alg":"`+alg+`"}`, `{}`),
			"no algorithm":             sign(t, key, `{"typ":"`+typ+`"}`, `{}`),
			"none":                     sign(t, key, `{"alg":"none","typ":"`+typ+`"}`, `{}`),
			"a key in it":              sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`","jwk":{}}`, `{}`),
			"crit":                     sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`","crit":["x"]}`, `{}`),
			"a hint":                   sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`","x5t":"AAAA"}`, `{}`),
			"a member twice":           sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`","typ":"`+typ+`"}`, `{}`),
			"a payload twice":          sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`"}`, `{"a":"b","a":"c"}`),
			"a payload that is a list": sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`"}`, `[]`),
			"too large":                sign(t, key, `{"alg":"`+alg+`","typ":"`+typ+`"}`, `{"a":"`+strings.Repeat("x", signing.MaxSigned)+`"}`),
		} {
			if by, err := signing.Read(raw, typ, &map[string]any{}); err == nil || by.By(key.Public()) {
				t.Errorf("%s, %s: %+v %v", alg, name, by, err)
			}
		}
	}
	if err := signing.ReadUnsigned(`{"a":"b","a":"c"}`, &map[string]any{}); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("unsigned, a member twice: %v", err)
	}
}
