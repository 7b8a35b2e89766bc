// SPDX-License-Identifier: Apache-2.0

package shown

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Neutral returns what of a word that nobody vouches for (the name of a browser, of a town) may stand in a text that is
// shown: one line of at most so many characters, without anything that a [Context] refuses. What had to go is left out, and
// an empty answer says that nothing remained. It is for words that are put into a text of the configuration; what somebody
// asks a person to consent to is refused instead ([Context.Check]).
func Neutral(word string, most int) string {
	if len(word) > 4*most {
		word = word[:4*most]
	}
	runes := []rune(norm.NFC.String(strings.ToValidUTF8(word, "")))
	var kept strings.Builder
	var runs counts
	for i, r := range runes {
		if next := runs; visible(runes, i, false) && next.add(r) {
			runs = next
			kept.WriteRune(r)
		}
	}
	word = strings.TrimSpace(norm.NFC.String(kept.String()))
	if n := utf8.RuneCountInString(word); n > most {
		word = strings.TrimSpace(string([]rune(word)[:most]))
	}
	// What stands beside one another only now may not stand so.
	if checked, err := text("", word, most, false); err == nil {
		return checked
	}
	return ""
}
