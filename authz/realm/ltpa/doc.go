// SPDX-License-Identifier: Apache-2.0

// Package ltpa owns the way of people whom a WebSphere or Liberty server has logged in: an authenticator that finds the LtpaToken2
// cookie and a login module that verifies it with the server's key file. Tokens are read and never issued, so that the private
// key stays wrapped in its file.
//
// LTPA is an old bridge and its pieces are weak by today's measure: 3DES in ECB mode around the keys, SHA-1 and RSA with 1024 bits
// for the signature, AES in CBC mode with the key as its initialization vector and nothing that authenticates the cipher text.
// What can be done about that is done. The signature is mandatory. Only what it covers counts: the expiry that stands beside it is
// ignored, and a token without one inside is refused. The realms that may speak are named. And whatever is wrong with a token, its
// padding, its shape, its signature or its time, the work is the same and so is the answer: a difference would let a stranger
// decrypt tokens, and write new ones, byte by byte.
package ltpa
