// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// wrapped is a message of another library.
func wrapped(tb testing.TB, key []byte, alg gojose.KeyAlgorithm, enc gojose.ContentEncryption, o *gojose.EncrypterOptions) string {
	tb.Helper()
	e, err := gojose.NewEncrypter(enc, gojose.Recipient{Algorithm: alg, Key: key}, o)
	if err != nil {
		tb.Fatal(err)
	}
	sealed, err := e.Encrypt([]byte("the content"))
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := sealed.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// TestOpenWrapped opens what another library has made (RFC 7518, 4.4 and 5.3), and nothing that is of another form.
func TestOpenWrapped(t *testing.T) {
	t.Parallel()
	key, other := []byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))
	good := wrapped(t, key, gojose.A256KW, gojose.A256GCM, nil)
	got, err := jose.OpenWrapped(good, key, len(good))
	if err != nil || string(got) != "the content" {
		t.Fatalf("it is %q, %v", got, err)
	}
	parts := strings.Split(good, ".")
	with := func(i int, part string) string {
		changed := append([]string{}, parts...)
		changed[i] = part
		return strings.Join(changed, ".")
	}
	header := func(text string) string { return with(0, base64.RawURLEncoding.EncodeToString([]byte(text))) }
	for _, tt := range []struct {
		name, raw string
		key       []byte
		limit     int
		want      error
	}{
		{"another key", good, other, 4096, jose.ErrDecrypt},
		{"a short key", good, key[:16], 4096, jose.ErrKey},
		{"no key", good, nil, 4096, jose.ErrKey},
		{"above the limit", good, key, len(good) - 1, jose.ErrMalformed},
		{"empty", "", key, 4096, jose.ErrMalformed},
		{"four parts", strings.Join(parts[:4], "."), key, 4096, jose.ErrMalformed},
		{"six parts", good + ".", key, 4096, jose.ErrMalformed},
		{"a line break", good + "\n", key, 4096, jose.ErrMalformed},
		{"padding", with(2, parts[2]+"="), key, 4096, jose.ErrMalformed},
		{"no wrapped key", with(1, ""), key, 4096, jose.ErrMalformed},
		{"a short nonce", with(2, parts[2][:12]), key, 4096, jose.ErrMalformed},
		{"a short tag", with(4, parts[4][:16]), key, 4096, jose.ErrMalformed},
		{"another wrapped key", with(1, strings.Split(wrapped(t, key, gojose.A256KW, gojose.A256GCM, nil), ".")[1]), key, 4096, jose.ErrDecrypt},
		{"altered", with(3, "AAAA"+parts[3][4:]), key, 4096, jose.ErrDecrypt},
		{"another tag", with(4, "AAAA"+parts[4][4:]), key, 4096, jose.ErrDecrypt},
		{"a header in another order", header(`{"enc":"A256GCM","alg":"A256KW" }`), key, 4096, jose.ErrDecrypt},
		{"A256GCMKW", header(`{"alg":"A256GCMKW","enc":"A256GCM"}`), key, 4096, jose.ErrMalformed},
		{"A128GCM", header(`{"alg":"A256KW","enc":"A128GCM"}`), key, 4096, jose.ErrMalformed},
		{"no enc", header(`{"alg":"A256KW"}`), key, 4096, jose.ErrMalformed},
		{"alg twice", header(`{"alg":"A256KW","alg":"A256KW","enc":"A256GCM"}`), key, 4096, jose.ErrMalformed},
		{"a name", header(`{"alg":"A256KW","enc":"A256GCM","kid":"x"}`), key, 4096, jose.ErrMalformed},
		{"not JSON", header(`alg`), key, 4096, jose.ErrMalformed},
		{"a large header", header(`{"alg":"A256KW","enc":"A256GCM"` + strings.Repeat(" ", 2048) + `}`), key, 8192, jose.ErrMalformed},
		{"compressed", wrapped(t, key, gojose.A256KW, gojose.A256GCM, &gojose.EncrypterOptions{Compression: gojose.DEFLATE}), key, 4096, jose.ErrMalformed},
		{"a content key of another length", wrapped(t, key, gojose.A256KW, gojose.A128GCM, nil), key, 4096, jose.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := jose.OpenWrapped(tt.raw, tt.key, tt.limit); !errors.Is(err, tt.want) {
				t.Errorf("it is %q, %v, want %v", got, err, tt.want)
			}
		})
	}
}
