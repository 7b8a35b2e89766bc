// SPDX-License-Identifier: Apache-2.0

package ltpa

import "crypto/rsa"

// CountVerifications has a module count its signature checks.
func (m *Module) CountVerifications(count func()) {
	real := m.verify
	m.verify = func(public *rsa.PublicKey, data, signature []byte) bool {
		count()
		return real(public, data, signature)
	}
}

// ParseUserData reads user data.
func ParseUserData(data string) (map[string][]string, bool) { return parseUserData(data) }

// ParseProperties reads a key file's properties.
func ParseProperties(file string) (map[string]string, error) { return parseProperties([]byte(file)) }
