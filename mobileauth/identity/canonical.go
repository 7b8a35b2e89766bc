// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxLogin is the longest canonical login name in bytes.
const MaxLogin = 128

const (
	maxRawLogin     = 4 * MaxLogin // what is not even looked at: folding costs time
	maxFoldingSteps = 8            // two suffice for every character of Unicode 17
)

// Canonical returns the one spelling under which a login name is stored, found and counted: Unicode NFKC, case-folded,
// without space at the ends. Two names that differ only in case, width or composition have the same canonical spelling,
// and Canonical of a canonical name is that name.
//
// It refuses, with an [ErrInvalid] that does not repeat the name, what is empty, longer than [MaxLogin] bytes or not
// UTF-8, and characters that cannot be seen or may change their meaning with the next version of Unicode: control and
// format characters, fillers, variation selectors, private and unassigned code points.
func Canonical(login string) (string, error) {
	if len(login) > maxRawLogin {
		return "", invalid("login", "longer than 128 bytes")
	}
	name, err := fold(login)
	switch {
	case err != nil:
		return "", err
	case name == "":
		return "", invalid("login", "empty")
	case len(name) > MaxLogin:
		return "", invalid("login", "longer than 128 bytes")
	}
	return name, nil
}

func fold(login string) (string, error) {
	if plainASCII(login) {
		return strings.ToLower(strings.Trim(login, " ")), nil
	}
	if !utf8.ValidString(login) {
		return "", invalid("login", "not valid UTF-8")
	}
	// Folding may undo a normal form and normalising may bring up what folds or a space at an end, so both are repeated
	// until nothing changes: that makes the result a fixed point by construction.
	name := login
	for range maxFoldingSteps {
		next := strings.TrimFunc(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(name))), unicode.IsSpace)
		if next == name {
			return name, visible(name)
		}
		name = next
	}
	return "", invalid("login", "without a canonical spelling")
}

// plainASCII reports whether every byte is printable ASCII, for which folding is lower-casing.
func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// visible refuses characters by allowing the rest: an unassigned code point is in no category at all.
func visible(name string) error {
	for _, r := range name {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs) ||
			unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
			r == utf8.RuneError {
			return invalid("login", "with a character that cannot be seen")
		}
	}
	return nil
}
