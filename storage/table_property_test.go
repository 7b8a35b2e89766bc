// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// model is what a table is: a map, of which the live part is searched from end to end.
type model struct {
	records map[string]person
	now     time.Time
}

func (m model) live() []person {
	var live []person
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		if r := m.records[id]; r.Expires.IsZero() || m.now.Before(r.Expires) {
			live = append(live, r)
		}
	}
	return live
}

func (m model) get(id string) (person, bool) {
	for _, r := range m.live() {
		if r.ID == id {
			return r, true
		}
	}
	return person{}, false
}

// taken reports whether somebody else has one of the record's logins.
func (m model) taken(record person) bool {
	return slices.ContainsFunc(m.live(), func(r person) bool {
		return r.ID != record.ID && slices.ContainsFunc(r.Logins, func(login string) bool {
			return slices.Contains(record.Logins, login)
		})
	})
}

func drawPerson(clock *storagetest.Clock) *rapid.Generator[person] {
	return rapid.Custom(func(rt *rapid.T) person {
		record := person{
			ID:     rapid.SampledFrom([]string{"1", "2", "3", "a/b", "#"}).Draw(rt, "id"),
			Logins: rapid.SliceOfN(rapid.SampledFrom([]string{"ann", "bob", "cy", "d/e"}), 0, 3).Draw(rt, "logins"),
			Team:   rapid.SampledFrom([]string{"", "red", "red/1", "blue"}).Draw(rt, "team"),
		}
		if rapid.Bool().Draw(rt, "expires") {
			record.Expires = clock.Now().Add(time.Duration(rapid.IntRange(-1, 5).Draw(rt, "in")) * time.Second)
		}
		if len(record.Logins) == 0 {
			record.Logins = nil
		}
		return record
	})
}

func TestTableIsAMap(t *testing.T) {
	t.Parallel()
	table := people()
	rapid.Check(t, func(rt *rapid.T) {
		clock := storagetest.NewClock()
		store, err := memstore.Open(memstore.Config{Now: clock.Now})
		if err != nil {
			rt.Fatal(err)
		}
		db := storagetest.Twice(store, rapid.Uint64().Draw(rt, "seed"))
		m := model{records: map[string]person{}}
		update := func(fn func(tx storage.Tx) error) (err error) {
			m.now = clock.Now()
			if txErr := db.Update(t.Context(), func(tx storage.Tx) error {
				err = fn(tx)
				return nil // refusals are outcomes
			}); txErr != nil {
				rt.Fatal(txErr)
			}
			return err
		}
		rt.Repeat(map[string]func(*rapid.T){
			"insert": func(rt *rapid.T) {
				record := drawPerson(clock).Draw(rt, "record")
				err := update(func(tx storage.Tx) error { return table.Insert(tx, record) })
				_, exists := m.get(record.ID)
				m.expect(rt, "insert", err, exists || m.taken(record), record)
			},
			"put": func(rt *rapid.T) {
				record := drawPerson(clock).Draw(rt, "record")
				err := update(func(tx storage.Tx) error { return table.Put(tx, record) })
				m.expect(rt, "put", err, m.taken(record), record)
			},
			"replace": func(rt *rapid.T) {
				record := drawPerson(clock).Draw(rt, "record")
				err := update(func(tx storage.Tx) error {
					was, found, err := table.Find(tx, record.ID)
					if err != nil {
						return err
					}
					old := &was
					if !found {
						old = nil
					}
					return table.Replace(tx, old, record)
				})
				m.expect(rt, "replace", err, m.taken(record), record)
			},
			"delete": func(rt *rapid.T) {
				id := drawPerson(clock).Draw(rt, "record").ID
				if err := update(func(tx storage.Tx) error { return table.Delete(tx, id) }); err != nil {
					rt.Fatalf("deleting: %v", err)
				}
				delete(m.records, id)
			},
			"advance": func(rt *rapid.T) {
				clock.Advance(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
			},
			"": func(rt *rapid.T) {
				if err := update(func(tx storage.Tx) error { return m.compare(table, tx) }); err != nil {
					rt.Fatal(err)
				}
			},
		})
	})
}

// expect follows a write in the model, which is refused or done.
func (m model) expect(rt *rapid.T, what string, err error, refused bool, record person) {
	switch {
	case refused && !errors.Is(err, storage.ErrExists), !refused && err != nil:
		rt.Fatalf("%s of %+v: %v, refusal expected: %v", what, record, err, refused)
	case !refused:
		m.records[record.ID] = record
	}
}

// comparePrefix reads what of an index begins alike, after a value.
func (m model) comparePrefix(table *storage.Table[person], tx storage.Tx, prefix, after string) error {
	var want, got []string
	for _, record := range m.live() {
		for _, login := range slices.Compact(slices.Sorted(slices.Values(record.Logins))) {
			if strings.HasPrefix(login, prefix) && login > after {
				want = append(want, login+" "+record.ID)
			}
		}
	}
	slices.Sort(want)
	for entry, err := range table.Prefix(tx, "login", prefix, after) {
		if err != nil {
			return err
		}
		got = append(got, entry.Value+" "+entry.Record.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("logins from %q after %q (-want +got):\n%s", prefix, after, diff)
	}
	return nil
}

// compare reads everything in every way.
func (m model) compare(table *storage.Table[person], tx storage.Tx) error {
	var all []person
	for record, err := range table.All(tx, "", 0) {
		if err != nil {
			return err
		}
		all = append(all, record)
	}
	if diff := cmp.Diff(m.live(), all); diff != "" {
		return fmt.Errorf("all (-want +got):\n%s", diff)
	}
	for _, login := range []string{"ann", "bob", "cy", "d/e"} {
		got, err := table.Lookup(tx, "login", login)
		i := slices.IndexFunc(all, func(r person) bool { return slices.Contains(r.Logins, login) })
		switch {
		case i < 0 && errors.Is(err, storage.ErrNotFound):
		case i < 0 || err != nil || got.ID != all[i].ID:
			return fmt.Errorf("login %q leads to %+v and %w", login, got, err)
		}
	}
	for _, prefix := range []string{"", "a", "ann", "b", "d/", "x"} {
		for _, after := range []string{"", "ann", "bob", "bobby"} {
			if err := m.comparePrefix(table, tx, prefix, after); err != nil {
				return err
			}
		}
	}
	for _, team := range []string{"red", "red/1", "blue"} {
		var want, got []string
		for _, record := range all {
			if record.Team == team {
				want = append(want, record.ID)
			}
		}
		for record, err := range table.List(tx, "team", team, "", 0) {
			if err != nil {
				return err
			}
			got = append(got, record.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("team %q (-want +got):\n%s", team, diff)
		}
	}
	return nil
}

// Whatever stands in the store, a table reads it or refuses it, and what it read it writes and reads again.
func FuzzTableReads(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte("\x02{\"id\":\"1\",\"logins\":[\"ann\"]}"), false)
	f.Add([]byte("\x01{}"), false)
	f.Add([]byte("\x03{}"), false)
	f.Add([]byte("\x02null"), true)
	f.Add([]byte("\x02person/1\x00!"), true)
	f.Fuzz(func(t *testing.T, value []byte, sealed bool) {
		db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
		if err != nil {
			t.Fatal(err)
		}
		table := people()
		if sealed {
			table.Sealer = xorSealer{}
		}
		err = db.Update(t.Context(), func(tx storage.Tx) error {
			if err := tx.Put(storage.Item{Key: "person/1", Value: value}); err != nil {
				return nil // larger than the contract allows
			}
			record, err := table.Get(tx, "1")
			if err != nil {
				return nil
			}
			if value[0] > table.Version {
				t.Errorf("a value of version %d was read", value[0])
			}
			record.ID, record.Expires = "1", time.Time{}
			if err := table.Put(tx, record); err != nil {
				return nil // an index value that is too long for a key
			}
			again, err := table.Get(tx, "1")
			if diff := cmp.Diff(record, again, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("written and read again (%v):\n%s", err, diff)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkTableGet(b *testing.B) {
	benchmarkTable(b, func(tx storage.Tx, t *storage.Table[person]) error {
		_, err := t.Get(tx, "1")
		return err
	})
}

func BenchmarkTableLookup(b *testing.B) {
	benchmarkTable(b, func(tx storage.Tx, t *storage.Table[person]) error {
		_, err := t.Lookup(tx, "login", "ann")
		return err
	})
}

func BenchmarkTablePut(b *testing.B) {
	benchmarkTable(b, func(tx storage.Tx, t *storage.Table[person]) error {
		return t.Put(tx, person{ID: "1", Logins: []string{"ann"}, Team: "red"})
	})
}

func benchmarkTable(b *testing.B, work func(storage.Tx, *storage.Table[person]) error) {
	db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
	if err != nil {
		b.Fatal(err)
	}
	table := people()
	err = db.Update(b.Context(), func(tx storage.Tx) error {
		return table.Put(tx, person{ID: "1", Logins: []string{"ann"}, Team: "red"})
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := db.Update(b.Context(), func(tx storage.Tx) error { return work(tx, table) }); err != nil {
			b.Fatal(err)
		}
	}
}
