// SPDX-License-Identifier: Apache-2.0

package mobileauth

import "strings"

// Matches reports whether a version is one that a pattern is about: the version itself, "2.*" for 2 and whatever begins with "2.",
// or "*" for all.
func Matches(pattern, version string) bool {
	begin, wild := strings.CutSuffix(pattern, "*")
	if !wild {
		return pattern == version
	}
	return (&settled{begin: begin}).matches(version)
}
