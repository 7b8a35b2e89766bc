// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"context"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// What tests reach for inside.
var (
	Repeat       = repeat
	SealEnvelope = sealEnvelope
	OpenEnvelope = openEnvelope
	Refused      = refused
)

// The names of the files that this package adds to Badger's.
const (
	FormatName    = formatName
	InventoryName = inventoryName
	MaxRuns       = maxRuns
)

// LetCommitsEndIn replaces the writing of batches, as a failing disk would.
func (db *DB) LetCommitsEndIn(err error) {
	db.commits.flush = func(*badger.Txn, uint64) error { return err }
}

// HoldCommits lets batches wait for the channel, after telling that one began.
func (db *DB) HoldCommits(began chan<- struct{}, release <-chan struct{}) {
	db.commits.flush = func(txn *badger.Txn, batch uint64) error {
		began <- struct{}{}
		<-release
		return flush(txn, batch)
	}
}

// Remembered returns how many written keys the store remembers for the sake of updates under way.
func (db *DB) Remembered() int {
	return len(db.commits.history.written) + len(db.commits.history.batches)
}

// Collect runs one collection of the value log.
func (db *DB) Collect(ctx context.Context) error { return db.collect(ctx) }

// Engine is Badger underneath.
func (db *DB) Engine() *badger.DB { return db.badger }

// Waiting returns how many transactions wait for the next batch.
func (db *DB) Waiting() int {
	db.commits.mu.Lock()
	defer db.commits.mu.Unlock()
	return len(db.commits.queue)
}

// CheckTable checks one table with a budget of so many bytes for reading it from end to end.
func CheckTable(path string, budget int64) error {
	return checkTable(path, options.Snappy, &budget)
}
