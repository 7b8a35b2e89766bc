// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// arcCode is the activation code of "1234567890": CRC-16/ARC of its first nine bytes is BB3D, the check value of that CRC; of all
// ten it is C57A.
const arcCode = "GEZDG-NBVGY-3TQOJ-QYV5A"

func TestActivationCodeIsAsPublished(t *testing.T) {
	t.Parallel()
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(arcCode, "-", ""))
	if err != nil || string(raw) != "1234567890\xc5\x7a" {
		t.Fatalf("the code is %x, %v", raw, err)
	}
	c, err := envelope.ParseActivationCode(arcCode)
	if err != nil || c.Text() != arcCode {
		t.Fatalf("%q, %v", c.Text(), err)
	}
	lookup, err := hkdf.Key(sha256.New, []byte("1234567890"), nil, "gatehouse activation lookup v1", 16)
	if err != nil || c.Lookup() != b64.EncodeToString(lookup) {
		t.Errorf("the lookup is %q, %v", c.Lookup(), err)
	}
	keys := newKeys(t).Public()
	key, err := hkdf.Key(sha256.New, []byte("1234567890"), nil, "gatehouse activation mac v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("gatehouse registration v1\n" + c.Lookup() + "\n" + keys.Sign.ID() + "\n" + keys.Enc.ID() + "\n" + goodID))
	if m := c.MAC(keys, goodID); !hmac.Equal(h.Sum(nil), m[:]) {
		t.Error("the MAC is another than published")
	}
}

func TestTypedCodes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		arcCode, strings.ToLower(arcCode), strings.ReplaceAll(arcCode, "-", ""), strings.ReplaceAll(arcCode, "-", " "), " " + arcCode + " ",
		strings.ReplaceAll(arcCode, "O", "0"), strings.ReplaceAll(arcCode, "B", "8"),
	} {
		if c, err := envelope.ParseActivationCode(text); err != nil || c.Text() != arcCode {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "GEZDG", arcCode[:len(arcCode)-1], arcCode + "A", "HEZDG-NBVGY-3TQOJ-QYV5A", "EGZDG-NBVGY-3TQOJ-QYV5A", arcCode[:22] + "B",
		strings.Repeat("A", 19) + "=", strings.Repeat("9", 20), strings.Repeat("A", 1<<20), "GEZDG\nNBVGY-3TQOJ-QYV5A", "ÄEZDG-NBVGY-3TQOJ-QYV5A",
	} {
		_, err := envelope.ParseActivationCode(text)
		mustRefuse(t, err, envelope.ReasonMalformed, arcCode[:11])
	}
}

// Every code survives being typed; every single mistake and every swap of neighbours is found.
func TestMistypedCodesAreFound(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	rapid.Check(t, func(t *rapid.T) {
		c, err := envelope.NewActivationCode()
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(c.Text(), "-", "")
		if back, err := envelope.ParseActivationCode(c.Text()); err != nil || back != c {
			t.Fatalf("%v, %v", back, err)
		}
		at := rapid.IntRange(0, len(text)-2).Draw(t, "at")
		letter := alphabet[rapid.IntRange(0, 31).Draw(t, "letter")]
		wrong := text[:at] + string(letter) + text[at+1:]
		swapped := text[:at] + string(text[at+1]) + string(text[at]) + text[at+2:]
		for _, typed := range []string{wrong, swapped} {
			if _, err := envelope.ParseActivationCode(typed); err == nil && typed != text {
				t.Fatalf("%q was taken for %q", typed, text)
			}
		}
	})
}

func TestRegistrationOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, err := envelope.ParseActivationCode(arcCode)
	if err != nil {
		t.Fatal(err)
	}
	in := envelope.Request{ID: goodID}
	good := envelope.Registration{Keys: w.phone.Public(), MAC: code.MAC(w.phone.Public(), goodID)}
	if !code.Proves(good, in) {
		t.Fatal("the good one does not prove the code")
	}
	other := newKeys(t).Public()
	for name, r := range map[string]envelope.Registration{
		"another signing key":    {Keys: envelope.PublicKeys{Sign: other.Sign, Enc: good.Keys.Enc}, MAC: good.MAC},
		"another encryption key": {Keys: envelope.PublicKeys{Sign: good.Keys.Sign, Enc: other.Enc}, MAC: good.MAC},
		"no MAC":                 {Keys: good.Keys},
	} {
		if code.Proves(r, in) {
			t.Errorf("%s proves the code", name)
		}
	}
	if code.Proves(good, envelope.Request{ID: strings.Repeat("x", 22)}) || code.Proves(good, envelope.Request{}) {
		t.Error("the MAC proves the code in another request")
	}
	var none envelope.ActivationCode
	good.MAC = none.MAC(good.Keys, goodID)
	if none.Proves(good, in) {
		t.Error("no code proves something")
	}
}

func TestRegistrationsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := func() envelope.Registration {
		return envelope.Registration{
			Lookup: strings.Repeat("a", 22), Keys: w.phone.Public(), Application: "bank", Version: "2.0.1-rc.1+5", Platform: "android",
			Model: "Pixel 9", Name: "Ålices phone 📱", Factors: map[string]envelope.Secret{"pin": {1}},
			Push: &envelope.PushAddress{Service: "google", Address: "a"},
		}
	}
	open := func(alter func(*envelope.Request, *envelope.Registration)) error {
		r, body := w.request(envelope.PathRegistrations), good()
		r.Device = w.phone.Public().Sign.ID()
		alter(&r, &body)
		u, err := envelope.OpenRequest(w.seal(t, r, body), w.expected(envelope.PathRegistrations))
		if err != nil {
			return err
		}
		_, _, err = u.Registration()
		return err
	}
	if err := open(func(*envelope.Request, *envelope.Registration) {}); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	other := newKeys(t).Public()
	for name, tt := range map[string]struct {
		alter func(*envelope.Request, *envelope.Registration)
		want  envelope.Reason
	}{
		"of another key":     {func(_ *envelope.Request, b *envelope.Registration) { b.Keys.Sign = other.Sign }, envelope.ReasonIssuer},
		"by another device":  {func(r *envelope.Request, _ *envelope.Registration) { r.Device = "dev_1" }, envelope.ReasonIssuer},
		"a short lookup":     {func(_ *envelope.Request, b *envelope.Registration) { b.Lookup = "a" }, envelope.ReasonBody},
		"no application":     {func(_ *envelope.Request, b *envelope.Registration) { b.Application = "" }, envelope.ReasonBody},
		"no version":         {func(_ *envelope.Request, b *envelope.Registration) { b.Version = "" }, envelope.ReasonBody},
		"a platform of two":  {func(_ *envelope.Request, b *envelope.Registration) { b.Platform = "ios android" }, envelope.ReasonBody},
		"a name of lines":    {func(_ *envelope.Request, b *envelope.Registration) { b.Name = "a\nb" }, envelope.ReasonBody},
		"a name backwards":   {func(_ *envelope.Request, b *envelope.Registration) { b.Name = "a\u202eb" }, envelope.ReasonBody},
		"a name of nothing":  {func(_ *envelope.Request, b *envelope.Registration) { b.Model = "a\u200bb" }, envelope.ReasonBody},
		"a long name":        {func(_ *envelope.Request, b *envelope.Registration) { b.OS = strings.Repeat("a", 129) }, envelope.ReasonBody},
		"a long handset":     {func(_ *envelope.Request, b *envelope.Registration) { b.Handset = strings.Repeat("a", 257) }, envelope.ReasonBody},
		"an unknown factor":  {func(_ *envelope.Request, b *envelope.Registration) { b.Factors["face"] = envelope.Secret{1} }, envelope.ReasonBody},
		"a factor of zeros":  {func(_ *envelope.Request, b *envelope.Registration) { b.Factors["pin"] = envelope.Secret{} }, envelope.ReasonBody},
		"no push address":    {func(_ *envelope.Request, b *envelope.Registration) { b.Push.Address = "" }, envelope.ReasonBody},
		"a service of lines": {func(_ *envelope.Request, b *envelope.Registration) { b.Push.Service = "a\n" }, envelope.ReasonBody},
		"a large PGP key":    {func(_ *envelope.Request, b *envelope.Registration) { b.PGP = make([]byte, 9<<10) }, envelope.ReasonBody},
	} {
		if err := open(tt.alter); !isRefusal(err) || envelope.ReasonOf(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDigits(t *testing.T) {
	t.Parallel()
	a, b := newKeys(t).Public(), newKeys(t).Public()
	base := envelope.Digits("op_1", a, "server", goodID)
	if len(base) != 6 || strings.Trim(base, "0123456789") != "" {
		t.Errorf("the digits are %q", base)
	}
	seen := map[string]bool{base: true}
	for range 200 {
		seen[envelope.Digits("op_1", a, "server", envelope.NewID())] = true
	}
	if len(seen) < 190 {
		t.Errorf("200 requests have %d digits", len(seen))
	}
	equal := 0
	for _, d := range []string{
		envelope.Digits("op_2", a, "server", goodID), envelope.Digits("op_1", b, "server", goodID), envelope.Digits("op_1", a, "other", goodID),
		envelope.Digits("op_1", envelope.PublicKeys{Sign: a.Sign, Enc: b.Enc}, "server", goodID),
	} {
		if d == base {
			equal++
		}
	}
	if equal > 1 { // one may be by chance, once in a quarter of a million runs
		t.Errorf("%d of four changes do not show", equal)
	}
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	code, err := envelope.ParseActivationCode(arcCode)
	if err != nil {
		t.Fatal(err)
	}
	want := envelope.Invitation{Issuer: "https://auth.example.com:8443/a b", Operation: "op_1", Code: code, Key: strings.Repeat("k", 43)}
	if got, err := envelope.ParseInvitation(want.Text()); err != nil || got != want {
		t.Errorf("%q came back as %+v, %v", want.Text(), got, err)
	}
	want.Issuer = issuer
	good := want.Text()
	if got, err := envelope.ParseInvitation(good + "\n"); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	with := func(old, replacement string) string {
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q does not stand there once", old)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	for name, text := range map[string]string{
		"another scheme": with("gatehouse://", "https://"), "another action": with("//enroll", "//delete"), "nothing": "",
		"no code": with("&code="+arcCode, ""), "two codes": good + "&code=" + arcCode, "more": good + "&x=y", "a fragment": good + "#a",
		"a mistyped code": with("GEZDG", "HEZDG"), "no key": with(strings.Repeat("k", 43), ""),
		"an issuer with a user":  with(url.QueryEscape(issuer), url.QueryEscape("https://bank@evil.example")),
		"an issuer with a query": with(url.QueryEscape(issuer), url.QueryEscape("https://evil.example?")),
		"an issuer of script":    with(url.QueryEscape(issuer), "javascript:alert(1)"), "an operation of lines": with("op_1", "op_1%0a"),
		"a semicolon": with("&code", ";code"), "a bad escape": with("op_1", "%zz"), "endless": good + strings.Repeat(" ", 3000),
	} {
		_, err := envelope.ParseInvitation(text)
		if !isRefusal(err) || strings.Contains(err.Error(), arcCode) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = envelope.ParseInvitation(with("v=1", "v=2"))
	mustRefuse(t, err, envelope.ReasonVersion)
}
