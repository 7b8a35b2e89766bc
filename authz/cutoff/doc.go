// SPDX-License-Identifier: Apache-2.0

// Package cutoff owns the moments up to which what was issued is dead, for a user, a client, a device or a session, and the count
// by which a record knows whether it came before or after one. What makes a cut-off, and what rests on it, is for the transitions
// of the authz package.
package cutoff
