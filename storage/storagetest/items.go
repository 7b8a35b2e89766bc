// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/storage"
)

// fill writes keys in an order that is not theirs, among neighbours that no scan for "p/" may yield.
func (f *fixture) fill() {
	f.put("p/b", "1", "p/a", "1", "p/d", "1", "p/c", "1", "p", "1", "p.", "1", "p0", "1", "q/a", "1", "o/z", "1")
}

var scans = []test{
	{"prefix, order, after and limit", func(f *fixture) {
		f.fill()
		cases := []struct {
			prefix, after string
			limit         int
			want          []string
		}{
			{"p/", "", 0, []string{"p/a", "p/b", "p/c", "p/d"}},
			{"p/", "", 2, []string{"p/a", "p/b"}},
			{"p/", "p/b", 0, []string{"p/c", "p/d"}},
			{"p/", "p/b", 1, []string{"p/c"}},
			{"p/", "p/bb", 0, []string{"p/c", "p/d"}},
			{"p/", "o", 0, []string{"p/a", "p/b", "p/c", "p/d"}},
			{"p/", "p/d", 0, []string{}},
			{"p/", "q", 0, []string{}},
			{"p/a", "", 0, []string{"p/a"}},
			{"p/a", "p/a", 0, []string{}},
			{"none", "", 0, []string{}},
			{"p", "", 3, []string{"p", "p.", "p/a"}},
			{"", "", 0, []string{"o/z", "p", "p.", "p/a", "p/b", "p/c", "p/d", "p0", "q/a"}},
			{"", "p/c", 2, []string{"p/d", "p0"}},
		}
		f.view(func(tx storage.Tx) error {
			for _, c := range cases {
				if diff := cmp.Diff(c.want, keys(f, tx, c.prefix, c.after, c.limit)); diff != "" {
					f.Errorf("scan %q after %q limit %d (-want +got):\n%s", c.prefix, c.after, c.limit, diff)
				}
			}
			return nil
		})
	}},
	{"keys are ordered by their bytes", func(f *fixture) {
		want := []string{"k\x01", "k A", "k!", "kA", "ka", "k~", "k\x7f", "ké", "k\U0001f511", "k\xff", "k\xff\xff"}
		for i := range want {
			f.put(want[len(want)-1-i], "1")
		}
		f.view(func(tx storage.Tx) error {
			if diff := cmp.Diff(want, keys(f, tx, "k", "", 0)); diff != "" {
				f.Errorf("order (-want +got):\n%s", diff)
			}
			return nil
		})
	}},
	{"a scan sees the writes of its transaction", func(f *fixture) {
		f.fill()
		f.update(func(tx storage.Tx) error {
			err := errors.Join(put(tx, "p/aa", "new", "p/c", "newer", "p/zz", "new"), tx.Delete("p/b"))
			got := []string{}
			for item, scanErr := range tx.Scan("p/", "", 0) {
				err = errors.Join(err, scanErr)
				got = append(got, item.Key+"="+string(item.Value))
			}
			want := []string{"p/a=1", "p/aa=new", "p/c=newer", "p/d=1", "p/zz=new"}
			if diff := cmp.Diff(want, got); diff != "" {
				f.Errorf("own writes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"p/aa", "p/c"}, keys(f, tx, "p/", "p/a", 2)); diff != "" {
				f.Errorf("own writes with a limit (-want +got):\n%s", diff)
			}
			return err
		})
	}},
	{"what is ranged over may be changed, read and left", func(f *fixture) {
		f.fill()
		f.update(func(tx storage.Tx) error {
			for item, err := range tx.Scan("p/", "", 0) {
				if err = errors.Join(err, tx.Delete(item.Key), put(tx, "r"+item.Key[1:], "1")); err != nil {
					return err
				}
				if len(keys(f, tx, "q", "", 0)) != 1 || value(f, tx, "p0") != "1" {
					f.Error("reading inside a scan went wrong")
				}
				if item.Key == "p/c" {
					break
				}
			}
			return nil
		})
		f.view(func(tx storage.Tx) error {
			want := []string{"p/d", "p0", "q/a", "r/a", "r/b", "r/c"}
			if diff := cmp.Diff(want, keys(f, tx, "", "p.", 0)); diff != "" {
				f.Errorf("after changing while ranging (-want +got):\n%s", diff)
			}
			return nil
		})
	}},
	{"uniqueness is a reserved key, not a scan", func(f *fixture) {
		// Two updates scan, find nobody and write different keys: an engine may let both commit. The rule that makes
		// them collide, an inserted key, must hold.
		first := true
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			taken := len(keys(f, tx, "login/", "", 0)) > 0
			if first {
				first = false
				f.put("login#alice", "2", "login/2", "alice")
			}
			if taken {
				return storage.ErrExists
			}
			return errors.Join(tx.Insert(storage.Item{Key: "login#alice"}), put(tx, "login/1", "alice"))
		})
		f.wantError("reserving a taken key", err, storage.ErrExists)
		f.wantValue("login/1", "")
	}},
}

var inserts = []test{
	{"a live key is refused", func(f *fixture) {
		f.put("a", "1")
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			return tx.Insert(storage.Item{Key: "a", Value: []byte("2")})
		})
		f.wantError("inserting over a live key", err, storage.ErrExists)
		f.wantValue("a", "1")
	}},
	{"a refused insert writes nothing even if the closure goes on", func(f *fixture) {
		f.put("a", "1")
		var refused error // in the run that counts
		f.update(func(tx storage.Tx) error {
			refused = tx.Insert(storage.Item{Key: "a", Value: []byte("2")})
			return put(tx, "b", "1")
		})
		f.wantError("inserting", refused, storage.ErrExists)
		f.wantValue("a", "1")
		f.wantValue("b", "1")
	}},
	{"an absent, a deleted and an expired key are free", func(f *fixture) {
		f.put("deleted", "1")
		f.update(func(tx storage.Tx) error { return tx.Delete("deleted") })
		f.update(func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: "expired", ExpiresAt: f.clock.Now().Add(time.Second)})
		})
		f.clock.Advance(time.Second)
		f.update(func(tx storage.Tx) error {
			var err error
			for _, key := range []string{"absent", "deleted", "expired"} {
				err = errors.Join(err, tx.Insert(storage.Item{Key: key, Value: []byte("2")}))
			}
			return err
		})
		for _, key := range []string{"absent", "deleted", "expired"} {
			f.wantValue(key, "2")
		}
	}},
	{"own writes count", func(f *fixture) {
		f.put("a", "1")
		f.update(func(tx storage.Tx) error {
			err := errors.Join(tx.Delete("a"), tx.Insert(storage.Item{Key: "a", Value: []byte("2")}))
			f.wantError("inserting twice", tx.Insert(storage.Item{Key: "a"}), storage.ErrExists)
			return err
		})
		f.wantValue("a", "2")
	}},
}

var expiries = []test{
	{"an item is visible until its moment and not at it", func(f *fixture) {
		moment := f.clock.Now().Add(time.Minute)
		f.update(func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: "e/1", Value: []byte("1"), ExpiresAt: moment})
		})
		f.clock.Set(moment.Add(-time.Millisecond))
		f.wantValue("e/1", "1")
		f.wantKeys("e/", "e/1")
		f.clock.Set(moment)
		f.wantValue("e/1", "")
		f.wantKeys("e/")
		f.clock.Advance(1000 * time.Hour)
		f.wantValue("e/1", "")
	}},
	{"the injected clock alone decides", func(f *fixture) {
		f.update(func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: "a", Value: []byte("1"), ExpiresAt: f.clock.Now().Add(time.Second)})
		})
		f.clock.Advance(time.Minute)
		f.wantValue("a", "")
		f.clock.Advance(-time.Minute)
		f.wantValue("a", "1")
	}},
	{"an item written as expired is not there", func(f *fixture) {
		f.update(func(tx storage.Tx) error {
			err := tx.Put(storage.Item{Key: "a", Value: []byte("1"), ExpiresAt: f.clock.Now().Add(-time.Hour)})
			if value(f, tx, "a") != "" || len(keys(f, tx, "a", "", 0)) != 0 {
				f.Error("an expired item is visible in its transaction")
			}
			return err
		})
		f.wantValue("a", "")
	}},
	{"the moment is kept to the millisecond", func(f *fixture) {
		moment := f.clock.Now().Add(time.Minute + 123456789*time.Nanosecond).In(time.FixedZone("east", 3600))
		check := func(tx storage.Tx) error {
			item, err := tx.Get("a")
			if want := moment.Truncate(time.Millisecond); !item.ExpiresAt.Equal(want) {
				f.Errorf("moment is %v, want %v", item.ExpiresAt, want)
			}
			forever, noErr := tx.Get("b")
			if !forever.ExpiresAt.IsZero() {
				f.Errorf("an item without expiry has %v", forever.ExpiresAt)
			}
			return errors.Join(err, noErr)
		}
		f.update(func(tx storage.Tx) error {
			err := errors.Join(put(tx, "b", "1"), tx.Put(storage.Item{Key: "a", ExpiresAt: moment}))
			return errors.Join(err, check(tx))
		})
		f.view(check)
	}},
	{"a write replaces the moment", func(f *fixture) {
		now := f.clock.Now()
		f.update(func(tx storage.Tx) error {
			return errors.Join(
				tx.Put(storage.Item{Key: "longer", Value: []byte("1"), ExpiresAt: now.Add(time.Second)}),
				tx.Put(storage.Item{Key: "forever", Value: []byte("1"), ExpiresAt: now.Add(time.Second)}),
				put(tx, "shorter", "1"))
		})
		f.update(func(tx storage.Tx) error {
			return errors.Join(
				tx.Put(storage.Item{Key: "longer", Value: []byte("2"), ExpiresAt: now.Add(time.Hour)}),
				tx.Put(storage.Item{Key: "shorter", Value: []byte("2"), ExpiresAt: now.Add(time.Second)}),
				put(tx, "forever", "2"))
		})
		f.clock.Advance(time.Minute)
		f.wantValue("longer", "2")
		f.wantValue("forever", "2")
		f.wantValue("shorter", "")
	}},
	{"a transaction sees one instant", func(f *fixture) {
		f.update(func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: "a", Value: []byte("1"), ExpiresAt: f.clock.Now().Add(time.Second)})
		})
		f.view(func(tx storage.Tx) error {
			f.clock.Advance(time.Minute)
			if value(f, tx, "a") != "1" || len(keys(f, tx, "a", "", 0)) != 1 {
				f.Error("the item vanished inside a transaction")
			}
			return nil
		})
		f.wantValue("a", "")
	}},
	{"a limit counts live items only", func(f *fixture) {
		f.update(func(tx storage.Tx) error {
			soon := f.clock.Now().Add(time.Second)
			return errors.Join(
				tx.Put(storage.Item{Key: "l/1", ExpiresAt: soon}), put(tx, "l/2", "1"),
				tx.Put(storage.Item{Key: "l/3", ExpiresAt: soon}), put(tx, "l/4", "1", "l/5", "1"))
		})
		f.clock.Advance(time.Minute)
		f.view(func(tx storage.Tx) error {
			if diff := cmp.Diff([]string{"l/2", "l/4"}, keys(f, tx, "l/", "", 2)); diff != "" {
				f.Errorf("limited scan (-want +got):\n%s", diff)
			}
			return nil
		})
	}},
}

func (f *fixture) wantKeys(prefix string, want ...string) {
	f.Helper()
	f.view(func(tx storage.Tx) error {
		f.Helper()
		if diff := cmp.Diff(append([]string{}, want...), keys(f, tx, prefix, "", 0)); diff != "" {
			f.Errorf("keys under %q (-want +got):\n%s", prefix, diff)
		}
		return nil
	})
}

var limits = []test{
	{"values belong to the caller", func(f *fixture) {
		given := []byte("value")
		f.update(func(tx storage.Tx) error {
			err := tx.Put(storage.Item{Key: "a", Value: given})
			given[0] = 'X'
			return errors.Join(err, spoil(f, tx))
		})
		f.wantValue("a", "value")
		f.view(func(tx storage.Tx) error { return spoil(f, tx) })
		f.wantValue("a", "value")
	}},
	{"the largest key and value fit, larger ones do not", func(f *fixture) {
		longest := strings.Repeat("k", storage.MaxKey)
		largest := bytes.Repeat([]byte{0xa5}, storage.MaxValue)
		f.update(func(tx storage.Tx) error {
			f.wantError("an empty key", tx.Put(storage.Item{}), storage.ErrTooLarge)
			f.wantError("a long key", tx.Put(storage.Item{Key: longest + "k"}), storage.ErrTooLarge)
			f.wantError("a long key inserted", tx.Insert(storage.Item{Key: longest + "k"}), storage.ErrTooLarge)
			f.wantError("a long key deleted", tx.Delete(longest+"k"), storage.ErrTooLarge)
			f.wantError("a large value", tx.Put(storage.Item{Key: "a", Value: append(largest, 0)}), storage.ErrTooLarge)
			_, err := tx.Get(longest + "k")
			f.wantError("getting a long key", err, storage.ErrNotFound)
			return tx.Put(storage.Item{Key: longest, Value: largest})
		})
		f.wantValue("a", "")
		f.wantValue(longest, string(largest))
	}},
	{"an empty value is a value", func(f *fixture) {
		f.update(func(tx storage.Tx) error {
			return errors.Join(tx.Put(storage.Item{Key: "e/1"}), tx.Put(storage.Item{Key: "e/2", Value: []byte{}}))
		})
		f.wantKeys("e/", "e/1", "e/2")
	}},
	{"as many writes as allowed fit at their largest", func(f *fixture) {
		largest := bytes.Repeat([]byte{0x5a}, storage.MaxValue)
		f.update(func(tx storage.Tx) error {
			var err error
			for i := range storage.MaxWrites {
				key := fmt.Sprintf("%0*d", storage.MaxKey, i)
				err = errors.Join(err, tx.Put(storage.Item{Key: key, Value: largest}))
			}
			return err
		})
		f.view(func(tx storage.Tx) error {
			if n := len(keys(f, tx, "", "", 0)); n != storage.MaxWrites {
				f.Errorf("%d items were written, want %d", n, storage.MaxWrites)
			}
			return nil
		})
	}},
	{"one more write is refused", func(f *fixture) {
		err := f.db.Update(f.Context(), func(tx storage.Tx) error {
			for i := range storage.MaxWrites {
				if err := put(tx, fmt.Sprintf("w/%d", i), "1"); err != nil {
					return err
				}
			}
			if err := errors.Join(put(tx, "w/0", "2"), tx.Delete("w/1")); err != nil {
				f.Errorf("writing an item again: %v", err)
			}
			f.wantError("one deletion more", tx.Delete("w/more"), storage.ErrTooLarge)
			return put(tx, "w/more", "1")
		})
		f.wantError("one write more", err, storage.ErrTooLarge)
		f.wantKeys("w/")
	}},
}

// spoil overwrites the bytes that Get and Scan hand out for the key "a".
func spoil(f *fixture, tx storage.Tx) error {
	item, err := tx.Get("a")
	clear(item.Value)
	for item, scanErr := range tx.Scan("a", "", 0) {
		err = errors.Join(err, scanErr)
		clear(item.Value)
	}
	if got := value(f, tx, "a"); got != "value" {
		f.Errorf("value is %q after its copy was changed", got)
	}
	return err
}
