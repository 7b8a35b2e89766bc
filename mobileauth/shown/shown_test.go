// SPDX-License-Identifier: Apache-2.0

package shown_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

var plain = shown.Content{Most: 155}

func TestTextsThatPass(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"Pay 10 EUR to Ann?", "Grüße, señor", "数字を入力", "مرحبا بالعالم", "שלום", "😀 👍🏽 ✓ ❤️", "a\u00a0b\u202fc\u3000d", "<b>not bold</b> & \"so\"",
		"می\u200cخواهم", "क्\u200dष", "ก็่", "x²", "it's “quoted” — so",
	} {
		got, err := shown.Context{Title: text}.Check(plain)
		if err != nil || got.Title != norm.NFC.String(text) {
			t.Errorf("%q: %q, %v", text, got.Title, err)
		}
	}
}

// TestTextsThatDeceive: what reorders, hides, controls or pushes text away is refused and never removed.
func TestTextsThatDeceive(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"right-to-left override":     "Pay 1\u202e000 EUR",
		"left-to-right override":     "a\u202db",
		"embedding":                  "a\u202ab",
		"pop":                        "a\u202cb",
		"isolate":                    "a\u2066b\u2069c",
		"left-to-right mark":         "a\u200eb",
		"right-to-left mark":         "a\u200fb",
		"arabic letter mark":         "a\u061cb",
		"zero width space":           "pay\u200bpal",
		"zero width joiner":          "pay\u200dpal",
		"zero width non-joiner":      "pay\u200cpal",
		"joiner at the end":          "می\u200c",
		"word joiner":                "a\u2060b",
		"byte order mark":            "a\ufeffb",
		"soft hyphen":                "a\u00adb",
		"grapheme joiner":            "a\u034fb",
		"hangul filler":              "a\u3164b",
		"halfwidth filler":           "a\uffa0b",
		"choseong filler":            "a\u115fb",
		"braille blank":              "a\u2800b",
		"mongolian vowel separator":  "a\u180eb",
		"mongolian variation":        "a\u180bb",
		"khmer inherent vowel":       "a\u17b4b",
		"tag":                        "a\U000e0041b",
		"variation selector 17":      "a\U000e0100b",
		"invisible times":            "a\u2062b",
		"interlinear annotation":     "a\ufff9b",
		"null":                       "a\x00b",
		"escape":                     "a\x1b[31mb",
		"tab":                        "a\tb",
		"carriage return":            "a\rb",
		"line feed in a title":       "a\nb",
		"next line":                  "a\u0085b",
		"line separator":             "a\u2028b",
		"paragraph separator":        "a\u2029b",
		"private use":                "a\ue000b",
		"unassigned":                 "a\u0378b",
		"noncharacter":               "a\uffffb",
		"not UTF-8":                  "a\xffb",
		"half a surrogate":           "a\xed\xa0\x80b",
		"blank in front":             " a",
		"blank behind":               "a\u00a0",
		"five blanks":                "a     b",
		"blanks of different widths": "a \u00a0 \u2003 b",
		"a tower of marks":           "a" + strings.Repeat("\u0335", 5),
	} {
		_, err := shown.Context{Title: text}.Check(plain)
		var field *shown.FieldError
		if !errors.As(err, &field) || field.Field != "context.title" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), "paypal") || strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%s: the error repeats the text: %q", name, err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		content string
		lines   bool
		ok      bool
	}{
		{"a\nb", true, true},
		{"a\n\nb", true, true},
		{"a\n\n\nb", true, false},
		{"a\n \n \nb", true, false},
		{"a\nb", false, false},
		{"\na", true, false},
	} {
		_, err := shown.Context{Content: test.content}.Check(shown.Content{Most: 10, Lines: test.lines})
		if (err == nil) != test.ok {
			t.Errorf("%q with lines %t: %v", test.content, test.lines, err)
		}
	}
}

// TestLengths counts characters after composition, not bytes.
func TestLengths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		content string
		ok      bool
	}{
		{strings.Repeat("x", 155), true},
		{strings.Repeat("x", 156), false},
		{strings.Repeat("漢", 155), true},
		{strings.Repeat("😀", 155), true},
		{strings.Repeat("e\u0301", 155), true}, // é
		{strings.Repeat("e\u0301", 156), false},
		{strings.Repeat("x", 1<<20), false},
	} {
		if _, err := (shown.Context{Content: test.content}).Check(plain); (err == nil) != test.ok {
			t.Errorf("%d bytes: %v", len(test.content), err)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		field shown.Field
		want  string // the member that is wrong
	}{
		{shown.Field{Type: "amount", Label: "Amount", Value: "12.50", Currency: "EUR"}, ""},
		{shown.Field{Type: "amount", Value: "0", Currency: "JPY"}, ""},
		{shown.Field{Type: "amount", Value: "999999999999999.9999", Currency: "XBT"}, ""},
		{shown.Field{Type: "payee", Label: "To", Value: "Ann"}, ""},
		{shown.Field{Type: "account", Value: "NL91 ABNA 0417 1643 00"}, ""},
		{shown.Field{Type: "reference", Value: "7"}, ""},
		{shown.Field{Type: "date", Value: "2026-01-31"}, ""},
		{shown.Field{Type: "text", Value: "x"}, ""},
		{shown.Field{Type: "note", Value: "x"}, ""},
		{shown.Field{Type: "warning", Value: "x"}, ""},
		{shown.Field{Type: "image", Value: "x"}, "type"},
		{shown.Field{Value: "x"}, "type"},
		{shown.Field{Type: "text"}, "value"},
		{shown.Field{Type: "text", Value: "a\u202eb"}, "value"},
		{shown.Field{Type: "text", Value: strings.Repeat("x", 141)}, "value"},
		{shown.Field{Type: "text", Value: "x", Label: "a\u200bb"}, "label"},
		{shown.Field{Type: "text", Value: "x", Label: strings.Repeat("x", 41)}, "label"},
		{shown.Field{Type: "text", Value: "x", Currency: "EUR"}, "currency"},
		{shown.Field{Type: "amount", Value: "1"}, "currency"},
		{shown.Field{Type: "amount", Value: "1", Currency: "eur"}, "value"},
		{shown.Field{Type: "amount", Value: "1,000", Currency: "EUR"}, "value"},
		{shown.Field{Type: "amount", Value: "-1", Currency: "EUR"}, "value"},
		{shown.Field{Type: "amount", Value: "1e9", Currency: "EUR"}, "value"},
		{shown.Field{Type: "amount", Value: "01", Currency: "EUR"}, "value"},
		{shown.Field{Type: "amount", Value: "1.", Currency: "EUR"}, "value"},
		{shown.Field{Type: "amount", Value: "١", Currency: "EUR"}, "value"},
		{shown.Field{Type: "date", Value: "31.1.2026"}, "value"},
		{shown.Field{Type: "date", Value: "2026-02-30"}, "value"},
	} {
		c, err := shown.Context{Fields: []shown.Field{{Type: "text", Value: "first"}, test.field}}.Check(plain)
		var field *shown.FieldError
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%+v: %v", test.field, err)
		case test.want == "":
			if diff := cmp.Diff(test.field, c.Fields[1]); diff != "" {
				t.Errorf("it changed:\n%s", diff)
			}
		case !errors.As(err, &field) || field.Field != "context.fields[1]."+test.want:
			t.Errorf("%+v: %v, want %s", test.field, err, test.want)
		}
	}
	many := make([]shown.Field, 21)
	for i := range many {
		many[i] = shown.Field{Type: "text", Value: "x"}
	}
	if _, err := (shown.Context{Fields: many}).Check(plain); err == nil {
		t.Error("21 fields are taken")
	}
	if _, err := (shown.Context{Fields: many[:20]}).Check(plain); err != nil {
		t.Errorf("20 fields: %v", err)
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"": "", "en": "en", "de-at": "de-AT", "zh-hant-tw": "zh-Hant-TW", "iw": "he"} {
		if c, err := (shown.Context{Language: given}).Check(plain); err != nil || c.Language != want {
			t.Errorf("%q: %q, %v", given, c.Language, err)
		}
	}
	for _, bad := range []string{"english language", "x", "en-" + strings.Repeat("abcdefgh-", 5), "e\x00"} {
		if _, err := (shown.Context{Language: bad}).Check(plain); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestCheckLeavesTheCallers: the caller's fields are not written to, and what was checked is checked again the same.
func TestCheckLeavesTheCallers(t *testing.T) {
	t.Parallel()
	given := shown.Context{Title: "e\u0301", Fields: []shown.Field{{Type: "text", Value: "e\u0301"}}}
	got, err := given.Check(plain)
	if err != nil {
		t.Fatal(err)
	}
	if given.Fields[0].Value != "e\u0301" || got.Fields[0].Value != "é" || got.Title != "é" {
		t.Errorf("given %q, got %q", given.Fields[0].Value, got.Fields[0].Value)
	}
	again, err := got.Check(plain)
	if diff := cmp.Diff(got, again); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if (shown.Context{Language: "en"}).Empty() != true || given.Empty() {
		t.Error("what is empty")
	}
}

// FuzzText: what passes has one spelling, is as long as was allowed, and has nothing in it that reorders, hides or controls.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"Pay 10 EUR", "می\u200cخواهم", "a\u202eb", "e\u0301", "a\nb", "👨\u200d👩\u200d👧", "\xff"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, title, content string) {
		c, err := shown.Context{Title: title, Content: content}.Check(shown.Content{Most: 155, Lines: true})
		if err != nil {
			return
		}
		if strings.ContainsRune(c.Title, '\n') || utf8.RuneCountInString(c.Content) > 155 || utf8.RuneCountInString(c.Title) > 100 {
			t.Errorf("%q and %q passed", c.Title, c.Content)
		}
		for _, text := range []string{c.Title, c.Content} {
			if !norm.NFC.IsNormalString(text) || !utf8.ValidString(text) {
				t.Errorf("%q has another spelling", text)
			}
			for _, r := range text {
				if r != '\n' && r != '\u200c' && r != '\u200d' && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
					t.Errorf("%U passed", r)
				}
			}
		}
		if again, err := c.Check(shown.Content{Most: 155, Lines: true}); err != nil || again.Title != c.Title || again.Content != c.Content {
			t.Errorf("checked again: %v", err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	c := shown.Context{
		Title: "Payment", Content: "Pay 10 EUR to Ann?", Language: "en",
		Fields: []shown.Field{{Type: "amount", Label: "Amount", Value: "10.00", Currency: "EUR"}, {Type: "payee", Label: "To", Value: "Ann"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Check(plain); err != nil {
			b.Fatal(err)
		}
	}
}
