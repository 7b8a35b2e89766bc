// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// statement returns a good one for each purpose.
func statement(purpose envelope.Purpose, keys *envelope.PublicKeys) envelope.Statement {
	s := envelope.Statement{Device: "dev_1", Audience: issuer, ID: goodID, At: noon, Purpose: purpose}
	switch purpose {
	case envelope.PurposeApproval:
		s.Operation, s.DisplayHash, s.Decision, s.Method = "op_1", envelope.DisplayHash([]byte(`{}`)), envelope.Approve, "pin"
	case envelope.PurposeFactor:
		s.Kind, s.SecretHash = "pin", envelope.Secret{1}.Hash()
	case envelope.PurposeKeys:
		s.Keys = keys
	case envelope.PurposeDevice:
		s.Target, s.Decision = "dev_2", envelope.Approve
	}
	return s
}

var purposes = []envelope.Purpose{
	envelope.PurposeApproval, envelope.PurposeFactor, envelope.PurposeKeys, envelope.PurposeTransfer, envelope.PurposeDisconnect,
	envelope.PurposeDevice,
}

func mustState(tb testing.TB, s envelope.Statement, k envelope.Keys) envelope.Statement {
	tb.Helper()
	signed, err := envelope.SignStatement(s, k)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// A statement is good for its purpose, its device, its issuer and its time, and for nothing else.
func TestStatementIsForOnePurpose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next := newKeys(t).Public()
	in := w.request(envelope.PathAnswer)
	for _, made := range purposes {
		raw := mustState(t, statement(made, &next), w.phone).Raw()
		for _, asked := range purposes {
			_, err := envelope.OpenStatement(raw, w.phone.Public().Sign, in, asked, noon)
			if made == asked && err != nil {
				t.Errorf("%s: %v", made, err)
			}
			if made != asked {
				mustRefuse(t, err, envelope.ReasonStatement)
			}
		}
	}
	raw := mustState(t, statement(envelope.PurposeApproval, nil), w.phone).Raw()
	for name, tt := range map[string]struct {
		alter func(*envelope.Request, *envelope.SignKey, *time.Time)
		want  envelope.Reason
	}{
		"another device":    {func(r *envelope.Request, _ *envelope.SignKey, _ *time.Time) { r.Device = "dev_2" }, envelope.ReasonStatement},
		"another issuer":    {func(r *envelope.Request, _ *envelope.SignKey, _ *time.Time) { r.Audience += "/" }, envelope.ReasonStatement},
		"another time":      {func(_ *envelope.Request, _ *envelope.SignKey, n *time.Time) { *n = n.Add(61 * time.Second) }, envelope.ReasonClock},
		"another key":       {func(_ *envelope.Request, k *envelope.SignKey, _ *time.Time) { *k = next.Sign }, envelope.ReasonSigningKey},
		"no key":            {func(_ *envelope.Request, k *envelope.SignKey, _ *time.Time) { *k = envelope.SignKey{} }, envelope.ReasonSigningKey},
		"a request of none": {func(r *envelope.Request, _ *envelope.SignKey, _ *time.Time) { *r = envelope.Request{} }, envelope.ReasonStatement},
	} {
		r, k, now := in, w.phone.Public().Sign, noon
		tt.alter(&r, &k, &now)
		_, err := envelope.OpenStatement(raw, k, r, envelope.PurposeApproval, now)
		if !isRefusal(err) || envelope.ReasonOf(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatementsRefused(t *testing.T) {
	t.Parallel()
	w, k := newWorld(t), phoneKey(t)
	const base = `{"v":1,"iss":"dev_1","aud":"https://auth.example.com","iat":1795348800,"jti":"0123456789abcdefghijkl",`
	hash := envelope.DisplayHash(nil)
	approval := base + `"purpose":"approval","operation":"op_1","display_hash":"` + hash + `",`
	pair, err := json.Marshal(w.phone.Public())
	if err != nil {
		t.Fatal(err)
	}
	read := func(claims string) error {
		_, err := envelope.ReadStatement(rawToken(t, k, "gatehouse-statement+jws", claims), mustSignKey(t, k))
		return err
	}
	for _, good := range []string{
		approval + `"decision":"approve","method":"possession"}`,
		approval + `"decision":"approve","method":"custom:a-b_1","number":"007"}`,
		approval + `"decision":"deny","reason":"not_me","later":"whatever"}`,
		base + `"purpose":"factor","kind":"biometric"}`,
		base + `"purpose":"keys","keys":` + string(pair) + `}`,
	} {
		if err := read(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for name, claims := range map[string]string{
		"no purpose":               base + `"operation":"op_1"}`,
		"an unknown purpose":       base + `"purpose":"payment"}`,
		"neither yes nor no":       approval + `"method":"pin"}`,
		"yes with a reason":        approval + `"decision":"approve","method":"pin","reason":"denied"}`,
		"yes without a method":     approval + `"decision":"approve"}`,
		"yes by an unknown method": approval + `"decision":"approve","method":"face"}`,
		"yes by any custom method": approval + `"decision":"approve","method":"custom:"}`,
		"no without a reason":      approval + `"decision":"deny"}`,
		"no for another reason":    approval + `"decision":"deny","reason":"mood"}`,
		"no with a number":         approval + `"decision":"deny","reason":"denied","number":"42"}`,
		"no with a method":         approval + `"decision":"deny","reason":"denied","method":"pin"}`,
		"a number of letters":      approval + `"decision":"approve","method":"pin","number":"4a"}`,
		"a number in Arabic":       approval + `"decision":"approve","method":"pin","number":"٤٢"}`,
		"an approval of no hash":   base + `"purpose":"approval","operation":"op_1","decision":"approve","method":"pin"}`,
		"an approval of nothing":   base + `"purpose":"approval","display_hash":"` + hash + `","decision":"approve","method":"pin"}`,
		"an approval with keys":    approval + `"decision":"approve","method":"pin","keys":` + string(pair) + `}`,
		"a transfer with a target": base + `"purpose":"transfer","target":"dev_2"}`,
		"a transfer of approval":   base + `"purpose":"transfer","decision":"approve"}`,
		"a factor of no kind":      base + `"purpose":"factor","secret_hash":"` + hash + `"}`,
		"a factor with a bad hash": base + `"purpose":"factor","kind":"pin","secret_hash":"abc"}`,
		"no keys":                  base + `"purpose":"keys"}`,
		"one key twice":            base + `"purpose":"keys","keys":{"sign":` + member(t, pair, "sign") + `,"enc":` + asEnc(t, pair) + `}}`,
		"a key twice":              base + `"purpose":"keys","keys":{"sign":` + member(t, pair, "sign") + `,"Sign":` + member(t, pair, "sign") + `,"enc":` + member(t, pair, "enc") + `}}`,
		"no target":                base + `"purpose":"device","decision":"approve"}`,
		"no decision":              base + `"purpose":"device","target":"dev_2"}`,
		"no device":                strings.Replace(base, "dev_1", "", 1) + `"purpose":"transfer"}`,
		"a short ID":               strings.Replace(base, goodID, "a", 1) + `"purpose":"transfer"}`,
		"no issuer":                strings.Replace(base, issuer, "", 1) + `"purpose":"transfer"}`,
		"no time":                  strings.Replace(base, "1795348800", "0", 1) + `"purpose":"transfer"}`,
	} {
		if err := read(claims); !isRefusal(err) || envelope.ReasonOf(err) != envelope.ReasonStatement {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := read(strings.Replace(base, `"v":1`, `"v":2`, 1) + `"purpose":"transfer"}`); envelope.ReasonOf(err) != envelope.ReasonVersion {
		t.Errorf("version 2: %v", err)
	}
	_, err = envelope.ReadStatement(rawToken(t, k, "gatehouse-request+jws", base+`"purpose":"transfer"}`), mustSignKey(t, k))
	mustRefuse(t, err, envelope.ReasonType)
	_, err = envelope.SignStatement(envelope.Statement{}, w.phone)
	mustRefuse(t, err, envelope.ReasonStatement)
}

func member(tb testing.TB, pair []byte, name string) string {
	tb.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(pair, &members); err != nil {
		tb.Fatal(err)
	}
	return string(members[name])
}

// asEnc passes a signing key off as one for encryption.
func asEnc(tb testing.TB, pair []byte) string {
	tb.Helper()
	return strings.NewReplacer(`"use":"sig"`, `"use":"enc"`, `"alg":"ES256"`, `"alg":"ECDH-ES"`).Replace(member(tb, pair, "sign"))
}

// What stands beside a statement belongs to it.
func TestStatedBody(t *testing.T) {
	t.Parallel()
	w, next := newWorld(t), newKeys(t)
	public := next.Public()
	secret, other := envelope.Secret{1}, envelope.Secret{2}
	in := w.request(envelope.PathFactor)
	factor := mustState(t, statement(envelope.PurposeFactor, nil), w.phone).Raw()
	keys := mustState(t, statement(envelope.PurposeKeys, &public), w.phone).Raw()
	proof := mustState(t, statement(envelope.PurposeKeys, &public), next).Raw()
	own := w.phone.Public()
	renamed := statement(envelope.PurposeKeys, &public)
	renamed.ID = strings.Repeat("x", 22)
	mixed := envelope.PublicKeys{Sign: public.Sign, Enc: own.Enc}
	for _, tt := range []struct {
		name    string
		body    envelope.Stated
		purpose envelope.Purpose
		good    bool
	}{
		{"a secret", envelope.Stated{Statement: factor, Secret: &secret}, envelope.PurposeFactor, true},
		{"another secret", envelope.Stated{Statement: factor, Secret: &other}, envelope.PurposeFactor, false},
		{"no secret", envelope.Stated{Statement: factor}, envelope.PurposeFactor, false},
		{"a secret for nothing", envelope.Stated{Statement: keys, Proof: proof, Secret: &secret}, envelope.PurposeKeys, false},
		{"a proof", envelope.Stated{Statement: keys, Proof: proof}, envelope.PurposeKeys, true},
		{"no proof", envelope.Stated{Statement: keys}, envelope.PurposeKeys, false},
		{"the statement as proof", envelope.Stated{Statement: keys, Proof: keys}, envelope.PurposeKeys, false},
		{"a proof for nothing", envelope.Stated{Statement: factor, Secret: &secret, Proof: proof}, envelope.PurposeFactor, false},
		{"the proof of another statement", envelope.Stated{Statement: keys, Proof: mustState(t, renamed, next).Raw()}, envelope.PurposeKeys, false},
		{"the proof of other keys", envelope.Stated{Statement: keys, Proof: mustState(t, statement(envelope.PurposeKeys, &mixed), next).Raw()}, envelope.PurposeKeys, false},
		{"a factor of no kind", envelope.Stated{Statement: factor, Secret: &secret, Factors: envelope.Factors{"face": {}}}, envelope.PurposeFactor, false},
		{"too many factors", envelope.Stated{Statement: factor, Secret: &secret, Factors: manyFactors()}, envelope.PurposeFactor, false},
		{"nothing", envelope.Stated{}, envelope.PurposeFactor, false},
	} {
		s, err := tt.body.Open(own.Sign, in, tt.purpose, noon)
		if tt.good != (err == nil) || (err != nil && !isRefusal(err)) || (err == nil && s.Raw() == "") {
			t.Errorf("%s: %v, %v", tt.name, s, err)
		}
	}
}

func manyFactors() envelope.Factors {
	f := make(envelope.Factors)
	for i := range envelope.MaxFactors + 1 {
		f[fmt.Sprintf("custom:%d", i)] = envelope.MAC{}
	}
	return f
}

func TestSecretsAndMACsInJSON(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("A", 42) + "R"
	for text, want := range map[string]bool{
		good: false /* trailing bits */, strings.Repeat("B", 42) + "A": true, strings.Repeat("A", 43): false, strings.Repeat("B", 42): false,
		strings.Repeat("B", 42) + "A=": false, "": false, strings.Repeat("+", 42) + "A": false, strings.Repeat("B", 42) + "A\n": false,
	} {
		var s envelope.Secret
		if err := s.UnmarshalText([]byte(text)); (err == nil) != want || (err != nil && strings.Contains(err.Error(), "BBBB")) {
			t.Errorf("%q: %v", text, err)
		}
	}
	var m envelope.MAC
	if err := m.UnmarshalText([]byte(strings.Repeat("A", 42))); err == nil {
		t.Error("a short MAC was taken")
	}
	a, err := envelope.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := envelope.NewSecret(); err != nil || a == b || a.Zero() {
		t.Error("secrets repeat")
	}
}

func TestKindsOfFactors(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]bool{
		"pin": true, "biometric": true, "custom:a": true, "custom:" + strings.Repeat("a", 32): true, "custom:" + strings.Repeat("a", 33): false,
		"custom:": false, "custom:A": false, "PIN": false, "": false, "possession": false, "pin\n": false, "custom:a b": false,
	} {
		if envelope.ValidFactor(kind) != want || envelope.ValidMethod(kind) != (want || kind == "possession") {
			t.Errorf("%q is judged wrongly", kind)
		}
	}
}
