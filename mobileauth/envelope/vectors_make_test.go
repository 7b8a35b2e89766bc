// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func (s stage) activation() []activationVector {
	good := func(typed string) activationVector {
		c, _ := envelope.ParseActivationCode(typed) // checked like all others
		return activationVector{Typed: typed, Good: true, Code: c.Text(), Lookup: c.Lookup()}
	}
	return []activationVector{
		good(arcCode), good(strings.ToLower(arcCode)), good(strings.ReplaceAll(arcCode, "-", "")), good(strings.ReplaceAll(arcCode, "O", "0")),
		good(strings.ReplaceAll(arcCode, "B", "8")), good(" " + strings.ReplaceAll(arcCode, "-", " ") + " "),
		{Typed: "HEZDG-NBVGY-3TQOJ-QYV5A"}, {Typed: "EGZDG-NBVGY-3TQOJ-QYV5A"}, {Typed: arcCode[:22] + "B"}, {Typed: arcCode[:22]},
		{Typed: arcCode + "A"}, {Typed: "GEZDG-NBVGY-3TQOJ-QYV5="}, {Typed: "99999-99999-99999-99999"}, {Typed: ""},
	}
}

func (s stage) code(tb testing.TB) envelope.ActivationCode {
	tb.Helper()
	c, err := envelope.ParseActivationCode(arcCode)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

const registrationID = "registration-0123456789"

func (s stage) registration(tb testing.TB) registrationVector {
	tb.Helper()
	c, public := s.code(tb), s.phone.Public()
	bound := envelope.AttestationHash(c.AttestationChallenge(), public)
	return registrationVector{
		Challenge: c.AttestationChallenge(), Bound: bound[:],
		Code: arcCode, Lookup: c.Lookup(), Operation: "op_1", Sign: public.Sign.ID(), Enc: public.Enc.ID(), ServerKey: s.serverEnc.KID,
		RequestID: registrationID, MAC: c.MAC(public, registrationID), Digits: envelope.Digits("op_1", public, s.serverEnc.KID, registrationID),
	}
}

func (s stage) invitations(tb testing.TB) []invitationVector {
	tb.Helper()
	i := envelope.Invitation{Issuer: issuer, Operation: "op_1", Code: s.code(tb), Key: s.serverEnc.KID}
	good := i.Text()
	return []invitationVector{
		{Name: "good", Text: good, Good: true, Issuer: issuer, Operation: "op_1", Code: arcCode, Key: s.serverEnc.KID},
		{Name: "version 2", Text: strings.Replace(good, "v=1", "v=2", 1)},
		{Name: "another scheme", Text: strings.Replace(good, "gatehouse://", "https://", 1)},
		{Name: "no key", Text: good[:strings.Index(good, "&key=")]},
		{Name: "a mistyped code", Text: strings.Replace(good, "GEZDG", "HEZDG", 1)},
		{Name: "a parameter twice", Text: good + "&v=1"},
		{Name: "a parameter more", Text: good + "&next=https%3A%2F%2Fevil.example"},
		{Name: "an issuer with a user", Text: strings.Replace(good, "auth.example.com", "auth.example.com%40evil.example", 1)},
	}
}

func scans() []scanVector {
	const otp = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	good := envelope.Scan{Issuer: issuer, OTP: otp}.Text()
	return []scanVector{
		{Name: "good", Text: good, Good: true, Issuer: issuer, OTP: otp},
		{Name: "version 2", Text: strings.Replace(good, "v=1", "v=2", 1)},
		{Name: "another scheme", Text: strings.Replace(good, "gatehouse://", "https://", 1)},
		{Name: "an invitation", Text: strings.Replace(good, "claim", "enroll", 1)},
		{Name: "no otp", Text: good[:strings.Index(good, "&otp=")]},
		{Name: "an otp in lower case", Text: strings.Replace(good, "ABC", "abc", 1)},
		{Name: "a parameter twice", Text: good + "&v=1"},
		{Name: "a parameter more", Text: good + "&next=https%3A%2F%2Fevil.example"},
		{Name: "an issuer with a user", Text: strings.Replace(good, "auth.example.com", "auth.example.com%40evil.example", 1)},
	}
}

func display() envelope.Display {
	return envelope.Display{
		Operation: "op_1", Kind: "authorisation", Application: "bank", Title: "Pay <Bob> & co", Content: "Größe: 5 €",
		Fields: []envelope.Field{{Type: "amount", Label: "Amount", Value: "100.00", Currency: "EUR"}}, Language: "en",
		Created: noon.Unix(), Expires: noon.Unix() + 120, NumberMatch: 2, Methods: []string{"pin", "possession"},
	}
}

func (s stage) displays(tb testing.TB) []displayVector {
	tb.Helper()
	raw, err := display().Encode()
	if err != nil {
		tb.Fatal(err)
	}
	alter := func(name, old, replacement string) displayVector {
		text := []byte(strings.Replace(string(raw), old, replacement, 1))
		return displayVector{Name: name, Operation: "op_1", Display: text, Hash: envelope.DisplayHash(text)}
	}
	good := alter("good", "", "")
	good.Good = true
	more := alter("good, with more to read", `"methods":["pin","possession"]`,
		`"methods":["pin","possession"],"secure_message":"from your savings\nof today","signing_data":"order=7"`)
	more.Good = true
	return []displayVector{
		good, more, alter("another operation", "op_1", "op_2"), alter("version 2", `"v":1`, `"v":2`),
		alter("a member that is not known", `"kind"`, `"surcharge":"50.00","kind"`), alter("a title twice", `"title"`, `"title":"Sign in","title"`),
		alter("no methods", `["pin","possession"]`, `[]`), alter("not JSON", `{`, ``),
	}
}

func (s stage) factors(tb testing.TB) []factorVector {
	tb.Helper()
	secret := envelope.Secret{}
	for i := range secret {
		secret[i] = byte(i)
	}
	other := secret
	other[31] ^= 1
	signed := mustState(tb, statement(envelope.PurposeApproval, nil), s.phone)
	return []factorVector{
		{Statement: signed.Raw(), Secret: secret, MAC: signed.MAC(secret), Good: true},
		{Statement: signed.Raw(), Secret: secret, MAC: signed.MAC(other)},
	}
}

// statements returns good ones, one for each purpose and decision, and bad ones.
func (s stage) statements(tb testing.TB) []statementVector {
	tb.Helper()
	next := s.next.Public()
	var list []statementVector
	good := func(name string, made envelope.Statement) {
		list = append(list, statementVector{Name: name, Purpose: made.Purpose, Raw: mustState(tb, made, s.phone).Raw(), Good: true})
	}
	for _, p := range purposes {
		good(string(p), statement(p, &next))
	}
	deny := statement(envelope.PurposeApproval, nil)
	deny.Decision, deny.Method, deny.Reason = envelope.Deny, "", envelope.NotMe
	good("a denial", deny)
	number := statement(envelope.PurposeApproval, nil)
	number.Number = "07"
	good("with a number", number)
	remove := statement(envelope.PurposeFactor, nil)
	remove.Kind, remove.SecretHash = envelope.FactorBiometric, ""
	good("a factor that is removed", remove)

	claims := string(payload(tb, mustState(tb, statement(envelope.PurposeApproval, nil), s.phone).Raw()))
	key := s.sign["device_sign"]
	bad := func(name, raw string, reason envelope.Reason) {
		list = append(list, statementVector{Name: name, Purpose: envelope.PurposeApproval, Raw: raw, Reason: reason})
	}
	alter := func(name, old, replacement string, reason envelope.Reason) {
		if strings.Count(claims, old) != 1 {
			tb.Fatalf("%q does not stand in the statement once", old)
		}
		bad(name, rawToken(tb, key, "gatehouse-statement+jws", strings.Replace(claims, old, replacement, 1)), reason)
	}
	alter("of another device", "dev_1", "dev_2", envelope.ReasonStatement)
	alter("for another issuer", issuer, "https://evil.example.com", envelope.ReasonStatement)
	alter("too early", fmt.Sprint(noon.Unix()), fmt.Sprint(future.Unix()), envelope.ReasonClock)
	alter("too late", fmt.Sprint(noon.Unix()), fmt.Sprint(past.Unix()), envelope.ReasonClock)
	alter("version 2", `"v":1`, `"v":2`, envelope.ReasonVersion)
	alter("an unknown decision", `"approve"`, `"maybe"`, envelope.ReasonStatement)
	alter("approved for a reason", `"approve"`, `"approve","reason":"denied"`, envelope.ReasonStatement)
	alter("a number of letters", `"approve"`, `"approve","number":"4a"`, envelope.ReasonStatement)
	alter("a claim of another purpose", `"approve"`, `"approve","target":"dev_2"`, envelope.ReasonStatement)
	alter("a claim twice", `"approve"`, `"deny","decision":"approve"`, envelope.ReasonToken)
	bad("for another purpose", mustState(tb, statement(envelope.PurposeTransfer, nil), s.phone).Raw(), envelope.ReasonStatement)
	bad("by another key", mustState(tb, statement(envelope.PurposeApproval, nil), s.stranger).Raw(), envelope.ReasonSigningKey)
	bad("a request", rawToken(tb, key, "gatehouse-request+jws", claims), envelope.ReasonType)
	renamed := s.sign["stranger_sign"]
	renamed.KID = key.KID
	bad("by another key of the same name", rawToken(tb, renamed, "gatehouse-statement+jws", claims), envelope.ReasonSignature)
	return list
}

func payload(tb testing.TB, token string) []byte {
	tb.Helper()
	raw, err := b64.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// bodies are what a phone says at every endpoint.
func (s stage) bodies(tb testing.TB) map[string]any {
	tb.Helper()
	next, secret := s.next.Public(), envelope.Secret{1}
	stated := func(p envelope.Purpose) envelope.Stated {
		made := statement(p, &next)
		if p == envelope.PurposeFactor {
			made.SecretHash = secret.Hash()
		}
		signed := mustState(tb, made, s.phone)
		return envelope.Stated{Statement: signed.Raw(), Factors: envelope.Factors{"pin": signed.MAC(envelope.Secret{2})}}
	}
	factor, keys := stated(envelope.PurposeFactor), stated(envelope.PurposeKeys)
	factor.Secret = &secret
	keys.Proof = mustState(tb, statement(envelope.PurposeKeys, &next), s.next).Raw()
	return map[string]any{
		envelope.PathPending: envelope.PendingRequest{Wait: 30}, envelope.PathFetch: envelope.FetchRequest{Operation: "op_1"},
		envelope.PathAnswer: stated(envelope.PurposeApproval), envelope.PathPush: envelope.PushRequest{Push: &envelope.PushAddress{Service: "google", Address: "token"}},
		envelope.PathFactor: factor, envelope.PathKeys: keys, envelope.PathDevice: nil, envelope.PathTransfer: stated(envelope.PurposeTransfer),
		envelope.PathDisconnect: stated(envelope.PurposeDisconnect), envelope.PathRelease: stated(envelope.PurposeDevice),
	}
}

// endpoints are the paths in the order of the vectors.
var endpoints = []string{
	envelope.PathPending, envelope.PathFetch, envelope.PathAnswer, envelope.PathPush, envelope.PathFactor, envelope.PathKeys,
	envelope.PathDevice, envelope.PathTransfer, envelope.PathDisconnect, envelope.PathRelease,
}

func (s stage) requests(tb testing.TB) []requestVector {
	tb.Helper()
	var list []requestVector
	good := func(r envelope.Request, body any) {
		raw := mustEncode(tb, body)
		if body == nil {
			raw = json.RawMessage(`{}`)
		}
		list = append(list, requestVector{Name: "good", Path: r.Path, Raw: s.seal(tb, r, raw), Good: true, ID: r.ID, Body: raw})
	}
	bodies := s.bodies(tb)
	for i, path := range endpoints {
		r := s.request(path)
		r.ID = fmt.Sprintf("request-%016d", i)
		good(r, bodies[path])
	}
	r := s.request(envelope.PathRegistrations)
	r.Device, r.ID, r.KnownKeys = s.phone.Public().Sign.ID(), registrationID, ""
	good(r, envelope.Registration{
		Lookup: s.code(tb).Lookup(), MAC: s.code(tb).MAC(s.phone.Public(), r.ID), Keys: s.phone.Public(), Application: "bank",
		Version: "2.0.1", Platform: "android", Model: "Pixel 9", OS: "Android 16", Name: "Alice's phone", Handset: "h-1",
		Factors: map[string]envelope.Secret{"pin": {2}, "biometric": {3}}, Push: &envelope.PushAddress{Service: "google", Address: "token"},
		Attestation: json.RawMessage(`{"format":"none"}`),
	})
	list = append(list, s.badRegistrations(tb)...)
	return append(list, s.badRequests(tb)...)
}

// badRegistrations are rightly sealed by the phone, and say what no phone says.
func (s stage) badRegistrations(tb testing.TB) []requestVector {
	tb.Helper()
	public, stranger := s.phone.Public(), s.stranger.Public()
	good := envelope.Registration{
		Lookup: s.code(tb).Lookup(), Keys: public, Application: "bank", Version: "2.0.1", Platform: "android",
	}
	body := string(mustEncode(tb, good))
	alter := func(old, replacement string) json.RawMessage {
		if strings.Count(body, old) != 1 {
			tb.Fatalf("%q does not stand in the registration once", old)
		}
		return json.RawMessage(strings.Replace(body, old, replacement, 1))
	}
	var list []requestVector
	bad := func(name, device string, body json.RawMessage, reason envelope.Reason) {
		r := s.request(envelope.PathRegistrations)
		r.Device, r.KnownKeys = device, ""
		list = append(list, requestVector{Name: name, Path: r.Path, Raw: s.seal(tb, r, body), Reason: reason})
	}
	me := public.Sign.ID()
	sign, enc := string(mustEncode(tb, public.Sign)), string(mustEncode(tb, public.Enc))
	bad("a registration by a device", "dev_1", json.RawMessage(body), envelope.ReasonIssuer)
	bad("a registration of another key", me, alter(sign, string(mustEncode(tb, stranger.Sign))), envelope.ReasonIssuer)
	bad("a registration of one key for both", me, alter(enc, asEnc(tb, mustEncode(tb, public))), envelope.ReasonKeys)
	bad("a registration without an encryption key", me, alter(`,"enc":`+enc, ``), envelope.ReasonKeys)
	bad("a registration without an application", me, alter(`"application":"bank",`, ``), envelope.ReasonBody)
	bad("a registration without a lookup", me, alter(good.Lookup, ``), envelope.ReasonBody)
	bad("a registration with an unknown factor", me, alter(`"platform"`, `"factors":{"face":"`+good.Keys.Sign.ID()+`"},"platform"`), envelope.ReasonBody)
	bad("a registration with a name of two lines", me, alter(`"platform"`, `"name":"a\nb","platform"`), envelope.ReasonBody)
	return list
}

func (s stage) badRequests(tb testing.TB) []requestVector {
	tb.Helper()
	key := s.sign["device_sign"]
	var list []requestVector
	bad := func(name, raw string, reason envelope.Reason) {
		list = append(list, requestVector{Name: name, Path: envelope.PathPending, Raw: raw, Reason: reason})
	}
	claims := func(name, old, replacement string, reason envelope.Reason) {
		if strings.Count(goodClaims, old) != 1 {
			tb.Fatalf("%q does not stand in the claims once", old)
		}
		bad(name, s.forge(tb, key, "gatehouse-request+jws", strings.Replace(goodClaims, old, replacement, 1)), reason)
	}
	claims("version 2", `"v":1`, `"v":2`, envelope.ReasonVersion)
	claims("a claim twice", `"dev_1"`, `"dev_2","iss":"dev_1"`, envelope.ReasonToken)
	claims("a claim in another case", `"jti"`, `"JTI"`, envelope.ReasonClaims)
	claims("another device", `dev_1`, `dev_2`, envelope.ReasonIssuer)
	claims("another issuer", issuer, "https://evil.example.com", envelope.ReasonAudience)
	claims("too early", fmt.Sprint(noon.Unix()), fmt.Sprint(future.Unix()), envelope.ReasonClock)
	claims("too late", fmt.Sprint(noon.Unix()), fmt.Sprint(past.Unix()), envelope.ReasonClock)
	claims("a short jti", goodID, goodID[1:], envelope.ReasonClaims)
	claims("another method", "POST", "GET", envelope.ReasonPath)
	claims("another path", "pending", "fetch", envelope.ReasonPath)
	claims("no body", `,"body":{}`, ``, envelope.ReasonClaims)
	claims("a body that is a list", `{}`, `[]`, envelope.ReasonClaims)
	for _, typ := range []string{"gatehouse-answer+jws", "gatehouse-statement+jws", "JWT"} {
		bad("typ "+typ, s.forge(tb, key, typ, goodClaims), envelope.ReasonType)
	}
	stranger := s.sign["stranger_sign"]
	bad("signed by another key", s.forge(tb, stranger, "gatehouse-request+jws", goodClaims), envelope.ReasonSigningKey)
	stranger.KID = key.KID
	bad("signed by another key of the same name", s.forge(tb, stranger, "gatehouse-request+jws", goodClaims), envelope.ReasonSignature)
	bad("signed in DER", s.wrap(tb, inDER(tb, rawToken(tb, key, "gatehouse-request+jws", goodClaims))), envelope.ReasonSignature)
	for name, token := range s.badTokens(tb) {
		bad(name, s.wrap(tb, token), envelope.ReasonToken)
	}
	token := rawToken(tb, key, "gatehouse-request+jws", goodClaims)
	for name, raw := range s.badEncryption(tb, token) {
		bad(name, raw, envelope.ReasonEncryption)
	}
	bad("not encrypted", token, envelope.ReasonEncryption)
	bad("for another server", encryptTo(tb, s.stranger.Public().Enc, token), envelope.ReasonServerKey)
	bad("too large", s.wrap(tb, strings.Repeat("a", envelope.MaxRequest)), envelope.ReasonSize)
	whole := s.wrap(tb, token)
	bad("altered", whole[:len(whole)-10]+"AAAAAAAAAA", envelope.ReasonDecryption)
	slices.SortFunc(list, func(a, b requestVector) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// inDER writes a signature the way that libraries give it out.
func inDER(tb testing.TB, token string) string {
	tb.Helper()
	dot := strings.LastIndexByte(token, '.')
	raw, err := b64.DecodeString(token[dot+1:])
	if err != nil {
		tb.Fatal(err)
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	if err != nil {
		tb.Fatal(err)
	}
	return token[:dot+1] + b64.EncodeToString(der)
}

// badTokens are signed messages with a header or signature that the protocol has not.
func (s stage) badTokens(tb testing.TB) map[string]string {
	tb.Helper()
	key := s.sign["device_sign"]
	signed := func(header string) string {
		return b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(goodClaims))
	}
	ecdsaSign := func(header string) string {
		digest := sha256.Sum256([]byte(signed(header)))
		r, t, err := ecdsa.Sign(rand.Reader, key.Signer.(*ecdsa.PrivateKey), digest[:])
		if err != nil {
			tb.Fatal(err)
		}
		return signed(header) + "." + b64.EncodeToString(append(r.FillBytes(make([]byte, 32)), t.FillBytes(make([]byte, 32))...))
	}
	rest := `"typ":"gatehouse-request+jws","kid":"` + key.KID + `"`
	public, err := jose.MarshalPublic(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	h := hmac.New(sha256.New, public)
	h.Write([]byte(signed(`{"alg":"HS256",` + rest + `}`)))
	good := ecdsaSign(`{"alg":"ES256",` + rest + `}`)
	return map[string]string{
		"token alg none":           signed(`{"alg":"none",`+rest+`}`) + ".",
		"token alg none, signed":   ecdsaSign(`{"alg":"none",` + rest + `}`),
		"token alg HS256":          signed(`{"alg":"HS256",`+rest+`}`) + "." + b64.EncodeToString(h.Sum(nil)),
		"token alg HS256, signed":  ecdsaSign(`{"alg":"HS256",` + rest + `}`),
		"token alg twice":          ecdsaSign(`{"alg":"none","alg":"ES256",` + rest + `}`),
		"token with crit":          ecdsaSign(`{"alg":"ES256",` + rest + `,"crit":["exp"],"exp":1}`),
		"token with jwk":           ecdsaSign(`{"alg":"ES256",` + rest + `,"jwk":` + string(public) + `}`),
		"token with jku":           ecdsaSign(`{"alg":"ES256",` + rest + `,"jku":"https://evil.example"}`),
		"token with x5t":           ecdsaSign(`{"alg":"ES256",` + rest + `,"x5t":"AA"}`),
		"token without kid":        ecdsaSign(`{"alg":"ES256","typ":"gatehouse-request+jws"}`),
		"token with padding":       good + "==",
		"token with a fourth part": good + ".",
		"token with a line break":  good + "\n",
		"token in JSON":            `{"payload":"e30","signatures":[]}`,
	}
}

// badEncryption are messages that are rightly encrypted under a header, or in a spelling, that the protocol has not.
func (s stage) badEncryption(tb testing.TB, token string) map[string]string {
	tb.Helper()
	const good = `{"alg":"ECDH-ES","enc":"A256GCM","typ":"gatehouse-device+jwe","cty":"JWT","kid":"KID","epk":{"kty":"EC","crv":"P-256","x":"X","y":"Y"}}`
	with := func(old, replacement string) string {
		if strings.Count(good, old) != 1 {
			tb.Fatalf("%q does not stand in the header once", old)
		}
		return s.encrypt(tb, strings.Replace(good, old, replacement, 1), token)
	}
	whole := s.encrypt(tb, good, token)
	parts := strings.Split(whole, ".")
	inJSON := mustEncode(tb, map[string]string{"protected": parts[0], "iv": parts[2], "ciphertext": parts[3], "tag": parts[4]})
	parts[1] = "AAAA"
	return map[string]string{
		"enc A128CBC-HS256":      with("A256GCM", "A128CBC-HS256"),
		"alg with key wrap":      with("ECDH-ES", "ECDH-ES+A256KW"),
		"alg twice":              with(`"enc"`, `"alg":"ECDH-ES","enc"`),
		"zip":                    with(`"cty"`, `"zip":"DEF","cty"`),
		"crit":                   with(`"cty"`, `"crit":["exp"],"cty"`),
		"apu":                    with(`"cty"`, `"apu":"QWxpY2U","cty"`),
		"jku":                    with(`"cty"`, `"jku":"https://evil.example","cty"`),
		"no typ":                 with(`"typ":"gatehouse-device+jwe",`, ``),
		"another typ":            with("gatehouse-device+jwe", "JWE"),
		"another cty":            with(`"JWT"`, `"JWS"`),
		"no kid":                 with(`"kid":"KID",`, ``),
		"epk off its curve":      with(`"y":"Y"`, `"y":"X"`),
		"epk with a secret":      with(`"y":"Y"`, `"y":"Y","d":"X"`),
		"epk on P-384":           with("P-256", "P-384"),
		"an encrypted key":       strings.Join(parts, "."),
		"padding":                whole + "=",
		"a trailing dot":         whole + ".",
		"a line break":           whole + "\n",
		"the JSON serialization": string(inJSON),
		"nothing":                "",
	}
}

// encrypt encrypts to the server under any header, in which X, Y and KID stand for what they are. The key derivation is written
// out here once more, from RFC 7518 section 4.6.2.
func (s stage) encrypt(tb testing.TB, header, text string) string {
	tb.Helper()
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	point := ephemeral.PublicKey().Bytes()
	header = strings.NewReplacer("X", b64.EncodeToString(point[1:33]), "Y", b64.EncodeToString(point[33:]), "KID", s.serverEnc.KID).Replace(header)
	secret, err := ephemeral.ECDH(s.serverEnc.Key.PublicKey())
	if err != nil {
		tb.Fatal(err)
	}
	key := sha256.Sum256([]byte("\x00\x00\x00\x01" + string(secret) + "\x00\x00\x00\x07A256GCM" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x01\x00"))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		tb.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	nonce := make([]byte, 12)
	if _, err := rand.Read(nonce); err != nil {
		tb.Fatal(err)
	}
	encoded := b64.EncodeToString([]byte(header))
	sealed := aead.Seal(nil, nonce, []byte(text), []byte(encoded))
	n := len(sealed) - 16
	return encoded + ".." + b64.EncodeToString(nonce) + "." + b64.EncodeToString(sealed[:n]) + "." + b64.EncodeToString(sealed[n:])
}

func (s stage) answers(tb testing.TB) []answerVector {
	tb.Helper()
	const irt = "request-0000000000000000"
	var list []answerVector
	r := s.request(envelope.PathAnswer)
	r.ID = irt
	left := 2
	shown, err := display().Encode()
	if err != nil {
		tb.Fatal(err)
	}
	seal := func(name string, a envelope.Answer, body any, signer jose.PrivateKey, good bool, reason envelope.Reason) {
		a.ID = "answer-" + strings.Repeat("0", 16)
		raw, err := envelope.SealAnswer(a, body, signer, s.phone.Public().Enc)
		if err != nil {
			tb.Fatal(err)
		}
		v := answerVector{Name: name, RequestID: irt, Raw: raw, Good: good, Reason: reason}
		if good {
			v.Code, v.Body = a.Code, mustEncode(tb, body)
		}
		list = append(list, v)
	}
	empty := struct{}{}
	with := func(code envelope.Code) envelope.Answer {
		a := r.Reply(noon, s.known)
		a.Code = code
		return a
	}
	policy := envelope.Policy{PIN: envelope.PINPolicy{Required: true, MinLength: 6, MaxAttempts: 5}, Confirmation: "digits", Push: true}
	seal("ok", with(envelope.CodeOK), empty, s.serverKey, true, "")
	seal("a registration", with(envelope.CodeOK), envelope.RegistrationAnswer{Device: "dev_1", Operation: "op_1", Status: "pending", Policy: policy}, s.serverKey, true, "")
	seal("what waits", with(envelope.CodeOK), envelope.PendingAnswer{Operations: []envelope.Summary{{Operation: "op_1", Kind: "authorisation", Created: noon.Unix(), Expires: noon.Unix() + 120}}}, s.serverKey, true, "")
	seal("an operation", with(envelope.CodeOK), envelope.FetchAnswer{Display: shown}, s.serverKey, true, "")
	seal("a device", with(envelope.CodeOK), envelope.DeviceAnswer{Device: "dev_1", Status: "active", Factors: []envelope.FactorInfo{{Kind: "pin", SetBy: registrationID}}, Policy: policy}, s.serverKey, true, "")
	seal("a wrong factor", with(envelope.CodeRefused), envelope.Refused{Remaining: &left}, s.serverKey, true, "")
	seal("gone", with(envelope.CodeGone), empty, s.serverKey, true, "")
	seal("not allowed", with(envelope.CodeNotAllowed), empty, s.serverKey, true, "")
	seal("retry", with(envelope.CodeRetry), empty, s.serverKey, true, "")

	stranger := s.sign["stranger_sign"]
	announcing := with(envelope.CodeOK)
	announcing.ServerKeys = &envelope.ServerKeys{Sign: []envelope.SignKey{mustSignKey(tb, stranger)}, Enc: s.known.Enc}
	seal("a new key that it announces", announcing, empty, stranger, true, "")
	announcing.RequestID = "request-0000000000000001"
	seal("a new key announced to another request", announcing, empty, stranger, false, envelope.ReasonRequest)
	seal("an unknown key", with(envelope.CodeOK), empty, stranger, false, envelope.ReasonSigningKey)
	other := with(envelope.CodeOK)
	other.RequestID = "request-0000000000000001"
	seal("to another request", other, empty, s.serverKey, false, envelope.ReasonRequest)
	other = with(envelope.CodeOK)
	other.Device = "dev_2"
	seal("for another device", other, empty, s.serverKey, false, envelope.ReasonAudience)
	other = with(envelope.CodeOK)
	other.Issuer = "https://evil.example.com"
	seal("of another server", other, empty, s.serverKey, false, envelope.ReasonIssuer)
	claims := strings.Replace(answerClaims, "IRT", irt, 1)
	forged := func(name, typ, claims string, reason envelope.Reason) {
		raw := encryptTo(tb, s.phone.Public().Enc, rawToken(tb, s.serverKey, typ, claims))
		list = append(list, answerVector{Name: name, RequestID: irt, Raw: raw, Reason: reason})
	}
	forged("a request", "gatehouse-request+jws", claims, envelope.ReasonType)
	forged("an unknown code", "gatehouse-answer+jws", strings.Replace(claims, `"ok"`, `"fine"`, 1), envelope.ReasonClaims)
	forged("a code twice", "gatehouse-answer+jws", strings.Replace(claims, `"ok"`, `"gone","code":"ok"`, 1), envelope.ReasonToken)
	forged("version 2", "gatehouse-answer+jws", strings.Replace(claims, `"v":1`, `"v":2`, 1), envelope.ReasonVersion)
	raw := encryptTo(tb, s.stranger.Public().Enc, rawToken(tb, s.serverKey, "gatehouse-answer+jws", claims))
	return append(list, answerVector{Name: "for another key", RequestID: irt, Raw: raw, Reason: envelope.ReasonKeys})
}
