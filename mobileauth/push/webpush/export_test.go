// SPDX-License-Identifier: Apache-2.0

package webpush

import "crypto/ecdh"

// Seal encrypts with what the vectors have fixed.
func Seal(salt []byte, private *ecdh.PrivateKey, to *ecdh.PublicKey, auth, payload []byte, size int) ([]byte, error) {
	return material{salt, private}.seal(to, auth, payload, size)
}

// Encode and Derive are the two halves of RFC 8188.
var (
	Encode = encode
	Derive = derive
)

// Reason reads a service's word for a failure.
var Reason = reason
