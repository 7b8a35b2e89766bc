// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// TestSelfSignedTokens: what the signer makes is read back with its key, by whoever asks for such tokens and by nobody else.
func TestSelfSignedTokens(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			raw := selfSigned(t, k, `{"jti":"1"}`)
			token, key, err := jose.NewSelfSigned(jose.MaxToken).Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			if err := token.Verify(key.PublicKey); err != nil {
				t.Error(err)
			}
			if got, want := key.Thumbprint, jose.Thumbprint(k.Public()); got != want || key.KID != "" || token.Header.Typ != "dpop+jwt" {
				t.Errorf("key %s named %q, typ %q; want %s", got, key.KID, token.Header.Typ, want)
			}
			if _, err := jose.Parse(raw); !errors.Is(err, jose.ErrMalformed) {
				t.Errorf("read as any other token: %v", err)
			}
			if _, _, err := jose.NewSelfSigned(jose.MaxToken).Parse(mustSign(t, k, "dpop+jwt", `{"jti":"1"}`)); !errors.Is(err, jose.ErrMalformed) {
				t.Errorf("read without a key: %v", err)
			}
		})
	}
}

func selfSigned(tb testing.TB, k jose.PrivateKey, claims string) string {
	tb.Helper()
	s, err := jose.NewSelfSigner(k, "dpop+jwt")
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := s.Sign([]byte(claims))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// TestRFC9449SelfSignedHeader are headers that name a key and are refused (RFC 9449 4.2, 4.3).
func TestRFC9449SelfSignedHeader(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	public, err := jose.MarshalPublic(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	private, err := jose.MarshalPrivate(k)
	if err != nil {
		t.Fatal(err)
	}
	jwk := string(public)
	with := func(member string) string { return strings.TrimSuffix(jwk, "}") + "," + member + "}" }
	without := func(member string) string {
		var members map[string]any
		if err := json.Unmarshal(public, &members); err != nil {
			t.Fatal(err)
		}
		delete(members, member)
		data, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, c := range []struct {
		name, header string
		want         error
	}{
		{"no jwk", `{"alg":"ES256","typ":"dpop+jwt"}`, jose.ErrMalformed},
		{"no typ", `{"alg":"ES256","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"no alg", `{"typ":"dpop+jwt","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"alg none", `{"alg":"none","typ":"dpop+jwt","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"alg HS256", `{"alg":"HS256","typ":"dpop+jwt","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"alg is no string", `{"alg":1,"typ":"dpop+jwt","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"jwk is a string", `{"alg":"ES256","typ":"dpop+jwt","jwk":"x"}`, jose.ErrMalformed},
		{"jwk is null", `{"alg":"ES256","typ":"dpop+jwt","jwk":null}`, jose.ErrMalformed},
		{"jwk is empty", `{"alg":"ES256","typ":"dpop+jwt","jwk":{}}`, jose.ErrKey},
		{"jwk twice", `{"alg":"ES256","typ":"dpop+jwt","jwk":` + jwk + `,"jwk":` + jwk + `}`, jose.ErrMalformed},
		{"private key", `{"alg":"ES256","typ":"dpop+jwt","jwk":` + string(private) + `}`, jose.ErrKey},
		{"symmetric key", `{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"oct","k":"AAAA"}}`, jose.ErrKey},
		{"another curve", `{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA"}}`, jose.ErrKey},
		{"point off the curve", `{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` +
			strings.Repeat("A", 43) + `"}}`, jose.ErrKey},
		{"half a point", `{"alg":"ES256","typ":"dpop+jwt","jwk":` + without("y") + `}`, jose.ErrKey},
		{"key for encryption", `{"alg":"ES256","typ":"dpop+jwt","jwk":` + strings.Replace(jwk, `"sig"`, `"enc"`, 1) + `}`, jose.ErrKey},
		{"key of which a member stands twice", `{"alg":"ES256","typ":"dpop+jwt","jwk":` + with(`"kty":"EC"`) + `}`, jose.ErrMalformed},
		{"key of 5120 bits", `{"alg":"RS256","typ":"dpop+jwt","jwk":{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("____", 213) + `_w"}}`, jose.ErrKey},
		{"key with a large exponent", `{"alg":"RS256","typ":"dpop+jwt","jwk":{"kty":"RSA","e":"f____w","n":"` + strings.Repeat("____", 85) + `_w"}}`, jose.ErrKey},
		{"kid", `{"alg":"ES256","typ":"dpop+jwt","kid":"a","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"jku", `{"alg":"ES256","typ":"dpop+jwt","jku":"https://evil.example/","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"crit", `{"alg":"ES256","typ":"dpop+jwt","crit":["jwk"],"jwk":` + jwk + `}`, jose.ErrMalformed},
		{"certificate hint", `{"alg":"ES256","typ":"dpop+jwt","x5t":"AAAA","jwk":` + jwk + `}`, jose.ErrMalformed},
		{"large", `{"alg":"ES256","typ":"dpop+jwt","jwk":` + with(`"x5c":["`+strings.Repeat("A", 1000)+`"]`) + `}`, jose.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			raw := victim{k}.forge(t, c.header, `{"jti":"1"}`)
			if _, key, err := jose.NewSelfSigned(jose.MaxToken).Parse(raw); !errors.Is(err, c.want) || key.Key != nil {
				t.Errorf("got %v with key %v, want %v", err, key.Key, c.want)
			}
		})
	}
}

// TestSelfSignedByAnotherKey: the header's key is the one that is checked, and the algorithm is the key's.
func TestSelfSignedByAnotherKey(t *testing.T) {
	t.Parallel()
	mine, public := testKey(t, jose.ES256), testKey(t, jose.EdDSA).Public()
	jwk, err := jose.MarshalPublic(public)
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"ES256", "EdDSA"} {
		raw := victim{mine}.forge(t, `{"alg":"`+alg+`","typ":"dpop+jwt","jwk":`+string(jwk)+`}`, `{"jti":"1"}`)
		token, key, err := jose.NewSelfSigned(jose.MaxToken).Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Verify(key.PublicKey); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%s: %v", alg, err)
		}
	}
	if _, _, err := jose.NewSelfSigned(100).Parse(selfSigned(t, mine, `{"jti":"1"}`)); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := jose.NewSelfSigner(mine, ""); !errors.Is(err, jose.ErrKey) {
		t.Errorf("without a typ: %v", err)
	}
}

// TestManySelfSigners: a reader that has seen more keys than it remembers reads each as it did at first.
func TestManySelfSigners(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.EdDSA)
	raw := selfSigned(t, k, `{"jti":"1"}`)
	public, err := jose.MarshalPublic(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	reader := jose.NewSelfSigned(jose.MaxToken)
	for i := range 10_000 {
		other := compact(fmt.Sprintf(`{"alg":"EdDSA","typ":"typ%d","jwk":%s}`, i, public), `{"jti":"1"}`, make([]byte, 64))
		for _, c := range []struct{ raw, typ string }{{other, fmt.Sprint("typ", i)}, {raw, "dpop+jwt"}} {
			token, key, err := reader.Parse(c.raw)
			if err != nil || token.Header.Typ != c.typ || key.Thumbprint != jose.Thumbprint(k.Public()) {
				t.Fatalf("signer %d: typ %q, %v", i, token.Header.Typ, err)
			}
		}
	}
}

func BenchmarkParseSelfSigned(b *testing.B) {
	raw := selfSigned(b, testKey(b, jose.ES256), `{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/transfers","iat":1562262618}`)
	for name, reader := range map[string]func() *jose.SelfSigned{
		"key seen before":     sync.OnceValue(func() *jose.SelfSigned { return jose.NewSelfSigned(jose.MaxToken) }),
		"key not seen before": func() *jose.SelfSigned { return jose.NewSelfSigned(jose.MaxToken) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := reader().Parse(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
