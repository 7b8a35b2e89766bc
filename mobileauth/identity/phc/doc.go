// SPDX-License-Identifier: Apache-2.0

// Package phc owns the text of the password hashes that Gatehouse stores, and the bounds on what checking one may cost. It
// computes no hash.
package phc
