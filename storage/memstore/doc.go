// SPDX-License-Identifier: Apache-2.0

// Package memstore owns the reference model of the storage contract: a store in memory that is small enough to be read in
// one sitting and against which the other engines are compared. It serves tests and try-outs; what it holds is gone when
// the process ends, and expired items keep their memory until they are overwritten or deleted.
//
// The data is an immutable sorted tree. A transaction works on the root it found, so a View is a snapshot for free and an
// Update never waits for a reader. An update commits when everything it read still is what it read, else it runs again.
package memstore
