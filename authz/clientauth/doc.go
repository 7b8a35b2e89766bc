// SPDX-License-Identifier: Apache-2.0

// Package clientauth owns how a client proves who it is at the token, introspection and revocation endpoints: by a secret
// in the Authorization header or the body (RFC 6749 2.3.1), by a signed assertion (RFC 7523 2.2), or, for a public client,
// not at all. A request uses one method; everything that does not add up is refused with the same words.
package clientauth
