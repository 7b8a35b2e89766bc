// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto/ecdh"
	"errors"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// message is the kind of message that the tests here exchange.
var message = jose.Encryption{Typ: "test+jwe", CTY: "JWT", Limit: 4 << 10}

func decryptionKey(tb testing.TB) jose.DecryptionKey {
	tb.Helper()
	k, err := jose.GenerateDecryption()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustSeal(tb testing.TB, k jose.DecryptionKey, plaintext string) string {
	tb.Helper()
	raw, err := message.Seal(k.Public(), []byte(plaintext))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// unseal reads and opens.
func unseal(raw string, k jose.DecryptionKey) (string, error) {
	s, err := message.Parse(raw)
	if err != nil {
		return "", err
	}
	plaintext, err := s.Open(k)
	return string(plaintext), err
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	for _, text := range []string{"", "x", "hello", strings.Repeat("long ", 400)} {
		raw := mustSeal(t, k, text)
		if got, err := unseal(raw, k); err != nil || got != text {
			t.Errorf("%d bytes came back as %q, %v", len(text), got, err)
		}
		if again := mustSeal(t, k, text); again == raw {
			t.Error("two messages are the same")
		}
	}
	other := decryptionKey(t)
	if _, err := unseal(mustSeal(t, other, "hello"), k); !errors.Is(err, jose.ErrDecrypt) {
		t.Errorf("a message for another key: %v", err)
	}
	other.KID = k.KID
	if _, err := unseal(mustSeal(t, other, "hello"), k); !errors.Is(err, jose.ErrDecrypt) {
		t.Errorf("a message for another key of the same name: %v", err)
	}
	if _, err := (jose.Sealed{}).Open(k); !errors.Is(err, jose.ErrDecrypt) {
		t.Errorf("no message: %v", err)
	}
}

// RFC 7518 appendix C: the agreed secret of the two keys there, and the key that is derived with their names.
func TestKeyDerivationOfRFC7518(t *testing.T) {
	t.Parallel()
	ephemeral, recipient := rawKey(t, "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"), rawKey(t, "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw")
	there, err := ephemeral.ECDH(recipient.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.ConcatKDF(there, "A128GCM", []byte("Alice"), []byte("Bob"), 16)
	if got := b64.EncodeToString(key); err != nil || got != "VqqN6vgjbSBcIijNcacQGg" {
		t.Errorf("the derived key is %q, %v", got, err)
	}
}

func rawKey(tb testing.TB, d string) *ecdh.PrivateKey {
	tb.Helper()
	raw, err := b64.DecodeString(d)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := ecdh.P256().NewPrivateKey(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func private(tb testing.TB, k jose.DecryptionKey) *gojose.JSONWebKey {
	tb.Helper()
	data, err := jose.MarshalDecryption(k)
	if err != nil {
		tb.Fatal(err)
	}
	var jwk gojose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil {
		tb.Fatal(err)
	}
	return &jwk
}

// The library opens our messages, and we open the library's.
func TestTheLibraryAndOurMessages(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	jwk := private(t, k)
	theirs, err := gojose.ParseEncryptedCompact(mustSeal(t, k, "hello"), []gojose.KeyAlgorithm{gojose.ECDH_ES}, []gojose.ContentEncryption{gojose.A256GCM})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := theirs.Decrypt(jwk); err != nil || string(got) != "hello" {
		t.Errorf("the library opened %q, %v", got, err)
	}
	public := jwk.Public()
	encrypter, err := gojose.NewEncrypter(gojose.A256GCM, gojose.Recipient{Algorithm: gojose.ECDH_ES, Key: &public},
		(&gojose.EncrypterOptions{}).WithType("test+jwe").WithContentType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := encrypter.Encrypt([]byte("good day"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unseal(raw, k); err != nil || got != "good day" {
		t.Errorf("we opened %q, %v", got, err)
	}
}
