// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Limits every engine enforces, so that a record that fits one engine fits them all.
const (
	MaxKey    = 512      // bytes in a key
	MaxValue  = 64 << 10 // bytes in a value
	MaxWrites = 64       // different items written by one closure
)

// Errors of the contract. Engines wrap them; callers compare with [errors.Is].
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrConflict = errors.New("too many conflicting transactions")
	ErrTooLarge = errors.New("key, value or transaction too large")
	ErrReadOnly = errors.New("write in a read-only transaction")
	ErrUnknown  = errors.New("outcome of the commit is unknown")
	ErrClosed   = errors.New("store is closed")
	ErrFull     = errors.New("no space left for the store")
	// ErrUnavailable is what an engine wraps its own troubles in: a disk, a network, a file that cannot be read. To the caller of
	// a program it says that nobody did anything wrong and that it may work later.
	ErrUnavailable = errors.New("the store does not answer")
)

// DB is a store. Its methods are safe for concurrent use and honour the cancellation of ctx. A closure's error rolls the
// transaction back and is returned as it is, so that [errors.Is] and [errors.As] see through it.
type DB interface {
	// View runs fn over one snapshot. Writes in fn are [ErrReadOnly].
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn and commits what it wrote, all or nothing, durably. fn may run several times.
	Update(ctx context.Context, fn func(Tx) error) error
	// Close waits for transactions under way and releases the store. It is safe to call twice.
	Close() error
}

// Reporter is a second ability of a [DB]: to tell how it is without being written to.
type Reporter interface {
	// Health returns nil while writes are accepted, else the reason why they are not.
	Health() error
}

// Health asks a store how it is. One that is no [Reporter] is taken to be well.
func Health(db DB) error {
	if r, ok := db.(Reporter); ok {
		return r.Health()
	}
	return nil
}

// Tx is one transaction. It must not be used after its closure returned, nor by two goroutines at once.
type Tx interface {
	// Get returns the live item at key or [ErrNotFound].
	Get(key string) (Item, error)
	// Put writes an item whether or not the key is taken.
	Put(Item) error
	// Insert writes an item and refuses a live key with [ErrExists].
	Insert(Item) error
	// Delete removes the item at key, if there is one.
	Delete(key string) error
	// Scan yields the live items whose key begins with prefix and is greater than after, in ascending byte order of the
	// key, at most limit of them (0 is no limit). It sees the writes that its own transaction made before the loop began.
	Scan(prefix, after string, limit int) iter.Seq2[Item, error]
}

// Prefetcher is a second ability of a [Tx]: to read together what will be asked for one after the other.
type Prefetcher interface {
	// Follow reads the items at keys and both ends of the ways, so that each Get of one of them finds it read. A way that begins at
	// no live item leads nowhere, and is no error.
	Follow(ways []Way, keys ...string) error
}

// Way is how one item leads to another, as that of a unique index to a record: from the one at Key to the one whose key is Prefix and
// the value of the first.
type Way struct{ Key, Prefix string }

// Prefetch tells a transaction what it will be asked for. One that is no [Prefetcher] reads each item when it is asked for.
func Prefetch(tx Tx, keys ...string) error { return Follow(tx, nil, keys...) }

// Follow is [Prefetch] for whoever will ask as well for what other items lead to.
func Follow(tx Tx, ways []Way, keys ...string) error {
	if p, ok := tx.(Prefetcher); ok {
		return p.Follow(ways, keys...)
	}
	return nil
}

// Presumer is a third ability of a [Tx]: to take it that keys are absent, and have the commit see to it.
type Presumer interface {
	// Presume has each Get of one of keys find nothing without a reading, as long as nothing is known of it. What was found so is looked
	// at with the commit, or before a closure returns that refuses or has written nothing; where an item was there after all, nothing
	// is committed and the closure runs again with what there is. Where keys are read ahead, or come up in a Scan, that counts. In a view,
	// and when the closure runs again, the first Get of one of keys reads them all.
	Presume(keys ...string)
}

// Presume tells a transaction that nobody expects anything at keys, such as those of a nonce or of what has just been drawn. It is no more
// than a guess: what a closure decides by it stands only where it was right, as if each key had been read. One that is no [Presumer] reads.
func Presume(tx Tx, keys ...string) {
	if p, ok := tx.(Presumer); ok {
		p.Presume(keys...)
	}
}

// Item is what a store keeps under a key.
type Item struct {
	Key   string
	Value []byte
	// ExpiresAt is when the item turns invisible; zero is never. Engines keep it to the millisecond.
	ExpiresAt time.Time
}

// Live reports whether the item is visible at now.
func (i Item) Live(now time.Time) bool {
	return i.ExpiresAt.IsZero() || now.Before(i.ExpiresAt)
}

// CheckSize refuses an item beyond the contract's limits with [ErrTooLarge]. Engines call it on every write.
func CheckSize(i Item) error {
	switch {
	case i.Key == "":
		return fmt.Errorf("writing an item without a key: %w", ErrTooLarge)
	case len(i.Key) > MaxKey:
		return fmt.Errorf("writing a key of %d bytes: %w", len(i.Key), ErrTooLarge)
	case len(i.Value) > MaxValue:
		return fmt.Errorf("writing a value of %d bytes: %w", len(i.Value), ErrTooLarge)
	}
	return nil
}

// Sealer encrypts and decrypts values that hold secrets, and is the source of other secrets. The label is authenticated, not
// stored: a value sealed for one key does not open under another.
type Sealer interface {
	Seal(label string, plain []byte) ([]byte, error)
	Open(label string, sealed []byte) ([]byte, error)
	// Derive returns 32 secret bytes that depend on the label and on the key that seals, and on nothing else. They tell
	// nothing about that key, nor about what is derived for another label.
	Derive(label string) ([]byte, error)
}
