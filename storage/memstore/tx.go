// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

var errOver = errors.New("using a transaction after its closure returned")

// tx is one run of a closure.
type tx struct {
	now      time.Time // read once, so that one transaction sees one instant
	base     *node     // the store as it was found
	root     *node     // base and the writes of this transaction
	reads    []string
	writes   map[string]*storage.Item // nil is a deletion
	writable bool
	over     bool
}

func (t *tx) end() { t.over = true }

// Get returns the live item at key.
func (t *tx) Get(key string) (storage.Item, error) {
	if t.over {
		return storage.Item{}, errOver
	}
	t.note(key)
	item := t.root.find(key)
	if item == nil || !item.Live(t.now) {
		return storage.Item{}, storage.ErrNotFound
	}
	return own(item), nil
}

// Put writes an item whether or not the key is taken.
func (t *tx) Put(item storage.Item) error {
	if err := t.reserve(item); err != nil {
		return err
	}
	kept := own(&item)
	if !kept.ExpiresAt.IsZero() {
		kept.ExpiresAt = time.UnixMilli(kept.ExpiresAt.UnixMilli()).UTC()
	}
	t.writes[item.Key] = &kept
	t.root = t.root.with(&kept)
	return nil
}

// Insert writes an item and refuses a live key.
func (t *tx) Insert(item storage.Item) error {
	if err := t.reserve(item); err != nil {
		return err
	}
	switch _, err := t.Get(item.Key); {
	case err == nil:
		return storage.ErrExists
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	return t.Put(item)
}

// Delete removes the item at key, if there is one.
func (t *tx) Delete(key string) error {
	if err := t.reserve(storage.Item{Key: key}); err != nil {
		return err
	}
	t.writes[key] = nil
	t.root = t.root.without(key)
	return nil
}

// Scan yields live items in order. It walks the tree as it stands when the loop begins: what the closure writes while it
// ranges is seen by the next scan.
func (t *tx) Scan(prefix, after string, limit int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		first, left := prefix, limit
		if after >= prefix {
			first = after + "\x00" // the least key above after
		}
		if t.over {
			yield(storage.Item{}, errOver)
			return
		}
		t.root.ascend(first, func(item *storage.Item) bool {
			if t.over || !strings.HasPrefix(item.Key, prefix) {
				return false
			}
			if !item.Live(t.now) {
				return true
			}
			t.note(item.Key)
			left--
			return yield(own(item), nil) && left != 0
		})
	}
}

// note remembers what was read; the commit of an update compares it.
func (t *tx) note(key string) {
	if t.writable {
		t.reads = append(t.reads, key)
	}
}

// reserve refuses a write that the contract refuses.
func (t *tx) reserve(item storage.Item) error {
	switch {
	case t.over:
		return errOver
	case !t.writable:
		return storage.ErrReadOnly
	}
	if err := storage.CheckSize(item); err != nil {
		return err
	}
	if _, again := t.writes[item.Key]; !again && len(t.writes) >= storage.MaxWrites {
		return fmt.Errorf("writing more than %d items: %w", storage.MaxWrites, storage.ErrTooLarge)
	}
	if t.writes == nil {
		t.writes = make(map[string]*storage.Item)
	}
	return nil
}

// own returns a copy whose value is shared with nobody.
func own(item *storage.Item) storage.Item {
	mine := *item
	mine.Value = bytes.Clone(item.Value)
	return mine
}
