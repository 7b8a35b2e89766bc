// SPDX-License-Identifier: Apache-2.0

// Package passhash owns verifying passwords against hashes that other systems have stored. It recognises, by their text alone:
//
//	bcrypt         $2a$, $2b$, $2y$; Django's bcrypt$ and bcrypt_sha256$
//	Argon2         $argon2id$, $argon2i$ (version 19); Django's argon2$
//	scrypt         $scrypt$ln=,r=,p=; crypt's $7$; Django's scrypt$
//	PBKDF2         $pbkdf2$, $pbkdf2-sha256$, $pbkdf2-sha512$ of passlib or in PHC form; Django's pbkdf2_sha1$, pbkdf2_sha256$
//	SHA-crypt      $5$, $6$
//
// Whatever is fast to guess is refused by name: plain text, MD5, unsalted and single SHA, traditional crypt. So is what is
// malformed, and what would cost more than [MaxMemory] or the bounds beside it, since one row must not stop a server.
//
// Passwords are taken byte by byte, as the systems that made the hashes took them.
package passhash
