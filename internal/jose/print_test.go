// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// What was sealed for somebody is not for the log, not even sealed.
func TestSealedDoesNotPrint(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	raw := mustSeal(t, k, strings.Repeat("x", 300))
	s, err := message.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v", s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), slog.AnyValue(s).Resolve().String()} {
		if !strings.Contains(text, k.KID) || len(text) > 100 {
			t.Errorf("it prints as %q", text)
		}
	}
}

func TestSinglePublicKeys(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		k := testKey(t, alg).Public()
		raw, err := jose.MarshalPublic(k)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := jose.ParsePublic(raw); err != nil || !sameKey(k, back) {
			t.Errorf("%s came back as %v, %v", alg, back, err)
		}
		if _, err := jose.ParseEncryption(raw); err == nil {
			t.Errorf("%s was taken for encryption", alg)
		}
	}
	if _, err := jose.MarshalPublic(jose.PublicKey{Alg: jose.ES256}); !errors.Is(err, jose.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	if _, err := jose.MarshalEncryption(jose.EncryptionKey{KID: "a"}); !errors.Is(err, jose.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	private, err := jose.MarshalPrivate(testKey(t, jose.ES256))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		raw  string
		want error
	}{
		"a private key": {string(private), jose.ErrKey}, "nothing": {"", jose.ErrMalformed}, "a list": {"[]", jose.ErrMalformed},
		"too large": {strings.Repeat(" ", 17<<10) + rfc7515ES256Key, jose.ErrMalformed}, "for encryption": {`{` + bob + `,"use":"enc"}`, jose.ErrKey},
	} {
		if k, err := jose.ParsePublic([]byte(tt.raw)); !errors.Is(err, tt.want) || k.Key != nil {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
}
