// SPDX-License-Identifier: Apache-2.0

// Package envelope owns a second implementation of the device protocol, in JavaScript with `jose` from npm, and the test that holds
// it and mobileauth/envelope against one another: it checks every vector, and what it says itself is opened in Go. OpenPGP.js and
// GnuPG do the same for mobileauth/envelope/pgp.
package envelope
