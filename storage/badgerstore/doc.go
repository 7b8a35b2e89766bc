// SPDX-License-Identifier: Apache-2.0

// Package badgerstore owns the embedded engine: a [storage.DB] in one directory, on Badger.
//
// # Transactions
//
// A closure runs over a Badger snapshot; what it writes is kept aside. One goroutine, the committer, takes every
// transaction that waits, refuses those that read what was written since their snapshot, and hands the rest to Badger as a
// single batch with synchronous writes. Badger syncs its log once per batch it is handed, so transactions that commit at
// the same time share a sync. Snapshots are numbered by this package (Badger calls it managed mode): a batch is visible
// when it is on disk, and nobody who reads waits for that. A refused closure runs again and queues behind the others that
// fight for the same key.
//
// # Expiry
//
// An item's moment of expiry stands in its value and is judged by the injected clock. Badger is given a time to live a day
// longer, as garbage collection; a sweeper removes what has been dead for an hour.
//
// # What can go wrong on a disk
//
// The directory is held by a lock; [LockedError] names the holder. Badger writes through memory maps, where a full disk
// is a bus error and ends the process; writes are therefore refused with [storage.ErrFull] while the file system has less
// than [Config.Reserve] left, and work again as soon as it has more. A directory that is damaged, foreign or of a newer
// release is refused by [Open] before Badger touches it. After a write that failed half-way the store stops writing, since
// memory and disk may differ, until it is opened again.
package badgerstore
