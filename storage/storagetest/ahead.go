// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Whoever tells a transaction what it will be asked for learns what they would have learned without. An engine that has not the ability
// passes by doing nothing.
var readingAhead = []test{
	{"a way leads to an item", func(f *fixture) {
		f.put("i/ann", "1", "r/1", "Ann", "s/1", "Ann's", "i/bob", "2", "r/2", "Bob", "c", "alone")
		f.both(func(tx storage.Tx) error {
			if err := storage.Follow(tx, []storage.Way{way("i/ann", "r/"), way("i/ann", "s/"), way("i/bob", "r/")}, "c", "none"); err != nil {
				return err
			}
			got := values(f, tx, "i/ann", "r/1", "s/1", "i/bob", "r/2", "c", "none", "s/2")
			if diff := cmp.Diff([]string{"1", "Ann", "Ann's", "2", "Bob", "alone", "", ""}, got); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return nil
		})
	}},
	{"a view sees its snapshot at both ends", func(f *fixture) {
		f.put("i/ann", "1", "r/1", "Ann", "i/bob", "2", "r/2", "Bob")
		f.view(func(tx storage.Tx) error {
			first := follow(f, tx, way("i/ann", "r/"))
			f.put("i/ann", "2", "r/1", "another", "i/bob", "3", "r/3", "new")
			got := append(first, follow(f, tx, way("i/ann", "r/"), way("i/bob", "r/"), way("i/new", "r/"))...)
			if diff := cmp.Diff([]string{"Ann", "Ann", "Bob", ""}, got); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return nil
		})
	}},
	{"a way that leads nowhere says nothing of what would be there", func(f *fixture) {
		now := f.clock.Now()
		f.put("r/1", "Ann", "r/", "nobody", "i/gone", "none")
		f.update(func(tx storage.Tx) error {
			return errors.Join(
				tx.Put(storage.Item{Key: "i/old", Value: []byte("1"), ExpiresAt: now.Add(time.Second)}),
				tx.Put(storage.Item{Key: "r/old", Value: []byte("old"), ExpiresAt: now.Add(time.Second)}), put(tx, "i/to-old", "old"))
		})
		f.clock.Advance(time.Second)
		f.both(func(tx storage.Tx) error {
			want := []string{"", "", "", "", "nobody"}
			got := follow(f, tx, way("i/none", "r/"), way("i/old", "r/"), way("i/gone", "r/"), way("i/to-old", "r/"))
			if diff := cmp.Diff(want, append(got, value(f, tx, "r/"))); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			if value(f, tx, "r/1") != "Ann" || value(f, tx, "r/none") != "" || value(f, tx, "r/old") != "" {
				f.Error("what ways do not lead to is taken for something else")
			}
			return nil
		})
	}},
	{"a way begins at what its transaction has written", func(f *fixture) {
		f.put("i/ann", "1", "i/bob", "2", "r/1", "Ann", "r/2", "Bob")
		f.update(func(tx storage.Tx) error {
			err := errors.Join(put(tx, "i/ann", "2", "r/2", "Bobby", "i/new", "1", "i/newer", "3", "r/3", "Cy"), tx.Delete("i/bob"))
			want := []string{"Bobby", "", "Ann", "Cy"}
			got := follow(f, tx, way("i/ann", "r/"), way("i/bob", "r/"), way("i/new", "r/"), way("i/newer", "r/"))
			if diff := cmp.Diff(want, got); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return err
		})
		f.wantValue("r/2", "Bobby")
	}},
	{"what is written after it was read ahead counts", func(f *fixture) {
		f.put("i/ann", "1", "i/bob", "2", "r/1", "Ann")
		f.update(func(tx storage.Tx) error {
			err := storage.Follow(tx, []storage.Way{way("i/ann", "r/"), way("i/bob", "r/"), way("i/cy", "r/")}, "c")
			f.wantError("inserting over what a way leads to", tx.Insert(storage.Item{Key: "r/1"}), storage.ErrExists)
			err = errors.Join(err, tx.Insert(storage.Item{Key: "r/2", Value: []byte("Bob")}), put(tx, "c", "1", "i/cy", "1"), tx.Delete("r/1"))
			if diff := cmp.Diff([]string{"", "Bob", "", "1"}, append(values(f, tx, "r/1", "r/2", "r/3"), value(f, tx, "c"))); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return err
		})
		f.wantKeys("r/", "r/2")
	}},
	{"any bytes lead somewhere, and too many nowhere", func(f *fixture) {
		wild := "\xff\x00\xc3\x28'\\"
		f.put("i/\xfe", wild, "r/\xc3"+wild, "found", "i/long", strings.Repeat("k", storage.MaxKey-1), "i/vast", strings.Repeat("v", storage.MaxValue),
			"i/fits", strings.Repeat("k", storage.MaxKey-2), "r/"+strings.Repeat("k", storage.MaxKey-2), "fits", "i/empty", "", "r/", "nobody")
		f.both(func(tx storage.Tx) error {
			got := follow(f, tx, way("i/\xfe", "r/\xc3"), way("i/long", "r/"), way("i/vast", "r/"), way("i/fits", "r/"), way("i/empty", "r/"))
			if diff := cmp.Diff([]string{"found", "", "", "fits", "nobody"}, got); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return nil
		})
	}},
	{"ways may begin, meet and go on at one key", func(f *fixture) {
		f.put("i/ann", "1", "i/annie", "1", "r/1", "2", "r/2", "3", "s/1", "Ann's")
		f.both(func(tx storage.Tx) error {
			got := follow(f, tx, way("i/ann", "r/"), way("i/ann", "r/"), way("i/ann", "s/"), way("i/annie", "r/"), way("r/1", "r/"), way("i/ann", "t/"))
			if diff := cmp.Diff([]string{"2", "2", "Ann's", "2", "3", ""}, got); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return nil
		})
	}},
	{"many ways at once", func(f *fixture) {
		var ways []storage.Way
		var want []string
		for i := range 200 {
			if i%3 > 0 {
				f.put(fmt.Sprintf("i/%d", i), fmt.Sprint(i), fmt.Sprintf("r/%d", i), fmt.Sprint(-i))
			}
			ways, want = append(ways, way(fmt.Sprintf("i/%d", i), "r/")), append(want, map[bool]string{true: fmt.Sprint(-i)}[i%3 > 0])
		}
		f.both(func(tx storage.Tx) error {
			if diff := cmp.Diff(want, follow(f, tx, ways...)); diff != "" {
				f.Errorf("(-want +got):\n%s", diff)
			}
			return nil
		})
	}},
	{"what was read ahead collides as what was read", func(f *fixture) {
		for _, meanwhile := range [][]string{{"i/ann", "2"}, {"r/1", "20"}} {
			f.put("i/ann", "1", "r/1", "10", "r/2", "30")
			first := true
			f.update(func(tx storage.Tx) error {
				number := follow(f, tx, way("i/ann", "r/"))[0]
				if first {
					first = false
					f.put(meanwhile...)
				}
				return put(tx, "i/ann", value(f, tx, "i/ann"), "r/1", number+"!")
			})
			f.wantValue("r/1", map[string]string{"i/ann": "30!", "r/1": "20!"}[meanwhile[0]])
		}
	}},
	{"what was found absent ahead collides as well", func(f *fixture) {
		f.put("i/ann", "1")
		first := true
		f.update(func(tx storage.Tx) error {
			number := follow(f, tx, way("i/ann", "r/"))[0]
			if first {
				first = false
				f.put("r/1", "20")
			}
			return put(tx, "r/1", number+"!")
		})
		f.wantValue("r/1", "20!")
	}},
	{"nothing is written by reading ahead", func(f *fixture) {
		f.put("i/ann", "1", "r/1", "Ann")
		f.view(func(tx storage.Tx) error {
			follow(f, tx, way("i/ann", "r/"))
			f.wantError("put in a view", tx.Put(storage.Item{Key: "r/1"}), storage.ErrReadOnly)
			return storage.Prefetch(tx)
		})
		f.wantKeys("", "i/ann", "r/1")
	}},
}

func way(key, prefix string) storage.Way { return storage.Way{Key: key, Prefix: prefix} }

// follow reads ways ahead and returns the values at their ends; "" where there is none.
func follow(t interface{ Errorf(string, ...any) }, tx storage.Tx, ways ...storage.Way) []string {
	if err := storage.Follow(tx, ways); err != nil {
		t.Errorf("reading ahead: %v", err)
	}
	ends := make([]string, len(ways))
	for i, way := range ways {
		switch item, err := tx.Get(way.Key); {
		case err == nil:
			ends[i] = value(t, tx, way.Prefix+string(item.Value))
		case !errors.Is(err, storage.ErrNotFound):
			t.Errorf("getting %q: %v", way.Key, err)
		}
	}
	return ends
}

func values(t interface{ Errorf(string, ...any) }, tx storage.Tx, keys ...string) []string {
	found := make([]string, len(keys))
	for i, key := range keys {
		found[i] = value(t, tx, key)
	}
	return found
}

// both runs fn in a view and in an update.
func (f *fixture) both(fn func(storage.Tx) error) {
	f.Helper()
	f.view(fn)
	f.update(fn)
}
