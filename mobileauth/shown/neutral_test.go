// SPDX-License-Identifier: Apache-2.0

package shown_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

func TestNeutral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, word, want string }{
		{"a town", "Utrecht", "Utrecht"},
		{"a town with accents", "Aix-en-Provence, Provence-Alpes-Côte d’Azur", "Aix-en-Provence, Provence-Alpes-Côte d’Azur"},
		{"composed", "Zu\u0308rich", "Zürich"},
		{"Arabic", "الرياض", "الرياض"},
		{"an override of the direction", "Chrome\u202egnp.exe", "Chromegnp.exe"},
		{"isolates", "\u2066Safari\u2069", "Safari"},
		{"zero width", "Fire\u200bfox\ufeff", "Firefox"},
		{"controls and lines", "Edge\x00\r\nLocation: NL\u2028", "EdgeLocation: NL"},
		{"a tower of marks", "e\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308", "é\u0302\u0303\u0304\u0305"},
		{"a run of blanks", "a" + strings.Repeat(" ", 60) + "b", "a    b"},
		{"blank letters", "\u3164\u115f\u2800", ""},
		{"no UTF-8", "Op\xffera\xc3", "Opera"},
		{"too long", strings.Repeat("ab", 100), strings.Repeat("ab", 32)},
		{"too long by much", strings.Repeat("x", 1<<20), strings.Repeat("x", 64)},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := shown.Neutral(c.word, 64); got != c.want {
				t.Errorf("Neutral(%q) = %q, want %q", c.word, got, c.want)
			}
		})
	}
}

// FuzzNeutral: whatever is left may be shown.
func FuzzNeutral(f *testing.F) {
	f.Add("Chrome\u202e 73", 64)
	f.Add("\u0301\u0301\u0301", 5)
	f.Add("ab   \u200b   c", 7)
	f.Fuzz(func(t *testing.T, word string, most int) {
		if most < 1 || most > shown.MaxTitle {
			t.Skip()
		}
		got := shown.Neutral(word, most)
		if got == "" {
			return
		}
		if _, err := (shown.Context{Title: got}).Check(shown.Content{Most: most}); err != nil {
			t.Errorf("Neutral(%q, %d) = %q: %v", word, most, got, err)
		}
		if again := shown.Neutral(got, most); again != got {
			t.Errorf("Neutral(%q) = %q, and of that %q", word, got, again)
		}
	})
}
