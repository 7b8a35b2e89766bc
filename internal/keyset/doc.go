// SPDX-License-Identifier: Apache-2.0

// Package keyset owns the keys that Gatehouse signs with: where they are kept, when they change and what of them is
// published.
//
// For each algorithm there is one key that signs and one that will sign next:
//
//	none --created--> next --Rotate or RotateEvery--> active --rotated--> retired --LongestToken + Retain--> removed
//
//	next     published, does not sign before Lead is over
//	active   published, signs
//	retired  published, its private half is gone
//
// A key is published from its creation to its removal. So a verifier that fetched the key set an hour ago knows every key
// that signs now, and every key that signed a token which is still valid. The next key always exists, so a key that leaked
// can be revoked at any moment without a verifier falling behind.
//
// All of it is one sealed record. A change reads and writes that record in one transaction, which is why nodes that act at
// the same time end with the same keys. Sealing also authenticates: whoever can write to the store cannot slip in a key.
//
// [Ring] answers from memory, without locks or I/O. What other nodes did is seen at the next [Ring.Load] or [Ring.Tick];
// when the store fails, the keys at hand stay in use.
package keyset
