// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// bob is the recipient of RFC 7518 appendix C.
const bob = `"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"`

func TestEncryptionKeyAsJWK(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	raw, err := jose.MarshalEncryption(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	if members["use"] != "enc" || members["alg"] != "ECDH-ES" || members["kid"] != k.KID || members["d"] != "" || len(members) != 7 {
		t.Errorf("the key is %s", raw)
	}
	back, err := jose.ParseEncryption(raw)
	if err != nil || !back.Key.Equal(k.Key.PublicKey()) || back.KID != k.KID || back.Thumbprint() != k.KID {
		t.Errorf("it came back as %v, %v", back, err)
	}
	if _, err := jose.ParsePublic(raw); !errors.Is(err, jose.ErrKey) {
		t.Errorf("as a key for signatures: %v", err)
	}
}

func TestEncryptionKeysOfOthers(t *testing.T) {
	t.Parallel()
	sign, err := jose.MarshalPublic(testKey(t, jose.ES256).Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, raw string
		want      error
	}{
		{"bare", `{` + bob + `}`, nil},
		{"marked", `{` + bob + `,"use":"enc","alg":"ECDH-ES","kid":"bob"}`, nil},
		{"with no operations", `{` + bob + `,"key_ops":[]}`, nil},
		{"for signatures", `{` + bob + `,"use":"sig"}`, jose.ErrKey},
		{"a signing key", string(sign), jose.ErrKey},
		{"for key wrap", `{` + bob + `,"alg":"ECDH-ES+A256KW"}`, jose.ErrKey},
		{"with an operation", `{` + bob + `,"key_ops":["deriveKey"]}`, jose.ErrKey},
		{"with its secret", `{` + bob + `,"d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}`, jose.ErrKey},
		{"RSA", rfc7515RS256Key, jose.ErrKey},
		{"Ed25519", rfc8037Key, jose.ErrKey},
		{"symmetric", `{"kty":"oct","k":"AA"}`, jose.ErrKey},
		{"off its curve", `{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"}`, jose.ErrKey},
		{"a bad name", `{` + bob + `,"kid":"a\"b"}`, jose.ErrKey},
		{"twice the same", `{` + bob + `,"kty":"EC"}`, jose.ErrMalformed},
		{"padding", strings.Replace(`{`+bob+`}`, `PxMQ"`, `PxMQ="`, 1), jose.ErrMalformed},
		{"no object", `[]`, jose.ErrMalformed},
		{"too large", `{` + bob + `,"x5c":"` + strings.Repeat("A", 17<<10) + `"}`, jose.ErrMalformed},
	} {
		k, err := jose.ParseEncryption([]byte(tt.raw))
		if !errors.Is(err, tt.want) || (tt.want == nil) != (k.KID != "") {
			t.Errorf("%s: %v, %v", tt.name, k, err)
		}
	}
}

func TestSetsOfBothKinds(t *testing.T) {
	t.Parallel()
	sign, enc, enc2 := testKey(t, jose.ES256).Public(), decryptionKey(t).Public(), decryptionKey(t).Public()
	set, err := jose.MarshalSet([]jose.PublicKey{sign}, enc, enc2)
	if err != nil {
		t.Fatal(err)
	}
	signs, err := jose.ParseSet(set)
	if err != nil || len(signs) != 1 || signs[0].KID != sign.KID {
		t.Errorf("keys for signatures: %v, %v", signs, err)
	}
	encs, err := jose.ParseEncryptionSet(set)
	if err != nil || len(encs) != 2 || encs[0].KID != enc.KID || encs[1].KID != enc2.KID {
		t.Errorf("keys for encryption: %v, %v", encs, err)
	}
	twice := []byte(fmt.Sprintf(`{"keys":[{%s},{%s}]}`, bob, bob))
	if _, err := jose.ParseEncryptionSet(twice); !errors.Is(err, jose.ErrKey) {
		t.Errorf("a key twice: %v", err)
	}
	if _, err := jose.ParseEncryptionSet([]byte(`{"keys":1}`)); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("no list: %v", err)
	}
	if _, err := jose.MarshalSet(nil, jose.EncryptionKey{}); !errors.Is(err, jose.ErrKey) {
		t.Errorf("no key: %v", err)
	}
}

func TestDecryptionKeyIsKept(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	raw, err := jose.MarshalDecryption(k)
	if err != nil {
		t.Fatal(err)
	}
	back, err := jose.ParseDecryption(raw)
	if err != nil || back.KID != k.KID {
		t.Fatalf("ParseDecryption = %v, %v", back, err)
	}
	if got, err := unseal(mustSeal(t, k, "hello"), back); err != nil || got != "hello" {
		t.Errorf("it opens %q, %v", got, err)
	}
	var members map[string]string
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	secret := members["d"]
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v", k, k), slog.AnyValue(k).Resolve().String()} {
		if strings.Contains(text, secret) || !strings.Contains(text, k.KID) {
			t.Errorf("it prints as %q", text)
		}
	}
	if data, err := json.Marshal(k); err == nil {
		t.Errorf("it encodes as %s", data)
	}
	held, err := jose.MarshalPrivate(testKey(t, jose.ES256))
	if err != nil {
		t.Fatal(err)
	}
	mixed := strings.Replace(string(raw), secret, "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw", 1)
	for name, bad := range map[string]string{
		"a signing key": string(held), "halves that do not match": mixed, "no key": `{}`, "nothing": ``,
		"for nothing": strings.Replace(string(raw), `"use":"enc",`, ``, 1), "public": `{` + bob + `,"use":"enc","alg":"ECDH-ES","kid":"a"}`,
		"too large": strings.Repeat(" ", 17<<10) + string(raw), "a bad name": strings.Replace(string(raw), k.KID, "a b\\n", 1),
	} {
		if _, err := jose.ParseDecryption([]byte(bad)); !errors.Is(err, jose.ErrKey) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecryptionKeysRefused(t *testing.T) {
	t.Parallel()
	p384, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []ecdh.KeyExchanger{nil, p384, x} {
		if k, err := jose.NewDecryption(key); !errors.Is(err, jose.ErrKey) || k.Key != nil {
			t.Errorf("NewDecryption = %v, %v", k, err)
		}
	}
	if _, err := jose.NewEncryption(nil); !errors.Is(err, jose.ErrKey) {
		t.Errorf("NewEncryption = %v", err)
	}
	if (jose.DecryptionKey{}).Public() != (jose.EncryptionKey{}) {
		t.Error("no key has a public half")
	}
	k := decryptionKey(t)
	if _, err := jose.MarshalDecryption(jose.DecryptionKey{KID: k.KID, Key: brokenAgreement{KeyExchanger: k.Key}}); !errors.Is(err, jose.ErrKey) {
		t.Errorf("a key in hardware was encoded: %v", err)
	}
}

func TestLimitsOfMessages(t *testing.T) {
	t.Parallel()
	s, err := jose.NewSigner(testKey(t, jose.ES256), "a+jws")
	if err != nil {
		t.Fatal(err)
	}
	claims := []byte(`{"a":"` + strings.Repeat("x", 20<<10) + `"}`)
	if _, err := s.Sign(claims); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("Sign = %v", err)
	}
	raw, err := s.SignUpTo(claims, 32<<10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Parse(raw); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("Parse = %v", err)
	}
	if token, err := jose.ParseUpTo(raw, len(raw)); err != nil || token.Verify(testKey(t, jose.ES256).Public()) != nil {
		t.Errorf("ParseUpTo = %v", err)
	}
	if _, err := jose.ParseUpTo(raw, len(raw)-1); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("ParseUpTo = %v", err)
	}
}

func TestHinted(t *testing.T) {
	t.Parallel()
	v := victim{testKey(t, jose.ES256)}
	for header, want := range map[string]bool{
		plainHeader: false, `{"alg":"ES256","kid":"x5t"}`: false, `{"alg":"ES256","x5t":"AA"}`: true,
		`{"x5t#S256":"AA","alg":"ES256"}`: true, `{"alg":"ES256","\u00785t":"AA"}`: true,
	} {
		if got := mustParse(t, v.forge(t, header, plainPayload)).Hinted(); got != want {
			t.Errorf("%s: %v", header, got)
		}
	}
}
