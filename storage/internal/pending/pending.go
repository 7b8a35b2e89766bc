// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// ErrOver is what a transaction answers that outlives its closure.
var ErrOver = errors.New("using a transaction after its closure returned")

// Writes are those of one run of a closure, by key; nil is a deletion. The zero value is of a transaction that may not write.
type Writes map[string]*storage.Item

// Put notes an item, with a value of its own and an expiry to the millisecond.
func (w Writes) Put(item storage.Item) error {
	if err := w.reserve(item); err != nil {
		return err
	}
	item.Value = bytes.Clone(item.Value)
	if !item.ExpiresAt.IsZero() {
		item.ExpiresAt = time.UnixMilli(item.ExpiresAt.UnixMilli()).UTC()
	}
	w[item.Key] = &item
	return nil
}

// Insert notes an item unless get finds a live one under its key.
func (w Writes) Insert(item storage.Item, get func(key string) (storage.Item, error)) error {
	if err := w.reserve(item); err != nil {
		return err
	}
	switch _, err := get(item.Key); {
	case err == nil:
		return storage.ErrExists
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	return w.Put(item)
}

// Delete notes a deletion.
func (w Writes) Delete(key string) error {
	if err := w.reserve(storage.Item{Key: key}); err != nil {
		return err
	}
	w[key] = nil
	return nil
}

// reserve refuses a write that the contract refuses.
func (w Writes) reserve(item storage.Item) error {
	if w == nil {
		return storage.ErrReadOnly
	}
	if err := storage.CheckSize(item); err != nil {
		return err
	}
	if _, again := w[item.Key]; !again && len(w) >= storage.MaxWrites {
		return fmt.Errorf("writing more than %d items: %w", storage.MaxWrites, storage.ErrTooLarge)
	}
	return nil
}

// Write is one of [Writes].
type Write struct {
	Key  string
	Item *storage.Item // nil is a deletion
}

// From returns the writes to keys that begin with prefix and are not below first, in order.
func (w Writes) From(prefix, first string) []Write {
	var own []Write
	for key, item := range w {
		if key >= first && strings.HasPrefix(key, prefix) {
			own = append(own, Write{key, item})
		}
	}
	slices.SortFunc(own, func(a, b Write) int { return strings.Compare(a.Key, b.Key) })
	return own
}

// First returns the key that a scan of what begins with prefix and comes after a key begins with.
func First(prefix, after string) string {
	if after >= prefix {
		return after + "\x00" // the least key above after
	}
	return prefix
}

// Clone returns a copy whose value is shared with nobody.
func Clone(item *storage.Item) storage.Item {
	copied := *item
	copied.Value = bytes.Clone(item.Value)
	return copied
}
