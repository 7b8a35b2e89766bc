// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

func TestGeneratedKeysAreNamedByTheirThumbprint(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		k := testKey(t, alg)
		if k.Alg != alg || len(k.KID) != 43 || k.KID != jose.Thumbprint(k.Public()) {
			t.Errorf("%s: key %q, thumbprint %q", alg, k.KID, jose.Thumbprint(k.Public()))
		}
		if err := k.Public().Check(); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	for _, alg := range []jose.Algorithm{"", "none", "HS256", "ES384", "es256"} {
		if k, err := jose.GenerateKey(alg); !errors.Is(err, jose.ErrKey) || alg.Supported() {
			t.Errorf("GenerateKey(%q) = %v, %v, want ErrKey", alg, k, err)
		}
	}
}

func TestSetsAreReadBack(t *testing.T) {
	t.Parallel()
	var want []jose.PublicKey
	for _, alg := range algorithms {
		want = append(want, testKey(t, alg).Public())
	}
	unnamed := want[0]
	unnamed.KID = ""
	want = append(want, unnamed, unnamed)
	data, err := jose.MarshalSet(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := jose.ParseSet(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameKey)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for _, member := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"k"`} {
		if strings.Contains(string(data), member+":") {
			t.Errorf("the set holds %s", member)
		}
	}
}

func sameKey(a, b jose.PublicKey) bool {
	thumb := jose.Thumbprint(a)
	return a.KID == b.KID && a.Alg == b.Alg && thumb != "" && thumb == jose.Thumbprint(b)
}

func TestAnEmptySetIsAList(t *testing.T) {
	t.Parallel()
	data, err := jose.MarshalSet(nil)
	if err != nil || string(data) != `{"keys":[]}` {
		t.Errorf("MarshalSet(nil) = %s, %v", data, err)
	}
	if keys, err := jose.ParseSet(data); err != nil || len(keys) != 0 {
		t.Errorf("ParseSet = %v, %v", keys, err)
	}
}

// offCurve is a P-256 key whose point is not on the curve.
func offCurve(tb testing.TB) *ecdsa.PublicKey {
	tb.Helper()
	good := testKey(tb, jose.ES256).Public().Key.(*ecdsa.PublicKey)
	point, err := good.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	x, y := new(big.Int).SetBytes(point[1:33]), new(big.Int).SetBytes(point[33:])
	//lint:ignore SA1019 the library's constructors make no key off the curve
	return &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: y.Add(y, big.NewInt(1))}
}

func TestKeysOutsideTheProfile(t *testing.T) {
	t.Parallel()
	es, ed, rs := testKey(t, jose.ES256).Public(), testKey(t, jose.EdDSA).Public(), testKey(t, jose.RS256).Public()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n, even := rs.Key.(*rsa.PublicKey).N, new(big.Int).Lsh(big.NewInt(1), 2047)
	tests := []struct {
		name string
		key  jose.PublicKey
	}{
		{"zero", jose.PublicKey{}},
		{"no key", jose.PublicKey{Alg: jose.ES256}},
		{"no algorithm", jose.PublicKey{Key: es.Key}},
		{"alg none", jose.PublicKey{Alg: "none", Key: es.Key}},
		{"EC key for RS256", jose.PublicKey{Alg: jose.RS256, Key: es.Key}},
		{"RSA key for ES256", jose.PublicKey{Alg: jose.ES256, Key: rs.Key}},
		{"Ed25519 key for ES256", jose.PublicKey{Alg: jose.ES256, Key: ed.Key}},
		{"a secret", jose.PublicKey{Alg: "HS256", Key: []byte("secret")}},
		{"a private key", jose.PublicKey{Alg: jose.ES256, Key: testKey(t, jose.ES256).Signer}},
		{"nil EC key", jose.PublicKey{Alg: jose.ES256, Key: (*ecdsa.PublicKey)(nil)}},
		{"EC key without a point", jose.PublicKey{Alg: jose.ES256, Key: &ecdsa.PublicKey{Curve: elliptic.P256()}}},
		{"EC key without a curve", jose.PublicKey{Alg: jose.ES256, Key: &ecdsa.PublicKey{}}},
		{"P-384", jose.PublicKey{Alg: jose.ES256, Key: &p384.PublicKey}},
		{"RFC 8725 3.4 off the curve", jose.PublicKey{Alg: jose.ES256, Key: offCurve(t)}},
		{"Ed25519 key cut", jose.PublicKey{Alg: jose.EdDSA, Key: ed.Key.(ed25519.PublicKey)[:31]}},
		{"nil RSA key", jose.PublicKey{Alg: jose.RS256, Key: (*rsa.PublicKey)(nil)}},
		{"RSA key without a modulus", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{E: 65537}}},
		{"RSA 2047", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: bits(2047), E: 65537}}},
		{"RSA 8193", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: bits(8193), E: 65537}}},
		{"RSA even modulus", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: even, E: 65537}}},
		{"RSA exponent 1", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: 1}}},
		{"RSA even exponent", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: 65536}}},
		{"RSA negative exponent", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: -3}}},
		{"kid with a line break", jose.PublicKey{KID: "a\nb", Alg: jose.ES256, Key: es.Key}},
		{"kid too long", jose.PublicKey{KID: strings.Repeat("k", 257), Alg: jose.ES256, Key: es.Key}},
		{"kid not ASCII", jose.PublicKey{KID: "\u00e9", Alg: jose.ES256, Key: es.Key}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.key.Check(); !errors.Is(err, jose.ErrKey) {
				t.Errorf("Check = %v, want ErrKey", err)
			}
			if data, err := jose.MarshalSet([]jose.PublicKey{es, tt.key}); !errors.Is(err, jose.ErrKey) || data != nil {
				t.Errorf("MarshalSet = %s, %v, want ErrKey", data, err)
			}
			token := mustParse(t, mustSign(t, testKey(t, jose.ES256), "", `{}`))
			if tt.key.KID == "" {
				if err := token.Verify(tt.key); !errors.Is(err, jose.ErrSignature) {
					t.Errorf("Verify = %v, want ErrSignature", err)
				}
			}
		})
	}
}

func TestKeysAtTheEdgeOfTheProfile(t *testing.T) {
	t.Parallel()
	n := bits(2048)
	tests := []struct {
		name string
		key  jose.PublicKey
	}{
		{"RSA 2048", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: 65537}}},
		{"RSA 8192", jose.PublicKey{Alg: jose.PS256, Key: &rsa.PublicKey{N: bits(8192), E: 65537}}},
		{"RSA exponent 3", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: 3}}},
		{"RSA exponent of 31 bits", jose.PublicKey{Alg: jose.RS256, Key: &rsa.PublicKey{N: n, E: 1<<31 - 1}}},
		{"kid of any printable character", jose.PublicKey{KID: " ~", Alg: jose.ES256, Key: testKey(t, jose.ES256).Public().Key}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.key.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSetOfTheLargestSize(t *testing.T) {
	t.Parallel()
	others := strings.Repeat(`,{"kty":"x"}`, jose.MaxSetKeys-1)
	set := `{"keys":[` + jwk(t, testKey(t, jose.ES256).Public(), nil) + others + `]}`
	set += strings.Repeat(" ", jose.MaxSet-len(set))
	if keys, err := jose.ParseSet([]byte(set)); err != nil || len(keys) != 1 {
		t.Errorf("ParseSet = %v, %v", keys, err)
	}
}

// bits returns an odd number of n bits.
func bits(n int) *big.Int {
	b := new(big.Int).Lsh(big.NewInt(1), uint(n)-1)
	return b.SetBit(b, 0, 1)
}

// jwk returns a key of a set with some members changed; a nil value removes one.
func jwk(tb testing.TB, k jose.PublicKey, changes map[string]any) string {
	tb.Helper()
	set, err := jose.MarshalSet([]jose.PublicKey{k})
	if err != nil {
		tb.Fatal(err)
	}
	var members struct{ Keys []map[string]any }
	if err := json.Unmarshal(set, &members); err != nil {
		tb.Fatal(err)
	}
	key := members.Keys[0]
	maps.Copy(key, changes)
	maps.DeleteFunc(key, func(_ string, v any) bool { return v == nil })
	data, err := json.Marshal(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func TestParseSetTakes(t *testing.T) {
	t.Parallel()
	es, ed, rs := testKey(t, jose.ES256).Public(), testKey(t, jose.EdDSA).Public(), testKey(t, jose.RS256).Public()
	with := func(k jose.PublicKey, name string, value any) string { return jwk(t, k, map[string]any{name: value}) }
	tests := []struct {
		name, jwk string
		want      jose.Algorithm // none is skipped
	}{
		{"EC", jwk(t, es, nil), jose.ES256},
		{"EC without alg", with(es, "alg", nil), jose.ES256},
		{"Ed25519 without alg", with(ed, "alg", nil), jose.EdDSA},
		{"RSA without alg", with(rs, "alg", nil), jose.RS256},
		{"RSA for PS256", with(rs, "alg", "PS256"), jose.PS256},
		{"without use", with(es, "use", nil), jose.ES256},
		{"without kid", with(es, "kid", nil), jose.ES256},
		{"kid of 256 bytes", with(es, "kid", strings.Repeat("k", 256)), jose.ES256},
		{"with a certificate", with(rs, "x5c", []string{"!!"}), jose.RS256},
		{"with an address", with(rs, "x5u", "::not a url"), jose.RS256},
		{"with a member nobody knows", with(es, "exp", 1), jose.ES256},
		{"key_ops verify", with(es, "key_ops", []string{"verify"}), jose.ES256},
		{"member in capitals that is no secret", with(es, "D", "x"), jose.ES256},
		{"use enc", with(es, "use", "enc"), ""},
		{"use unknown", with(es, "use", "x"), ""},
		{"key_ops encrypt", with(rs, "key_ops", []string{"encrypt"}), ""},
		{"key_ops empty", with(rs, "key_ops", []string{}), ""},
		{"alg ES384", with(es, "alg", "ES384"), ""},
		{"alg RSA-OAEP", with(rs, "alg", "RSA-OAEP"), ""},
		{"alg RS512", with(rs, "alg", "RS512"), ""},
		{"alg none", with(es, "alg", "none"), ""},
		{"alg HS256 on a public key", with(rs, "alg", "HS256"), ""},
		{"alg of another type", with(es, "alg", "RS256"), ""},
		{"P-384", with(es, "crv", "P-384"), ""},
		{"secp256k1", with(es, "crv", "secp256k1"), ""},
		{"Ed448", with(ed, "crv", "Ed448"), ""},
		{"X25519", with(ed, "crv", "X25519"), ""},
		{"kty unknown", `{"kty":"AKP","alg":"ML-DSA-44","pub":"x"}`, ""},
		{"kty in lower case", with(es, "kty", "ec"), ""},
		{"kty absent", with(es, "kty", nil), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			keys, err := jose.ParseSet([]byte(`{"keys":[` + tt.jwk + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.want == "" && len(keys) != 0:
				t.Errorf("took %v, want it skipped", keys)
			case tt.want != "" && (len(keys) != 1 || keys[0].Alg != tt.want):
				t.Errorf("took %v, want one %s key", keys, tt.want)
			}
		})
	}
}

func TestParseSetRefuses(t *testing.T) {
	t.Parallel()
	es, ed, rs := testKey(t, jose.ES256).Public(), testKey(t, jose.EdDSA).Public(), testKey(t, jose.RS256).Public()
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	good := jwk(t, es, nil)
	with := func(k jose.PublicKey, name string, value any) string {
		return set(good, jwk(t, k, map[string]any{"kid": "other", name: value}))
	}
	coordinate := b64.EncodeToString(make([]byte, 32))
	tests := []struct {
		name, set string
		want      error
	}{
		{"nothing", ``, jose.ErrMalformed},
		{"null", `null`, jose.ErrMalformed},
		{"a list", `[` + good + `]`, jose.ErrMalformed},
		{"a bare key", good, jose.ErrMalformed},
		{"no keys", `{}`, jose.ErrMalformed},
		{"keys null", `{"keys":null}`, jose.ErrMalformed},
		{"keys an object", `{"keys":{}}`, jose.ErrMalformed},
		{"keys in capitals", `{"KEYS":[` + good + `]}`, jose.ErrMalformed},
		{"keys twice", `{"keys":[],"keys":[` + good + `]}`, jose.ErrMalformed},
		{"a key that is null", set("null"), jose.ErrMalformed},
		{"a key that is a string", set(`"x"`), jose.ErrMalformed},
		{"a member twice", set(strings.Replace(good, `"kty"`, `"kty":"RSA","kty"`, 1)), jose.ErrMalformed},
		{"trailing garbage", set(good) + "x", jose.ErrMalformed},
		{"not UTF-8", set(strings.Replace(good, `"kid":"`, `"kid":"`+"\xff", 1)), jose.ErrMalformed},
		{"65 keys", set(strings.Split(strings.Repeat(`{"kty":"x"} `, 65)[:65*12-1], " ")...), jose.ErrMalformed},
		{"over 256 KiB", set(good) + strings.Repeat(" ", jose.MaxSet), jose.ErrMalformed},
		{"kid a number", with(es, "kid", 1), jose.ErrMalformed},
		{"alg a list", with(es, "alg", []string{"ES256"}), jose.ErrMalformed},
		{"use null", set(strings.Replace(good, `"sig"`, `["sig"]`, 1)), jose.ErrMalformed},
		{"x a number", with(es, "x", 1), jose.ErrMalformed},
		{"x padded", with(es, "x", coordinate+"="), jose.ErrMalformed},
		{"x with a line break", with(es, "x", coordinate[:9]+"\n"+coordinate[9:]), jose.ErrMalformed},
		{"x with bits to spare", with(es, "x", coordinate[:42]+"B"), jose.ErrMalformed},
		{"n in the other alphabet", with(rs, "n", "+/+/"), jose.ErrMalformed},
		{"RFC 7517 9.2 EC private key", with(es, "d", coordinate), jose.ErrKey},
		{"RSA private key", with(rs, "d", "AQAB"), jose.ErrKey},
		{"RSA prime", with(rs, "p", "AQAB"), jose.ErrKey},
		{"RSA other primes", with(rs, "oth", []string{}), jose.ErrKey},
		{"secret in a key that would be skipped", set(`{"kty":"new","d":"x"}`), jose.ErrKey},
		{"secret that is null", set(strings.Replace(good, `"kty"`, `"d":null,"kty"`, 1)), jose.ErrKey},
		{"secret named by an escape", set(strings.Replace(good, `"kty"`, `"\u0064":"x","kty"`, 1)), jose.ErrKey},
		{"symmetric key", set(`{"kty":"oct","k":"c2VjcmV0"}`), jose.ErrKey},
		{"symmetric key without its secret", set(`{"kty":"oct"}`), jose.ErrKey},
		{"post-quantum secret", set(`{"kty":"AKP","priv":"x"}`), jose.ErrKey},
		{"RFC 8725 3.4 off the curve", with(es, "y", b64.EncodeToString(append(make([]byte, 31), 1))), jose.ErrKey},
		{"point at infinity", set(`{"kty":"EC","crv":"P-256","x":"` + coordinate + `","y":"` + coordinate + `"}`), jose.ErrKey},
		{"x too short", with(es, "x", b64.EncodeToString(make([]byte, 31))), jose.ErrKey},
		{"x too long", with(es, "x", b64.EncodeToString(make([]byte, 33))), jose.ErrKey},
		{"no y", with(es, "y", nil), jose.ErrKey},
		{"Ed25519 of 31 bytes", with(ed, "x", b64.EncodeToString(make([]byte, 31))), jose.ErrKey},
		{"Ed25519 without x", with(ed, "x", nil), jose.ErrKey},
		{"RSA 1024", with(rs, "n", b64.EncodeToString(bits(1024).Bytes())), jose.ErrKey},
		{"RSA 2047", with(rs, "n", b64.EncodeToString(bits(2047).Bytes())), jose.ErrKey},
		{"RSA 16384", with(rs, "n", b64.EncodeToString(bits(16384).Bytes())), jose.ErrKey},
		{"RSA exponent 1", with(rs, "e", "AQ"), jose.ErrKey},
		{"RSA exponent even", with(rs, "e", "BA"), jose.ErrKey},
		{"RSA exponent of 40 bits", with(rs, "e", "AQAAAAE"), jose.ErrKey},
		{"RSA without n", with(rs, "n", nil), jose.ErrKey},
		{"kid of 257 bytes", with(es, "kid", strings.Repeat("k", 257)), jose.ErrKey},
		{"kid with NUL", with(es, "kid", "a\x00b"), jose.ErrKey},
		{"one kid twice", set(good, good), jose.ErrKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if keys, err := jose.ParseSet([]byte(tt.set)); !errors.Is(err, tt.want) || keys != nil {
				t.Errorf("ParseSet = %v, %v, want %v", keys, err, tt.want)
			}
		})
	}
}

// RFC 7517 section 4.5: one name for keys of different types is allowed.
func TestOneNameForTwoAlgorithms(t *testing.T) {
	t.Parallel()
	a, b := testKey(t, jose.ES256).Public(), testKey(t, jose.RS256).Public()
	a.KID, b.KID = "same", "same"
	data, err := jose.MarshalSet([]jose.PublicKey{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := jose.ParseSet(data); err != nil || len(keys) != 2 {
		t.Errorf("ParseSet = %v, %v", keys, err)
	}
}

func TestPrivateKeysAreReadBack(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			data, err := jose.MarshalPrivate(k)
			if err != nil {
				t.Fatal(err)
			}
			got, err := jose.ParsePrivate(data)
			if err != nil {
				t.Fatal(err)
			}
			if !sameKey(got.Public(), k.Public()) {
				t.Errorf("read back %v, want %v", got, k)
			}
			if err := read(mustSign(t, got, "", `{}`), k.Public()); err != nil {
				t.Errorf("the key that was read back signs what the key does not verify: %v", err)
			}
			if _, err := jose.ParseSet([]byte(`{"keys":[` + string(data) + `]}`)); !errors.Is(err, jose.ErrKey) {
				t.Errorf("a set takes the private key: %v", err)
			}
		})
	}
}

func TestParsePrivateRefuses(t *testing.T) {
	t.Parallel()
	private, err := jose.MarshalPrivate(testKey(t, jose.ES256))
	if err != nil {
		t.Fatal(err)
	}
	other, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	otherPrivate, err := jose.MarshalPrivate(other)
	if err != nil {
		t.Fatal(err)
	}
	var a, b map[string]any
	if json.Unmarshal(private, &a) != nil || json.Unmarshal(otherPrivate, &b) != nil {
		t.Fatal("a private key is no JSON")
	}
	with := func(name string, value any) string {
		c := maps.Clone(a)
		c[name] = value
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	tests := []struct{ name, data string }{
		{"nothing", ""},
		{"no JSON", "-----BEGIN PRIVATE KEY-----"},
		{"public key", jwk(t, other.Public(), nil)},
		{"symmetric key", `{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0","alg":"HS256"}`},
		{"no algorithm", with("alg", "")},
		{"algorithm of another type", with("alg", "RS256")},
		{"another key's secret", with("d", b["d"])},
		{"secret cut", with("d", "AQAB")},
		{"secret zero", with("d", b64.EncodeToString(make([]byte, 32)))},
		{"point of another key", with("x", b["x"])},
		{"P-384", with("crv", "P-384")},
		{"kid with a quote", with("kid", `a"b`)},
		{"too large", string(private) + strings.Repeat(" ", jose.MaxSet)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := jose.ParsePrivate([]byte(tt.data))
			if !errors.Is(err, jose.ErrKey) {
				t.Fatalf("ParsePrivate = %v, %v, want ErrKey", k, err)
			}
			if d := fmt.Sprint(a["d"]); strings.Contains(err.Error(), d) {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestMarshalPrivateRefuses(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	tests := []struct {
		name string
		key  jose.PrivateKey
	}{
		{"zero", jose.PrivateKey{}},
		{"algorithm of another type", jose.PrivateKey{Alg: jose.EdDSA, Signer: k.Signer}},
		{"a device that keeps its secret", jose.PrivateKey{Alg: jose.ES256, Signer: device{k}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if data, err := jose.MarshalPrivate(tt.key); !errors.Is(err, jose.ErrKey) || data != nil {
				t.Errorf("MarshalPrivate = %s, %v, want ErrKey", data, err)
			}
		})
	}
}
