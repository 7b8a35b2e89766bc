// SPDX-License-Identifier: Apache-2.0

package androidkey

// Describe judges an extension by itself.
func Describe(der []byte, c Config, challenge []byte) (Verdict, error) {
	v, err := New(c)
	if err != nil {
		return Verdict{}, err
	}
	return v.judge(der, challenge)
}
