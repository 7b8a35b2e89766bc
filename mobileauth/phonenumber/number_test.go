// SPDX-License-Identifier: Apache-2.0

package phonenumber_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
)

func parse(t testing.TB, text string) phonenumber.Number {
	t.Helper()
	n, err := phonenumber.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q) = %v", text, err)
	}
	return n
}

// However a number is written, it is one number.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		want      string
		country   string
		spellings []string
	}{
		{"+31612345678", "NL", []string{
			"+31612345678", "+31 6 1234 5678", "+31 (0)6-12345678", "+31(0)612345678", " +31.6.12.34.56.78 ", "+31/6/12345678", "+31 [6] 12345678",
			"＋３１６１２３４５６７８", "+٣١٦١٢٣٤٥٦٧٨", "+۳۱۶۱۲۳۴۵۶۷۸", "+31\u00a06\u00a012345678", "+31\u20106\u201112\u201234\u201356\u201478",
			"+31 0 612345678", "+31\u30006\u300012345678", "+31６12345678", "+31\u22126\u221212345678", "\t+31612345678\n",
		}},
		{"+442079460958", "GB", []string{"+442079460958", "+44 (0)20 7946 0958", "+44 020 7946 0958"}},
		{"+390236618300", "IT", []string{"+390236618300", "+39 02 3661 8300", "+39 (02) 36618300"}},
		{"+12015550123", "US", []string{"+12015550123", "+1 (201) 555-0123", "+1-201-555-0123", "+1.201.555.0123"}},
		{"+393123456789", "IT", []string{"+39 312 345 6789"}},
		{"+5511961234567", "BR", []string{"+55 11 96123-4567", "+55 (011) 96123-4567"}},
	} {
		for _, text := range tt.spellings {
			n, err := phonenumber.Parse(text)
			if err != nil || n.E164() != tt.want || n.Country() != tt.country || n != parse(t, tt.want) {
				t.Errorf("Parse(%q) = %s of %s, %v; want %s", text, n.E164(), n.Country(), err, tt.want)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", phonenumber.ErrForm},
		{"a plus", "+", phonenumber.ErrForm},
		{"separators", "+ ()-", phonenumber.ErrForm},
		{"national form", "0612345678", phonenumber.ErrForm},
		{"the prefix of calls abroad", "0031612345678", phonenumber.ErrForm},
		{"no plus", "31612345678", phonenumber.ErrForm},
		{"two", "++31612345678", phonenumber.ErrForm},
		{"a plus in the middle", "+31+612345678", phonenumber.ErrForm},
		{"a URI", "tel:+31612345678", phonenumber.ErrForm},
		{"an extension", "+31201234567;ext=12", phonenumber.ErrForm},
		{"an extension by a letter", "+31201234567x12", phonenumber.ErrForm},
		{"an extension by a word", "+31201234567 ext. 12", phonenumber.ErrForm},
		{"an extension by a hash", "+31201234567#12", phonenumber.ErrForm},
		{"pauses", "+31201234567,,12", phonenumber.ErrForm},
		{"a context", "+31612345678;phone-context=+1", phonenumber.ErrForm},
		{"letters", "+1800FLOWERS", phonenumber.ErrForm},
		{"letters that look like digits", "+31б12345678", phonenumber.ErrForm},
		{"a superscript that is no digit", "+31612345678ª", phonenumber.ErrForm},
		{"digits of another script", "+३१६१२३४५६७८", phonenumber.ErrForm},
		{"reordered", "+31\u202e612345678", phonenumber.ErrForm},
		{"a mark for direction", "\u200e+31612345678", phonenumber.ErrForm},
		{"an isolate", "\u2066+31612345678\u2069", phonenumber.ErrForm},
		{"what takes no room", "+316\u200b12345678", phonenumber.ErrForm},
		{"a soft hyphen", "+316\u00ad12345678", phonenumber.ErrForm},
		{"a joiner", "+316\u200d12345678", phonenumber.ErrForm},
		{"a byte order mark", "\ufeff+31612345678", phonenumber.ErrForm},
		{"a mark on a digit", "+316\u030112345678", phonenumber.ErrForm},
		{"a null", "+31612345678\x00", phonenumber.ErrForm},
		{"a line in the middle", "+316\n12345678", phonenumber.ErrForm},
		{"no UTF-8", "+31612345678\xff", phonenumber.ErrForm},
		{"33 characters", "+31" + strings.Repeat(" ", 20) + "0612345678", phonenumber.ErrForm},
		{"characters that become many", "+31" + strings.Repeat("\ufdfa", 9), phonenumber.ErrForm},
		{"10 KB", "+" + strings.Repeat("1", 10<<10), phonenumber.ErrForm},
		{"no such calling code", "+999123456789", phonenumber.ErrImpossible},
		{"a calling code alone", "+31", phonenumber.ErrImpossible},
		{"a zero", "+0612345678", phonenumber.ErrImpossible},
		{"too short", "+3161", phonenumber.ErrImpossible},
		{"too long for its country", "+31612345678901", phonenumber.ErrImpossible},
		{"too long for all", "+3161234567890123456", phonenumber.ErrImpossible},
		{"one that would be another when it is read again", "+9000000000000000", phonenumber.ErrImpossible},
		{"an emergency", "+31112", phonenumber.ErrImpossible},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := phonenumber.Parse(tt.text)
			if !errors.Is(err, tt.want) || n != (phonenumber.Number{}) {
				t.Fatalf("Parse = %s, %v, want %v", n.E164(), err, tt.want)
			}
			if strings.Contains(strings.ReplaceAll(err.Error(), "+31612345678", ""), "6123") {
				t.Errorf("the error holds the number: %v", err)
			}
		})
	}
}

func TestPrefixAndMask(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ number, prefix, masked string }{
		{"+31612345678", "+3161234", "+31 ** *** **78"},
		{"+12015550123", "+1201555", "+1 ** *** *** 23"},
		{"+4930123456", "+493012", "+49 ** *** *56"},
		{"+4915123456789", "+491512345", "+49 ** *** *** *89"},
		{"+35315550123", "+3531555", "+353 ** *** *23"},
		{"+6831234", "+683", "+683 **34"},
		{"+29051234", "+2905", "+290 ** *34"},
	} {
		n := parse(t, tt.number)
		if n.Prefix() != tt.prefix || n.Masked() != tt.masked {
			t.Errorf("%s: prefix %s, masked %q; want %s and %q", tt.number, n.Prefix(), n.Masked(), tt.prefix, tt.masked)
		}
	}
	var none phonenumber.Number
	if none.Prefix() != "" || none.Masked() != "" || none.Country() != "" || none.E164() != "" {
		t.Errorf("the number that is none is %q", none)
	}
}

func TestNumbersPrintMasked(t *testing.T) {
	t.Parallel()
	n := parse(t, "+31612345678")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "number", n, "at", &n)
	text := fmt.Sprintf("%v %+v %#v %s %v %s", n, n, n, n, &n, &log)
	if strings.Contains(text, "3456") || strings.Count(text, "+31 ** *** **78") != 7 {
		t.Errorf("it prints as %s", text)
	}
}

// Whatever is accepted is in E.164 form, is read again as itself, and does not show in its masked form.
func holds(t interface {
	Helper()
	Errorf(string, ...any)
}, n phonenumber.Number) {
	t.Helper()
	e164 := n.E164()
	if len(e164) < 3 || len(e164) > 16 || e164[0] != '+' || e164[1] < '1' || strings.Trim(e164[1:], "0123456789") != "" {
		t.Errorf("%q is no E.164 form", e164)
	}
	if again, err := phonenumber.Parse(e164); err != nil || again != n {
		t.Errorf("%s is read again as %s, %v", e164, again.E164(), err)
	}
	masked := n.Masked()
	shown := strings.Trim(strings.NewReplacer("*", "", " ", "", "+", "").Replace(masked), "")
	if strings.Count(masked, "*")+len(shown) != len(e164)-1 || len(shown) > 5 || !strings.HasPrefix(e164[1:], shown[:len(shown)-2]) {
		t.Errorf("%s is shown as %q", e164, masked)
	}
	if !strings.HasPrefix(e164, n.Prefix()) || len(e164)-len(n.Prefix()) != 4 {
		t.Errorf("the prefix of %s is %q", e164, n.Prefix())
	}
	if (n.Kind() == phonenumber.Mobile) != (n.Texts(phonenumber.Policy{}) == nil) && n.Kind() != phonenumber.FixedOrMobile {
		t.Errorf("a number of the kind %s: %v", n.Kind(), n.Texts(phonenumber.Policy{}))
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"+31612345678", "+44 (0)20 7946 0958", "+390236618300", "+1 (201) 555-0123", "+٣١٦١٢٣٤٥٦٧٨", "＋３１６", "+31201234567;ext=12",
		"+1 800 FLOWERS", "+88213123456", "+979123456789", "+5211234567890", "+54 9 11 2345 6789", "+7 8 912 345 67 89", "+39 0", "+6831234",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := phonenumber.Parse(text)
		if err == nil {
			holds(t, n)
		} else if n != (phonenumber.Number{}) || !errors.Is(err, phonenumber.ErrForm) && !errors.Is(err, phonenumber.ErrImpossible) {
			t.Errorf("Parse = %s, %v", n.E164(), err)
		}
	})
}

// Separators change nothing.
func TestSeparatorsChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		plain := "+" + rapid.StringMatching(`[1-9][0-9]{3,15}`).Draw(t, "digits")
		var text strings.Builder
		text.WriteByte('+')
		for _, r := range plain[1:] {
			text.WriteRune(r)
			if text.Len() < 24 {
				text.WriteString(rapid.SampledFrom([]string{"", "", " ", "-", ".", "(", ")", "/"}).Draw(t, "separator"))
			}
		}
		want, wanted := phonenumber.Parse(plain)
		got, err := phonenumber.Parse(text.String())
		if got != want || (err == nil) != (wanted == nil) {
			t.Errorf("%q is %s, %v; %q is %s, %v", plain, want.E164(), wanted, text.String(), got.E164(), err)
		}
		if err == nil {
			holds(t, got)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if n, err := phonenumber.Parse("+31 6 1234 5678"); err != nil || n.Texts(phonenumber.Policy{}) != nil {
			b.Fatal(err)
		}
	}
}
