// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

var b64 = base64.RawURLEncoding

const issuer = "https://auth.example.com"

// noon is the time of every test here.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a server and a phone that know one another.
type world struct {
	phone     envelope.Keys
	serverEnc jose.DecryptionKey
	serverKey jose.PrivateKey
	known     envelope.ServerKeys
}

func newWorld(tb testing.TB) world {
	tb.Helper()
	w := world{phone: newKeys(tb)}
	var err error
	if w.serverEnc, err = jose.GenerateDecryption(); err != nil {
		tb.Fatal(err)
	}
	if w.serverKey, err = jose.GenerateKey(jose.ES256); err != nil {
		tb.Fatal(err)
	}
	w.known = envelope.ServerKeys{
		Sign: []envelope.SignKey{mustSignKey(tb, w.serverKey)}, Enc: []envelope.EncKey{mustEncKey(tb, w.serverEnc)},
	}
	return w
}

func newKeys(tb testing.TB) envelope.Keys {
	tb.Helper()
	sign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	enc, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	k, err := envelope.NewKeys(sign, enc)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustSignKey(tb testing.TB, k jose.PrivateKey) envelope.SignKey {
	tb.Helper()
	key, err := envelope.SignKeyOf(k.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func mustEncKey(tb testing.TB, k jose.DecryptionKey) envelope.EncKey {
	tb.Helper()
	key, err := envelope.EncKeyOf(k.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// request is one that the phone would make.
func (w world) request(path string) envelope.Request {
	return envelope.Request{
		Device: "dev_1", Audience: issuer, Path: path, ID: envelope.NewID(), At: noon, KnownKeys: w.known.Digest(),
	}
}

// expected is what the server expects there.
func (w world) expected(path string) envelope.Expected {
	return envelope.Expected{Issuer: issuer, Path: path, Now: noon, Key: func(kid string) (jose.DecryptionKey, bool) {
		return w.serverEnc, kid == w.serverEnc.KID
	}}
}

func (w world) seal(tb testing.TB, r envelope.Request, body any) string {
	tb.Helper()
	raw, err := envelope.SealRequest(r, body, w.phone, w.known.Enc[0])
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// open opens a request of device dev_1.
func (w world) open(raw, path string) (envelope.Request, error) {
	u, err := envelope.OpenRequest(raw, w.expected(path))
	if err != nil {
		return envelope.Request{}, err
	}
	return u.Verify("dev_1", w.phone.Public().Sign)
}

// forge encrypts a token to the server that says anything at all, signed by whoever.
func (w world) forge(tb testing.TB, k jose.PrivateKey, typ, claims string) string {
	tb.Helper()
	return w.wrap(tb, rawToken(tb, k, typ, claims))
}

// rawToken signs without a look at what it signs.
func rawToken(tb testing.TB, k jose.PrivateKey, typ, claims string) string {
	tb.Helper()
	header := `{"alg":"ES256","typ":"` + typ + `","kid":"` + k.KID + `"}`
	if typ == "" {
		header = `{"alg":"ES256","kid":"` + k.KID + `"}`
	}
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.Signer.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + b64.EncodeToString(signature[:])
}

// wrap encrypts any text to the server.
func (w world) wrap(tb testing.TB, text string) string {
	tb.Helper()
	raw, err := jose.Encryption{Typ: "gatehouse-device+jwe", CTY: "JWT", Limit: 1 << 20}.Seal(w.serverEnc.Public(), []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// mustRefuse fails unless err is a refusal for the reason, which does not quote any of the secrets.
func mustRefuse(tb testing.TB, err error, want envelope.Reason, secrets ...string) {
	tb.Helper()
	if !isRefusal(err) {
		tb.Fatalf("the error is %v, want one that wraps ErrRefused", err)
	}
	if got := envelope.ReasonOf(err); got != want {
		tb.Errorf("the reason is %q, want %q (%v)", got, want, err)
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			tb.Errorf("the error quotes a secret: %v", err)
		}
	}
}
