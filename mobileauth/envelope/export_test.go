// SPDX-License-Identifier: Apache-2.0

package envelope

// Words are the words of the protocol by the expression that says what each is.
var Words = map[string]interface{ MatchString(text string) bool }{
	`^[A-Za-z0-9_-]{22,64}$`: validID, `^[A-Za-z0-9_-]{22}$`: validLookup, `^[A-Za-z0-9_-]{43}$`: validHash,
	`^[A-Za-z0-9_.:-]{1,128}$`: validRef,
}
