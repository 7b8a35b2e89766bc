// SPDX-License-Identifier: Apache-2.0

// Package certauth owns the way of people and machines with a TLS client certificate: an authenticator that reads who it is from
// the certificate with which the connection was made, and that judges by itself.
//
// The server has verified the chain and the possession of the key in the handshake. What is looked at again here is what a
// handshake does not settle: that the certificate is meant for clients, that it is valid now and not only when a long connection
// began, and, where an operator pins one, that it comes from that certificate authority. Revocation lists are not consulted:
// short lives, or locking the user, take a certificate's place away.
package certauth
