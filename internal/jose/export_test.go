// SPDX-License-Identifier: Apache-2.0

package jose

// ConcatKDF is the key derivation with the party information that RFC 7518 appendix C has and the profile's messages have not.
func ConcatKDF(secret []byte, algorithm string, apu, apv []byte, n int) ([]byte, error) {
	return concatKDF(secret, algorithm, agreement{apu: apu, apv: apv}, n)
}
