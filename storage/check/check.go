// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/storage"
)

// What a finding is about.
const (
	// Unreadable is a record that does not decode, or does not open with the store's key.
	Unreadable = "record_unreadable"
	// Newer is a record that a newer release has written. It is nobody's fault, and nothing is done about it.
	Newer = "record_newer"
	// Missing is an index entry that a record has and the store has not.
	Missing = "entry_missing"
	// Dangling is an index entry that leads to no record.
	Dangling = "entry_dangling"
	// Stale is an index entry that leads to a record which is not to be found by it.
	Stale = "entry_stale"
	// Taken is a value of a unique index that two records have: one of them cannot be found by it.
	Taken = "entry_taken"
	// Expiry is an index entry that does not expire with its record.
	Expiry = "entry_expiry"
	// Foreign is an entry of an index that the table does not have.
	Foreign = "index_unknown"
)

// Finding is one thing that is wrong. It has no value of an index, which may be somebody's name.
type Finding struct {
	What  string `json:"what"`
	Table string `json:"table"`
	Index string `json:"index,omitempty"`
	// ID is the record's.
	ID string `json:"id,omitempty"`
	// Cause is why a record cannot be read.
	Cause string `json:"cause,omitempty"`
	// Mended tells that it is no more.
	Mended bool `json:"mended,omitempty"`

	key string
}

// Report is what came of a check.
type Report struct {
	// Items are all there are: records, entries of indexes, bare items, and those of tables that are not known.
	Items   int64 `json:"items"`
	Records int64 `json:"records"`
	Entries int64 `json:"entries"`
	Bare    int64 `json:"bare"`
	Unknown int64 `json:"unknown"`
	// UnknownTables are those that the unknown items would belong to.
	UnknownTables []string `json:"unknown_tables,omitempty"`
	// Found is how many findings there are, of which the first stand in Findings; Mended how many of them are no more.
	Found    int64     `json:"found"`
	Mended   int64     `json:"mended"`
	Findings []Finding `json:"findings,omitempty"`
}

// OK reports whether nothing is left to be done.
func (r *Report) OK() bool { return r.Found == r.Mended }

// Limits of a report, and how much is looked at in one view.
const (
	maxFindings = 1000
	maxTables   = 100
	pageItems   = 256
)

// Checker knows what is to be in a store.
type Checker struct {
	DB storage.DB
	// Tables are all there are.
	Tables []storage.Kind
	// Bare are the names of what is kept beside tables.
	Bare []string
	// Repair mends index entries. What makes a record unreadable it cannot mend.
	Repair bool
	// Discard, when set, removes records that do not decode, and is given each before. One that was sealed with another key, or written by a
	// newer release, stays. Their index entries are then dangling: Repair has to be set as well.
	Discard func(storage.Item) error
	// Progress is told now and then how many items were looked at.
	Progress func(items int64)
}

// run is one check.
type run struct {
	*Checker
	kinds  map[string]storage.Kind
	unique map[string]bool // by table and index
	bare   map[string]bool
	report Report
}

// Run reads the whole store.
func (c *Checker) Run(ctx context.Context) (Report, error) {
	r := &run{Checker: c, kinds: map[string]storage.Kind{}, unique: map[string]bool{}, bare: map[string]bool{}}
	for _, kind := range c.Tables {
		d := kind.Describe()
		r.kinds[d.Name] = kind
		for _, index := range d.Indexes {
			r.unique[d.Name+"#"+index.Name] = index.Unique
		}
	}
	for _, name := range c.Bare {
		r.bare[name] = true
	}
	if err := r.all(ctx, r.look); err != nil {
		return r.report, fmt.Errorf("checking the store: %w", err)
	}
	return r.report, nil
}

// all goes through the store page by page.
func (r *run) all(ctx context.Context, look func(storage.Tx, []storage.Item) ([]Finding, error)) error {
	for after, last := "", false; !last; {
		var page []storage.Item
		var found []Finding
		err := r.DB.View(ctx, func(tx storage.Tx) (err error) {
			page = page[:0]
			for item, err := range tx.Scan("", after, pageItems) {
				if err != nil {
					return err
				}
				page = append(page, item)
			}
			found, err = look(tx, page)
			return err
		})
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := r.settle(ctx, f); err != nil {
				return err
			}
		}
		if last = len(page) < pageItems; !last {
			after = page[len(page)-1].Key
		}
		r.count(page)
	}
	return nil
}

func (r *run) isUnique(table, index string) bool { return r.unique[table+"#"+index] }

// count counts the items of a page that was looked at.
func (r *run) count(page []storage.Item) {
	for _, item := range page {
		r.report.Items++
		place, ok := storage.PlaceOf(item, r.isUnique)
		switch {
		case ok && r.kinds[place.Table] != nil && place.Index != "":
			r.report.Entries++
		case ok && r.kinds[place.Table] != nil:
			r.report.Records++
		case ok && r.bare[place.Table]:
			r.report.Bare++
		default:
			r.report.Unknown++
			r.unknown(place.Table)
		}
	}
	if r.Progress != nil {
		r.Progress(r.report.Items)
	}
}

func (r *run) unknown(table string) {
	for _, known := range r.report.UnknownTables {
		if known == table {
			return
		}
	}
	if len(r.report.UnknownTables) < maxTables {
		r.report.UnknownTables = append(r.report.UnknownTables, table)
	}
}

// look returns what is wrong with the items of a page.
func (r *run) look(tx storage.Tx, page []storage.Item) (found []Finding, err error) {
	if err := storage.Prefetch(tx, r.wanted(page)...); err != nil {
		return nil, err
	}
	for _, item := range page {
		place, ok := storage.PlaceOf(item, r.isUnique)
		kind := r.kinds[place.Table]
		if !ok || kind == nil {
			continue
		}
		var more []Finding
		if place.Index == "" {
			more, err = r.record(tx, kind, place, item)
		} else {
			more, err = r.entry(tx, kind, place, item)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// wanted returns the keys that will be looked up.
func (r *run) wanted(page []storage.Item) (keys []string) {
	for _, item := range page {
		place, ok := storage.PlaceOf(item, r.isUnique)
		kind := r.kinds[place.Table]
		switch {
		case !ok || kind == nil:
		case place.Index != "" && place.ID != "":
			keys = append(keys, place.Record())
		case place.Index == "":
			entries, _ := kind.Entries(item) // an error is a finding, when its turn comes
			for _, entry := range entries {
				keys = append(keys, entry.Key)
			}
		}
	}
	return keys
}

// record says what is wrong with a record and with the entries that lead to it.
func (r *run) record(tx storage.Tx, kind storage.Kind, place storage.Place, item storage.Item) (found []Finding, err error) {
	base := Finding{Table: place.Table, ID: place.ID, key: item.Key}
	entries, err := kind.Entries(item)
	if err != nil {
		base.What, base.Cause = Unreadable, err.Error()
		if errors.Is(err, storage.ErrNewer) {
			base.What = Newer
		}
		return []Finding{base}, nil
	}
	for _, want := range entries {
		what, err := r.compare(tx, place, want)
		if err != nil {
			return nil, err
		}
		if what != "" {
			f := base
			f.What, f.Index = what, indexOf(want.Key)
			found = append(found, f)
		}
	}
	return found, nil
}

// compare says what is wrong with an entry that a record has; nothing where all is well.
func (r *run) compare(tx storage.Tx, place storage.Place, want storage.Item) (what string, err error) {
	got, err := tx.Get(want.Key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return Missing, nil
	case err != nil:
		return "", err
	case !bytes.Equal(got.Value, want.Value):
		other, claims, err := r.claims(tx, place.Table, got)
		if err != nil {
			return "", err
		}
		if claims && other != place.ID {
			return Taken, nil
		}
		return Missing, nil
	case got.ExpiresAt.UnixMilli() != want.ExpiresAt.UnixMilli():
		return Expiry, nil
	}
	return "", nil
}

// claims says which record an entry leads to, and whether that one is to be found by it.
func (r *run) claims(tx storage.Tx, table string, entry storage.Item) (id string, claims bool, err error) {
	place, _ := storage.PlaceOf(entry, r.isUnique)
	if place.ID == "" {
		return "", false, nil
	}
	record, err := tx.Get(place.Record())
	if errors.Is(err, storage.ErrNotFound) {
		return place.ID, false, nil
	}
	if err != nil {
		return "", false, err
	}
	entries, err := r.kinds[table].Entries(record)
	if err != nil {
		return place.ID, true, nil // who cannot be read may have it
	}
	for _, e := range entries {
		if e.Key == entry.Key && bytes.Equal(e.Value, entry.Value) {
			return place.ID, true, nil
		}
	}
	return place.ID, false, nil
}

// entry says what is wrong with an entry of an index.
func (r *run) entry(tx storage.Tx, _ storage.Kind, place storage.Place, item storage.Item) ([]Finding, error) {
	f := Finding{Table: place.Table, Index: place.Index, ID: place.ID, key: item.Key}
	if _, known := r.unique[place.Table+"#"+place.Index]; !known {
		f.What = Foreign
		return []Finding{f}, nil
	}
	_, claims, err := r.claims(tx, place.Table, item)
	if err != nil || claims {
		return nil, err
	}
	f.What = Dangling
	if place.ID != "" {
		if _, err := tx.Get(place.Record()); err == nil {
			f.What = Stale
		}
	}
	return []Finding{f}, nil
}

func indexOf(key string) string {
	_, rest, _ := strings.Cut(key, "#")
	index, _, _ := strings.Cut(rest, "/")
	return index
}
