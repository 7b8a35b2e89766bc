// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Whoever presumes keys to be absent decides, in the run that counts, as if each had been read. An engine that has not the ability passes
// by doing nothing.
var presuming = []test{
	{"what is absent, deleted or expired", func(f *fixture) {
		f.put("deleted", "1", "other", "1")
		f.update(func(tx storage.Tx) error {
			return errors.Join(tx.Delete("deleted"), tx.Put(storage.Item{Key: "expired", ExpiresAt: f.clock.Now().Add(time.Second)}),
				tx.Put(storage.Item{Key: "dead", ExpiresAt: f.clock.Now().Add(time.Second)}))
		})
		f.clock.Advance(time.Second)
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "absent", "deleted", "expired", "dead", "never asked for")
			if diff := cmp.Diff([]string{"", "", "", "", "1"}, values(f, tx, "absent", "deleted", "expired", "dead", "other")); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return errors.Join(put(tx, "absent", "2", "expired", "2"), tx.Insert(storage.Item{Key: "dead", Value: []byte("2")}), tx.Delete("deleted"))
		})
		f.wantKeys("", "absent", "dead", "expired", "other")
		f.wantValue("dead", "2")
	}},
	{"what is there is neither missed nor overwritten", func(f *fixture) {
		f.put("n", "theirs", "m", "1")
		var seen []string
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "a", "m", "n", "z")
			seen = values(f, tx, "a", "n", "z")
			if seen[1] == "" {
				return put(tx, "n", "mine", "a", "1")
			}
			return put(tx, "a", "seen")
		})
		if diff := cmp.Diff([]string{"", "theirs", ""}, seen); diff != "" {
			f.Errorf("in the run that counts (-want +got):\n%s", diff)
		}
		f.wantValue("n", "theirs")
		f.wantValue("a", "seen")
	}},
	{"an insert of what is there", func(f *fixture) {
		f.put("n", "theirs")
		var refused, again error
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "n", "m")
			refused = tx.Insert(storage.Item{Key: "n", Value: []byte("mine")})
			again = errors.Join(tx.Insert(storage.Item{Key: "m"}), tx.Insert(storage.Item{Key: "m"}))
			return put(tx, "other", "1")
		})
		f.wantError("inserting", refused, storage.ErrExists)
		f.wantError("inserting twice", again, storage.ErrExists)
		f.wantValue("n", "theirs")
		f.wantKeys("", "m", "n", "other")
	}},
	{"an insert of what is there, by a closure that refuses", func(f *fixture) {
		f.put("n", "theirs")
		refusal := errors.New("a refusal")
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			if err := tx.Insert(storage.Item{Key: "n", Value: []byte("mine")}); err != nil {
				return err
			}
			return refusal
		})
		f.wantError("inserting", err, storage.ErrExists)
		err = f.db.Update(f.Context(), func(tx storage.Tx) error {
			return errors.Join(tx.Insert(storage.Item{Key: "m"}), refusal)
		})
		f.wantError("refusing", err, refusal)
		f.wantKeys("", "n")
	}},
	{"a closure that refuses does not go by what is wrong", func(f *fixture) {
		f.put("n", "theirs")
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "n")
			if _, err := tx.Get("n"); err != nil {
				return err
			}
			return put(tx, "seen", "1")
		})
		f.wantValue("seen", "1")
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			storage.Presume(tx, "m")
			_, err := tx.Get("m")
			return errors.Join(err, put(tx, "m", "mine"))
		})
		f.wantError("refusing by what is right", err, storage.ErrNotFound)
		f.wantValue("m", "")
	}},
	{"nor does one that writes nothing", func(f *fixture) {
		f.put("n", "theirs")
		seen, runs := "", 0
		f.update(func(tx storage.Tx) error {
			runs++
			storage.Presume(tx, "n", "m")
			seen = value(f, tx, "n") + value(f, tx, "m")
			return nil
		})
		if seen != "theirs" || runs > 2 {
			f.Errorf("after %d runs it saw %q", runs, seen)
		}
	}},
	{"what is known is no guess", func(f *fixture) {
		f.put("read", "1", "fetched", "1", "end", "1", "entry", "nd")
		f.update(func(tx storage.Tx) error {
			err := errors.Join(put(tx, "own", "1"), storage.Follow(tx, []storage.Way{way("entry", "e")}, "fetched"))
			before := value(f, tx, "read")
			storage.Presume(tx, "read", "fetched", "entry", "end", "own")
			want := []string{before, "1", "nd", "1", "1"}
			if diff := cmp.Diff(want, values(f, tx, "read", "fetched", "entry", "end", "own")); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return err
		})
	}},
	{"what is read all the same counts", func(f *fixture) {
		f.put("n", "theirs", "entry", "n", "m", "1")
		for _, asked := range []bool{false, true} {
			var got []string
			f.update(func(tx storage.Tx) error {
				storage.Presume(tx, "n", "entry", "m", "absent")
				if asked {
					_ = values(f, tx, "n", "absent")
				}
				if err := storage.Prefetch(tx, "n", "absent"); err != nil {
					return err
				}
				got = append(values(f, tx, "n", "absent"), follow(f, tx, way("entry", ""))...)
				return put(tx, "other", "1")
			})
			if diff := cmp.Diff([]string{"theirs", "", "theirs"}, got); diff != "" {
				f.Errorf("asked before: %v (-want +got):\n%s", asked, diff)
			}
		}
	}},
	{"a scan is right, and what is got beside it", func(f *fixture) {
		f.put("p/a", "1", "p/b", "2", "p/d", "4")
		for _, first := range []bool{false, true} {
			var got []string
			f.update(func(tx storage.Tx) error {
				storage.Presume(tx, "p/a", "p/b", "p/c", "p/d", "p/e")
				if err := errors.Join(put(tx, "p/e", "5"), tx.Delete("p/a")); err != nil {
					return err
				}
				missed := first && value(f, tx, "p/b") == ""
				got = nil
				for item, err := range tx.Scan("p/", "", 0) {
					if err != nil {
						return err
					}
					got = append(got, item.Key)
					if missed && item.Key == "p/b" {
						f.Error("a scan yields what the same run was told to be absent")
					}
				}
				if value(f, tx, "p/b") != "2" || value(f, tx, "p/d") != "4" || value(f, tx, "p/c") != "" {
					f.Error("what a scan yielded is absent afterwards")
				}
				return put(tx, "p/a", "1")
			})
			if diff := cmp.Diff([]string{"p/b", "p/d", "p/e"}, got); diff != "" {
				f.Errorf("asked before: %v (-want +got):\n%s", first, diff)
			}
		}
	}},
	{"writing and deleting without asking", func(f *fixture) {
		f.put("put", "theirs", "deleted", "theirs", "both", "theirs")
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "put", "deleted", "both", "new")
			err := errors.Join(put(tx, "put", "mine", "new", "mine", "both", "mine"), tx.Delete("deleted"), tx.Delete("both"))
			if diff := cmp.Diff([]string{"mine", "", "", "mine"}, values(f, tx, "put", "deleted", "both", "new")); diff != "" {
				f.Errorf("own writes (-want +got):\n%s", diff)
			}
			return err
		})
		f.wantKeys("", "new", "put")
		f.wantValue("put", "mine")
	}},
	{"deleting what was found absent", func(f *fixture) {
		f.put("n", "theirs")
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "n", "m")
			if value(f, tx, "n") == "" {
				return errors.Join(put(tx, "n", "mine", "m", "1"), tx.Delete("n"), tx.Delete("m"))
			}
			return errors.Join(tx.Insert(storage.Item{Key: "m"}), tx.Delete("m"))
		})
		f.wantValue("n", "theirs")
		f.wantKeys("", "n")
	}},
	{"a view reads", func(f *fixture) {
		f.put("n", "theirs")
		f.view(func(tx storage.Tx) error {
			storage.Presume(tx, "n", "m")
			if value(f, tx, "n") != "theirs" || value(f, tx, "m") != "" {
				f.Error("a view went by what was presumed")
			}
			return nil
		})
	}},
	{"a table goes by it", func(f *fixture) {
		table := guests
		f.update(func(tx storage.Tx) error { return table.Insert(tx, guest{ID: "1", Login: "ann"}) })
		insert := func(g guest) error {
			return f.db.Update(f.Context(), func(tx storage.Tx) error {
				storage.Presume(tx, table.Key(g.ID), table.UniqueKey("login", g.Login))
				if _, err := table.Lookup(tx, "login", g.Login); !errors.Is(err, storage.ErrNotFound) {
					return errors.Join(err, storage.ErrExists)
				}
				return table.Insert(tx, g)
			})
		}
		f.wantError("a login that is taken", insert(guest{ID: "2", Login: "ann"}), storage.ErrExists)
		f.wantError("an id that is taken", insert(guest{ID: "1", Login: "bob"}), storage.ErrExists)
		f.wantError("what is free", insert(guest{ID: "2", Login: "bob"}), nil)
		f.wantKeys("", "guest#login/ann", "guest#login/bob", "guest/1", "guest/2")
	}},
	{"what is made meanwhile", func(f *fixture) {
		f.presumeWrongly(func() { f.put("n", "theirs") })
		f.wantValue("n", "theirs")
		f.wantValue("seen", "theirs")
	}},
	{"what is made meanwhile, after something was read", func(f *fixture) {
		f.put("other", "1")
		first := true
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "n")
			_ = value(f, tx, "other")
			if first {
				first = false
				f.put("n", "20")
			}
			return bump(tx, "n")
		})
		f.wantValue("n", "21")
	}},
	{"what is made and ends meanwhile", func(f *fixture) {
		first := true
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, "n")
			if first {
				first = false
				f.update(func(tx storage.Tx) error {
					return tx.Put(storage.Item{Key: "n", Value: []byte("5"), ExpiresAt: f.clock.Now().Add(time.Second)})
				})
				f.clock.Advance(time.Minute) // which the transaction does not see
			}
			return bump(tx, "n")
		})
		item := func() (item storage.Item) {
			f.view(func(tx storage.Tx) (err error) {
				item, err = tx.Get("n")
				return err
			})
			return item
		}()
		// By the clock of the first run it is there: that run does not count. By the clock of the second it is not.
		if got := string(item.Value); got != "1" && got != "6" || !item.ExpiresAt.IsZero() {
			f.Errorf("the number is %q until %v", got, item.ExpiresAt)
		}
	}},
	{"many at once, one of them wrongly", func(f *fixture) {
		var all []string
		for i := range 300 {
			all = append(all, fmt.Sprintf("k/%d", i))
		}
		f.put("k/299", "theirs")
		f.update(func(tx storage.Tx) error {
			storage.Presume(tx, all...)
			for i, key := range all {
				if value(f, tx, key) != "" {
					return put(tx, "found", fmt.Sprint(i))
				}
			}
			return put(tx, "found", "none")
		})
		f.wantValue("found", "299")
	}},
	{"cancelled before it is known whether it was right", func(f *fixture) {
		f.put("n", "theirs")
		err := f.cancelled(func(tx storage.Tx) error {
			storage.Presume(tx, "n")
			return put(tx, "seen", value(f, tx, "n")+"!")
		})
		if err == nil {
			f.Error("a cancelled update has committed")
		}
		f.wantValue("seen", "")
	}},
}

type guest struct{ ID, Login string }

var guests = storage.Table[guest]{
	Name: "guest", Version: 1, ID: func(g *guest) string { return g.ID },
	Indexes: []storage.Index[guest]{{Name: "login", Unique: true, Values: func(g *guest) []string { return []string{g.Login} }}},
}

// presumeWrongly presumes that nothing is at "n", which is made in the first run, and writes there only where nothing is. What it has seen
// stands at "seen".
func (f *fixture) presumeWrongly(meanwhile func()) {
	f.Helper()
	first := true
	f.update(func(tx storage.Tx) error {
		storage.Presume(tx, "n")
		seen := value(f, tx, "n")
		if first {
			first = false
			meanwhile()
		}
		if seen == "" {
			return put(tx, "n", "mine", "seen", "nothing")
		}
		return put(tx, "seen", seen)
	})
}

// cancelled runs an update of which the context ends before fn returns.
func (f *fixture) cancelled(fn func(storage.Tx) error) error {
	ctx, cancel := context.WithCancel(f.Context())
	return f.db.Update(ctx, func(tx storage.Tx) error {
		defer cancel()
		return fn(tx)
	})
}
