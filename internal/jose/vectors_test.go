// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// The examples of the RFCs, and the library as a second reader and writer.

const (
	rfc7515Payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

	rfc7515ES256Key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",` +
		`"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	rfc7515ES256 = "eyJhbGciOiJFUzI1NiJ9." + rfc7515Payload +
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

	rfc7515RS256Key = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0` +
		`Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo` +
		`7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9` +
		`gb54h4FRWyuXpoQ","e":"AQAB"}`
	rfc7515RS256 = "eyJhbGciOiJSUzI1NiJ9." + rfc7515Payload +
		".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQj" +
		"bKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZES" +
		"c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"

	rfc8037Key = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	rfc8037    = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)

func parseOne(tb testing.TB, jwk string) jose.PublicKey {
	tb.Helper()
	keys, err := jose.ParseSet([]byte(`{"keys":[` + jwk + `]}`))
	if err != nil || len(keys) != 1 {
		tb.Fatalf("ParseSet = %v, %v", keys, err)
	}
	return keys[0]
}

func TestExamplesOfTheRFCs(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, jwk, raw string }{
		{"RFC 7515 A.3 ES256", rfc7515ES256Key, rfc7515ES256},
		{"RFC 7515 A.2 RS256", rfc7515RS256Key, rfc7515RS256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token := mustParse(t, tt.raw)
			if err := token.Verify(parseOne(t, tt.jwk)); err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Issuer string `json:"iss"`
				Expiry int64  `json:"exp"`
			}
			if err := token.Claims(&claims); err != nil || claims.Issuer != "joe" || claims.Expiry != 1300819380 {
				t.Errorf("Claims = %+v, %v", claims, err)
			}
		})
	}
}

// The Ed25519 example signs a sentence. A token holds an object, so Parse refuses it, and the key is checked by itself.
func TestExampleOfRFC8037(t *testing.T) {
	t.Parallel()
	if _, err := jose.Parse(rfc8037); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("Parse = %v, want ErrMalformed", err)
	}
	k := parseOne(t, rfc8037Key)
	dot := strings.LastIndexByte(rfc8037, '.')
	sig, err := b64.DecodeString(rfc8037[dot+1:])
	if err != nil || k.Alg != jose.EdDSA || !ed25519.Verify(k.Key.(ed25519.PublicKey), []byte(rfc8037[:dot]), sig) {
		t.Errorf("the example does not verify with %v, %v", k, err)
	}
	if got := jose.Thumbprint(k); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("RFC 8037 A.3 thumbprint = %q", got)
	}
}

// RFC 8705 Appendix A: the thumbprint of its example.
func TestCertificateThumbprintOfRFC8705(t *testing.T) {
	t.Parallel()
	der, err := base64.StdEncoding.DecodeString("MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx" +
		"ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQ" +
		"ZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA" +
		"5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=")
	if err != nil {
		t.Fatal(err)
	}
	if got := jose.CertificateThumbprint(&x509.Certificate{Raw: der}); got != "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" {
		t.Error(got)
	}
}

func TestThumbprintOfRFC7638(t *testing.T) {
	t.Parallel()
	k := parseOne(t, `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXj`+
		`BZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQv`+
		`RL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",`+
		`"e":"AQAB","alg":"RS256","kid":"2011-04-29"}`)
	if got := jose.Thumbprint(k); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("Thumbprint = %q", got)
	}
	named := k
	named.KID, named.Alg = "another", jose.PS256
	if jose.Thumbprint(named) != jose.Thumbprint(k) {
		t.Error("the thumbprint depends on name or algorithm")
	}
}

func TestTheLibraryReadsOurTokens(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			expected := []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)}
			token, err := jwt.ParseSigned(mustSign(t, k, "at+jwt", accessClaims), expected)
			if err != nil {
				t.Fatal(err)
			}
			var claims jwt.Claims
			if err := token.Claims(k.Public().Key, &claims); err != nil || claims.Expiry.Time() != time.Unix(1767225900, 0) {
				t.Errorf("Claims = %+v, %v", claims, err)
			}
			if h := token.Headers[0]; h.KeyID != k.KID || h.ExtraHeaders["typ"] != "at+jwt" {
				t.Errorf("header = %+v", h)
			}
		})
	}
}

func TestWeReadTheLibrarysTokens(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			signer, err := gojose.NewSigner(gojose.SigningKey{
				Algorithm: gojose.SignatureAlgorithm(alg), Key: gojose.JSONWebKey{Key: k.Signer, KeyID: k.KID},
			}, (&gojose.SignerOptions{}).WithType("JWT"))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := jwt.Signed(signer).Claims(map[string]any{"sub": "usr_1"}).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			if err := read(raw, k.Public()); err != nil {
				t.Error(err)
			}
		})
	}
}
