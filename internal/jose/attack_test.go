// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

const (
	plainHeader  = `{"alg":"ES256","typ":"at+jwt"}`
	plainPayload = `{"sub":"usr_1"}`
)

// victim signs whatever it is given, as an issuer without any strictness would: so that nothing but the profile stands
// between a case and its acceptance.
type victim struct{ key jose.PrivateKey }

func (v victim) sign(tb testing.TB, signed string) []byte {
	tb.Helper()
	digest := sha256.Sum256([]byte(signed))
	der, err := v.key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	if v.key.Alg != jose.ES256 {
		return der
	}
	var inner cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) {
		tb.Fatal("no ECDSA signature")
	}
	raw := make([]byte, 64)
	copy(raw[32-len(r):], r)
	copy(raw[64-len(s):], s)
	return raw
}

// raw signs two parts as they are.
func (v victim) raw(tb testing.TB, header, payload string) string {
	tb.Helper()
	signed := header + "." + payload
	return signed + "." + b64.EncodeToString(v.sign(tb, signed))
}

// forge signs a header and a payload.
func (v victim) forge(tb testing.TB, header, payload string) string {
	tb.Helper()
	return v.raw(tb, b64.EncodeToString([]byte(header)), b64.EncodeToString([]byte(payload)))
}

func hs256(secret []byte, signed string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

// read is what a verifier does with a token.
func read(raw string, k jose.PublicKey) error {
	token, err := jose.Parse(raw)
	if err != nil {
		return err
	}
	if err := token.Verify(k); err != nil {
		return err
	}
	var claims map[string]any
	return token.Claims(&claims)
}

type attack struct {
	name string
	raw  string
	want error
}

func run(t *testing.T, k jose.PublicKey, attacks []attack) {
	t.Helper()
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := read(tt.raw, k); !errors.Is(err, tt.want) {
				t.Errorf("token was read with %v, want %v", err, tt.want)
			} else if strings.Contains(err.Error(), "usr_1") {
				t.Errorf("the error quotes the token: %v", err)
			}
		})
	}
}

// The cases below rest on the victim's signatures being good ones.
func TestVictimSignsGoodTokens(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.ES256, jose.RS256} {
		k := testKey(t, alg)
		v := victim{k}
		tests := []struct{ name, header, payload string }{
			{"plain", `{"alg":"` + string(alg) + `"}`, plainPayload},
			{"all members", `{"kid":"` + k.KID + `","typ":"at+jwt","alg":"` + string(alg) + `"}`, plainPayload},
			{"space", " {\r\n\t\"alg\" : \"" + string(alg) + "\" }\n", "\t{ }\n"},
			{
				"escapes", `{"\u0061lg":"` + string(alg) + `","typ":"application\/at+jwt"}`,
				`{"a\u00e9":"\ud83d\ude00 \" \\ \/ \b\f\n\r\t"}`,
			},
			{"thumbprints of a certificate", `{"alg":"` + string(alg) + `","x5t":"abc","x5t#S256":"abc"}`, plainPayload},
			{
				"every value", `{"alg":"` + string(alg) + `"}`,
				`{"a":[],"b":{},"c":[{"a":1},[2]],"d":-0.5e+3,"e":1E2,"f":true,"g":false,"h":null}`,
			},
			{"header of 1 kB", strings.Repeat(" ", 1024-len(`{"alg":"ES256"}`)) + `{"alg":"` + string(alg) + `"}`, plainPayload},
			{"names that differ", `{"alg":"` + string(alg) + `"}`, `{"a":1,"A":2,"b":{"a":1},"c":{"a":1},"":3," ":4}`},
		}
		for _, tt := range tests {
			t.Run(string(alg)+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				if err := read(v.forge(t, tt.header, tt.payload), k.Public()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestRFC8725Algorithms(t *testing.T) {
	t.Parallel()
	v := victim{testKey(t, jose.ES256)}
	var attacks []attack
	for _, alg := range []string{
		`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `""`, `" ES256"`, `"ES256 "`, `"es256"`, `"ES256\u0000"`, `"ES384"`, `"ES512"`,
		`"ES256K"`, `"HS256"`, `"HS384"`, `"HS512"`, `"RS1"`, `"RS384"`, `"PS512"`, `"RSA1_5"`, `"dir"`, `"Ed448"`, `null`, `1`,
		`["ES256"]`, `{"ES256":1}`, `true`,
	} {
		attacks = append(attacks, attack{"3.1 alg " + alg, v.forge(t, `{"alg":`+alg+`}`, plainPayload), jose.ErrMalformed})
	}
	part := func(s string) string { return b64.EncodeToString([]byte(s)) }
	attacks = append(attacks,
		attack{"3.1 alg absent", v.forge(t, `{"typ":"at+jwt"}`, plainPayload), jose.ErrMalformed},
		attack{"3.1 alg in capitals", v.forge(t, `{"ALG":"ES256"}`, plainPayload), jose.ErrMalformed},
		attack{"3.2 alg none without signature", part(`{"alg":"none"}`) + "." + part(plainPayload) + ".", jose.ErrMalformed},
		attack{"3.2 signature left out", part(plainHeader) + "." + part(plainPayload) + ".", jose.ErrMalformed},
		attack{"3.1 alg swapped to EdDSA", v.forge(t, `{"alg":"EdDSA"}`, plainPayload), jose.ErrSignature},
		attack{"3.1 alg swapped to RS256", v.forge(t, `{"alg":"RS256"}`, plainPayload), jose.ErrSignature},
		attack{"3.1 alg swapped to PS256", v.forge(t, `{"alg":"PS256"}`, plainPayload), jose.ErrSignature},
	)
	run(t, v.key.Public(), attacks)
}

// The class of CVE-2015-9235 and CVE-2026-33322: the public key, in any form it is published in, is used as the secret of
// an HMAC [RFC 8725 section 2.1].
func TestRFC8725PublicKeyAsSecret(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		k := testKey(t, alg).Public()
		der, err := x509.MarshalPKIXPublicKey(k.Key)
		if err != nil {
			t.Fatal(err)
		}
		set, err := jose.MarshalSet([]jose.PublicKey{k})
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		var attacks []attack
		for name, secret := range map[string][]byte{
			"PEM": text, "PEM without line break": []byte(strings.TrimSpace(string(text))), "DER": der, "key set": set,
			"nothing": nil,
		} {
			for _, header := range []string{
				`{"alg":"HS256"}`, `{"alg":"` + string(alg) + `"}`, `{"alg":"HS256","kid":"` + k.KID + `"}`,
			} {
				want := jose.ErrMalformed
				if !strings.Contains(header, "HS256") {
					want = jose.ErrSignature
				}
				raw := hs256(secret, b64.EncodeToString([]byte(header))+"."+b64.EncodeToString([]byte(plainPayload)))
				attacks = append(attacks, attack{fmt.Sprintf("%s 2.1 %s with %s", alg, header, name), raw, want})
			}
		}
		run(t, k, attacks)
	}
}

func TestRFC8725Header(t *testing.T) {
	t.Parallel()
	v := victim{testKey(t, jose.ES256)}
	attacker, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.MarshalSet([]jose.PublicKey{attacker.Public()})
	if err != nil {
		t.Fatal(err)
	}
	jwk := strings.TrimSuffix(strings.TrimPrefix(string(set), `{"keys":[`), `]}`)
	members := []struct{ name, json string }{
		{"3.10 jwk", `"jwk":` + jwk},
		{"3.10 jwk is a string", `"jwk":"x"`},
		{"3.10 jku", `"jku":"https://evil.example/jwks"`},
		{"3.10 x5u", `"x5u":"https://evil.example/cert"`},
		{"3.10 x5c", `"x5c":["MIIB"]`},
		{"RFC 7515 4.1.11 crit", `"crit":["exp"],"exp":1`},
		{"RFC 7515 4.1.11 crit empty", `"crit":[]`},
		{"RFC 7515 4.1.11 crit of a known member", `"crit":["typ"]`},
		{"RFC 7797 b64 false", `"b64":false,"crit":["b64"]`},
		{"RFC 7797 b64 true", `"b64":true`},
		{"RFC 7516 4.1.3 zip", `"zip":"DEF"`},
		{"RFC 7516 enc", `"enc":"A256GCM"`},
		{"cty of a nested token", `"cty":"JWT"`},
		{"unknown member", `"nonce":"x"`},
		{"claim in the header", `"iss":"https://evil.example"`},
		{"empty name", `"":"x"`},
		{"x5t is no string", `"x5t":{"a":1}`},
		{"typ empty", `"typ":""`},
		{"typ null", `"typ":null`},
		{"typ is a list", `"typ":["at+jwt"]`},
		{"typ with NUL", `"typ":"at+jwt\u0000"`},
		{"typ not ASCII", `"typ":"at+jwt` + "\u00e9" + `"`},
		{"typ too long", `"typ":"` + strings.Repeat("t", 65) + `"`},
		{"3.10 kid empty", `"kid":""`},
		{"3.10 kid null", `"kid":null`},
		{"3.10 kid number", `"kid":1`},
		{"3.10 kid is a list", `"kid":["a"]`},
		{"3.10 kid with NUL", `"kid":"key\u0000.pem"`},
		{"3.10 kid with a line break", `"kid":"a\nSet-Cookie: x"`},
		{"3.10 kid with a quote", `"kid":"a\"b"`},
		{"3.10 kid with a backslash", `"kid":"..\\..\\x"`},
		{"3.10 kid not ASCII", `"kid":"` + "\u202e" + `"`},
		{"3.10 kid of 257 bytes", `"kid":"` + strings.Repeat("k", 257) + `"`},
		{"3.10 kid of 10 kB", `"kid":"` + strings.Repeat("k", 10_000) + `"`},
		{"3.7 alg twice", `"alg":"none"`},
		{"3.7 alg twice, the same", `"alg":"ES256"`},
		{"3.7 alg twice by an escape", `"\u0061lg":"none"`},
		{"3.7 kid twice", `"kid":"a","kid":"b"`},
	}
	var attacks []attack
	for _, m := range members {
		attacks = append(attacks,
			attack{m.name + ", in front", v.forge(t, `{`+m.json+`,"alg":"ES256"}`, plainPayload), jose.ErrMalformed},
			attack{m.name + ", behind", v.forge(t, `{"alg":"ES256",`+m.json+`}`, plainPayload), jose.ErrMalformed})
	}
	// These kids are merely names of keys that do not exist.
	for _, kid := range []string{
		"../../../../dev/null", "/etc/passwd", "' OR '1'='1", "x; DROP TABLE keys", "https://evil.example/jwks",
		"${jndi:ldap://x}", "%2e%2e",
	} {
		raw := v.forge(t, `{"alg":"ES256","kid":"`+kid+`"}`, plainPayload)
		attacks = append(attacks, attack{"3.10 kid " + kid, raw, jose.ErrSignature})
	}
	// Signed by the attacker with the key that the header offers.
	attacks = append(attacks, attack{
		"3.10 jwk that verifies", victim{attacker}.forge(t, `{"alg":"ES256","jwk":`+jwk+`}`, plainPayload), jose.ErrMalformed,
	})
	run(t, v.key.Public(), attacks)
}

func TestRFC8725JSON(t *testing.T) {
	t.Parallel()
	v := victim{testKey(t, jose.ES256)}
	utf16LE := func(s string) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(s)) {
			b.WriteByte(byte(u))
			b.WriteByte(byte(u >> 8))
		}
		return b.String()
	}
	documents := []struct{ name, json string }{
		{"3.7 UTF-16", utf16LE(`{"alg":"ES256"}`)},
		{"3.7 UTF-16 with mark", "\xff\xfe" + utf16LE(`{"alg":"ES256"}`)},
		{"3.7 UTF-8 with mark", "\xef\xbb\xbf" + `{"alg":"ES256"}`},
		{"3.7 overlong slash", `{"alg":"ES256","typ":"a` + "\xc0\xaf" + `"}`},
		{"3.7 surrogate as UTF-8", `{"alg":"ES256","typ":"a` + "\xed\xa0\x80" + `"}`},
		{"3.7 stray byte", `{"alg":"ES256"` + "\xff" + `}`},
		{"3.7 high surrogate alone", `{"alg":"ES256","typ":"\ud800"}`},
		{"3.7 low surrogate alone", `{"alg":"ES256","typ":"\udc00"}`},
		{"3.7 high surrogate and a letter", `{"alg":"ES256","typ":"\ud800a"}`},
		{"3.7 two high surrogates", `{"alg":"ES256","typ":"\ud800\ud800"}`},
		{"3.7 high surrogate at the end", `{"alg":"ES256","typ":"\ud800`},
		{"nothing", ``},
		{"space", "  "},
		{"null", `null`},
		{"a list", `[{"alg":"ES256"}]`},
		{"a string", `"ES256"`},
		{"a number", `1`},
		{"two objects", `{"alg":"ES256"}{"alg":"ES256"}`},
		{"trailing garbage", `{"alg":"ES256"}x`},
		{"trailing NUL", `{"alg":"ES256"}` + "\x00"},
		{"trailing comma", `{"alg":"ES256",}`},
		{"leading comma", `{,"alg":"ES256"}`},
		{"two commas", `{"alg":"ES256",,"typ":"x"}`},
		{"no comma", `{"alg":"ES256" "typ":"x"}`},
		{"no colon", `{"alg" "ES256"}`},
		{"no value", `{"alg":}`},
		{"no end", `{"alg":"ES256"`},
		{"string without end", `{"alg":"ES256`},
		{"single quotes", `{'alg':'ES256'}`},
		{"bare name", `{alg:"ES256"}`},
		{"comment", `{"alg":"ES256"/**/}`},
		{"line break in a string", "{\"alg\":\"ES256\",\"typ\":\"a\nb\"}"},
		{"NUL in a string", "{\"alg\":\"ES256\",\"typ\":\"a\x00b\"}"},
		{"unknown escape", `{"alg":"ES256","typ":"\x41"}`},
		{"escape of three digits", `{"alg":"ES256","typ":"\u004"}`},
		{"escape that is cut", `{"alg":"ES256","typ":"\u00`},
		{"backslash at the end", `{"alg":"ES256","typ":"\`},
		{"vertical tab as space", "{\v\"alg\":\"ES256\"}"},
	}
	attacks := make([]attack, 0, 2*len(documents))
	for _, d := range documents {
		attacks = append(attacks,
			attack{"header: " + d.name, v.forge(t, d.json, plainPayload), jose.ErrMalformed},
			attack{"payload: " + d.name, v.forge(t, plainHeader, d.json), jose.ErrMalformed})
	}
	run(t, v.key.Public(), attacks)
}

func TestRFC8725Payload(t *testing.T) {
	t.Parallel()
	v := victim{testKey(t, jose.ES256)}
	members := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"m%d":0`, i))
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	nested := func(open, closing string, n int) string {
		return `{"a":` + strings.Repeat(open, n-1) + "0" + strings.Repeat(closing, n-1) + `}`
	}
	good := []struct{ name, payload string }{
		{"as many members as allowed", members(jose.MaxMembers)},
		{"as deep as allowed", nested("[", "]", jose.MaxDepth)},
		{"objects as deep as allowed", nested(`{"a":`, "}", jose.MaxDepth)},
		{"one name in many objects", `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`},
	}
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := read(v.forge(t, plainHeader, tt.payload), v.key.Public()); err != nil {
				t.Error(err)
			}
		})
	}
	bad := []struct{ name, payload string }{
		{"3.7 sub twice", `{"sub":"usr_1","sub":"usr_2"}`},
		{"3.7 sub twice, the same", `{"sub":"usr_1","sub":"usr_1"}`},
		{"3.7 sub twice by an escape", `{"sub":"usr_1","\u0073ub":"usr_2"}`},
		{"3.7 sub twice by two escapes", `{"\u0073ub":"usr_1","s\u0075b":"usr_2"}`},
		{"3.7 twice inside", `{"cnf":{"jkt":"a","x":1,"jkt":"b"}}`},
		{"3.7 twice inside a list", `{"a":[{"b":1,"b":2}]}`},
		{"3.7 twice behind an object", `{"a":{"b":1},"a":{"b":2}}`},
		{"3.7 twice behind many", members(40)[:len(members(40))-1] + `,"m3":0}`},
		{"too many members", members(jose.MaxMembers + 1)},
		{"too deep", nested("[", "]", jose.MaxDepth+1)},
		{"objects too deep", nested(`{"a":`, "}", jose.MaxDepth+1)},
		{"12,000 brackets", `{"a":` + strings.Repeat("[", 12_000)},
		{"leading zero", `{"exp":01}`},
		{"plus sign", `{"exp":+1}`},
		{"minus alone", `{"exp":-}`},
		{"no digit behind the point", `{"exp":1.}`},
		{"no digit before the point", `{"exp":.5}`},
		{"no digit in the exponent", `{"exp":1e}`},
		{"hexadecimal", `{"exp":0x10}`},
		{"NaN", `{"exp":NaN}`},
		{"Infinity", `{"exp":-Infinity}`},
		{"True", `{"a":True}`},
		{"nul", `{"a":nul}`},
		{"nulll", `{"a":nulll}`},
		{"list without end", `{"a":[1`},
		{"list with a trailing comma", `{"a":[1,]}`},
		{"list of a member", `{"a":["b":1]}`},
		{"list closed by a brace", `{"a":[1}}`},
	}
	var attacks []attack
	for _, tt := range bad {
		attacks = append(attacks, attack{tt.name, v.forge(t, plainHeader, tt.payload), jose.ErrMalformed})
	}
	run(t, v.key.Public(), attacks)
}

// One token has one spelling [RFC 8725bis: refuse anything that is not base64url joined by dots].
func TestRFC8725Encoding(t *testing.T) {
	t.Parallel()
	v := victim{testKey(t, jose.ES256)}
	enc := func(s string) string { return b64.EncodeToString([]byte(s)) }
	h, p := enc(plainHeader), enc(plainPayload)
	good := v.raw(t, h, p)
	if err := read(good, v.key.Public()); err != nil {
		t.Fatal(err)
	}
	hp, s := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.')+1:]
	// Payloads chosen so that there is padding to write, a bit to spare, and a character of the other alphabet.
	padded := base64.URLEncoding.EncodeToString([]byte(`{"sub":"usr_12"}`))
	other := base64.RawStdEncoding.EncodeToString([]byte(`{"a":"??>>"}`))
	if !strings.Contains(padded, "=") || !strings.ContainsAny(other, "+/") {
		t.Fatal("the payloads do not show what they should")
	}
	spare := strings.TrimRight(padded, "=")
	spare = spare[:len(spare)-1] + string(spare[len(spare)-1]+1)
	attacks := []attack{
		{"padding in the header", v.raw(t, base64.URLEncoding.EncodeToString([]byte(`{"alg":"ES256" }`)), p), jose.ErrMalformed},
		{"padding in the payload", v.raw(t, h, padded), jose.ErrMalformed},
		{"padding in the signature", good + "==", jose.ErrMalformed},
		{"the other alphabet", v.raw(t, h, other), jose.ErrMalformed},
		{"spare bits in the payload", v.raw(t, h, spare), jose.ErrMalformed},
		{"spare bits in the signature", good[:len(good)-1] + string(good[len(good)-1]+1), jose.ErrMalformed},
		{"line break in the header", v.raw(t, h[:4]+"\n"+h[4:], p), jose.ErrMalformed},
		{"line break in the payload", v.raw(t, h, p[:4]+"\r\n"+p[4:]), jose.ErrMalformed},
		{"line break in the signature", hp + "." + s[:4] + "\n" + s[4:], jose.ErrMalformed},
		{"line break behind", good + "\n", jose.ErrMalformed},
		{"line break before", "\n" + good, jose.ErrMalformed},
		{"carriage return before", "\r" + good, jose.ErrMalformed},
		{"space before", " " + good, jose.ErrMalformed},
		{"space behind", good + " ", jose.ErrMalformed},
		{"NUL behind", good + "\x00", jose.ErrMalformed},
		{"percent-encoded", strings.ReplaceAll(good, ".", "%2E"), jose.ErrMalformed},
		{"scheme in front", "Bearer " + good, jose.ErrMalformed},
		{"in quotes", `"` + good + `"`, jose.ErrMalformed},
		{"full-width dots", strings.ReplaceAll(good, ".", "\uFF0E"), jose.ErrMalformed},
		{"three characters too many", good + "AAA", jose.ErrMalformed},
		{"nothing", "", jose.ErrMalformed},
		{"a dot", ".", jose.ErrMalformed},
		{"two dots", "..", jose.ErrMalformed},
		{"one part", h, jose.ErrMalformed},
		{"two parts", hp, jose.ErrMalformed},
		{"four parts", good + "." + s, jose.ErrMalformed},
		{"a fourth part that is empty", good + ".", jose.ErrMalformed},
		{"five parts, encrypted", h + ".." + p + "." + p + "." + s, jose.ErrMalformed},
		{"no header", "." + p + "." + s, jose.ErrMalformed},
		{"no payload, detached", v.raw(t, h, ""), jose.ErrMalformed},
		{"flattened JSON", `{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`, jose.ErrMalformed},
		{
			"general JSON", `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + s + `"}]}`,
			jose.ErrMalformed,
		},
		{"parts swapped", p + "." + h + "." + s, jose.ErrMalformed},
		{"payload replaced", h + "." + enc(`{"sub":"usr_2"}`) + "." + s, jose.ErrSignature},
		{"header replaced", enc(`{"alg":"ES256"}`) + "." + p + "." + s, jose.ErrSignature},
		{"header of over 1 kB", v.forge(t, plainHeader+strings.Repeat(" ", 1025-len(plainHeader)), plainPayload), jose.ErrMalformed},
		{"over the limit", v.forge(t, plainHeader, `{"a":"`+strings.Repeat("a", 12_200)+`"}`), jose.ErrMalformed},
		{"1 MB", v.forge(t, plainHeader, `{"a":"`+strings.Repeat("a", 1<<20)+`"}`), jose.ErrMalformed},
		{"1 MB of dots", strings.Repeat(".", 1<<20), jose.ErrMalformed},
		{"the limit in dots", strings.Repeat(".", jose.MaxToken), jose.ErrMalformed},
	}
	run(t, v.key.Public(), attacks)
}

func TestSignaturesOfTheWrongForm(t *testing.T) {
	t.Parallel()
	v := victim{testKey(t, jose.ES256)}
	signed := b64.EncodeToString([]byte(plainHeader)) + "." + b64.EncodeToString([]byte(plainPayload))
	digest := sha256.Sum256([]byte(signed))
	der, err := v.key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	raw := v.sign(t, signed)
	order := elliptic.P256().Params().N.Bytes()
	join := func(parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	zero, one := make([]byte, 32), append(make([]byte, 31), 1)
	tests := []struct {
		name string
		sig  []byte
	}{
		{"DER", der},
		{"CVE-2022-21449 r and s zero", join(zero, zero)},
		{"r zero", join(zero, raw[32:])},
		{"s zero", join(raw[:32], zero)},
		{"r and s one", join(one, one)},
		{"r the order", join(order, raw[32:])},
		{"s the order", join(raw[:32], order)},
		{"all ones", []byte(strings.Repeat("\xff", 64))},
		{"swapped", join(raw[32:], raw[:32])},
		{"a byte less", raw[:63]},
		{"a byte more", append(raw[:64:64], 0)},
		{"a zero in front", join([]byte{0}, raw)},
		{"r and s of 33 bytes", join([]byte{0}, raw[:32], []byte{0}, raw[32:])},
		{"one byte", []byte{1}},
		{"1 kB", make([]byte, 1024)},
		{"another token's", v.sign(t, signed+"x")},
	}
	var attacks []attack
	for _, tt := range tests {
		attacks = append(attacks, attack{"RFC 7518 3.4 " + tt.name, signed + "." + b64.EncodeToString(tt.sig), jose.ErrSignature})
	}
	run(t, v.key.Public(), attacks)
}

// Every bit of a token counts.
func TestEveryBitIsSigned(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			raw := []byte(mustSign(t, k, "at+jwt", `{"sub":"usr_1"}`))
			for i := range raw {
				raw[i] ^= 1
				if err := read(string(raw), k.Public()); err == nil {
					t.Errorf("read with byte %d altered", i)
				}
				raw[i] ^= 1
			}
		})
	}
}
