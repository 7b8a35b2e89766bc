// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/storage"
)

var errAbort = errors.New("aborting on purpose")

var atomicity = []test{
	{"a view sees one snapshot", func(f *fixture) {
		f.put("a", "1", "b", "1")
		f.view(func(tx storage.Tx) error {
			before := value(f, tx, "a")
			f.put("a", "2", "b", "2", "c", "2")
			if before != "1" || value(f, tx, "a") != "1" || value(f, tx, "b") != "1" || value(f, tx, "c") != "" {
				f.Error("the view saw a write made after it began")
			}
			if diff := cmp.Diff([]string{"a", "b"}, keys(f, tx, "", "", 0)); diff != "" {
				f.Errorf("the scan saw another snapshot (-want +got):\n%s", diff)
			}
			return nil
		})
		f.wantValue("c", "2")
	}},
	{"an update commits everything", func(f *fixture) {
		f.put("old", "1")
		f.update(func(tx storage.Tx) error {
			return errors.Join(put(tx, "a", "1", "b", "2"), tx.Delete("old"), tx.Insert(storage.Item{Key: "c"}))
		})
		f.wantValue("a", "1")
		f.wantValue("b", "2")
		f.wantValue("old", "")
		f.view(func(tx storage.Tx) error { _, err := tx.Get("c"); return err })
	}},
	{"an error rolls everything back and returns as it is", func(f *fixture) {
		f.put("a", "1")
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			return errors.Join(put(tx, "a", "2", "b", "2"), tx.Delete("a"), errAbort)
		})
		f.wantError("an aborted update", err, errAbort)
		f.wantValue("a", "1")
		f.wantValue("b", "")
		err = f.db.View(f.Context(), func(storage.Tx) error { return errAbort })
		f.wantError("an aborted view", err, errAbort)
	}},
	{"a panic rolls back and leaves the store usable", func(f *fixture) {
		func() {
			defer func() {
				if recover() == nil {
					f.Error("the panic was swallowed")
				}
			}()
			_ = f.db.Update(f.Context(), func(tx storage.Tx) error {
				_ = put(tx, "a", "1")
				panic("in a closure")
			})
		}()
		f.wantValue("a", "")
		f.put("a", "2")
		f.wantValue("a", "2")
	}},
	{"a transaction sees its own writes", func(f *fixture) {
		f.put("a", "1")
		f.update(func(tx storage.Tx) error {
			err := errors.Join(put(tx, "a", "2", "b", "1"), put(tx, "b", "2"))
			if value(f, tx, "a") != "2" || value(f, tx, "b") != "2" {
				f.Error("the transaction does not see its writes")
			}
			err = errors.Join(err, tx.Delete("a"))
			if value(f, tx, "a") != "" {
				f.Error("the transaction does not see its deletion")
			}
			return err
		})
	}},
	{"deleting what is absent is no error", func(f *fixture) {
		f.update(func(tx storage.Tx) error { return tx.Delete("nothing") })
	}},
	{"a view refuses to write", func(f *fixture) {
		f.view(func(tx storage.Tx) error {
			f.wantError("put in a view", tx.Put(storage.Item{Key: "a"}), storage.ErrReadOnly)
			f.wantError("insert in a view", tx.Insert(storage.Item{Key: "a"}), storage.ErrReadOnly)
			f.wantError("delete in a view", tx.Delete("a"), storage.ErrReadOnly)
			return nil
		})
		f.wantValue("a", "")
	}},
	{"what was committed is there when the store is opened again", func(f *fixture) {
		f.put("a", "1")
		if err := f.db.Close(); err != nil {
			f.Fatalf("closing: %v", err)
		}
		db, err := f.open(f, f.place, f.clock.Now)
		if errors.Is(err, ErrVolatile) {
			f.Skip("this engine keeps nothing")
		}
		if err != nil {
			f.Fatalf("opening again: %v", err)
		}
		f.db = db
		defer db.Close()
		f.wantValue("a", "1")
	}},
}

// ErrVolatile is what an [Open] returns for a place that was closed, when the engine keeps nothing beyond Close.
var ErrVolatile = errors.New("the engine keeps nothing when it is closed")

// The tests of clause 2 make the collision certain: the second update runs to its end inside the closure of the first.
var isolation = []test{
	{"a present key", func(f *fixture) {
		f.put("n", "10")
		f.collide("n", "20")
		f.wantValue("n", "21")
	}},
	{"an absent key", func(f *fixture) {
		f.collide("n", "20")
		f.wantValue("n", "21")
	}},
	{"a key that was deleted meanwhile", func(f *fixture) {
		f.put("n", "10")
		first := true
		f.update(func(tx storage.Tx) error {
			seen := value(f, tx, "n")
			if first {
				first = false
				f.update(func(tx storage.Tx) error { return tx.Delete("n") })
			}
			return put(tx, "n", seen+"!")
		})
		f.wantValue("n", "!")
	}},
	{"an expired key", func(f *fixture) {
		f.update(func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: "n", Value: []byte("5"), ExpiresAt: f.clock.Now().Add(time.Second)})
		})
		f.clock.Advance(time.Minute)
		f.collide("n", "20")
		f.wantValue("n", "21")
	}},
	{"insert against insert", func(f *fixture) {
		first := true
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			_ = value(f, tx, "code")
			if first {
				first = false
				f.put("code", "theirs")
			}
			return tx.Insert(storage.Item{Key: "code", Value: []byte("mine")})
		})
		f.wantError("the second insert", err, storage.ErrExists)
		f.wantValue("code", "theirs")
	}},
	{"different keys do not disturb one another", func(f *fixture) {
		runs := 0
		f.update(func(tx storage.Tx) error {
			runs++
			_ = value(f, tx, "a")
			f.put("b", "1")
			return put(tx, "a", "1")
		})
		f.wantValue("a", "1")
		f.wantValue("b", "1")
		if runs > maxRuns {
			f.Errorf("the closure ran %d times", runs)
		}
	}},
}

// collide bumps the number at key while another update, which the first has not seen, sets it to other.
func (f *fixture) collide(key, other string) {
	f.Helper()
	first := true
	f.update(func(tx storage.Tx) error {
		_ = value(f, tx, key)
		if first {
			first = false
			f.put(key, other)
		}
		return bump(tx, key)
	})
}

// maxRuns is more often than any engine should run one closure.
const maxRuns = 1000

var retries = []test{
	{"an update that always loses ends in ErrConflict", func(f *fixture) {
		runs := 0
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			if runs++; runs > maxRuns {
				return errAbort
			}
			_ = value(f, tx, "n")
			if err := beside(f.Context(), f.db, "n", "theirs"); err != nil {
				return err
			}
			return put(tx, "n", "mine")
		})
		f.wantError("a hopeless update", err, storage.ErrConflict)
		f.wantValue("n", "theirs")
		if runs < 2 {
			f.Error("the closure was not run again")
		}
	}},
	{"a refusal of the closure is not retried", func(f *fixture) {
		runs := 0
		err := f.db.Update(f.Context(), func(storage.Tx) error {
			runs++
			return errAbort
		})
		f.wantError("a refusal", err, errAbort)
		if runs != 1 {
			f.Errorf("the closure ran %d times", runs)
		}
	}},
	{"a run that is repeated sees the newer state", func(f *fixture) {
		var seen []string
		f.update(func(tx storage.Tx) error {
			seen = append(seen, value(f, tx, "n"))
			if len(seen) == 1 {
				f.put("n", "theirs")
			}
			return put(tx, "n", "mine")
		})
		if last := seen[len(seen)-1]; len(seen) < 2 || last != "theirs" {
			f.Errorf("the runs saw %q", seen)
		}
		f.wantValue("n", "mine")
	}},
	{"cancellation ends the retries", func(f *fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		defer cancel()
		err := f.db.Update(ctx, func(tx storage.Tx) error {
			_ = value(f, tx, "n")
			if err := beside(f.Context(), f.db, "n", "theirs"); err != nil {
				return err
			}
			cancel()
			return put(tx, "n", "mine")
		})
		f.wantError("a cancelled loser", err, context.Canceled)
		f.wantValue("n", "theirs")
	}},
}
