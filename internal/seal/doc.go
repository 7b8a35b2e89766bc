// SPDX-License-Identifier: Apache-2.0

// Package seal owns the encryption of secrets at rest: the keys it is done with, how they are read from a file or from
// text, and the form of a sealed value. [Sealer] implements storage.Sealer.
//
// A sealed value is one byte of version, one byte of length and the identifier of the key, a nonce of 12 bytes, and
// AES-256-GCM ciphertext with its tag. Everything before the nonce and the label of the value are authenticated, so a
// value that was moved to another place in the store does not open there.
//
// Other secrets are derived from the first key with HKDF-SHA-256, one for each label.
//
// Several keys may be held: the first seals, all of them open. A new key is introduced by putting it in front; an old one
// may go once every value was written again. Nonces are random, which bounds a key to 2^32 values (NIST SP 800-38D
// section 8.3).
package seal
