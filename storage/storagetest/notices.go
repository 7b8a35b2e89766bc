// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// patience is how long a notice is waited for, and again the time after which a commit is made once more for those who may not have
// listened yet.
const (
	patience = time.Minute
	again    = 20 * time.Millisecond
)

// notices are what an engine that is a [storage.Watcher] does. Each test commits something last of which it is known that it is heard.
var notices = []test{
	{"a commit is told to those who watch its table", func(f *fixture) {
		watch, both, other := f.watch("a"), f.watch("a", "b"), f.watch("b")
		f.put("a/1", "1", "c/1", "1")
		f.wantHeard(watch, "1")
		f.wantHeard(both, "1")
		f.put("b/2", "1")
		f.wantHeard(both, "2")
		f.wantHeard(other, "2")
		f.wantSilent(watch)
	}},
	{"a removal is told as well", func(f *fixture) {
		f.put("a/1", "1")
		watch := f.watch("a")
		f.update(func(tx storage.Tx) error { return tx.Delete("a/1") })
		f.wantHeard(watch, "1")
	}},
	{"what commits nothing is not told", func(f *fixture) {
		watch, refusal := f.watch("a"), errors.New("no")
		f.view(func(tx storage.Tx) error { _ = value(f, tx, "a/1"); return nil })
		f.update(func(tx storage.Tx) error { _ = value(f, tx, "a/1"); return nil })
		f.wantError("a refusal", f.db.Update(f.Context(), func(tx storage.Tx) error {
			return errors.Join(put(tx, "a/2", "1"), refusal)
		}), refusal)
		f.put("a/3", "1")
		f.wantHeard(watch, "3")
	}},
	{"notices gather until they are taken", func(f *fixture) {
		watch := f.watch("a")
		f.put("a/1", "1")
		f.put("a/2", "1")
		f.put("a/2", "2")
		f.wantHeard(watch, "1", "2")
		for i := range storage.MaxMarks/storage.MaxWrites + 1 {
			f.update(func(tx storage.Tx) error {
				for j := range storage.MaxWrites {
					if err := put(tx, fmt.Sprintf("a/%d.%d", i, j), "1"); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if f.wait(watch); len(watch.C()) != 0 {
			f.Error("there is more than one signal")
		}
		if marks, more := watch.Take(); len(marks) > storage.MaxMarks || !more {
			f.Errorf("%d marks, more: %t", len(marks), more)
		}
		f.put("a/1", "3")
		f.wantHeard(watch, "1")
	}},
	{"who has stopped hears nothing", func(f *fixture) {
		watch, other := f.watch("a"), f.watch("a")
		watch.Stop()
		watch.Stop()
		f.put("a/1", "1")
		f.wantHeard(other, "1")
		f.wantSilent(watch)
	}},
	{"closing says nothing", func(f *fixture) {
		watch := f.watch("a")
		if err := f.db.Close(); err != nil {
			f.Fatalf("closing: %v", err)
		}
		f.wantSilent(watch)
		f.wantSilent(f.watch("a"))
	}},
	{"one handle hears what the other commits", func(f *fixture) {
		other := f.second()
		f.watch("a") // who watches is who tells
		watch := other.watch("a")
		for i := 0; !other.heard(watch, func() { f.put("a/1", fmt.Sprint(i)) }, "1"); i++ {
		}
	}},
}

func (f *fixture) watch(tables ...string) *storage.Notices {
	f.Helper()
	if _, ok := f.db.(storage.Watcher); !ok {
		f.Skip("this engine tells nothing")
	}
	watch := storage.Watch(f.db, tables...)
	f.Cleanup(watch.Stop)
	return watch
}

// wait waits for a signal.
func (f *fixture) wait(watch *storage.Notices) {
	f.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-watch.C():
	case <-timer.C:
		f.Fatal("nothing was told")
	}
}

// wantHeard waits until marks were told, and checks that no others were. That there may be more says an engine too that begins to listen.
func (f *fixture) wantHeard(watch *storage.Notices, ids ...string) {
	f.Helper()
	var marks []uint64
	for len(marks) < len(ids) {
		f.wait(watch)
		got, _ := watch.Take()
		marks = append(marks, got...)
	}
	for _, id := range ids {
		if !slices.Contains(marks, storage.Mark(id)) {
			f.Errorf("%q is not among the marks %x", id, marks)
		}
	}
	if len(marks) > len(ids) {
		f.Errorf("%d marks, want %v", len(marks), ids)
	}
}

// heard commits and waits a moment for a mark.
func (f *fixture) heard(watch *storage.Notices, commit func(), id string) bool {
	f.Helper()
	if f.Context().Err() != nil {
		f.Fatal("nothing was told")
	}
	commit()
	timer := time.NewTimer(again)
	defer timer.Stop()
	for {
		select {
		case <-watch.C():
			if marks, _ := watch.Take(); slices.Contains(marks, storage.Mark(id)) {
				return true
			}
		case <-timer.C:
			return false
		}
	}
}

func (f *fixture) wantSilent(watch *storage.Notices) {
	f.Helper()
	marks, _ := watch.Take()
	if len(marks) != 0 {
		f.Errorf("%d marks were told", len(marks))
	}
}
