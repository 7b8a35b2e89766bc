// SPDX-License-Identifier: Apache-2.0

package shown

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// CodePlace is what a message has in the place of a code. A phone that has no code to show leaves it out, with what leads there: in a
// text that is approved as it is shown it cannot stand.
const CodePlace = "{code}"

const (
	// maxMarks is how many marks may stand on one letter: real languages need four, text that climbs over its neighbours
	// needs more.
	maxMarks = 4
	// maxSpaces and maxBreaks bound what can push text off a small screen.
	maxSpaces = 4
	maxBreaks = 2
)

// joining are the scripts in which a zero-width (non-)joiner between two letters is spelling (RFC 5892 appendix A.1, A.2).
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Nko, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi,
	unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala,
	unicode.Khmer,
}

// Text checks one text of at most that many characters, as it is checked within a [Context]; the field is for the error.
func Text(field, value string, allowed Content) (string, error) {
	return text(field, value, allowed.Most, allowed.Lines)
}

// text checks a text that a person is shown and signs, and returns its composed form (NFC). It refuses, rather than remove,
// whatever could make the text look like another one: control characters, characters that reorder text or take no room,
// line and paragraph separators, private and unassigned code points, towers of marks, and runs of blanks. What is signed
// must be what was asked for, so an invisible character is never taken away behind the back of whoever sent it.
func text(field, value string, most int, lines bool) (string, error) {
	if len(value) > 4*most || !utf8.ValidString(value) {
		return "", Invalid(field, "want at most %d characters of UTF-8", most)
	}
	value = norm.NFC.String(value)
	if utf8.RuneCountInString(value) > most {
		return "", Invalid(field, "longer than %d characters", most)
	}
	if strings.TrimSpace(value) != value {
		return "", Invalid(field, "begins or ends with a blank")
	}
	var runs counts
	runes := []rune(value)
	for i, r := range runes {
		if !visible(runes, i, lines) {
			return "", Invalid(field, "character U+%04X at position %d is not allowed", r, i+1)
		}
		if !runs.add(r) {
			return "", Invalid(field, "too many blanks, line breaks or marks in a row at position %d", i+1)
		}
	}
	return value, nil
}

// visible reports whether the i-th character shows itself, and shows nothing else.
func visible(runes []rune, i int, lines bool) bool {
	r := runes[i]
	switch {
	case r == '\n':
		return lines
	case r == '\u200c' || r == '\u200d':
		return i > 0 && i+1 < len(runes) && unicode.In(runes[i-1], joining...) && unicode.In(runes[i+1], joining...)
	case r == '\u034f' || r == '\u115f' || r == '\u1160' || r == '\u3164' || r == '\uffa0' || r == '\u2800':
		return false // they count as letters, marks or symbols and are blank
	case r >= '\u17b4' && r <= '\u17b5', r >= '\u180b' && r <= '\u180f', r >= '\U000e0000' && r <= '\U000e0fff':
		return false // inherent vowels and selectors that show nothing by themselves, tags
	}
	// Graphic characters are letters, marks, numbers, symbols, punctuation and spaces: no controls, no format characters
	// such as U+202E, no separators of lines and paragraphs, nothing private, unassigned or half a surrogate pair.
	return unicode.IsGraphic(r)
}

// counts are how long the current runs of blanks, line breaks and marks are.
type counts struct{ spaces, breaks, marks int }

func (c *counts) add(r rune) bool {
	space, newline, mark := unicode.Is(unicode.Zs, r), r == '\n', unicode.Is(unicode.M, r)
	c.spaces, c.marks = next(c.spaces, space), next(c.marks, mark)
	if !space { // blanks between two line breaks do not make them two runs
		c.breaks = next(c.breaks, newline)
	}
	return c.spaces <= maxSpaces && c.breaks <= maxBreaks && c.marks <= maxMarks
}

func next(n int, more bool) int {
	if more {
		return n + 1
	}
	return 0
}
