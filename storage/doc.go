// SPDX-License-Identifier: Apache-2.0

// Package storage owns the contract between Gatehouse's records and whatever keeps them: a small transactional
// key-value store. [DB] and [Tx] are what an engine implements; [Table] is what repositories are written with, once,
// above every engine.
//
// The contract has ten clauses. Each is a named test in the package storagetest, run over every engine.
//
//  1. [DB.View] sees one snapshot; [DB.Update] is all or nothing.
//  2. Two updates that Get the same key, present or absent, and write it cannot both commit unaware of each other.
//  3. Scan gives no protection against phantoms. Uniqueness is therefore a reserved index key and a limit is a counter
//     key, never the result of a scan.
//  4. The closure may run several times. It touches nothing but its Tx and its own locals: no HTTP, log, channel or
//     fresh randomness. Retries are bounded; then the update fails with [ErrConflict].
//  5. Insert on a live key is [ErrExists]; on an expired one it succeeds. That is so in the run that counts: an engine that finds a key
//     taken only when it commits, or when the closure refuses, runs the closure again.
//  6. An expired item is invisible at the injected clock, whether or not the engine has purged it. A transaction reads the
//     clock once: what was there at its start stays there to its end.
//  7. Values returned belong to the caller. Keys are at most [MaxKey] bytes, values at most [MaxValue], and a closure
//     writes at most [MaxWrites] different items: [ErrTooLarge].
//  8. Cancellation before the commit leaves nothing behind. A commit whose result is unknown is [ErrUnknown]: callers
//     treat it as a failure, which is safe because what is single-use is then either spent or untouched.
//  9. After Close every call is [ErrClosed]. What an engine fails at for reasons of its own is [ErrUnavailable].
//  10. All of it holds between two processes, for an engine that more than one process can open.
//
// A transaction that is a [Prefetcher] reads together what it is told of: items, and what the entry of an index leads to. Nothing else is
// read by that, nor collides: where each reading is a round trip there are fewer of them. One that is a [Presumer] takes keys to be absent
// when it is told so, and looks with the commit: a closure that was told wrongly commits nothing and runs again (clause 4), so that what
// stands was decided as if each key had been read (clauses 2 and 5).
//
// An engine that is a [Watcher] says besides when there is something to look for. That is a hint and no clause: nothing is right or wrong
// by it, only sooner or later.
package storage
