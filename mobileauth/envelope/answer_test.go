// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

const answerClaims = `{"v":1,"iss":"https://auth.example.com","aud":"dev_1","iat":1795348800,"jti":"answer-0123456789abcdef","irt":"IRT","code":"ok","body":{}}`

func TestAnswersRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request(envelope.PathDevice)
	stranger := phoneKey(t)
	good := strings.Replace(answerClaims, "IRT", r.ID, 1)
	to := func(k envelope.EncKey, signer jose.PrivateKey, typ, claims string) string {
		return encryptTo(t, k, rawToken(t, signer, typ, claims))
	}
	with := func(old, replacement string) string {
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q does not stand in the claims once", old)
		}
		return to(w.phone.Public().Enc, w.serverKey, "gatehouse-answer+jws", strings.Replace(good, old, replacement, 1))
	}
	announced := func(signer jose.PrivateKey, keys string) string {
		return to(w.phone.Public().Enc, signer, "gatehouse-answer+jws", strings.Replace(good, `"body"`, `"server_keys":`+keys+`,"body"`, 1))
	}
	set, err := json.Marshal(envelope.ServerKeys{Sign: []envelope.SignKey{mustSignKey(t, stranger)}, Enc: w.known.Enc})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envelope.OpenAnswer(with(`"ok"`, `"ok"`), w.awaited(r)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	if _, err := envelope.OpenAnswer(announced(stranger, string(set)), w.awaited(r)); err != nil {
		t.Fatalf("one that announces its key: %v", err)
	}
	for _, tt := range []struct {
		name, raw string
		want      envelope.Reason
	}{
		{"version 2", with(`"v":1`, `"v":2`), envelope.ReasonVersion},
		{"another server", with("https://auth.example.com", "https://evil.example.com"), envelope.ReasonIssuer},
		{"for another device", with("dev_1", "dev_2"), envelope.ReasonAudience},
		{"to another request", with(r.ID, envelope.NewID()), envelope.ReasonRequest},
		{"to no request", with(r.ID, ""), envelope.ReasonClaims},
		{"an unknown code", with(`"ok"`, `"fine"`), envelope.ReasonClaims},
		{"no code", with(`"code":"ok",`, ``), envelope.ReasonClaims},
		{"no body", with(`,"body":{}`, ``), envelope.ReasonClaims},
		{"no ID", with(`"jti":"answer-0123456789abcdef",`, ``), envelope.ReasonClaims},
		{"no time", with(`1795348800`, `0`), envelope.ReasonClaims},
		{"twice the code", with(`"code":"ok"`, `"code":"gone","code":"ok"`), envelope.ReasonToken},
		{"signed by a stranger", to(w.phone.Public().Enc, stranger, "gatehouse-answer+jws", good), envelope.ReasonSigningKey},
		{"announced by a stranger to another request", to(w.phone.Public().Enc, stranger, "gatehouse-answer+jws",
			strings.Replace(strings.Replace(good, `"body"`, `"server_keys":`+string(set)+`,"body"`, 1), r.ID, envelope.NewID(), 1)), envelope.ReasonRequest},
		{"keys of others announced", announced(phoneKey(t), string(set)), envelope.ReasonSigningKey},
		{"no keys announced", announced(w.serverKey, `{"keys":[]}`), envelope.ReasonKeys},
		{"no set announced", announced(w.serverKey, `[]`), envelope.ReasonClaims},
		{"a request", to(w.phone.Public().Enc, w.serverKey, "gatehouse-request+jws", good), envelope.ReasonType},
		{"for another key", to(newKeys(t).Public().Enc, w.serverKey, "gatehouse-answer+jws", good), envelope.ReasonKeys},
		{"not encrypted", mustToken(t, w.serverKey, good), envelope.ReasonEncryption},
		{"not signed", encryptTo(t, w.phone.Public().Enc, good), envelope.ReasonToken},
		{"too large", strings.Repeat("a", 64<<10+1), envelope.ReasonSize},
		{"empty", "", envelope.ReasonEncryption},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := envelope.OpenAnswer(tt.raw, w.awaited(r))
			mustRefuse(t, err, tt.want)
		})
	}
	nothing := w.awaited(r)
	nothing.RequestID = ""
	_, err = envelope.OpenAnswer(with(`"ok"`, `"ok"`), nothing)
	mustRefuse(t, err, envelope.ReasonRequest)
}

func encryptTo(tb testing.TB, k envelope.EncKey, text string) string {
	tb.Helper()
	jwk, err := json.Marshal(k)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := jose.ParseEncryption(jwk)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := jose.Encryption{Typ: "gatehouse-device+jwe", CTY: "JWT", Limit: 1 << 20}.Seal(key, []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func TestSealAnswerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rsa, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	good := w.request(envelope.PathDevice).Reply(noon, w.known)
	bad := good
	bad.Code = "fine"
	for name, seal := range map[string]func() (string, error){
		"an unknown code":       func() (string, error) { return envelope.SealAnswer(bad, nil, w.serverKey, w.phone.Public().Enc) },
		"another algorithm":     func() (string, error) { return envelope.SealAnswer(good, nil, rsa, w.phone.Public().Enc) },
		"no key":                func() (string, error) { return envelope.SealAnswer(good, nil, jose.PrivateKey{}, w.phone.Public().Enc) },
		"to nobody":             func() (string, error) { return envelope.SealAnswer(good, nil, w.serverKey, envelope.EncKey{}) },
		"a body that is a list": func() (string, error) { return envelope.SealAnswer(good, []int{}, w.serverKey, w.phone.Public().Enc) },
		"too much": func() (string, error) {
			return envelope.SealAnswer(good, map[string]string{"a": strings.Repeat("a", 64<<10)}, w.serverKey, w.phone.Public().Enc)
		},
	} {
		if raw, err := seal(); raw != "" || !isRefusal(err) {
			t.Errorf("%s: SealAnswer = %v", name, err)
		}
	}
}

func TestServerKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw, err := json.Marshal(w.known)
	if err != nil {
		t.Fatal(err)
	}
	var back envelope.ServerKeys
	if err := json.Unmarshal(raw, &back); err != nil || back.Digest() != w.known.Digest() {
		t.Fatalf("%s came back as %v, %v", raw, back, err)
	}
	if _, ok := back.EncKey(w.serverEnc.KID); !ok {
		t.Error("the encryption key is not found")
	}
	if _, ok := back.EncKey(""); ok {
		t.Error("a key without a name was found")
	}
	more := envelope.ServerKeys{Sign: back.Sign, Enc: append(back.Enc, newKeys(t).Public().Enc)}
	if more.Digest() == back.Digest() || (envelope.ServerKeys{}).Digest() == back.Digest() {
		t.Error("two sets have one digest")
	}
	turned := envelope.ServerKeys{Sign: more.Sign, Enc: []envelope.EncKey{more.Enc[1], more.Enc[0]}}
	if turned.Digest() != more.Digest() {
		t.Error("the digest depends on the order")
	}
	// One point for both purposes, a name that is no thumbprint, and another algorithm are no keys of this protocol.
	bare := strings.Replace(strings.Replace(string(raw), `"use":"sig",`, ``, 1), `"alg":"ES256",`, ``, 1)
	var few envelope.ServerKeys
	if err := json.Unmarshal([]byte(bare), &few); err != nil || len(few.Sign) != 0 || len(few.Enc) != 1 {
		t.Errorf("of %s there are %d and %d, %v", bare, len(few.Sign), len(few.Enc), err)
	}
	renamed := strings.ReplaceAll(string(raw), w.serverEnc.KID, "enc-1")
	if err := json.Unmarshal([]byte(renamed), &few); err != nil || len(few.Enc) != 0 || len(few.Sign) != 1 {
		t.Errorf("of %s there are %d and %d, %v", renamed, len(few.Sign), len(few.Enc), err)
	}
	if err := json.Unmarshal([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`), &few); err == nil {
		t.Error("a set with a secret was taken")
	}
}

func TestNewKeysRefuses(t *testing.T) {
	t.Parallel()
	if _, err := envelope.NewKeys(nil, nil); !isRefusal(err) {
		t.Errorf("no keys: %v", err)
	}
	ed, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := jose.GenerateDecryption()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envelope.NewKeys(ed.Signer, enc.Key); !isRefusal(err) {
		t.Errorf("Ed25519: %v", err)
	}
	if _, err := envelope.SignKeyOf(ed.Public()); !isRefusal(err) {
		t.Errorf("Ed25519: %v", err)
	}
	named := phoneKey(t).Public()
	named.KID = "phone"
	if _, err := envelope.SignKeyOf(named); !isRefusal(err) {
		t.Errorf("another name: %v", err)
	}
}
