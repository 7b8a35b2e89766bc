// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"reflect"
	"strings"
)

// Kind is a [Table] to somebody who looks after a whole store and does not know the records.
type Kind interface {
	// Describe says what the table is called and what it has.
	Describe() Description
	// Entries returns the index items that have to stand beside a record, as the table writes them. A record that cannot be read is an
	// error, [ErrNewer] where a newer release has written it.
	Entries(record Item) ([]Item, error)
}

// Description is what is the same for all records of a table.
type Description struct {
	Name    string
	Version byte
	// Record is what its records are decoded to.
	Record reflect.Type
	// Sealed tells that values are encrypted.
	Sealed  bool
	Indexes []IndexDescription
}

// IndexDescription names an index.
type IndexDescription struct {
	Name   string
	Unique bool
}

// ErrNewer is a value that a newer release has written. It is an [ErrUnavailable]: while nodes are upgraded one after the other, whoever
// comes again may be sent to one that can read it.
var ErrNewer = fmt.Errorf("the value is of a newer release: %w", ErrUnavailable)

// Describe says what the table is called and what it has.
func (t *Table[T]) Describe() Description {
	d := Description{Name: t.Name, Version: t.Version, Record: reflect.TypeFor[T](), Sealed: t.Sealer != nil}
	for _, index := range t.Indexes {
		d.Indexes = append(d.Indexes, IndexDescription{Name: index.Name, Unique: index.Unique})
	}
	return d
}

// Entries returns the index items that have to stand beside a record. They expire with it, whatever the table would say of a record that
// is written now.
func (t *Table[T]) Entries(item Item) ([]Item, error) {
	record, err := t.decode(item)
	if err != nil || len(t.Indexes) == 0 {
		return nil, err
	}
	if t.Key(t.ID(&record)) != item.Key {
		return nil, fmt.Errorf("reading %s: the record stands under another id than its own", t.Name)
	}
	var entries []Item
	for _, index := range t.Indexes {
		for _, value := range index.of(&record) {
			entry := Item{Key: t.indexKey(index, value, &record), ExpiresAt: item.ExpiresAt}
			if index.Unique {
				entry.Value = []byte(t.ID(&record))
			}
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// Place is what a key of a [Table] says.
type Place struct {
	Table string
	// Index is empty for a record.
	Index string
	// ID is that of the record, or of the one that an entry leads to. It is empty for an entry that leads nowhere.
	ID string
}

// Record is the key of the record.
func (p Place) Record() string { return p.Table + "/" + p.ID }

// PlaceOf reads a key as tables make them, and says whether it is one. unique tells whether an index is unique, of which only the value has
// the id.
func PlaceOf(item Item, unique func(table, index string) bool) (place Place, ok bool) {
	slash, hash := strings.IndexByte(item.Key, '/'), strings.IndexByte(item.Key, '#')
	switch {
	case slash <= 0:
		return place, false
	case hash < 0 || hash > slash:
		return Place{Table: item.Key[:slash], ID: item.Key[slash+1:]}, true
	}
	place = Place{Table: item.Key[:hash], Index: item.Key[hash+1 : slash]}
	if unique(place.Table, place.Index) {
		place.ID = string(item.Value)
		return place, true
	}
	digits, rest, found := strings.Cut(item.Key[slash+1:], ":")
	length := 0
	for _, digit := range []byte(digits) {
		if digit < '0' || digit > '9' || length > MaxKey {
			return place, true
		}
		length = 10*length + int(digit-'0')
	}
	if found && digits != "" && length < len(rest) && rest[length] == '/' {
		place.ID = rest[length+1:]
	}
	return place, true
}
