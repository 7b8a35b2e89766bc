// SPDX-License-Identifier: Apache-2.0

package mobiletype_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	s := set(t, "",
		mobiletype.Type{Name: "p", Method: mobiletype.PushPIN},
		mobiletype.Type{Name: "s", Method: mobiletype.SMS},
		mobiletype.Type{
			Name: "own", Method: mobiletype.SMS, TimeToLive: time.Minute, Attempts: mobiletype.Unlimited, Resends: mobiletype.NoResends,
		},
	)
	want := []mobiletype.Type{
		{
			Name: "own", Method: mobiletype.SMS, TimeToLive: time.Minute, Attempts: mobiletype.Unlimited, Resends: mobiletype.NoResends,
			Messages: map[string]string{},
		},
		{Name: "p", Method: mobiletype.PushPIN, TimeToLive: 2 * time.Minute, Attempts: 3, Resends: 2, Messages: map[string]string{}},
		{Name: "s", Method: mobiletype.SMS, TimeToLive: 5 * time.Minute, Attempts: 3, Resends: 2, Messages: map[string]string{}},
	}
	if diff := cmp.Diff(want, s.All()); diff != "" {
		t.Error(diff)
	}
}

func TestTypesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		spoil func(*mobiletype.Type)
		want  string
	}{
		{"no name", func(ty *mobiletype.Type) { ty.Name = "" }, "name"},
		{"a name with a blank", func(ty *mobiletype.Type) { ty.Name = "a b" }, "name"},
		{"a long name", func(ty *mobiletype.Type) { ty.Name = strings.Repeat("a", 65) }, "name"},
		{"no method", func(ty *mobiletype.Type) { ty.Method = "" }, "method"},
		{"another method", func(ty *mobiletype.Type) { ty.Method = "email" }, "method"},
		{"a custom factor without name", func(ty *mobiletype.Type) { ty.Method = mobiletype.PushCustom }, "custom"},
		{"a custom factor of a bad name", func(ty *mobiletype.Type) { ty.Method, ty.Custom = mobiletype.PushCustom, "Ä" }, "custom"},
		{"a name of no factor", func(ty *mobiletype.Type) { ty.Custom = "voice" }, "custom"},
		{"too short", func(ty *mobiletype.Type) { ty.TimeToLive = time.Millisecond }, "time_to_live"},
		{"too long", func(ty *mobiletype.Type) { ty.TimeToLive = 10*time.Minute + 1 }, "time_to_live"},
		{"too many attempts", func(ty *mobiletype.Type) { ty.Attempts = 11 }, "attempts"},
		{"negative attempts", func(ty *mobiletype.Type) { ty.Attempts = -2 }, "attempts"},
		{"too many resends", func(ty *mobiletype.Type) { ty.Resends = 6 }, "resends"},
		{"after over SMS", func(ty *mobiletype.Type) { ty.Method, ty.After = mobiletype.SMS, time.Minute }, "after"},
		{"after too soon", func(ty *mobiletype.Type) { ty.After = time.Second }, "after"},
		{"after the end", func(ty *mobiletype.Type) { ty.After = 2 * time.Minute }, "after"},
		{"signing over SMS", func(ty *mobiletype.Type) { ty.Method, ty.Signing = mobiletype.SMS, true }, "signing"},
		{"an acr of two words", func(ty *mobiletype.Type) { ty.ACR = "very high" }, "acr"},
		{"an origin of a push", func(ty *mobiletype.Type) { ty.Origin = "example.com" }, "origin"},
		{"an origin with a scheme", func(ty *mobiletype.Type) { ty.Method, ty.Origin = mobiletype.SMS, "https://example.com" }, "origin"},
		{"an origin with a line break", func(ty *mobiletype.Type) { ty.Method, ty.Origin = mobiletype.SMS, "example.com\n" }, "origin"},
		{"no language", func(ty *mobiletype.Type) { ty.Messages = map[string]string{"english!": "x"} }, "language"},
		{"a language twice", func(ty *mobiletype.Type) { ty.Messages = map[string]string{"en-us": "x", "en-US": "y"} }, "already"},
		{"no text", func(ty *mobiletype.Type) { ty.Messages = map[string]string{"en": ""} }, "1 to 155"},
		{"a long text", func(ty *mobiletype.Type) { ty.Messages = map[string]string{"en": strings.Repeat("ä", 156)} }, "1 to 155"},
		{"a text that reorders", func(ty *mobiletype.Type) { ty.Messages = map[string]string{"en": "a\u202eb"} }, "U+202E"},
		{"a text that hides", func(ty *mobiletype.Type) { ty.Messages = map[string]string{"en": "a\u200bb"} }, "U+200B"},
		{"two lines", func(ty *mobiletype.Type) { ty.Messages = map[string]string{"en": "a\nb"} }, "U+000A"},
		{"too many languages", func(ty *mobiletype.Type) {
			ty.Messages = map[string]string{}
			for i := range 65 {
				ty.Messages[fmt.Sprintf("a%c%c", 'a'+i/26, 'a'+i%26)] = "x"
			}
		}, "languages"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ty := mobiletype.Type{Name: "a", Method: mobiletype.Push}
			test.spoil(&ty)
			_, err := mobiletype.New([]mobiletype.Type{ty}, mobiletype.Config{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestMessages: 155 characters of any script, the language asked for, then the one without its region, then English.
func TestMessages(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("漢", 155)
	s := set(t, "", mobiletype.Type{
		Name: "a", Method: mobiletype.SMS, Origin: "login.example.com:8443",
		Messages: map[string]string{"EN": "Your code: {code}", "nl": "Je code: {code}", "pt-BR": "O código: {code}", "zh-hant": long, "ar": "رمزك 🙂 {code}"},
	}, mobiletype.Type{Name: "none", Method: mobiletype.Push}, mobiletype.Type{
		Name: "dutch", Method: mobiletype.Push, Messages: map[string]string{"nl": "Hallo"},
	})
	for _, test := range []struct {
		ty        string
		languages []string
		text, in  string
		ok        bool
	}{
		{"a", nil, "Your code: {code}", "en", true},
		{"a", []string{"nl"}, "Je code: {code}", "nl", true},
		{"a", []string{"nl-BE"}, "Je code: {code}", "nl", true},
		{"a", []string{"NL_be"}, "Je code: {code}", "nl", true},
		{"a", []string{"pt"}, "Your code: {code}", "en", true},
		{"a", []string{"pt-br"}, "O código: {code}", "pt-BR", true},
		{"a", []string{"zh-Hant-TW"}, long, "zh-Hant", true},
		{"a", []string{"tlh", "ar-EG"}, "رمزك 🙂 {code}", "ar", true},
		{"a", []string{"no language at all", ""}, "Your code: {code}", "en", true},
		{"dutch", []string{"nl"}, "Hallo", "nl", true},
		{"dutch", []string{"de"}, "", "", false},
		{"none", []string{"en"}, "", "", false},
	} {
		ty, ok := s.Get(test.ty)
		if !ok {
			t.Fatalf("no type %q", test.ty)
		}
		if text, in, ok := ty.Message(test.languages...); text != test.text || in != test.in || ok != test.ok {
			t.Errorf("%s in %q: %q in %q, %t", test.ty, test.languages, text, in, ok)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ty      mobiletype.Type
		channel mobiletype.Channel
		factor  string
	}{
		{mobiletype.Type{Method: mobiletype.Push}, mobiletype.ByPush, "possession"},
		{mobiletype.Type{Method: mobiletype.PushPIN}, mobiletype.ByPush, "pin"},
		{mobiletype.Type{Method: mobiletype.PushFingerprint}, mobiletype.ByPush, "biometric"},
		{mobiletype.Type{Method: mobiletype.PushCustom, Custom: "voice"}, mobiletype.ByPush, "custom:voice"},
		{mobiletype.Type{Method: mobiletype.OTP}, mobiletype.ByOTP, "possession"},
		{mobiletype.Type{Method: mobiletype.SMS}, mobiletype.BySMS, ""},
	} {
		if test.ty.Channel() != test.channel || test.ty.Factor() != test.factor {
			t.Errorf("%s: over %s by %q", test.ty.Method, test.ty.Channel(), test.ty.Factor())
		}
	}
	if mobiletype.Method("voice").Known() || len(mobiletype.Methods()) != 6 {
		t.Error("methods that are none")
	}
}

// TestProve: what an approval is worth comes from what was really used.
func TestProve(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		channel mobiletype.Channel
		factor  string
		of      mobiletype.Method // of the type
		named   string
		method  mobiletype.Method
		amr     []string
		acr     string
	}{
		{mobiletype.ByPush, "possession", mobiletype.Push, "", mobiletype.Push, []string{"pop"}, "push"},
		{mobiletype.ByPush, "pin", mobiletype.Push, "", mobiletype.PushPIN, []string{"pop", "pin", "mfa"}, "push_pin"},
		{mobiletype.ByPush, "pin", mobiletype.PushPIN, "gold", mobiletype.PushPIN, []string{"pop", "pin", "mfa"}, "gold"},
		{mobiletype.ByPush, "biometric", mobiletype.PushFingerprint, "gold", mobiletype.PushFingerprint, []string{"pop", "fpt", "mfa"}, "gold"},
		{mobiletype.ByPush, "pin", mobiletype.PushFingerprint, "gold", mobiletype.PushPIN, []string{"pop", "pin", "mfa"}, "gold"},
		{mobiletype.ByPush, "pin", mobiletype.PushCustom, "gold", mobiletype.PushPIN, []string{"pop", "pin", "mfa"}, "gold"},
		{mobiletype.ByPush, "custom:voice", mobiletype.PushCustom, "", mobiletype.PushCustom, []string{"pop", "mfa"}, "push_custom"},
		{mobiletype.BySMS, "", mobiletype.SMS, "bronze", mobiletype.SMS, []string{"sms"}, "bronze"},
		{mobiletype.BySMS, "pin", mobiletype.SMS, "", mobiletype.SMS, []string{"sms"}, "sms"},
		{mobiletype.BySMS, "", mobiletype.PushPIN, "gold", mobiletype.SMS, []string{"sms"}, "sms"},
		{mobiletype.ByPush, "possession", mobiletype.PushPIN, "gold", mobiletype.Push, []string{"pop"}, "push"},
		{mobiletype.ByOTP, "possession", mobiletype.OTP, "silver", mobiletype.OTP, []string{"pop", "mca"}, "silver"},
		{mobiletype.ByOTP, "pin", mobiletype.OTP, "", mobiletype.PushPIN, []string{"pop", "pin", "mfa"}, "push_pin"},
	} {
		method, amr := mobiletype.Prove(test.channel, test.factor)
		if method != test.method || !slices.Equal(amr, test.amr) {
			t.Errorf("%s by %q: %s, %q", test.channel, test.factor, method, amr)
		}
		if acr := mobiletype.ACR(method, test.of, test.named); acr != test.acr {
			t.Errorf("%s where %s is asked as %q: %q, want %q", method, test.of, test.named, acr, test.acr)
		}
	}
}

// FuzzMessage: whatever language is asked for, the answer is one of the messages or none.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"en", "nl-BE", "zh-Hant-TW", "x-private", "i-klingon", "", "\xff", "en-u-ca-gregory"} {
		f.Add(seed, "Hello")
	}
	f.Fuzz(func(t *testing.T, lang, text string) {
		s, err := mobiletype.New([]mobiletype.Type{{
			Name: "a", Method: mobiletype.Push, Messages: map[string]string{"en": "English", lang: text},
		}}, mobiletype.Config{})
		if err != nil {
			return
		}
		ty, _ := s.Get("a")
		got, in, ok := ty.Message(lang)
		if !ok || got != ty.Messages[in] || utf8.RuneCountInString(got) > mobiletype.MaxMessage {
			t.Errorf("in %q: %q in %q, %t", lang, got, in, ok)
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	s := set(b, "", mobiletype.Type{Name: "a", Method: mobiletype.Push, Messages: map[string]string{"en": "Hello", "nl": "Hallo"}})
	ty, _ := s.Get("a")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := ty.Message("nl-BE"); !ok {
			b.Fatal("no message")
		}
	}
}
