// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/check"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

type person struct {
	ID    string    `json:"id"`
	Login string    `json:"login,omitempty"`
	Team  string    `json:"team,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

func people(sealer storage.Sealer) *storage.Table[person] {
	one := func(value string) []string {
		if value == "" {
			return nil
		}
		return []string{value}
	}
	return &storage.Table[person]{
		Name: "person", Version: 1, Sealer: sealer,
		ID:     func(p *person) string { return p.ID },
		Expiry: func(p *person) time.Time { return p.Until },
		Indexes: []storage.Index[person]{
			{Name: "login", Unique: true, Values: func(p *person) []string { return one(p.Login) }},
			{Name: "team", Values: func(p *person) []string { return one(p.Team) }},
		},
	}
}

func sealer(t *testing.T, secret byte) storage.Sealer {
	t.Helper()
	key := seal.Key{ID: fmt.Sprint(secret), Secret: make([]byte, 32)}
	key.Secret[0] = secret
	s, err := seal.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCheck damages a store in every way, and mends it.
func TestCheck(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	until := clock.Now().Add(time.Hour)
	for _, tt := range []struct {
		name   string
		damage func(tx storage.Tx, table *storage.Table[person]) error
		want   []check.Finding
		left   int64 // once mended
	}{
		{"nothing", func(storage.Tx, *storage.Table[person]) error { return nil }, nil, 0},
		{"missing entries", func(tx storage.Tx, _ *storage.Table[person]) error {
			return errors.Join(tx.Delete("person#login/ann"), tx.Delete("person#team/3:red/1"))
		}, []check.Finding{{What: check.Missing, Table: "person", Index: "login", ID: "1"}, {What: check.Missing, Table: "person", Index: "team", ID: "1"}}, 0},
		{"a missing record", func(tx storage.Tx, _ *storage.Table[person]) error { return tx.Delete("person/1") },
			[]check.Finding{{What: check.Dangling, Table: "person", Index: "login", ID: "1"}, {What: check.Dangling, Table: "person", Index: "team", ID: "1"}}, 0},
		{"entries that lead elsewhere", func(tx storage.Tx, _ *storage.Table[person]) error {
			return errors.Join(tx.Put(storage.Item{Key: "person#login/old", Value: []byte("1")}), tx.Put(storage.Item{Key: "person#team/4:blue/1"}))
		}, []check.Finding{{What: check.Stale, Table: "person", Index: "login", ID: "1"}, {What: check.Stale, Table: "person", Index: "team", ID: "1"}}, 0},
		{"entries that lead nowhere", func(tx storage.Tx, _ *storage.Table[person]) error {
			return errors.Join(tx.Put(storage.Item{Key: "person#login/old"}), tx.Put(storage.Item{Key: "person#team/x"}),
				tx.Put(storage.Item{Key: "person#team/9:red/1"}))
		}, []check.Finding{{What: check.Dangling, Table: "person", Index: "login"}, {What: check.Dangling, Table: "person", Index: "team"},
			{What: check.Dangling, Table: "person", Index: "team"}}, 0},
		{"a login that somebody else has got", func(tx storage.Tx, table *storage.Table[person]) error {
			item, err := tx.Get("person#login/ann")
			item.Value = []byte("2")
			return errors.Join(err, tx.Put(item))
		}, []check.Finding{{What: check.Stale, Table: "person", Index: "login", ID: "2"}, {What: check.Missing, Table: "person", Index: "login", ID: "1"}}, 0},
		{"a login of two", func(tx storage.Tx, table *storage.Table[person]) error {
			return errors.Join(table.Replace(tx, nil, person{ID: "3"}), tx.Delete("person#login/ann"), table.Put(tx, person{ID: "3", Login: "ann"}))
		}, []check.Finding{{What: check.Taken, Table: "person", Index: "login", ID: "1"}}, 1},
		{"another expiry", func(tx storage.Tx, _ *storage.Table[person]) error {
			return errors.Join(tx.Put(storage.Item{Key: "person#team/3:red/2"}), tx.Put(storage.Item{Key: "person#login/ann", Value: []byte("1"), ExpiresAt: until}))
		}, []check.Finding{{What: check.Expiry, Table: "person", Index: "login", ID: "1"}, {What: check.Expiry, Table: "person", Index: "team", ID: "2"}}, 0},
		{"an index nobody has", func(tx storage.Tx, _ *storage.Table[person]) error {
			return tx.Put(storage.Item{Key: "person#street/4:main/1"})
		}, []check.Finding{{What: check.Foreign, Table: "person", Index: "street", ID: "1"}}, 1},
		{"bytes", func(tx storage.Tx, _ *storage.Table[person]) error {
			return errors.Join(tx.Put(storage.Item{Key: "person/5", Value: []byte("\x01{")}), tx.Put(storage.Item{Key: "person/6"}))
		}, []check.Finding{{What: check.Unreadable, Table: "person", ID: "5"}, {What: check.Unreadable, Table: "person", ID: "6"}}, 0},
		{"bytes to which entries lead", func(tx storage.Tx, _ *storage.Table[person]) error {
			return errors.Join(tx.Put(storage.Item{Key: "person/1", Value: []byte("\x01{")}), tx.Put(storage.Item{Key: "person/2", Value: []byte("\x01{")}))
		}, []check.Finding{{What: check.Unreadable, Table: "person", ID: "1"}, {What: check.Unreadable, Table: "person", ID: "2"}}, 0},
		{"another id", func(tx storage.Tx, table *storage.Table[person]) error {
			item, err := tx.Get("person/2")
			item.Key = "person/9"
			return errors.Join(err, tx.Put(item))
		}, []check.Finding{{What: check.Unreadable, Table: "person", ID: "9"}}, 0},
		{"a newer release", func(tx storage.Tx, _ *storage.Table[person]) error {
			return tx.Put(storage.Item{Key: "person/5", Value: []byte("\x02{}")})
		}, []check.Finding{{What: check.Newer, Table: "person", ID: "5"}}, 1},
		{"another key", func(tx storage.Tx, _ *storage.Table[person]) error {
			return people(sealer(t, 2)).Insert(tx, person{ID: "5"})
		}, []check.Finding{{What: check.Unreadable, Table: "person", ID: "5"}}, 1},
	} {
		for _, engine := range engines.All {
			t.Run(tt.name+"/"+engine.Name, func(t *testing.T) {
				t.Parallel()
				db := engine.Open(t, clock.Now)
				table := people(sealer(t, 1))
				update(t, db, func(tx storage.Tx) error {
					return errors.Join(table.Insert(tx, person{ID: "1", Login: "ann", Team: "red"}),
						table.Insert(tx, person{ID: "2", Login: "bob", Team: "red", Until: until}),
						tx.Put(storage.Item{Key: "reminder/1"}), tx.Put(storage.Item{Key: "stranger/1"}))
				})
				update(t, db, func(tx storage.Tx) error { return tt.damage(tx, table) })
				var gone []string
				c := check.Checker{DB: db, Tables: []storage.Kind{table}, Bare: []string{"reminder"}}
				report := run(t, &c)
				if diff := cmp.Diff(tt.want, report.Findings, cmpopts.IgnoreUnexported(check.Finding{}), cmpopts.IgnoreFields(check.Finding{}, "Cause"),
					cmpopts.SortSlices(less)); diff != "" || report.Mended != 0 || report.Bare != 1 || report.Unknown != 1 {
					t.Errorf("%+v (-want +got):\n%s", report, diff)
				}
				c.Repair = true
				c.Discard = func(item storage.Item) error {
					gone = append(gone, item.Key)
					return nil
				}
				run(t, &c)
				c.Repair, c.Discard = false, nil
				if report := run(t, &c); report.Found != tt.left || report.OK() != (tt.left == 0) {
					t.Errorf("after mending: %+v, removed %q", report, gone)
				}
			})
		}
	}
}

func less(a, b check.Finding) bool {
	return a.What+a.Table+a.Index+a.ID < b.What+b.Table+b.Index+b.ID
}

func update(t *testing.T, db storage.DB, fn func(storage.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, c *check.Checker) check.Report {
	t.Helper()
	report, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestCheckManyPages: a store of many pages with nothing wrong is found so, and counted.
func TestCheckManyPages(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db := engines.All[0].Plain(t, clock.Now)
	table := people(nil)
	for i := range 1000 {
		update(t, db, func(tx storage.Tx) error {
			return table.Insert(tx, person{ID: fmt.Sprintf("p/%d#x", i), Login: fmt.Sprintf("l/%d", i), Team: "a/b:c"})
		})
	}
	report := run(t, &check.Checker{DB: db, Tables: []storage.Kind{table}})
	if report.Items != 3000 || report.Records != 1000 || report.Entries != 2000 || !report.OK() || report.Found != 0 {
		t.Errorf("%+v", report)
	}
	err := db.View(t.Context(), func(tx storage.Tx) error {
		stats, err := check.Count(tx.Scan("", "", 0), clock.Now(), nil)
		if err != nil || stats.Items != 3000 || len(stats.Tables) != 1 || stats.Tables[0].Entries != 2000 || stats.Tables[0].Expiring != 0 {
			t.Errorf("%+v, %v", stats, err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCheckPassesErrorsOn(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db := engines.All[0].Plain(t, clock.Now)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	c := check.Checker{DB: db}
	if _, err := c.Run(t.Context()); !errors.Is(err, storage.ErrClosed) {
		t.Error(err)
	}
	broken := errors.New("broken")
	var items iter.Seq2[storage.Item, error] = func(yield func(storage.Item, error) bool) { yield(storage.Item{}, broken) }
	if _, err := check.Count(items, clock.Now(), nil); !errors.Is(err, broken) {
		t.Error(err)
	}
}
