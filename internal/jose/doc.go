// SPDX-License-Identifier: Apache-2.0

// Package jose owns Gatehouse's profile of JOSE: compact signed tokens (RFC 7515), their keys and key sets (RFC 7517), and
// what of both is refused. It knows no claim: who issued a token, for whom and until when is judged by the caller.
//
// The profile is narrow on purpose (RFC 8725):
//
//   - Algorithms are ES256, EdDSA with Ed25519, RS256 and PS256. A key has one algorithm, set where the key was made or
//     fetched; the header of a token can only agree with it (section 3.1).
//   - A header holds alg, kid and typ; the certificate hints x5t and x5t#S256 are skipped. Everything else is refused:
//     no crit, no key or address of a key (jwk, jku, x5c, x5u), no cty, no b64, no zip (section 3.10).
//   - A token is three parts of canonical base64url without padding, so that one token has exactly one spelling.
//   - Header and payload are JSON objects in UTF-8, of limited depth and width, without duplicate members and without
//     unpaired surrogates, so that two readers cannot read two things (section 3.7).
//   - Sizes are checked before anything is decoded.
//
// The one kind of token that names its key is read by [SelfSigned], for whom the key is what is to be learned.
//
// An encrypted message ([Encryption]) is compact JWE (RFC 7516) with ECDH-ES and A256GCM on P-256, in the same spirit: a header of
// exactly six members, an empty encrypted key, one spelling, no compression, and the size first. Its keys are types of their own,
// so that a key for signatures cannot be taken for one; a private one may live in hardware.
//
// Signing, checking and encrypting run on the standard library's crypto. Keys are read and written by go-jose, behind jwk.go and
// enckey.go, and its key derivation is used for messages.
// docs/decisions/0001-jose-library.md has the reasons and the figures.
package jose
