// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// person has everything a table can index: a unique row of values, a value that is not unique, an expiry.
type person struct {
	ID      string    `json:"id"`
	Logins  []string  `json:"logins,omitempty"`
	Team    string    `json:"team,omitempty"`
	Note    string    `json:"note,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

func people() *storage.Table[person] {
	return &storage.Table[person]{
		Name:    "person",
		Version: 2,
		ID:      func(p *person) string { return p.ID },
		Expiry:  func(p *person) time.Time { return p.Expires },
		Indexes: []storage.Index[person]{
			{Name: "login", Unique: true, Values: func(p *person) []string { return p.Logins }},
			{Name: "team", Values: func(p *person) []string {
				if p.Team == "" {
					return nil
				}
				return []string{p.Team}
			}},
		},
	}
}

// house is a store, a clock and a table, with helpers that end the test on an error.
type house struct {
	*testing.T
	db    storage.DB
	clock *storagetest.Clock
	table *storage.Table[person]
}

func newHouse(t *testing.T) *house {
	t.Helper()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return &house{T: t, db: db, clock: clock, table: people()}
}

func (h *house) do(fn func(tx storage.Tx) error) {
	h.Helper()
	if err := h.db.Update(h.Context(), fn); err != nil {
		h.Fatal(err)
	}
}

func (h *house) put(records ...person) {
	h.Helper()
	h.do(func(tx storage.Tx) error {
		var err error
		for _, record := range records {
			err = errors.Join(err, h.table.Put(tx, record))
		}
		return err
	})
}

// keys lists everything the store holds.
func (h *house) keys() []string {
	h.Helper()
	found := []string{}
	h.do(func(tx storage.Tx) error {
		found = found[:0]
		for item, err := range tx.Scan("", "", 0) {
			if err != nil {
				return err
			}
			found = append(found, item.Key)
		}
		return nil
	})
	return found
}

func (h *house) wantKeys(want ...string) {
	h.Helper()
	if diff := cmp.Diff(append([]string{}, want...), h.keys()); diff != "" {
		h.Errorf("keys (-want +got):\n%s", diff)
	}
}

// lookup returns the id behind a login, or "".
func (h *house) lookup(login string) (id string) {
	h.Helper()
	h.do(func(tx storage.Tx) error {
		found, err := h.table.Lookup(tx, "login", login)
		if id = found.ID; errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		return err
	})
	return id
}

func ids(t *testing.T, rows iter.Seq2[person, error]) []string {
	t.Helper()
	found := []string{}
	for row, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, row.ID)
	}
	return found
}

func (h *house) team(team string) (found []string) {
	h.Helper()
	h.do(func(tx storage.Tx) error {
		found = ids(h.T, h.table.List(tx, "team", team, "", 0))
		return nil
	})
	return found
}

func TestTableKeepsRecords(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := person{ID: "1", Logins: []string{"ann", "a.b"}, Team: "red", Note: "ünïcode \x00 and \"quotes\""}
	h.do(func(tx storage.Tx) error { return h.table.Insert(tx, want) })
	h.do(func(tx storage.Tx) error {
		got, err := h.table.Get(tx, "1")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		if _, ok, err := h.table.Find(tx, "2"); ok || err != nil {
			t.Errorf("finding what is absent: %v, %v", ok, err)
		}
		if _, err := h.table.Get(tx, "2"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("getting what is absent: %v", err)
		}
		if _, err := h.table.Lookup(tx, "login", "bob"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("looking up what is absent: %v", err)
		}
		return errors.Join(err, h.table.Delete(tx, "2"))
	})
	h.wantKeys("person#login/a.b", "person#login/ann", "person#team/3:red/1", "person/1")
	h.do(func(tx storage.Tx) error { return h.table.Delete(tx, "1") })
	h.wantKeys()
}

func TestTableMovesIndexes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	steps := []struct {
		name   string
		record person
		keys   []string
	}{
		{"new", person{ID: "1", Logins: []string{"ann"}, Team: "red"},
			[]string{"person#login/ann", "person#team/3:red/1", "person/1"}},
		{"the same", person{ID: "1", Logins: []string{"ann"}, Team: "red"},
			[]string{"person#login/ann", "person#team/3:red/1", "person/1"}},
		{"a value more", person{ID: "1", Logins: []string{"bea", "ann"}, Team: "red"},
			[]string{"person#login/ann", "person#login/bea", "person#team/3:red/1", "person/1"}},
		{"a value less, a value changed", person{ID: "1", Logins: []string{"bea"}, Team: "blue"},
			[]string{"person#login/bea", "person#team/4:blue/1", "person/1"}},
		{"a value twice", person{ID: "1", Logins: []string{"cy", "cy"}, Team: "blue"},
			[]string{"person#login/cy", "person#team/4:blue/1", "person/1"}},
		{"no values", person{ID: "1"}, []string{"person/1"}},
	}
	for _, step := range steps {
		h.put(step.record)
		if diff := cmp.Diff(step.keys, h.keys()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", step.name, diff)
		}
		for _, login := range step.record.Logins {
			if got := h.lookup(login); got != "1" {
				t.Errorf("%s: %q leads to %q", step.name, login, got)
			}
		}
	}
	if h.lookup("ann") != "" || len(h.team("red")) != 0 {
		t.Error("an index leads to a record that left it")
	}
}

func TestTableRefusesTakenValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		write func(table *storage.Table[person], tx storage.Tx) error
	}{
		{"insert of a taken id", func(table *storage.Table[person], tx storage.Tx) error {
			return table.Insert(tx, person{ID: "1", Logins: []string{"new"}})
		}},
		{"insert of a taken value", func(table *storage.Table[person], tx storage.Tx) error {
			return table.Insert(tx, person{ID: "3", Logins: []string{"new", "ann"}, Team: "red"})
		}},
		{"put of a taken value", func(table *storage.Table[person], tx storage.Tx) error {
			return table.Put(tx, person{ID: "2", Logins: []string{"ann"}, Team: "red"})
		}},
		{"put of a new record with a taken value", func(table *storage.Table[person], tx storage.Tx) error {
			return table.Put(tx, person{ID: "3", Logins: []string{"ann"}})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.put(person{ID: "1", Logins: []string{"ann"}}, person{ID: "2", Logins: []string{"bob"}, Team: "blue"})
			before := h.keys()
			h.do(func(tx storage.Tx) error {
				if err := test.write(h.table, tx); !errors.Is(err, storage.ErrExists) {
					t.Errorf("error is %v", err)
				}
				return nil // the closure takes the refusal for an outcome and commits
			})
			h.wantKeys(before...)
			if h.lookup("ann") != "1" || h.lookup("bob") != "2" {
				t.Error("a refused write moved an index")
			}
		})
	}
}

func TestTableUniqueValueOfTwoTransactions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := true
	err := h.db.Update(t.Context(), func(tx storage.Tx) error {
		if _, _, err := h.table.Find(tx, "1"); err != nil {
			return err
		}
		if first {
			first = false
			h.put(person{ID: "2", Logins: []string{"ann"}})
		}
		return h.table.Insert(tx, person{ID: "1", Logins: []string{"ann"}})
	})
	if !errors.Is(err, storage.ErrExists) {
		t.Errorf("error is %v", err)
	}
	if got := h.lookup("ann"); got != "2" {
		t.Errorf("the login leads to %q", got)
	}
}

func TestTableExpiry(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	soon, late := h.clock.Now().Add(time.Minute), h.clock.Now().Add(time.Hour)
	h.put(person{ID: "1", Logins: []string{"ann"}, Team: "red", Expires: soon},
		person{ID: "2", Logins: []string{"bob"}, Team: "red", Expires: soon},
		person{ID: "3", Logins: []string{"cy"}, Team: "red", Expires: late})
	h.put(person{ID: "2", Logins: []string{"bob"}, Team: "red", Expires: late}) // the entries live on with their record
	h.put(person{ID: "3", Logins: []string{"cy"}, Team: "red", Expires: soon})
	h.clock.Set(soon)
	h.wantKeys("person#login/bob", "person#team/3:red/2", "person/2")
	if diff := cmp.Diff([]string{"2"}, h.team("red")); diff != "" {
		t.Errorf("team (-want +got):\n%s", diff)
	}
	if h.lookup("ann") != "" || h.lookup("bob") != "2" || h.lookup("cy") != "" {
		t.Error("an index disagrees with its records")
	}
	h.do(func(tx storage.Tx) error {
		return errors.Join(h.table.Insert(tx, person{ID: "4", Logins: []string{"ann"}}),
			h.table.Insert(tx, person{ID: "1", Logins: []string{"cy"}, Team: "blue"}))
	})
	if h.lookup("ann") != "4" || h.lookup("cy") != "1" {
		t.Error("what expired is not free")
	}
	h.put(person{ID: "2", Logins: []string{"bob"}, Team: "red"}) // no expiry any more
	h.clock.Advance(1000 * time.Hour)
	if h.lookup("bob") != "2" || len(h.team("red")) != 1 {
		t.Error("a record without expiry lost its entries")
	}
}

func TestTablePaging(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("%02d", i)
		want = append(want, id)
		h.put(person{ID: id, Team: "red", Logins: []string{"login" + id}}, person{ID: "x" + id, Team: "redder"})
	}
	pages := map[string]func(tx storage.Tx, after string) iter.Seq2[person, error]{
		"all": func(tx storage.Tx, after string) iter.Seq2[person, error] { return h.table.All(tx, after, 10) },
		"list": func(tx storage.Tx, after string) iter.Seq2[person, error] {
			return h.table.List(tx, "team", "red", after, 10)
		},
	}
	for name, page := range pages {
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			var rows []string
			h.do(func(tx storage.Tx) error {
				rows = ids(t, page(tx, after))
				return nil
			})
			if got = append(got, rows...); len(rows) < 10 {
				break
			}
		}
		if diff := cmp.Diff(want, got[:25]); diff != "" {
			t.Errorf("%s by pages (-want +got):\n%s", name, diff)
		}
	}
	h.do(func(tx storage.Tx) error {
		for range h.table.All(tx, "", 0) {
			break // leaving early is fine
		}
		if got := ids(t, h.table.List(tx, "team", "red", "99", 0)); len(got) != 0 {
			t.Errorf("after the last there are %v", got)
		}
		return nil
	})
}

// Ids and values hold whatever a caller put there, separators and all, and must never be taken for one another.
func TestTableSeparators(t *testing.T) {
	t.Parallel()
	nasty := []string{"a", "a/b", "a/", "/a", "a#b", "#", "1:a/", "3:red/1", "red/", "red/1", "ünï", "\x00", "a\x00b", " "}
	h := newHouse(t)
	for i, id := range nasty {
		h.put(person{ID: id, Logins: []string{nasty[(i+1)%len(nasty)]}, Team: nasty[(i+2)%len(nasty)]})
	}
	for i, id := range nasty {
		if got := h.lookup(nasty[(i+1)%len(nasty)]); got != id {
			t.Errorf("login %q leads to %q, want %q", nasty[(i+1)%len(nasty)], got, id)
		}
		if diff := cmp.Diff([]string{id}, h.team(nasty[(i+2)%len(nasty)])); diff != "" {
			t.Errorf("team of %q (-want +got):\n%s", id, diff)
		}
	}
	h.do(func(tx storage.Tx) error {
		if got := ids(t, h.table.All(tx, "", 0)); len(got) != len(nasty) {
			t.Errorf("all are %q", got)
		}
		var err error
		for _, id := range nasty {
			err = errors.Join(err, h.table.Delete(tx, id))
		}
		return err
	})
	h.wantKeys()
}

func TestTableRefusesWhatItCouldNotFindAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		record person
		want   error
	}{
		{"no id", person{Team: "red"}, storage.ErrTooLarge},
		{"an id that is not UTF-8", person{ID: "a\xff"}, nil},
		{"a unique value that is not UTF-8", person{ID: "a", Logins: []string{"\xff"}}, nil},
		{"a value that is not UTF-8", person{ID: "a", Team: "\xff"}, nil},
		{"a long id", person{ID: strings.Repeat("a", storage.MaxKey)}, storage.ErrTooLarge},
		{"a large record", person{ID: "a", Note: strings.Repeat("a", storage.MaxValue)}, storage.ErrTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.do(func(tx storage.Tx) error {
				for name, write := range map[string]func(storage.Tx, person) error{"insert": h.table.Insert, "put": h.table.Put} {
					err := write(tx, test.record)
					if err == nil || test.want != nil && !errors.Is(err, test.want) {
						t.Errorf("%s: %v", name, err)
					}
				}
				return nil
			})
			h.wantKeys()
		})
	}
}

func TestTableVersions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		value string
		ok    bool
	}{
		{"this version", "\x02{\"id\":\"1\"}", true},
		{"the one before", "\x01{\"id\":\"1\"}", true},
		{"with what is not known", "\x02{\"id\":\"1\",\"since\":\"later\"}", true},
		{"a newer one", "\x03{\"id\":\"1\"}", false},
		{"nothing", "", false},
		{"no JSON", "\x02{", false},
		{"JSON of another shape", "\x02[1]", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.do(func(tx storage.Tx) error {
				return tx.Put(storage.Item{Key: "person/1", Value: []byte(test.value)})
			})
			h.do(func(tx storage.Tx) error {
				_, err := h.table.Get(tx, "1")
				if (err == nil) != test.ok || errors.Is(err, storage.ErrNotFound) {
					t.Errorf("getting: %v", err)
				}
				if newer := test.name == "a newer one"; errors.Is(err, storage.ErrNewer) != newer || errors.Is(err, storage.ErrUnavailable) != newer {
					t.Errorf("getting: %v", err)
				}
				if _, ok, err := h.table.Find(tx, "1"); ok != test.ok || (err == nil) != test.ok {
					t.Errorf("finding: %v, %v", ok, err)
				}
				if !test.ok && (h.table.Put(tx, person{ID: "1"}) == nil || h.table.Delete(tx, "1") == nil) {
					t.Error("what cannot be read was overwritten")
				}
				for _, err := range h.table.All(tx, "", 0) {
					if (err == nil) != test.ok {
						t.Errorf("ranging: %v", err)
					}
				}
				return nil
			})
		})
	}
}

// xorSealer is no cipher, but it tells whether label and bytes are those that were sealed.
type xorSealer struct{ err error }

func (s xorSealer) Seal(label string, plain []byte) ([]byte, error) {
	sealed := []byte(label + "\x00")
	for _, b := range plain {
		sealed = append(sealed, b^0x5a)
	}
	return sealed, s.err
}

func (xorSealer) Derive(string) ([]byte, error) { return nil, errors.ErrUnsupported }

func (s xorSealer) Open(label string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(label+"\x00"))
	if !ok {
		return nil, errors.New("sealed for another key")
	}
	plain := []byte{}
	for _, b := range rest {
		plain = append(plain, b^0x5a)
	}
	return plain, nil
}

func TestTableSealsValues(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.table.Sealer = xorSealer{}
	h.put(person{ID: "1", Logins: []string{"ann"}, Note: "the secret"}, person{ID: "2", Note: "another"})
	h.do(func(tx storage.Tx) error {
		item, err := tx.Get("person/1")
		if bytes.Contains(item.Value, []byte("secret")) || item.Value[0] != 2 {
			t.Errorf("the stored value is %q", item.Value)
		}
		got, lookupErr := h.table.Lookup(tx, "login", "ann")
		if got.Note != "the secret" {
			t.Errorf("the record is %+v", got)
		}
		item.Key = "person/2"
		return errors.Join(err, lookupErr, tx.Put(item))
	})
	h.do(func(tx storage.Tx) error {
		if _, err := h.table.Get(tx, "2"); err == nil {
			t.Error("a value moved to another key opens")
		}
		h.table.Sealer = xorSealer{err: errors.New("no key")}
		if err := h.table.Put(tx, person{ID: "3"}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("a value that cannot be sealed: %v", err)
		}
		return nil
	})
}

// counting counts what a transaction reads and writes.
type counting struct {
	storage.Tx
	reads, writes []string
}

func (c *counting) Get(key string) (storage.Item, error) {
	c.reads = append(c.reads, key)
	return c.Tx.Get(key)
}

func (c *counting) Put(item storage.Item) error {
	c.writes = append(c.writes, item.Key)
	return c.Tx.Put(item)
}

func (c *counting) Delete(key string) error {
	c.writes = append(c.writes, "-"+key)
	return c.Tx.Delete(key)
}

func TestTableWritesOnlyWhatChanges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.put(person{ID: "1", Logins: []string{"ann", "bea"}, Team: "red"})
	tests := []struct {
		name   string
		record person
		want   []string
	}{
		{"nothing indexed changes", person{ID: "1", Logins: []string{"bea", "ann"}, Team: "red", Note: "new"}, []string{"person/1"}},
		{"one value changes", person{ID: "1", Logins: []string{"ann", "cy"}, Team: "red"},
			[]string{"person/1", "-person#login/bea", "person#login/cy"}},
	}
	for _, test := range tests {
		h.do(func(tx storage.Tx) error {
			counted := &counting{Tx: tx}
			err := h.table.Put(counted, test.record)
			if diff := cmp.Diff(test.want, counted.writes); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
			return err
		})
	}
}

// TestTableReplace: what was read is not read again, and moves its index entries all the same.
func TestTableReplace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := person{ID: "1", Logins: []string{"ann"}, Team: "red"}
	h.put(old)
	h.do(func(tx storage.Tx) error {
		counted := &counting{Tx: tx}
		if err := h.table.Replace(counted, nil, person{ID: "2", Team: "red"}); err != nil {
			return err
		}
		if err := h.table.Replace(counted, &old, person{ID: "1", Logins: []string{"ann"}, Team: "blue"}); err != nil {
			return err
		}
		if len(counted.reads) > 0 {
			t.Errorf("it reads %q", counted.reads)
		}
		return nil
	})
	h.do(func(tx storage.Tx) error {
		if err := h.table.Replace(tx, &old, person{ID: "3"}); err == nil {
			t.Error("a record takes the place of another")
		}
		return nil
	})
	h.wantKeys("person#login/ann", "person#team/3:red/2", "person#team/4:blue/1", "person/1", "person/2")
}

func TestTablePassesErrorsOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.put(person{ID: "1", Logins: []string{"ann"}, Team: "red"})
	err := h.db.View(t.Context(), func(tx storage.Tx) error {
		return errors.Join(h.table.Put(tx, person{ID: "2"}), h.table.Insert(tx, person{ID: "2"}), h.table.Delete(tx, "1"))
	})
	if !errors.Is(err, storage.ErrReadOnly) {
		t.Errorf("writing in a view: %v", err)
	}
	for _, err := range h.table.List(broken{}, "team", "red", "", 0) {
		if !errors.Is(err, errBroken) {
			t.Errorf("listing: %v", err)
		}
	}
	for what, err := range map[string]error{
		"putting":   h.table.Put(broken{}, person{ID: "1"}),
		"replacing": h.table.Replace(broken{}, nil, person{ID: "1"}),
		"inserting": h.table.Insert(broken{}, person{ID: "1", Logins: []string{"ann"}}),
		"deleting":  h.table.Delete(broken{}, "1"),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

var errBroken = errors.New("the store is broken")

// broken is a transaction in which everything fails.
type broken struct{}

func (broken) Get(string) (storage.Item, error) { return storage.Item{}, errBroken }
func (broken) Put(storage.Item) error           { return errBroken }
func (broken) Insert(storage.Item) error        { return errBroken }
func (broken) Delete(string) error              { return errBroken }
func (broken) Scan(string, string, int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) { yield(storage.Item{}, errBroken) }
}

func TestItemLive(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	tests := []struct {
		name    string
		expires time.Time
		want    bool
	}{
		{"never", time.Time{}, true},
		{"later", now.Add(1), true},
		{"now", now, false},
		{"before", now.Add(-1), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := (storage.Item{ExpiresAt: test.expires}).Live(now); got != test.want {
				t.Errorf("live is %v", got)
			}
		})
	}
}

func TestCheckSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		key, value int
		ok         bool
	}{
		{"no key", 0, 0, false},
		{"small", 1, 0, true},
		{"largest", storage.MaxKey, storage.MaxValue, true},
		{"long key", storage.MaxKey + 1, 0, false},
		{"large value", 1, storage.MaxValue + 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := storage.CheckSize(storage.Item{Key: strings.Repeat("k", test.key), Value: make([]byte, test.value)})
			if (err == nil) != test.ok || err != nil && !errors.Is(err, storage.ErrTooLarge) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
