// SPDX-License-Identifier: Apache-2.0

// Package pgdsn owns how a connection string of PostgreSQL's is read: nothing of one that cannot be read is repeated, and none leaves open
// whether a host elsewhere is spoken to in the clear.
package pgdsn
