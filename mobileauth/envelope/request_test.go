// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// phoneKey is the signing key of a phone that says whatever it is told to.
func phoneKey(tb testing.TB) jose.PrivateKey {
	tb.Helper()
	k, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

const goodID = "0123456789abcdefghijkl"

// goodClaims are those of a request to pending; DEV, ISS and NOW stand for themselves.
const goodClaims = `{"v":1,"iss":"dev_1","aud":"https://auth.example.com","iat":1795348800,"jti":"0123456789abcdefghijkl",` +
	`"htm":"POST","htu":"/mobile/v1/pending","body":{}}`

func TestRequestsRefused(t *testing.T) {
	t.Parallel()
	w, k := newWorld(t), phoneKey(t)
	key := mustSignKey(t, k)
	if fmt.Sprint(noon.Unix()) != "1795348800" {
		t.Fatalf("noon is %d", noon.Unix())
	}
	with := func(old, replacement string) string {
		if strings.Count(goodClaims, old) != 1 {
			t.Fatalf("%q does not stand in the claims once", old)
		}
		return w.forge(t, k, "gatehouse-request+jws", strings.Replace(goodClaims, old, replacement, 1))
	}
	open := func(raw string) error {
		u, err := envelope.OpenRequest(raw, w.expected(envelope.PathPending))
		if err == nil {
			_, err = u.Verify("dev_1", key)
		}
		return err
	}
	if err := open(with(`{"v":1`, `{"v":1`)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	at := func(d time.Duration) string { return fmt.Sprint(noon.Add(d).Unix()) }
	for _, tt := range []struct {
		name, raw string
		want      envelope.Reason
	}{
		{"version 2", with(`"v":1`, `"v":2`), envelope.ReasonVersion},
		{"no version", with(`"v":1,`, ``), envelope.ReasonVersion},
		{"version in another case", with(`"v":1`, `"V":1`), envelope.ReasonClaims},
		{"version twice", with(`"v":1`, `"v":1,"v":1`), envelope.ReasonToken},
		{"version as text", with(`"v":1`, `"v":"1"`), envelope.ReasonClaims},
		{"no issuer", with(`"dev_1"`, `""`), envelope.ReasonClaims},
		{"an issuer of several lines", with(`"dev_1"`, `"dev_1\n"`), envelope.ReasonClaims},
		{"another device", with(`"dev_1"`, `"dev_2"`), envelope.ReasonIssuer},
		{"another audience", with(`https://auth.example.com`, `https://evil.example.com`), envelope.ReasonAudience},
		{"the audience with a slash", with(`https://auth.example.com`, `https://auth.example.com/`), envelope.ReasonAudience},
		{"a list of audiences", with(`"https://auth.example.com"`, `["https://auth.example.com"]`), envelope.ReasonClaims},
		{"no audience", with(`"aud":"https://auth.example.com",`, ``), envelope.ReasonClaims},
		{"too early", with("1795348800", at(61*time.Second)), envelope.ReasonClock},
		{"too late", with("1795348800", at(-61*time.Second)), envelope.ReasonClock},
		{"no time", with(`"iat":1795348800,`, ``), envelope.ReasonClaims},
		{"a time before all", with("1795348800", "-1795348800"), envelope.ReasonClaims},
		{"the end of time", with("1795348800", "9223372036854775807"), envelope.ReasonClock},
		{"after the end of time", with("1795348800", "9223372036854775808"), envelope.ReasonClaims},
		{"a time in parts", with("1795348800", "1795348800.5"), envelope.ReasonClaims},
		{"a short ID", with(goodID, goodID[1:]), envelope.ReasonClaims},
		{"a long ID", with(goodID, strings.Repeat("a", 65)), envelope.ReasonClaims},
		{"an ID of other letters", with(goodID, strings.Repeat("+", 22)), envelope.ReasonClaims},
		{"no ID", with(`"jti":"`+goodID+`",`, ``), envelope.ReasonClaims},
		{"another method", with("POST", "GET"), envelope.ReasonPath},
		{"another endpoint", with("/pending", "/fetch"), envelope.ReasonPath},
		{"a longer path", with("/pending", "/pending/"), envelope.ReasonPath},
		{"the whole address", with(`/mobile`, `https://auth.example.com/mobile`), envelope.ReasonPath},
		{"no body", with(`,"body":{}`, ``), envelope.ReasonClaims},
		{"a body that is null", with(`"body":{}`, `"body":null`), envelope.ReasonClaims},
		{"a body that is a list", with(`"body":{}`, `"body":[]`), envelope.ReasonClaims},
		{"known keys without end", with(`"body":{}`, `"known_keys":"`+strings.Repeat("a", 65)+`","body":{}`), envelope.ReasonClaims},
		{"an answer", w.forge(t, k, "gatehouse-answer+jws", goodClaims), envelope.ReasonType},
		{"a statement", w.forge(t, k, "gatehouse-statement+jws", goodClaims), envelope.ReasonType},
		{"a type in another case", w.forge(t, k, "Gatehouse-Request+jws", goodClaims), envelope.ReasonType},
		{"a type as media type", w.forge(t, k, "application/gatehouse-request+jws", goodClaims), envelope.ReasonType},
		{"no type", w.forge(t, k, "", goodClaims), envelope.ReasonType},
		{"no token", w.wrap(t, goodClaims), envelope.ReasonToken},
		{"nothing", w.wrap(t, ""), envelope.ReasonToken},
		{"encrypted twice", w.wrap(t, with(`{"v":1`, `{"v":1`)), envelope.ReasonToken},
		{"too large", w.wrap(t, strings.Repeat("a", 16<<10)), envelope.ReasonSize},
		{"not encrypted", mustToken(t, k, goodClaims), envelope.ReasonEncryption},
		{"empty", "", envelope.ReasonEncryption},
		{"cut", w.forge(t, k, "gatehouse-request+jws", goodClaims)[:600], envelope.ReasonEncryption},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, open(tt.raw), tt.want)
		})
	}
}

func mustToken(tb testing.TB, k jose.PrivateKey, claims string) string {
	tb.Helper()
	return rawToken(tb, k, "gatehouse-request+jws", claims)
}

func TestWindowIsInclusive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for off, want := range map[time.Duration]bool{
		-61 * time.Second: false, -60 * time.Second: true, 0: true, 60 * time.Second: true, 61 * time.Second: false,
	} {
		r := w.request(envelope.PathDevice)
		r.At = noon.Add(off)
		_, err := w.open(w.seal(t, r, nil), envelope.PathDevice)
		if (err == nil) != want {
			t.Errorf("off by %v: %v", off, err)
		}
	}
}

// The key of another device, or of the same name, does not verify; neither does no key.
func TestKeysOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := w.seal(t, w.request(envelope.PathDevice), nil)
	u, err := envelope.OpenRequest(raw, w.expected(envelope.PathDevice))
	if err != nil {
		t.Fatal(err)
	}
	if device, key := u.Claimed(); device != "dev_1" || key != w.phone.Public().Sign.ID() {
		t.Errorf("it claims to be of %q with %q", device, key)
	}
	_, err = u.Verify("dev_1", mustSignKey(t, phoneKey(t)))
	mustRefuse(t, err, envelope.ReasonSigningKey)
	_, err = u.Verify("dev_1", envelope.SignKey{})
	mustRefuse(t, err, envelope.ReasonSigningKey)
	_, err = u.Verify("dev_2", w.phone.Public().Sign)
	mustRefuse(t, err, envelope.ReasonIssuer)
	_, err = u.Verify("", w.phone.Public().Sign)
	mustRefuse(t, err, envelope.ReasonIssuer)
	_, _, err = u.Registration()
	mustRefuse(t, err, envelope.ReasonPath)

	other := newWorld(t)
	_, err = other.open(raw, envelope.PathDevice)
	mustRefuse(t, err, envelope.ReasonServerKey)
	lying := w.expected(envelope.PathDevice)
	lying.Key = func(string) (jose.DecryptionKey, bool) { return other.serverEnc, true }
	_, err = envelope.OpenRequest(raw, lying)
	mustRefuse(t, err, envelope.ReasonServerKey)
	renamed := other.serverEnc
	renamed.KID = w.serverEnc.KID
	lying.Key = func(string) (jose.DecryptionKey, bool) { return renamed, true }
	_, err = envelope.OpenRequest(raw, lying)
	mustRefuse(t, err, envelope.ReasonDecryption)
}

// A signature by the right key over something else, in the right place.
func TestSignatureOfAnotherMessage(t *testing.T) {
	t.Parallel()
	w, k := newWorld(t), phoneKey(t)
	one := strings.Split(mustToken(t, k, goodClaims), ".")
	two := strings.Split(mustToken(t, k, strings.Replace(goodClaims, goodID, strings.Repeat("x", 22), 1)), ".")
	u, err := envelope.OpenRequest(w.wrap(t, one[0]+"."+one[1]+"."+two[2]), w.expected(envelope.PathPending))
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Verify("dev_1", mustSignKey(t, k))
	mustRefuse(t, err, envelope.ReasonSignature)
}

// Header members that the gate skips elsewhere are none of this protocol.
func TestHintsAreRefused(t *testing.T) {
	t.Parallel()
	w, k := newWorld(t), phoneKey(t)
	parts := strings.Split(mustToken(t, k, goodClaims), ".")
	header := `{"alg":"ES256","typ":"gatehouse-request+jws","kid":"` + k.KID + `","x5t":"AA"}`
	_, err := envelope.OpenRequest(w.wrap(t, b64.EncodeToString([]byte(header))+"."+parts[1]+"."+parts[2]), w.expected(envelope.PathPending))
	mustRefuse(t, err, envelope.ReasonToken)
}

func TestSealRequestRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, alter := range map[string]func(*envelope.Request, *any){
		"no device":   func(r *envelope.Request, _ *any) { r.Device = "" },
		"no audience": func(r *envelope.Request, _ *any) { r.Audience = "" },
		"no ID":       func(r *envelope.Request, _ *any) { r.ID = "" },
		"no time":     func(r *envelope.Request, _ *any) { r.At = time.Time{} },
		"a list":      func(_ *envelope.Request, body *any) { *body = []int{1} },
		"a channel":   func(_ *envelope.Request, body *any) { *body = make(chan int) },
		"too much":    func(_ *envelope.Request, body *any) { *body = map[string]string{"a": strings.Repeat("a", 16<<10)} },
	} {
		r := w.request(envelope.PathDevice)
		var body any
		alter(&r, &body)
		if raw, err := envelope.SealRequest(r, body, w.phone, w.known.Enc[0]); raw != "" || !isRefusal(err) {
			t.Errorf("%s: SealRequest = %v", name, err)
		}
	}
	if _, err := envelope.SealRequest(w.request(envelope.PathDevice), nil, envelope.Keys{}, w.known.Enc[0]); !isRefusal(err) {
		t.Errorf("without keys: %v", err)
	}
	if _, err := envelope.SealRequest(w.request(envelope.PathDevice), nil, w.phone, envelope.EncKey{}); !isRefusal(err) {
		t.Errorf("to nobody: %v", err)
	}
}

// A registration may be larger than other requests.
func TestLimitOfRegistrations(t *testing.T) {
	t.Parallel()
	if envelope.Limit(envelope.PathRegistrations) != 32<<10 || envelope.Limit(envelope.PathAnswer) != 16<<10 {
		t.Error("the limits are others than published")
	}
	w := newWorld(t)
	body := map[string]string{"a": strings.Repeat("a", 14<<10)}
	r := w.request(envelope.PathRegistrations)
	if _, err := envelope.OpenRequest(w.seal(t, r, body), w.expected(envelope.PathRegistrations)); err != nil {
		t.Error(err)
	}
}

func TestMessagesDoNotPrintTheirContent(t *testing.T) {
	t.Parallel()
	secret := envelope.Secret{1, 2, 3}
	encoded, err := secret.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	r := envelope.Request{Device: "dev_1", Path: envelope.PathFactor, Body: []byte(encoded)}
	code, err := envelope.NewActivationCode()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{
		r, secret, &secret, code, envelope.Answer{Body: []byte(encoded)}, envelope.Stated{Secret: &secret, Statement: string(encoded)},
		envelope.Registration{Factors: map[string]envelope.Secret{"pin": secret}, Handset: string(encoded)},
	} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(format, v)
			if strings.Contains(text, string(encoded)) || strings.Contains(text, code.Text()) || strings.Contains(text, "1, 2, 3") || strings.Contains(text, "1 2 3") {
				t.Errorf("%T prints as %q", v, text)
			}
		}
	}
}

func TestServerWithoutKeysOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := envelope.OpenRequest(w.seal(t, w.request(envelope.PathDevice), nil), envelope.Expected{Issuer: issuer, Path: envelope.PathDevice, Now: noon})
	mustRefuse(t, err, envelope.ReasonServerKey)
}
