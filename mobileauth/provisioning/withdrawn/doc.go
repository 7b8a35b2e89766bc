// SPDX-License-Identifier: Apache-2.0

// Package withdrawn owns the records of what counts no more of the certificates of devices: installations that were revoked, authorities
// that were, and single certificates.
//
// The record of a single certificate is a small one: it has no chain, and lasts as long as the certificate is valid. It is there for
// those who see the certificate and have nothing but its number: of one that its device has never shown everything else is forgotten
// soon, and one whose key was replaced is over before its time.
package withdrawn
