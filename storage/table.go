// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Table keeps records of one kind under "name/id". A value is one version byte and JSON, sealed where Sealer is set.
// A table is a description, not a handle: it holds no state and is safe for concurrent use.
type Table[T any] struct {
	// Name is the kind: short, lower case, unique in the store, without "/" or "#".
	Name string
	// Version is written before every value. A value of a newer version is refused with [ErrNewer], never guessed at; one of an older
	// version is read.
	Version byte
	// ID returns the record's primary key. It must not be empty.
	ID func(*T) string
	// Expiry returns when the record turns invisible; nil or a zero time is never.
	Expiry func(*T) time.Time
	// Indexes are rewritten with the record, in the same transaction.
	Indexes []Index[T]
	// Sealer encrypts the values; nil leaves them readable.
	Sealer Sealer
}

// Index is a second way to a record.
type Index[T any] struct {
	// Name is unique in its table.
	Name string
	// Values returns the keys under which the record is found; none leaves it out of the index.
	Values func(*T) []string
	// Unique reserves a value for one record: writing a second record with it is [ErrExists].
	Unique bool
}

// Get returns the record with the given id or [ErrNotFound].
func (t *Table[T]) Get(tx Tx, id string) (T, error) {
	item, err := tx.Get(t.Key(id))
	if err != nil {
		var none T
		return none, fmt.Errorf("reading %s: %w", t.Name, err)
	}
	return t.decode(item)
}

// Find is [Table.Get] for records that may well be absent.
func (t *Table[T]) Find(tx Tx, id string) (record T, ok bool, err error) {
	record, err = t.Get(tx, id)
	if errors.Is(err, ErrNotFound) {
		return record, false, nil
	}
	return record, err == nil, err
}

// Insert writes a new record and refuses a taken id or a taken unique index value with [ErrExists]. What it refuses it has
// not begun to write, so that a closure may take the refusal for an outcome and commit.
func (t *Table[T]) Insert(tx Tx, record T) error {
	item, err := t.encode(&record)
	if err != nil {
		return err
	}
	if err := t.check(tx, nil, &record); err != nil {
		return err
	}
	if err := tx.Insert(item); err != nil {
		return fmt.Errorf("inserting %s: %w", t.Name, err)
	}
	return t.reindex(tx, nil, &record)
}

// Put writes a record over whatever stands under its id and moves its index entries. Like [Table.Insert] it refuses a
// taken unique index value before it writes.
func (t *Table[T]) Put(tx Tx, record T) error {
	var old *T
	if len(t.Indexes) > 0 {
		was, ok, err := t.Find(tx, t.ID(&record))
		if err != nil {
			return err
		}
		if ok {
			old = &was
		}
	}
	return t.Replace(tx, old, record)
}

// Replace is [Table.Put] for whoever has read in this transaction what stands under the record's id, and does not need it
// read again: old is exactly that, nil where nothing stands there. With another one index entries go astray.
func (t *Table[T]) Replace(tx Tx, old *T, record T) error {
	if old != nil && t.ID(old) != t.ID(&record) {
		return fmt.Errorf("replacing a %s by one with another id", t.Name)
	}
	item, err := t.encode(&record)
	if err != nil {
		return err
	}
	if err := t.check(tx, old, &record); err != nil {
		return err
	}
	if err := tx.Put(item); err != nil {
		return fmt.Errorf("writing %s: %w", t.Name, err)
	}
	return t.reindex(tx, old, &record)
}

// Delete removes the record with the given id and its index entries; an absent record is no error.
func (t *Table[T]) Delete(tx Tx, id string) error {
	old, ok, err := t.Find(tx, id)
	if err != nil || !ok {
		return err
	}
	if err := tx.Delete(t.Key(id)); err != nil {
		return fmt.Errorf("deleting %s: %w", t.Name, err)
	}
	return t.reindex(tx, &old, nil)
}

// All yields the records in ascending order of their id, beginning after the given id, at most limit of them (0 is no
// limit).
func (t *Table[T]) All(tx Tx, after string, limit int) iter.Seq2[T, error] {
	start := ""
	if after != "" {
		start = t.Key(after)
	}
	return func(yield func(T, error) bool) {
		for item, err := range tx.Scan(t.Name+"/", start, limit) {
			var record T
			if err == nil {
				record, err = t.decode(item)
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// Lookup returns the one record of a unique index with the given value or [ErrNotFound]. Where the transaction is a [Prefetcher] it is one
// reading.
func (t *Table[T]) Lookup(tx Tx, index, value string) (T, error) {
	way := t.Way(index, value)
	err := Follow(tx, []Way{way})
	var item Item
	if err == nil {
		item, err = tx.Get(way.Key)
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("reading %s by %s: %w", t.Name, index, err)
	}
	return t.Get(tx, string(item.Value))
}

// Entry is a record as a unique index has it, under one of its values.
type Entry[T any] struct {
	Value  string
	Record T
}

// Prefix yields the records whose value in a unique index begins with prefix, in ascending byte order of the value, beginning
// after the given value. A record comes with each of its values that does. Each takes two reads, whatever the index holds.
func (t *Table[T]) Prefix(tx Tx, index, prefix, after string) iter.Seq2[Entry[T], error] {
	start := ""
	if after != "" {
		start = t.UniqueKey(index, after)
	}
	return func(yield func(Entry[T], error) bool) {
		for item, err := range ahead(tx, tx.Scan(t.UniqueKey(index, prefix), start, 0), func(i Item) string { return t.Key(string(i.Value)) }) {
			var e Entry[T]
			if err == nil {
				e.Value = strings.TrimPrefix(item.Key, t.UniqueKey(index, ""))
				e.Record, err = t.Get(tx, string(item.Value))
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// List yields the records that an index holds under the given value, in ascending order of their id, beginning after the
// given id, at most limit of them (0 is no limit).
func (t *Table[T]) List(tx Tx, index, value, after string, limit int) iter.Seq2[T, error] {
	prefix := t.entryPrefix(index, value)
	start := ""
	if after != "" {
		start = prefix + after
	}
	return func(yield func(T, error) bool) {
		for item, err := range ahead(tx, tx.Scan(prefix, start, limit), func(i Item) string { return t.Key(strings.TrimPrefix(i.Key, prefix)) }) {
			var record T
			if err == nil {
				record, err = t.Get(tx, strings.TrimPrefix(item.Key, prefix))
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// How many entries of an index are gone through before their records are read: few at first, since many a list is left early.
const (
	firstAhead = 16
	nextAhead  = 128
)

// ahead yields what a scan does, and has a transaction that can do so read together what will be asked for at each item.
func ahead(tx Tx, scan iter.Seq2[Item, error], wanted func(Item) string) iter.Seq2[Item, error] {
	if _, able := tx.(Prefetcher); !able {
		return scan
	}
	return func(yield func(Item, error) bool) {
		size := firstAhead
		page, keys := make([]Item, 0, size), make([]string, 0, size)
		turn := func() bool {
			if err := Prefetch(tx, keys...); err != nil {
				yield(Item{}, err)
				return false
			}
			for _, item := range page {
				if !yield(item, nil) {
					return false
				}
			}
			page, keys, size = page[:0], keys[:0], nextAhead
			return true
		}
		for item, err := range scan {
			if err != nil {
				yield(item, err)
				return
			}
			if page, keys = append(page, item), append(keys, wanted(item)); len(page) == size && !turn() {
				return
			}
		}
		if len(page) > 0 {
			turn()
		}
	}
}

// Key returns where the record with the given id stands, for [Prefetch] and [Presume].
func (t *Table[T]) Key(id string) string { return t.Name + "/" + id }

// UniqueKey returns where a value of a unique index stands, for [Prefetch] and [Presume]. Index keys stand beside the table's own
// ("name#index/…" against "name/…"), so no id can collide with them.
func (t *Table[T]) UniqueKey(index, value string) string {
	return t.Name + "#" + index + "/" + value
}

// Way leads from a value of a unique index to the record, for [Follow].
func (t *Table[T]) Way(index, value string) Way { return t.From(t.UniqueKey(index, value)) }

// From leads from an entry of a unique index, of whichever table, to the record of this one with the id that stands there, for [Follow].
func (t *Table[T]) From(entry string) Way { return Way{Key: entry, Prefix: t.Key("")} }

// The value's length stands before it: neither a value nor an id can contain what separates them.
func (t *Table[T]) entryPrefix(index, value string) string {
	return fmt.Sprintf("%s#%s/%d:%s/", t.Name, index, len(value), value)
}

func (t *Table[T]) encode(record *T) (Item, error) {
	id := t.ID(record)
	if id == "" {
		return Item{}, fmt.Errorf("writing %s without an id: %w", t.Name, ErrTooLarge)
	}
	if !utf8.ValidString(id) {
		return Item{}, fmt.Errorf("writing %s: the id is not UTF-8", t.Name)
	}
	data, err := json.Marshal(record)
	if err != nil {
		return Item{}, fmt.Errorf("encoding %s: %w", t.Name, err)
	}
	key := t.Key(id)
	if t.Sealer != nil {
		if data, err = t.Sealer.Seal(key, data); err != nil {
			return Item{}, fmt.Errorf("sealing %s: %w", t.Name, err)
		}
	}
	return Item{Key: key, Value: append([]byte{t.Version}, data...), ExpiresAt: t.expires(record)}, nil
}

func (t *Table[T]) decode(item Item) (T, error) {
	var record T
	if len(item.Value) == 0 {
		return record, fmt.Errorf("reading %s: the value is empty", t.Name)
	}
	if version := item.Value[0]; version > t.Version {
		return record, fmt.Errorf("reading %s: version %d, this release reads up to %d: %w", t.Name, version, t.Version, ErrNewer)
	}
	data := item.Value[1:]
	if t.Sealer != nil {
		var err error
		if data, err = t.Sealer.Open(item.Key, data); err != nil {
			return record, fmt.Errorf("opening %s: %w", t.Name, err)
		}
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return record, fmt.Errorf("decoding %s: %w", t.Name, err)
	}
	return record, nil
}

// check refuses a record of which a unique index value is reserved for another, and index values that JSON would not
// give back as they were, since entries are found again through the record.
func (t *Table[T]) check(tx Tx, old, record *T) error {
	for _, index := range t.Indexes {
		own := index.of(old)
		for _, value := range index.of(record) {
			if !utf8.ValidString(value) {
				return fmt.Errorf("entering index %s of %s: the value is not UTF-8", index.Name, t.Name)
			}
			if !index.Unique || slices.Contains(own, value) {
				continue
			}
			if err := t.checkFree(tx, index, value, t.ID(record)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFree reads the entry of a unique value. The reading makes two transactions that reserve it collide.
func (t *Table[T]) checkFree(tx Tx, index Index[T], value, id string) error {
	item, err := tx.Get(t.UniqueKey(index.Name, value))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("reading index %s of %s: %w", index.Name, t.Name, err)
	case string(item.Value) != id:
		return fmt.Errorf("entering index %s of %s: %w", index.Name, t.Name, ErrExists)
	}
	return nil
}

// reindex moves index entries from old to record; either may be nil. Entries that stay as they are are not written, which
// halves the writes of a record that changes often.
func (t *Table[T]) reindex(tx Tx, old, record *T) error {
	same := old != nil && record != nil && t.expires(old).Equal(t.expires(record))
	for _, index := range t.Indexes {
		before, after := index.of(old), index.of(record)
		for _, value := range before {
			if slices.Contains(after, value) {
				continue
			}
			if err := tx.Delete(t.indexKey(index, value, old)); err != nil {
				return fmt.Errorf("leaving index %s of %s: %w", index.Name, t.Name, err)
			}
		}
		for _, value := range after {
			if same && slices.Contains(before, value) {
				continue
			}
			item := Item{Key: t.indexKey(index, value, record), ExpiresAt: t.expires(record)}
			if index.Unique {
				item.Value = []byte(t.ID(record))
			}
			if err := tx.Put(item); err != nil {
				return fmt.Errorf("entering index %s of %s: %w", index.Name, t.Name, err)
			}
		}
	}
	return nil
}

func (t *Table[T]) indexKey(index Index[T], value string, record *T) string {
	if index.Unique {
		return t.UniqueKey(index.Name, value)
	}
	return t.entryPrefix(index.Name, value) + t.ID(record)
}

func (t *Table[T]) expires(record *T) time.Time {
	if t.Expiry == nil {
		return time.Time{}
	}
	return t.Expiry(record)
}

func (i Index[T]) of(record *T) []string {
	if record == nil {
		return nil
	}
	return i.Values(record)
}
