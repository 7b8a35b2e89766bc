// SPDX-License-Identifier: Apache-2.0

// Package roots owns the one key of an installation that does not rotate: phones pin its thumbprint when they are enrolled,
// and so does whoever keeps receipts. It vouches for the keys that do rotate and signs nothing else.
//
// The key is drawn by the first node that asks for it and lies in the store, sealed. It is replaced only when it has leaked:
// then every phone has to be enrolled again, and receipts made after the leak are worth what their other signatures are
// worth. The public half of a key that was replaced is kept, with the time, since receipts outlive it; its private half is
// destroyed.
//
// docs/decisions/0009-receipts.md has the reasons.
package roots
