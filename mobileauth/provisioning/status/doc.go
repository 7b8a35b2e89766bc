// SPDX-License-Identifier: Apache-2.0

// Package status owns what is told to others of the certificates that the built-in authority has issued: a list of those that were
// revoked for each key that has signed certificates (CRL, RFC 5280 section 5), and an answer about a single one (OCSP, RFC 6960).
//
// Gatehouse itself asks neither: a certificate counts by its record. They are for whoever else sees the certificates of devices.
//
// # Who signs
//
// Both are signed by the key that has signed the certificates in question. An authority that takes another key, as Caddy's does with
// each new intermediate certificate, would leave those of before without an answer, and so would a node with an authority of its own.
// Therefore the key is kept in the store, sealed, before it signs its first certificate, and until its own certificate is over. A key
// that gives itself to nobody, of a hardware module, answers as long as the node has it.
//
// # Below an address
//
//	<authority>.crl   GET: the list of the authority with that id, the SHA-256 of its certificate in base64url
//	ocsp              POST: a request in DER
//	ocsp/<request>    GET: a request in DER, in base64
//
// A list is signed again when something was revoked, on whichever node, and otherwise every hour. An answer is about the first
// certificate of a request; nonces have no effect (RFC 5019 section 4, RFC 9654 section 2.1), so that answers can be kept: for five
// minutes by caches, and no longer than their next update by anybody.
package status
