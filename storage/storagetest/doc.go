// SPDX-License-Identifier: Apache-2.0

// Package storagetest owns the proof that an engine keeps the storage contract: [Run] has a named subtest for every clause
// of the package storage, and [RunContention] lets a hundred goroutines fight for one key. Package differential plays random histories
// against an engine and the reference model side by side.
//
// It also owns what tests of other packages wrap around a store: a [Clock] that moves by hand, [Twice], which runs closures
// more often than a kind engine would, [Faulty], which fails on
// demand, and [Frail], which does so in the middle of a transaction. Package engines opens every engine so.
package storagetest
