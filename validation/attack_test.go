// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

func payload(tb testing.TB, with ...map[string]any) string {
	tb.Helper()
	data, err := json.Marshal(claims(with...))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func hs256(header, payload string, secret []byte) string {
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

// es256 signs whatever header it is given.
func es256(tb testing.TB, k jose.PrivateKey, header, payload string) string {
	tb.Helper()
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.Signer.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return signed + "." + b64.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// publicForms are the spellings of a public key that have been taken for HMAC secrets.
func publicForms(tb testing.TB, k jose.PublicKey) map[string][]byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Key)
	if err != nil {
		tb.Fatal(err)
	}
	jwks, err := jose.MarshalSet([]jose.PublicKey{k})
	if err != nil {
		tb.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	forms := map[string][]byte{
		"DER": der, "PEM": block, "PEM without the last line break": []byte(strings.TrimSpace(string(block))),
		"JWKS": jwks, "kid": []byte(k.KID), "nothing": nil,
	}
	if key, ok := k.Key.(*rsa.PublicKey); ok {
		forms["PKCS1"] = x509.MarshalPKCS1PublicKey(key)
		forms["modulus"] = key.N.Bytes()
	}
	return forms
}

// corpus is what JWT libraries have fallen for (RFC 8725 2; OWASP WSTG-SESS-10), by name.
func corpus(tb testing.TB) map[string]string {
	tb.Helper()
	ec, rs := testKey(tb, jose.ES256), testKey(tb, jose.RS256)
	evil := keyNamed(tb, "evil", jose.ES256)
	good := access(tb)
	parts := strings.Split(good, ".")
	body := payload(tb)
	plain := fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q}`, ec.KID)
	evilJWK, err := jose.MarshalSet([]jose.PublicKey{evil.Public()})
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]string{}
	for i, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "\u006eone", "", "ES256none"} {
		header := fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}`, alg, ec.KID)
		all[fmt.Sprintf("3.1 alg none %d without signature", i)] = compact(header, body, nil)
		all[fmt.Sprintf("3.1 alg none %d with the good signature", i)] = b64.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
		all[fmt.Sprintf("3.1 alg none %d without the last dot", i)] = strings.TrimSuffix(compact(header, body, nil), ".")
	}
	for _, k := range []jose.PrivateKey{ec, rs} {
		for form, secret := range publicForms(tb, k.Public()) {
			for _, alg := range []string{"HS256", "HS384", "HS512", "hs256"} {
				all[fmt.Sprintf("3.1 %s with the public key as %s of %s", alg, form, k.Alg)] = hs256(
					fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}`, alg, k.KID), body, secret)
			}
			all[fmt.Sprintf("3.1 HMAC under the name of %s as %s", k.Alg, form)] = hs256(
				fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}`, k.Alg, k.KID), body, secret)
		}
	}
	for name, header := range map[string]string{
		"3.10 jwk":           fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","jwk":%s}`, firstKey(evilJWK)),
		"3.10 jwk with kid":  fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"jwk":%s}`, ec.KID, firstKey(evilJWK)),
		"3.10 jku":           fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"jku":"https://evil.example/jwks"}`, evil.KID),
		"3.10 x5u":           fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"x5u":"https://evil.example/cert"}`, evil.KID),
		"3.10 x5c":           fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"x5c":["MIIB"]}`, evil.KID),
		"3.10 kid path":      `{"alg":"ES256","typ":"at+jwt","kid":"../../dev/null"}`,
		"3.10 kid SQL":       `{"alg":"ES256","typ":"at+jwt","kid":"x' UNION SELECT 'a"}`,
		"3.10 kid NUL":       `{"alg":"ES256","typ":"at+jwt","kid":"a\u0000"}`,
		"3.10 kid shell":     `{"alg":"ES256","typ":"at+jwt","kid":"|/bin/true"}`,
		"3.10 kid of 10 kB":  fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q}`, strings.Repeat("k", 10<<10)),
		"3.10 kid empty":     `{"alg":"ES256","typ":"at+jwt","kid":""}`,
		"3.10 kid absent":    `{"alg":"ES256","typ":"at+jwt"}`,
		"3.10 kid a number":  `{"alg":"ES256","typ":"at+jwt","kid":1}`,
		"3.10 kid a list":    fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":[%q]}`, ec.KID),
		"RFC7515/4.1.11":     fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"crit":["exp"],"exp":1}`, ec.KID),
		"RFC7515/4.1.11 b64": fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"crit":["b64"],"b64":false}`, ec.KID),
		"compressed":         fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"zip":"DEF"}`, ec.KID),
		"nested":             fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"cty":"JWT"}`, ec.KID),
		"alg twice":          fmt.Sprintf(`{"alg":"none","alg":"ES256","typ":"at+jwt","kid":%q}`, ec.KID),
		"kid twice":          fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":%q,"kid":%q}`, evil.KID, ec.KID),
		"typ twice":          fmt.Sprintf(`{"alg":"ES256","typ":"JWT","typ":"at+jwt","kid":%q}`, ec.KID),
	} {
		all[name+", signed by somebody else"] = es256(tb, evil, header, body)
		if !strings.Contains(header, evil.KID) && !strings.Contains(name, "kid") {
			all[name+", signed by the issuer"] = es256(tb, ec, header, body)
		}
	}
	all["3.8 another issuer's key with the same kid"] = es256(tb, evil, plain, body)
	all["3.8 another issuer's key with its own kid"] = mint(tb, evil, "at+jwt", claims())
	all["3.1 the key of one algorithm used with another"] = compact(
		fmt.Sprintf(`{"alg":"RS256","typ":"at+jwt","kid":%q}`, ec.KID), body, decode(tb, parts[2]))
	all["3.1 an RSA key used with PSS"] = pssWith(tb, rs, body)
	for name, signature := range signatures(tb, ec, parts) {
		all["signature "+name] = parts[0] + "." + parts[1] + "." + signature
	}
	for name, other := range map[string]map[string]any{
		"other subject": set("sub", "usr_2"), "more scope": set("scope", "admin"), "longer life": set("exp", start.Unix()+3600),
	} {
		all["payload of another token: "+name] = parts[0] + "." + b64.EncodeToString([]byte(payload(tb, other))) + "." + parts[2]
	}
	for name, raw := range spellings(good) {
		all["spelling "+name] = raw
	}
	for name, body := range bodies(body) {
		all["3.7 payload "+name] = es256(tb, ec, plain, body)
	}
	return all
}

func firstKey(jwks []byte) string {
	text := string(jwks)
	return text[strings.Index(text, "[")+1 : strings.LastIndex(text, "]")]
}

func decode(tb testing.TB, part string) []byte {
	tb.Helper()
	data, err := b64.DecodeString(part)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func pssWith(tb testing.TB, k jose.PrivateKey, body string) string {
	tb.Helper()
	signed := b64.EncodeToString([]byte(fmt.Sprintf(`{"alg":"PS256","typ":"at+jwt","kid":%q}`, k.KID))) + "." + b64.EncodeToString([]byte(body))
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPSS(rand.Reader, k.Signer.(*rsa.PrivateKey), crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		tb.Fatal(err)
	}
	return signed + "." + b64.EncodeToString(signature)
}

// signatures are wrong ones and other spellings of the right one (CVE-2022-21449 and its like). The mirror image is not
// among them: see TestMirroredSignatureIsAnotherSpelling.
func signatures(tb testing.TB, k jose.PrivateKey, parts []string) map[string]string {
	tb.Helper()
	good := decode(tb, parts[2])
	order := elliptic.P256().Params().N
	flipped := append([]byte(nil), good...)
	flipped[0] ^= 1
	n := order.FillBytes(make([]byte, 32))
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	der, err := ecdsa.SignASN1(rand.Reader, k.Signer.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string][]byte{
		"zeros": make([]byte, 64), "r and s of the order": append(append([]byte(nil), n...), n...),
		"in DER": der, "with a bit flipped": flipped, "cut": good[:63], "with a byte more": append(append([]byte(nil), good...), 0),
		"of 96 bytes":           append(append(make([]byte, 16), good[:32]...), append(make([]byte, 16), good[32:]...)...),
		"of one":                append(append(make([]byte, 31), 1), append(make([]byte, 31), 1)...),
		"with s zero":           append(append([]byte(nil), good[:32]...), make([]byte, 32)...),
		"of the halves swapped": append(append([]byte(nil), good[32:]...), good[:32]...),
	}
	texts := map[string]string{"empty": "", "that is not base64": "!!!"}
	for name, signature := range all {
		texts[name] = b64.EncodeToString(signature)
	}
	return texts
}

// spellings are other ways to write a good token down.
func spellings(good string) map[string]string {
	parts := strings.Split(good, ".")
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(parts[2])
	all := map[string]string{
		"empty": "", "one part": parts[0], "two parts": parts[0] + "." + parts[1], "four parts": good + ".x", "five parts": good + ".x.y",
		"dots": "..", "leading dot": "." + good, "trailing dot": good + ".", "leading space": " " + good, "trailing space": good + " ",
		"trailing line break": good + "\n", "line break inside": parts[0] + ".\n" + parts[1] + "." + parts[2], "NUL": good + "\x00",
		"padded": good + "==", "padded payload": parts[0] + "." + parts[1] + "=." + parts[2], "quoted": `"` + good + `"`,
		"JSON serialization": `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"twice":              good + "," + good, "Bearer inside": "Bearer " + good, "upper case": strings.ToUpper(good),
		"too long": good + strings.Repeat("A", jose.MaxToken), "very long": strings.Repeat("A", 1<<20), "not ASCII": good + "é",
	}
	if standard != parts[2] {
		all["standard alphabet"] = parts[0] + "." + parts[1] + "." + standard
	}
	// The last character of a 64 byte signature carries four bits that must be zero.
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])
	all["stray bits"] = good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last|1])
	return all
}

// bodies are payloads that two readers may read in two ways.
func bodies(good string) map[string]string {
	member := func(text string) string { return strings.TrimSuffix(good, "}") + "," + text + "}" }
	return map[string]string{
		"duplicate sub": member(`"sub":"usr_2"`), "duplicate exp under an escape": member(`"\u0065xp":9999999999`),
		"duplicate in a nested object": member(`"act":{"sub":"a","sub":"b"}`), "in another case": member(`"Sub":"usr_2"`),
		"not UTF-8": member("\"x\":\"\xff\""), "UTF-16": "\xff\xfe{\x00}\x00", "with a byte order mark": "\ufeff" + good,
		"lone surrogate": member(`"x":"\ud800"`), "two objects": good + good, "trailing comma": strings.TrimSuffix(good, "}") + ",}",
		"a list": "[" + good + "]", "a string": `"x"`, "empty": "", "null": "null", "a comment": "/**/" + good, "deep": member(`"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)),
		"NaN": member(`"x":NaN`), "single quotes": "{'sub':'u'}",
	}
}

func TestRFC8725AttackCorpus(t *testing.T) {
	t.Parallel()
	source := newKeys(testKey(t, jose.ES256), testKey(t, jose.RS256))
	strict := newHouse(t, func(c *validation.Config) { c.Keys = source })
	generic := newHouse(t, func(c *validation.Config) { c.Keys, c.Typ = source, validation.TypJWT })
	if _, err := strict.Validate(t.Context(), validation.Bearer(access(t))); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	all := corpus(t)
	for name, raw := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // the second time as well: a refusal leaves nothing behind
				p, err := strict.Validate(t.Context(), validation.Bearer(raw))
				wantInvalid(t, p, err)
				p, err = generic.Validate(t.Context(), validation.Bearer(raw))
				wantInvalid(t, p, err)
			}
		})
	}
	t.Run("count", func(t *testing.T) {
		t.Parallel()
		if len(all) < 150 {
			t.Errorf("%d attacks", len(all))
		}
	})
}

// TestAttacksAreNotRemembered: only what was found valid takes memory.
func TestAttacksAreNotRemembered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *validation.Config) { c.Keys = newKeys(testKey(t, jose.ES256), testKey(t, jose.RS256)) })
	for name, raw := range corpus(t) {
		if p, err := h.Validate(t.Context(), validation.Bearer(raw)); err == nil {
			t.Errorf("%s: accepted %+v", name, p)
		}
	}
	if got := h.Stats(); got.Entries != 0 || got.Bytes != 0 {
		t.Errorf("got %+v", got)
	}
}

// The mirror image of an ES256 signature is valid for everybody. It makes another spelling of the token, which is judged
// like any token: that it says the same is no harm, for a revocation goes by what a token says.
func TestMirroredSignatureIsAnotherSpelling(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	raw := access(t)
	cut := strings.LastIndexByte(raw, '.') + 1
	signature := decode(t, raw[cut:])
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(signature[32:]))
	mirrored := raw[:cut] + b64.EncodeToString(append(signature[:32:32], s.FillBytes(make([]byte, 32))...))
	first, err := h.Validate(t.Context(), validation.Bearer(raw))
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Validate(t.Context(), validation.Bearer(mirrored))
	if err != nil || second.TokenID != first.TokenID {
		t.Fatalf("got %v, %v", second, err)
	}
	h.revoked.revoked.Store(first.TokenID, true)
	for _, raw := range []string{raw, mirrored} {
		p, err := h.Validate(t.Context(), validation.Bearer(raw))
		wantRefused(t, p, err, validation.ErrRevoked)
	}
}

func wantInvalid(tb testing.TB, p *validation.Principal, err error) {
	tb.Helper()
	if err == nil {
		tb.Fatalf("accepted: %+v", p)
	}
	wantCode(tb, err, "invalid_token", 401)
	for _, secret := range []string{"usr_1", "eyJ", "{", "kid"} {
		if text := validation.ChallengeFor(err).String(); strings.Contains(text, secret) {
			tb.Errorf("the challenge repeats the token: %s", text)
		}
	}
}

// kinds are the JWTs of standards-oauth section 39, each as it looks when it is sound, all signed with one issuer's key.
// What a kind says beyond its type is what its own standard has it say.
func kinds() map[string]struct {
	typ    string
	claims map[string]any
} {
	type kind = struct {
		typ    string
		claims map[string]any
	}
	session := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	return map[string]kind{
		"access token":                 {"at+jwt", claims()},
		"ID token":                     {"JWT", claims(set("nonce", "n"), set("at_hash", "h"))},
		"ID token without typ":         {"", claims(set("nonce", "n"))},
		"DPoP proof":                   {"dpop+jwt", claims(set("htm", "GET"), set("htu", audience))},
		"client assertion":             {"client-authentication+jwt", claims(set("iss", "portal"), set("sub", "portal"), set("aud", issuer))},
		"client assertion without typ": {"", claims(set("iss", "portal"), set("sub", "portal"), set("aud", issuer))},
		"request object":               {"oauth-authz-req+jwt", claims(set("response_type", "code"))},
		"introspection response":       {"token-introspection+jwt", claims(set("token_introspection", map[string]any{"active": true}))},
		"logout token":                 {"logout+jwt", claims(set("events", session))},
		"client attestation":           {"oauth-client-attestation+jwt", claims()},
		"client attestation proof":     {"oauth-client-attestation-pop+jwt", claims()},
		"site session":                 {"gatehouse-session+jwt", claims()},
		"upstream assertion":           {"gatehouse-assertion+jwt", claims(set("aud", "upstream"))},
		"security event":               {"secevent+jwt", claims(set("events", session))},
		"entity statement":             {"entity-statement+jwt", claims()},
	}
}

// TestTypConfusion is the matrix of standards-oauth section 39 for the consumer that this package is: whatever is not the
// kind it was built for is refused, although its signature, issuer, audience and times are good.
func TestTypConfusion(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	for _, typ := range []string{"at+jwt", "gatehouse-session+jwt", validation.TypJWT} {
		h := newHouse(t, func(c *validation.Config) { c.Typ = typ })
		for name, kind := range kinds() {
			t.Run(typ+" offered "+name, func(t *testing.T) {
				t.Parallel()
				p, err := h.Validate(t.Context(), validation.Bearer(mint(t, k, kind.typ, kind.claims)))
				if kind.typ == typ && typ != validation.TypJWT {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil {
					t.Fatalf("accepted: %+v", p)
				}
				wantCode(t, err, "invalid_token", 401)
			})
		}
	}
}
