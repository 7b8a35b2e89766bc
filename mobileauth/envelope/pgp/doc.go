// SPDX-License-Identifier: Apache-2.0

// Package pgp owns OpenPGP as a second encryption of what phone and server say, for applications that are configured with it: the
// bodies of requests and answers are OpenPGP messages (RFC 9580), signed and encrypted under keys that both sides made for one
// registration. They stand inside the envelope, which stays as it is, so nothing becomes weaker by it: who, when, once and for whom
// are judged there.
//
// The profile is narrow. Keys are Ed25519 with X25519, of version 6 or, for those whose library cannot do better, of version 4 in
// their older encoding. A message is encrypted to one key, signed by one, with AES and integrity, without a password, and small. A
// message that is not signed, or by somebody else, is an error: the library's reader returns none.
package pgp
