// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"math"
	"strconv"
	"strings"
)

// exact is the largest whole number up to which every one is a double of its own (RFC 8259 6, RFC 7493 2.2).
const exact = 1<<53 - 1

// PlainNumber reports whether a number of JSON is read as it is written by whoever reads it: as a double (IEEE 754), a decimal
// or, where it is whole, an integer. So it has no exponent, is no negative zero, is no larger than doubles are exact, and has no
// more digits than a double gives back.
func PlainNumber(text string) bool {
	if strings.ContainsAny(text, "eE") {
		return false
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(value) > exact || value == 0 && text[0] == '-' {
		return false
	}
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return strconv.FormatFloat(value, 'f', -1, 64) == text
}
