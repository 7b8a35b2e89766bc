// SPDX-License-Identifier: Apache-2.0

// Package issuing owns how the server makes receipts: which key signs them, and the certificate with which the root vouches
// for that key.
//
// A certificate is good for a day and made anew when the signing key rotates or the day is over, so that a signing key that
// leaks is of use to forge receipts for the days on which it signed, and for no other. The root signs one certificate a day
// and node, and no receipt.
package issuing
