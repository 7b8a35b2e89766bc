// SPDX-License-Identifier: Apache-2.0

// Package pending owns what a transaction is about to write, the same for every engine that keeps it to itself until the commit: the
// limits of the contract, copies that are shared with nobody, and how a scan sees both what is stored and what is about to be.
package pending
