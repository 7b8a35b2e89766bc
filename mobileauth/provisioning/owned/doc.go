// SPDX-License-Identifier: Apache-2.0

// Package owned knows which certificates of devices are a user's.
//
// A certificate names nobody: it is issued before anybody is known, and whoever logs in on the device comes after. So a user's are those
// of the installations on which the user has logged in, which is what the authorization server remembers. An installation may be several
// users'; each of them may take it away, since the one who has lost a device is not to depend on the others.
//
// What is another user's is not found, like what never was.
package owned
