// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// forger encrypts rightly to a key whatever stands in the header, as a library without any strictness would: so that nothing but
// the profile stands between a case and its acceptance.
type forger struct{ to jose.DecryptionKey }

// parts are the five of a message, encoded, and the point whose secret it was encrypted with.
type parts struct{ header, key, nonce, text, tag string }

func (p parts) String() string {
	return strings.Join([]string{p.header, p.key, p.nonce, p.text, p.tag}, ".")
}

// message encrypts under a header in which X, Y and KID stand for what they are.
func (f forger) message(tb testing.TB, header string, plaintext []byte) parts {
	tb.Helper()
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	point := ephemeral.PublicKey().Bytes()
	header = strings.NewReplacer("X", b64.EncodeToString(point[1:33]), "Y", b64.EncodeToString(point[33:]), "KID", f.to.KID).Replace(header)
	secret, err := ephemeral.ECDH(f.to.Key.PublicKey())
	if err != nil {
		tb.Fatal(err)
	}
	key, err := jose.ConcatKDF(secret, "A256GCM", nil, nil, 32)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	nonce := make([]byte, 12)
	encoded := b64.EncodeToString([]byte(header))
	text := aead.Seal(nil, nonce, plaintext, []byte(encoded))
	return parts{encoded, "", b64.EncodeToString(nonce), b64.EncodeToString(text[:len(plaintext)]), b64.EncodeToString(text[len(plaintext):])}
}

const goodHeader = `{"alg":"ECDH-ES","enc":"A256GCM","typ":"test+jwe","cty":"JWT","kid":"KID","epk":{"kty":"EC","crv":"P-256","x":"X","y":"Y"}}`

// with returns the good header with one text exchanged.
func with(tb testing.TB, old, replacement string) string {
	tb.Helper()
	if strings.Count(goodHeader, old) != 1 {
		tb.Fatalf("%q does not stand in the header once", old)
	}
	return strings.Replace(goodHeader, old, replacement, 1)
}

func TestForgerIsUnderstood(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	for _, header := range []string{goodHeader, with(t, `"alg"`, "\n \"alg\""), with(t, `"kid"`, `"\u006bid"`), with(t, "A256GCM", `A256\u0047CM`)} {
		if got, err := unseal(forger{k}.message(t, header, []byte("hi")).String(), k); err != nil || got != "hi" {
			t.Errorf("%s: %q, %v", header, got, err)
		}
	}
}

// Every header here carries a message that is rightly encrypted.
func TestHeadersOutsideTheProfile(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	member := func(m string) string { return with(t, `"cty":"JWT",`, `"cty":"JWT",`+m+`,`) }
	headers := map[string]string{
		"alg with key wrap":     with(t, "ECDH-ES", "ECDH-ES+A256KW"),
		"alg dir":               with(t, "ECDH-ES", "dir"),
		"alg none":              with(t, "ECDH-ES", "none"),
		"alg RSA1_5":            with(t, "ECDH-ES", "RSA1_5"),
		"alg in another case":   with(t, "ECDH-ES", "ecdh-es"),
		"alg with a space":      with(t, "ECDH-ES", "ECDH-ES "),
		"alg twice":             member(`"alg":"ECDH-ES"`),
		"alg twice, escaped":    member(`"\u0061lg":"ECDH-ES"`),
		"alg in upper case too": member(`"ALG":"ECDH-ES"`),
		"enc A128CBC-HS256":     with(t, "A256GCM", "A128CBC-HS256"),
		"enc A128GCM":           with(t, "A256GCM", "A128GCM"),
		"enc twice":             member(`"enc":"A256GCM"`),
		"zip":                   member(`"zip":"DEF"`),
		"crit":                  member(`"crit":["exp"],"exp":1`),
		"crit of nothing":       member(`"crit":[]`),
		"jku":                   member(`"jku":"https://evil.example"`),
		"jwk":                   member(`"jwk":{"kty":"EC"}`),
		"x5u":                   member(`"x5u":"https://evil.example"`),
		"x5c":                   member(`"x5c":["AA"]`),
		"x5t":                   member(`"x5t":"AA"`),
		"p2c":                   member(`"p2c":1000000000`),
		"p2s":                   member(`"p2s":"AA"`),
		"apu":                   member(`"apu":"AA"`),
		"apv":                   member(`"apv":"AA"`),
		"iv and tag":            member(`"iv":"AA","tag":"AA"`),
		"b64":                   member(`"b64":false`),
		"claims":                member(`"iss":"dev_1"`),
		"an unknown member":     member(`"x":"y"`),
		"no alg":                with(t, `"alg":"ECDH-ES",`, ""),
		"no enc":                with(t, `"enc":"A256GCM",`, ""),
		"no typ":                with(t, `"typ":"test+jwe",`, ""),
		"no cty":                with(t, `"cty":"JWT",`, ""),
		"no kid":                with(t, `"kid":"KID",`, ""),
		"no epk":                with(t, `,"epk":{"kty":"EC","crv":"P-256","x":"X","y":"Y"}`, ""),
		"typ of another object": with(t, "test+jwe", "other+jwe"),
		"typ as a media type":   with(t, "test+jwe", "application/test+jwe"),
		"typ in another case":   with(t, "test+jwe", "Test+JWE"),
		"cty in another case":   with(t, `"JWT"`, `"jwt"`),
		"kid empty":             with(t, "KID", ""),
		"kid a number":          with(t, `"KID"`, `1`),
		"kid of control":        with(t, "KID", `a\u0000b`),
		"kid of 1 KiB":          with(t, "KID", strings.Repeat("k", 1000)),
		"alg a list":            with(t, `"ECDH-ES"`, `["ECDH-ES"]`),
		"epk a string":          with(t, `{"kty":"EC","crv":"P-256","x":"X","y":"Y"}`, `"X"`),
		"epk null":              with(t, `{"kty":"EC","crv":"P-256","x":"X","y":"Y"}`, `null`),
		"epk with a secret":     with(t, `"y":"Y"`, `"y":"Y","d":"X"`),
		"epk with a kid":        with(t, `"y":"Y"`, `"y":"Y","kid":"a"`),
		"epk twice":             with(t, `"y":"Y"}`, `"y":"Y"},"epk":{"kty":"EC","crv":"P-256","x":"X","y":"Y"}`),
		"epk with x twice":      with(t, `"y":"Y"`, `"y":"Y","x":"X"`),
		"epk without y":         with(t, `,"y":"Y"`, ""),
		"epk without kty":       with(t, `"kty":"EC",`, ""),
		"epk with a null y":     with(t, `"y":"Y"`, `"y":null`),
		"epk on P-384":          with(t, "P-256", "P-384"),
		"epk of X25519":         with(t, `"kty":"EC","crv":"P-256","x":"X","y":"Y"`, `"kty":"OKP","crv":"X25519","x":"X"`),
		"epk off its curve":     with(t, `"y":"Y"`, `"y":"X"`),
		"epk at infinity":       with(t, `"x":"X","y":"Y"`, `"x":"`+strings.Repeat("A", 43)+`","y":"`+strings.Repeat("A", 43)+`"`),
		"epk with a short x":    with(t, `"x":"X"`, `"x":"AQ"`),
		"epk with a long x":     with(t, `"x":"X"`, `"x":"AAX"`),
		"epk with padding":      with(t, `"x":"X"`, `"x":"X="`),
		"not an object":         `["ECDH-ES"]`,
		"two objects":           goodHeader + goodHeader,
		"not JSON":              `{"alg":ECDH-ES}`,
		"not UTF-8":             with(t, "KID", "\xff"),
		"empty":                 ``,
		"deep":                  member(`"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)),
	}
	for name, header := range headers {
		if s, err := message.Parse(forger{k}.message(t, header, []byte("hi")).String()); !errors.Is(err, jose.ErrMalformed) || s.KID != "" {
			t.Errorf("%s: Parse = %v, %v", name, s, err)
		}
	}
}

func TestSpellingsOutsideTheProfile(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	good := forger{k}.message(t, goodHeader, []byte("hello, world"))
	standard := strings.NewReplacer("-", "+", "_", "/")
	cases := map[string]string{
		"four parts":             strings.Join([]string{good.header, good.nonce, good.text, good.tag}, "."),
		"six parts":              good.String() + ".",
		"a leading dot":          "." + good.String(),
		"three parts":            good.header + "." + good.text + "." + good.tag,
		"nothing":                "",
		"dots":                   "....",
		"an encrypted key":       parts{good.header, "AAAA", good.nonce, good.text, good.tag}.String(),
		"a short nonce":          parts{good.header, "", "AAAA", good.text, good.tag}.String(),
		"no nonce":               parts{good.header, "", "", good.text, good.tag}.String(),
		"a long nonce":           parts{good.header, "", good.nonce + "AAAA", good.text, good.tag}.String(),
		"a short tag":            parts{good.header, "", good.nonce, good.text, good.tag[:16]}.String(),
		"no tag":                 parts{good.header, "", good.nonce, good.text, ""}.String(),
		"the tag in the text":    parts{good.header, "", good.nonce, good.text + good.tag, ""}.String(),
		"padding":                parts{good.header, "", good.nonce, good.text, good.tag + "=="}.String(),
		"trailing bits":          parts{good.header, "", good.nonce, good.text, trailing(good.tag)}.String(),
		"a line break":           good.String() + "\n",
		"a line break inside":    parts{good.header, "", good.nonce, "\r\n" + good.text, good.tag}.String(),
		"a space":                " " + good.String(),
		"standard base64":        standard.Replace(good.String()) + "+",
		"a large header":         parts{good.header + strings.Repeat("A", 4096), "", good.nonce, good.text, good.tag}.String(),
		"above the limit":        forger{k}.message(t, goodHeader, make([]byte, 4<<10)).String(),
		"a token in its place":   mustSign(t, testKey(t, jose.ES256), "at+jwt", accessClaims),
		"the flat serialization": flat(t, good),
		"the full serialization": full(t, good),
	}
	for name, raw := range cases {
		if s, err := message.Parse(raw); !errors.Is(err, jose.ErrMalformed) || s.KID != "" {
			t.Errorf("%s: Parse = %v, %v", name, s, err)
		}
	}
}

// trailing sets bits of the last character that belong to no byte.
func trailing(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + alphabet[last|1:last|1+1]
}

func flat(tb testing.TB, p parts) string {
	tb.Helper()
	data, err := json.Marshal(map[string]string{"protected": p.header, "iv": p.nonce, "ciphertext": p.text, "tag": p.tag})
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func full(tb testing.TB, p parts) string {
	tb.Helper()
	data, err := json.Marshal(map[string]any{
		"protected": p.header, "iv": p.nonce, "ciphertext": p.text, "tag": p.tag,
		"recipients": []any{map[string]any{"header": map[string]string{"kid": "a"}}, map[string]any{"encrypted_key": "AA"}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// Every byte of a message is under the tag, or under the key that the tag is made with.
func TestEveryAlterationIsRefused(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	raw := mustSeal(t, k, "hello, world")
	for i := range len(raw) {
		altered := []byte(raw)
		if altered[i] == '.' {
			continue
		}
		if altered[i]++; raw[i] == 'Z' || raw[i] == 'z' || raw[i] == '9' || raw[i] == '_' || raw[i] == '-' {
			altered[i] = 'B'
		}
		_, err := unseal(string(altered), k)
		if !errors.Is(err, jose.ErrMalformed) && !errors.Is(err, jose.ErrDecrypt) {
			t.Errorf("byte %d altered: %v", i, err)
		}
	}
	for n := range len(raw) {
		if _, err := unseal(raw[:n], k); err == nil {
			t.Errorf("%d bytes of %d were opened", n, len(raw))
		}
	}
}

// A compressed message would become a thousand times its size. It is refused before that, by its header.
func TestABombIsNotInflated(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	var bomb bytes.Buffer
	w, err := flate.NewWriter(&bomb, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	header := with(t, `"cty":"JWT",`, `"cty":"JWT","zip":"DEF",`)
	raw := forger{k}.message(t, header, bomb.Bytes()[:2<<10]).String()
	if _, err := message.Parse(raw); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("Parse = %v", err)
	}
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t).Public()
	p384, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bad := k
	bad.KID = `a"b`
	for name, seal := range map[string]func() (string, error){
		"too much":      func() (string, error) { return message.Seal(k, make([]byte, 4<<10)) },
		"no key":        func() (string, error) { return message.Seal(jose.EncryptionKey{}, nil) },
		"a bad name":    func() (string, error) { return message.Seal(bad, nil) },
		"another curve": func() (string, error) { return message.Seal(jose.EncryptionKey{KID: "a", Key: p384.PublicKey()}, nil) },
		"no type":       func() (string, error) { return jose.Encryption{CTY: "JWT", Limit: 4 << 10}.Seal(k, nil) },
	} {
		if raw, err := seal(); raw != "" || !errors.Is(err, jose.ErrKey) && !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: Seal = %q, %v", name, raw, err)
		}
	}
}

// brokenAgreement is a hardware key that answers with anything.
type brokenAgreement struct {
	ecdh.KeyExchanger
	secret []byte
	err    error
}

func (b brokenAgreement) ECDH(*ecdh.PublicKey) ([]byte, error) { return b.secret, b.err }

func TestHardwareThatFails(t *testing.T) {
	t.Parallel()
	k := decryptionKey(t)
	raw := mustSeal(t, k, "hello")
	for _, b := range []brokenAgreement{{err: errors.New("locked")}, {secret: []byte{1}}, {secret: make([]byte, 32)}} {
		b.KeyExchanger = k.Key
		if _, err := unseal(raw, jose.DecryptionKey{KID: k.KID, Key: b}); !errors.Is(err, jose.ErrDecrypt) {
			t.Errorf("Open = %v", err)
		}
	}
}

// What parses has one spelling, a header that the library reads alike, and opens for nobody but its key.
func FuzzParseEncrypted(f *testing.F) {
	k, other := decryptionKey(f), decryptionKey(f)
	f.Add(mustSeal(f, k, "hello"))
	f.Add(forger{k}.message(f, goodHeader, []byte("hi")).String())
	f.Add(forger{k}.message(f, strings.Replace(goodHeader, `"cty"`, `"zip":"DEF","cty"`, 1), []byte("hi")).String())
	f.Add("....")
	f.Add(flat(f, forger{k}.message(f, goodHeader, []byte("hi"))))
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := message.Parse(raw)
		if err != nil {
			if !errors.Is(err, jose.ErrMalformed) || s.KID != "" {
				t.Errorf("Parse = %v, %v", s, err)
			}
			return
		}
		if _, err := s.Open(other); !errors.Is(err, jose.ErrDecrypt) {
			t.Errorf("another key opens it: %v", err)
		}
		theirs, err := gojose.ParseEncryptedCompact(raw, []gojose.KeyAlgorithm{gojose.ECDH_ES}, []gojose.ContentEncryption{gojose.A256GCM})
		if err != nil {
			t.Fatalf("the library refuses what was taken: %v", err)
		}
		if theirs.Header.KeyID != s.KID {
			t.Errorf("the library reads key %q, we read %q", theirs.Header.KeyID, s.KID)
		}
		again, err := theirs.CompactSerialize()
		if err != nil || strings.SplitN(again, ".", 2)[1] != strings.SplitN(raw, ".", 2)[1] {
			t.Errorf("%q was read as %q, %v", raw, again, err)
		}
		ours, errOurs := s.Open(k)
		plain, errTheirs := theirs.Decrypt(private(t, k))
		if (errOurs == nil) && (errTheirs != nil || !bytes.Equal(ours, plain)) {
			t.Errorf("we open what the library does not: %v", errTheirs)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := decryptionKey(b).Public()
	text := make([]byte, 800)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Seal(k, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnseal(b *testing.B) {
	k := decryptionKey(b)
	raw := mustSeal(b, k, strings.Repeat("x", 800))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unseal(raw, k); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnsealByTheLibrary(b *testing.B) {
	k := decryptionKey(b)
	raw, jwk := mustSeal(b, k, strings.Repeat("x", 800)), private(b, k)
	b.ReportAllocs()
	for b.Loop() {
		object, err := gojose.ParseEncryptedCompact(raw, []gojose.KeyAlgorithm{gojose.ECDH_ES}, []gojose.ContentEncryption{gojose.A256GCM})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := object.Decrypt(jwk); err != nil {
			b.Fatal(err)
		}
	}
}
