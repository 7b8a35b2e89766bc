// SPDX-License-Identifier: Apache-2.0

// Package exchange owns the keys that phones encrypt their messages to: ECDH-ES on P-256 (RFC 7518 section 4.6), one that
// is published as the current one and those before it that phones may still use.
//
//	none --Load--> current --Rotate or RotateEvery--> retired --Retain--> removed
//
// The agreement has no forward secrecy against theft of the server's half, so that half is replaced often, and destroyed
// when a year has passed. A phone learns of new keys in the answer to its next message; one that was away for longer than
// that year holds no key that opens here, and enrols again.
//
// All of it is one sealed record, changed in one transaction. Ring answers from memory; a key that another node has made
// meanwhile is looked for in the store, at most once a second whatever strangers send.
package exchange
