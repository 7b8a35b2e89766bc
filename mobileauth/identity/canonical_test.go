// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, login, want string
	}{
		{"canonical already", "alice", "alice"},
		{"capital", "Alice", "alice"},
		{"all capitals", "ALICE", "alice"},
		{"full width", "ＡLICE", "alice"},
		{"mathematical letters", "𝓐𝓵𝓲𝓬𝓮", "alice"},
		{"space at the ends", "  alice ", "alice"},
		{"tab and line break at the ends", "\talice\r\n", "alice"},
		{"ideographic space at the end", "alice\u3000", "alice"},
		{"space inside", "Alice  Liddell", "alice  liddell"},
		{"no-break space inside", "alice\u00a0liddell", "alice liddell"},
		{"mail address", "Alice@Example.COM", "alice@example.com"},
		{"phone number", "+31 6 1234", "+31 6 1234"},
		{"composed", "Ren\u00e9", "ren\u00e9"},
		{"decomposed", "Rene\u0301", "ren\u00e9"},
		{"sharp s", "Straße", "strasse"},
		{"capital sharp s", "STRAẞE", "strasse"},
		{"final sigma", "ΟΔΥΣΣΕΥΣ", "οδυσσευσ"},
		{"small final sigma", "οδυσσευς", "οδυσσευσ"},
		{"ligature", "ﬁona", "fiona"},
		{"kelvin sign", "\u212aelvin", "kelvin"},
		{"dotted capital i", "\u0130stanbul", "i\u0307stanbul"},
		{"dotless i is another letter", "ıstanbul", "ıstanbul"},
		{"cyrillic stays cyrillic", "АЛИСА", "алиса"},
		{"han", "愛麗絲", "愛麗絲"},
		{"space that normalising brings up", "\u00b4alice", "\u0301alice"},
		{"emoji", "alice🙂", "alice🙂"},
		{"as long as may be", strings.Repeat("a", identity.MaxLogin), strings.Repeat("a", identity.MaxLogin)},
		{"long before trimming", strings.Repeat(" ", 200) + "alice", "alice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := identity.Canonical(tc.login)
			if err != nil || got != tc.want {
				t.Errorf("Canonical(%+q) = %+q, %v; want %+q", tc.login, got, err, tc.want)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, login string
	}{
		{"nothing", ""},
		{"only spaces", " \t\u3000"},
		{"one byte too long", strings.Repeat("a", identity.MaxLogin+1)},
		{"too long after normalising", strings.Repeat("\ufdfa", 10)},
		{"too long to look at", strings.Repeat(" ", 512) + "alice"},
		{"not UTF-8", "ali\xffce"},
		{"overlong UTF-8", "ali\xc0\x80ce"},
		{"surrogate", "ali\xed\xa0\x80ce"},
		{"NUL", "ali\x00ce"},
		{"line break inside", "ali\nce"},
		{"delete", "alice\x7f"},
		{"C1 control", "ali\u0085ce"},
		{"zero width space", "ali\u200bce"},
		{"zero width joiner", "ali\u200dce"},
		{"soft hyphen", "ali\u00adce"},
		{"right-to-left override", "\u202ealice"},
		{"byte order mark", "\ufeffalice"},
		{"combining grapheme joiner", "ali\u034fce"},
		{"variation selector", "ali\ufe0fce"},
		{"hangul filler", "alice\u3164"},
		{"tag character", "alice\U000e0061"},
		{"line separator", "ali\u2028ce"},
		{"private use", "alice\ue000"},
		{"unassigned", "alice\u0378"},
		{"replacement character", "alice\ufffd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := identity.Canonical(tc.login)
			if !errors.Is(err, identity.ErrInvalid) || got != "" {
				t.Fatalf("Canonical(%+q) = %+q, %v; want ErrInvalid", tc.login, got, err)
			}
			if name := strings.TrimSpace(tc.login); len(name) > 4 && strings.Contains(err.Error(), name) {
				t.Errorf("the error repeats the name: %v", err)
			}
		})
	}
}

// checkCanonical holds every name that Canonical accepts to what the rest of the package builds on.
func checkCanonical(t interface{ Fatalf(string, ...any) }, login string) {
	got, err := identity.Canonical(login)
	if err != nil {
		if !errors.Is(err, identity.ErrInvalid) || got != "" {
			t.Fatalf("Canonical(%+q) = %+q, %v", login, got, err)
		}
		return
	}
	again, err := identity.Canonical(got)
	switch {
	case err != nil || again != got:
		t.Fatalf("Canonical(%+q) = %+q, and of that %+q, %v", login, got, again, err)
	case got == "" || len(got) > identity.MaxLogin || !utf8.ValidString(got):
		t.Fatalf("Canonical(%+q) = %+q", login, got)
	case !norm.NFKC.IsNormalString(got) || strings.TrimSpace(got) != got:
		t.Fatalf("Canonical(%+q) = %+q is not normal", login, got)
	case strings.ContainsFunc(got, unicode.IsControl):
		t.Fatalf("Canonical(%+q) = %+q holds a control character", login, got)
	}
}

func TestCanonicalIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkCanonical(t, rapid.String().Draw(t, "login"))
	})
}

// TestCanonicalOfEveryCharacter leaves no letter to chance, except that ideographs and Hangul syllables, which have
// neither case nor variants worth the time, are sampled.
func TestCanonicalOfEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= 0x1ffff; r++ {
		if unicode.In(r, unicode.Unified_Ideograph, unicode.Hangul) && r%64 != 0 {
			continue
		}
		checkCanonical(t, "a"+string(r)+"b")
		checkCanonical(t, string(r))
	}
}

// TestCanonicalIgnoresCaseAndForm respells a name character by character and expects the same answer.
func TestCanonicalIgnoresCaseAndForm(t *testing.T) {
	t.Parallel()
	letters := rapid.RuneFrom([]rune("aZ9.@_-éßſÅøÆ"), unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian)
	rapid.Check(t, func(t *rapid.T) {
		login := rapid.StringOfN(letters, 1, 20, 60).Draw(t, "login")
		want, wantErr := identity.Canonical(login)
		var respelled strings.Builder
		for _, r := range login {
			for range rapid.IntRange(0, 3).Draw(t, "case") {
				r = unicode.SimpleFold(r)
			}
			if r == '\u0345' { // a mark that folds to a letter: normalising moves marks, not letters
				r = 'ι'
			}
			respelled.WriteRune(r)
		}
		form := rapid.SampledFrom([]norm.Form{norm.NFC, norm.NFD}).Draw(t, "form")
		got, err := identity.Canonical(form.String(respelled.String()))
		if got != want || (err == nil) != (wantErr == nil) {
			t.Fatalf("Canonical(%+q) = %+q, %v; of %+q %+q, %v", login, want, wantErr, respelled.String(), got, err)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"alice", "ＡLICE", " a\u00a8 ", "\u0130", "ǰ\u0345", "\u1e9e", "\u200b", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, login string) { checkCanonical(t, login) })
}

func BenchmarkCanonical(b *testing.B) {
	for _, bc := range []struct{ name, login string }{
		{"ascii", "alice@example.com"},
		{"capital", "Alice@Example.com"},
		{"unicode", "René@Example.com"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := identity.Canonical(bc.login); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
