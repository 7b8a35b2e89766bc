// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
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
	// newer release, stays. Their index entries go with them.
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

// seen is an item, and what it is taken for.
type seen struct {
	storage.Item
	place storage.Place
	kind  storage.Kind   // nil for what belongs to no table that is known
	wants []storage.Item // the entries that a record is to have
	err   error          // why a record cannot be read
}

// see tells what an item is.
func (r *run) see(item storage.Item) seen {
	s := seen{Item: item}
	var known bool
	if s.place, known = storage.PlaceOf(item, r.isUnique); !known {
		return s
	}
	if s.kind = r.kinds[s.place.Table]; s.kind != nil && s.place.Index == "" {
		s.wants, s.err = s.kind.Entries(item)
	}
	return s
}

func (r *run) isUnique(table, index string) bool { return r.unique[table+"#"+index] }

// all goes through the store page by page.
func (r *run) all(ctx context.Context, look func(storage.Tx, []seen) ([]Finding, error)) error {
	for after, last := "", false; !last; {
		var page []seen
		var found []Finding
		err := r.DB.View(ctx, func(tx storage.Tx) (err error) {
			if page, err = r.page(tx, "", after); err == nil {
				found, err = look(tx, page)
			}
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

func (r *run) page(tx storage.Tx, prefix, after string) (page []seen, err error) {
	for item, err := range tx.Scan(prefix, after, pageItems) {
		if err != nil {
			return nil, err
		}
		page = append(page, r.see(item))
	}
	return page, nil
}

// count counts the items of a page that was looked at.
func (r *run) count(page []seen) {
	for _, s := range page {
		r.report.Items++
		switch {
		case s.kind != nil && s.place.Index != "":
			r.report.Entries++
		case s.kind != nil:
			r.report.Records++
		case r.bare[s.place.Table]:
			r.report.Bare++
		default:
			r.report.Unknown++
			r.unknown(s.place.Table)
		}
	}
	if r.Progress != nil {
		r.Progress(r.report.Items)
	}
}

func (r *run) unknown(table string) {
	if tables := r.report.UnknownTables; len(tables) < maxTables && !slices.Contains(tables, table) {
		r.report.UnknownTables = append(tables, table)
	}
}

// look returns what is wrong with the items of a page.
func (r *run) look(tx storage.Tx, page []seen) (found []Finding, err error) {
	if err := storage.Prefetch(tx, wanted(page)...); err != nil {
		return nil, err
	}
	for _, s := range page {
		var more []Finding
		switch {
		case s.kind == nil:
		case s.place.Index == "":
			more, err = r.record(tx, s)
		default:
			more, err = r.entry(tx, s)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// wanted returns the keys that will be looked up.
func wanted(page []seen) (keys []string) {
	for _, s := range page {
		for _, entry := range s.wants {
			keys = append(keys, entry.Key)
		}
		if s.kind != nil && s.place.Index != "" && s.place.ID != "" {
			keys = append(keys, s.place.Record())
		}
	}
	return keys
}

// record says what is wrong with a record and with the entries that lead to it.
func (r *run) record(tx storage.Tx, s seen) (found []Finding, err error) {
	base := Finding{Table: s.place.Table, ID: s.place.ID, key: s.Key}
	if s.err != nil {
		base.What, base.Cause = Unreadable, s.err.Error()
		if errors.Is(s.err, storage.ErrNewer) {
			base.What = Newer
		}
		return []Finding{base}, nil
	}
	for _, want := range s.wants {
		what, err := r.compare(tx, s.place, want)
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
func (r *run) entry(tx storage.Tx, s seen) ([]Finding, error) {
	f := Finding{Table: s.place.Table, Index: s.place.Index, ID: s.place.ID, key: s.Key}
	if _, known := r.unique[s.place.Table+"#"+s.place.Index]; !known {
		f.What = Foreign
		return []Finding{f}, nil
	}
	_, claims, err := r.claims(tx, s.place.Table, s.Item)
	if err != nil || claims {
		return nil, err
	}
	f.What = Dangling
	if s.place.ID != "" {
		if _, err := tx.Get(s.place.Record()); err == nil {
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
