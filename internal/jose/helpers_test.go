// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

var b64 = base64.RawURLEncoding

// keys are drawn once per algorithm: RSA takes its time under the race detector.
var keys = func() map[jose.Algorithm]func() (jose.PrivateKey, error) {
	m := make(map[jose.Algorithm]func() (jose.PrivateKey, error))
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256} {
		m[alg] = sync.OnceValues(func() (jose.PrivateKey, error) { return jose.GenerateKey(alg) })
	}
	return m
}()

func testKey(tb testing.TB, alg jose.Algorithm) jose.PrivateKey {
	tb.Helper()
	k, err := keys[alg]()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustSign(tb testing.TB, k jose.PrivateKey, typ, claims string) string {
	tb.Helper()
	raw, err := jose.Sign(k, typ, []byte(claims))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func mustParse(tb testing.TB, raw string) jose.Token {
	tb.Helper()
	token, err := jose.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// compact puts a token together without a look at what it is made of.
func compact(header, payload string, signature []byte) string {
	return b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload)) + "." + b64.EncodeToString(signature)
}

// hostileToken is a token near the size limit whose payload has as many names to compare as the limits allow.
func hostileToken(tb testing.TB) string {
	tb.Helper()
	var payload strings.Builder
	payload.WriteString(`{"a":[`)
	for object := 0; payload.Len() < 10<<10; object++ {
		if object > 0 {
			payload.WriteByte(',')
		}
		payload.WriteByte('{')
		for member := range jose.MaxMembers {
			if member > 0 {
				payload.WriteByte(',')
			}
			fmt.Fprintf(&payload, `"%02x":0`, member)
		}
		payload.WriteByte('}')
	}
	payload.WriteString(`]}`)
	return compact(`{"alg":"ES256"}`, payload.String(), make([]byte, 64))
}
