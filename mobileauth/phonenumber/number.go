// SPDX-License-Identifier: Apache-2.0

package phonenumber

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/unicode/norm"
)

// MaxText is how long a number may be as it is written, in characters.
const MaxText = 32

// Errors of [Parse]. None of them holds the number.
var (
	// ErrForm is text that is no number in international form.
	ErrForm = errors.New("not a telephone number in international form, such as +31612345678")
	// ErrImpossible is a number that no country has, or one of another length than its country's have.
	ErrImpossible = errors.New("no such telephone number is possible")
)

// Number is a possible telephone number. Two are equal (==) when they reach the same telephone. The zero value is none. It prints
// masked.
type Number struct {
	e164    string
	calling int // the country calling code
	country string
	kind    Kind
}

// Parse reads a number in international form: a plus sign, the calling code and the number, with blanks, dashes, dots, slashes and
// brackets where people write them. The zero that some write in brackets before a number's national part is left out; one that
// belongs to the number (Italy) is kept.
//
// Compatible characters are read as what they stand for (NFKC), and Arabic and Persian digits as digits. It refuses with [ErrForm]
// more than [MaxText] characters, extensions, letters, and characters that show nothing or reorder others; and with [ErrImpossible]
// what no country can have.
func Parse(text string) (Number, error) {
	plain, ok := digits(text)
	if !ok {
		return Number{}, fmt.Errorf("reading a telephone number: %w", ErrForm)
	}
	parsed, e164, ok := possible(plain)
	if !ok {
		return Number{}, fmt.Errorf("reading a telephone number: %w", ErrImpossible)
	}
	// What the library takes for a prefix of calls within the country it leaves out. Of a number that no plan knows it would leave out
	// more each time that it is read: such a number would be two. Where it left out nothing, it would read the same again.
	if e164 != plain {
		if _, again, ok := possible(e164); !ok || again != e164 {
			return Number{}, fmt.Errorf("reading a telephone number: %w", ErrImpossible)
		}
	}
	return Number{e164: e164, calling: int(parsed.GetCountryCode()), country: countryOf(parsed), kind: kindOf(parsed)}, nil
}

func possible(plain string) (parsed *phonenumbers.PhoneNumber, e164 string, ok bool) {
	parsed, err := phonenumbers.Parse(plain, "ZZ")
	if err != nil || parsed.GetExtension() != "" || !phonenumbers.IsPossibleNumber(parsed) {
		return nil, "", false
	}
	e164 = phonenumbers.Format(parsed, phonenumbers.E164)
	return parsed, e164, len(e164) <= 1+maxDigits
}

// maxDigits is how many digits a number has at most (E.164, section 6.1).
const maxDigits = 15

// digits returns a plus sign and the digits of a text that holds a number and nothing else.
func digits(text string) (string, bool) {
	if len(text) > utf8.UTFMax*MaxText || !utf8.ValidString(text) || utf8.RuneCountInString(text) > MaxText {
		return "", false
	}
	text = strings.TrimSpace(norm.NFKC.String(text))
	text, plus := strings.CutPrefix(text, "+")
	if !plus || len(text) > utf8.UTFMax*MaxText {
		return "", false
	}
	plain := []byte{'+'}
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			plain = append(plain, byte(r))
		case r >= '٠' && r <= '٩':
			plain = append(plain, byte('0'+r-'٠'))
		case r >= '۰' && r <= '۹':
			plain = append(plain, byte('0'+r-'۰'))
		case !strings.ContainsRune(separators, r):
			return "", false
		}
	}
	return string(plain), len(plain) > 1
}

// separators are what people write between digits: blank, brackets, dot, slash, and the dashes that NFKC leaves apart (hyphen, en
// and em dash, horizontal bar, minus sign, Japanese long vowel mark).
const separators = " ()[]./-\u2010\u2012\u2013\u2014\u2015\u2212\u30fc"

// countryOf returns the country of a number. Where several share a calling code, and the plans do not say whose a number is, it is
// nobody's: a number of an island must not pass for one of the mainland.
func countryOf(parsed *phonenumbers.PhoneNumber) string {
	if country := phonenumbers.GetRegionCodeForNumber(parsed); country != "" && country != "ZZ" {
		return country
	}
	if shared := phonenumbers.GetRegionCodesForCountryCode(int(parsed.GetCountryCode())); len(shared) == 1 {
		return shared[0]
	}
	return ""
}

// E164 returns the number as it is stored, compared and sent: "+31612345678".
func (n Number) E164() string { return n.e164 }

// Country returns the ISO 3166-1 code of the number's country, "NL"; "001" for numbers of no country, such as those of satellite
// telephones; and nothing where several countries share the calling code and the number is of none of them.
func (n Number) Country() string { return n.country }

// Kind returns what kind of number it is.
func (n Number) Kind() Kind { return n.kind }

// Prefix returns the E.164 form without its last four digits: what neighbouring numbers share, which is what a range that somebody
// earns from is noticed by.
func (n Number) Prefix() string { return n.e164[:max(0, len(n.e164)-4)] }

// Masked returns what may be shown: "+31 ** *** **78". Numbers of equal length and country differ in the last two digits only.
func (n Number) Masked() string {
	if n.e164 == "" {
		return ""
	}
	calling := strconv.Itoa(n.calling)
	left := len(n.e164) - 1 - len(calling) - 2 // the digits that are not shown
	var text strings.Builder
	text.WriteString("+" + calling + " ")
	for size := 2; left+2 > 4; size = 3 {
		size = min(size, left)
		text.WriteString(strings.Repeat("*", size) + " ")
		left -= size
	}
	text.WriteString(strings.Repeat("*", left) + n.e164[len(n.e164)-2:])
	return text.String()
}

// String returns the masked form, so that nobody prints a number without wanting to.
func (n Number) String() string { return n.Masked() }

// GoString keeps %#v from printing the number.
func (n Number) GoString() string { return n.Masked() }

// LogValue keeps structured logs from printing the number.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
